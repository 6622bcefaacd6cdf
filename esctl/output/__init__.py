"""An answer, written as table, JSON, CSV, Markdown, Parquet or Arrow."""
