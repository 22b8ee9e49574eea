"""Executing untrusted programs."""
