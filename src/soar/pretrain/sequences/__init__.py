"""Makes the small model of integer sequences, from random programs alone: no sequence of the OEIS is read here."""
