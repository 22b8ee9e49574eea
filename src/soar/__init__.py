"""SOAR: a language model writes programs for tasks given by examples, and learns from its own search."""
