"""One SQLite file per run: schema, the only writer, read-only queries."""
