"""Programming-by-example domains; each alone knows what its values are."""
