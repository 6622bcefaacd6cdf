"""DuckDB: opening it, quoting for it."""
