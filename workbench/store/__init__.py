"""The store: what was run and what came of it, in one SQLite file."""
