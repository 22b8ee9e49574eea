"""Runs as the paper's figures show them (§5): computing is kept apart from drawing."""
