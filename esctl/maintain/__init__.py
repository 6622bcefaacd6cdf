"""What changes a store, apart from ingest: redact, compact, repair, saved states."""
