"""Makes the small model of integer sequences, from random programs only: no sequence of the OEIS is read here."""
