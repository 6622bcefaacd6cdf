"""What changes a store beside ingest: redact, compact, repair, saved states."""
