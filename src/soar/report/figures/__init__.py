"""Runs as the paper's figures show them (§5): what is computed stands apart from what draws."""
