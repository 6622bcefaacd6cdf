"""DuckDB sessions, SQL text, time zones, and the seam to the native core."""
