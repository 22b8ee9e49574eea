"""Programming-by-example domains; only a domain knows what its values are."""
