"""Sample and refine (§3.2)."""
