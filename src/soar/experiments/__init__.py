"""Experiments with whole runs: arms that share a first search, cell by cell, and what can be said of them."""
