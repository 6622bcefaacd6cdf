"""Change logs of databases: each record read as the change of one row, in one form for all that write them."""

DIALECTS = ("debezium", "wal2json", "maxwell")
"""Who writes a change log; each is an encoding of whole records."""
