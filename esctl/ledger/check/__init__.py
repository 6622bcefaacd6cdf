"""Check a store against its commits, heads, records and index."""
