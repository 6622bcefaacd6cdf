"""Change logs of databases: each record is read as the change of one row, in one form for all dialects."""

OUTBOX = "debezium_outbox"
"""The dialect whose records are domain events, not changes of rows."""
PGOUTPUT = "pgoutput"
"""The dialect of a database that esctl itself follows."""
HISTORY = "row_history"
"""The dialect of tables of versions of rows."""
TRIGGERED = ("supa_audit", "supabase", "audit_trigger", "pgmemento")
"""Dialects of tables in which triggers keep changes of rows."""
DIALECTS = (
    OUTBOX, PGOUTPUT, "debezium", "debezium_flat", "wal2json", "maxwell", "canal", "dynamodb", "aws_dms", "mongodb",
    *TRIGGERED, HISTORY,
)  # fmt: skip
"""The dialects of change logs; each is an encoding of whole records. More specific ones come first."""
INSERT, UPDATE, DELETE, READ, TRUNCATE = "insert", "update", "delete", "read", "truncate"
"""The types of changes, in all dialects."""
UNNAMED = "row"
"""The kind of rows whose table is not known."""
ROWS = "$rows"
"""The member of a payload that holds several rows, by their names."""
MORE = "$more"
"""The member of a payload that says, for rows without a key, how many more of each there are than before."""
UNTIL = "$until"
"""The member of a payload that says when the row ends, unless another version of it begins by then."""
SET, UNSET, TRUNCATED, PATHS = "$set", "$unset", "$truncate", "$paths"
"""Members of a row that says how parts of a document changed: values by path, removed paths, lengths of arrays by
path, and the parts of ambiguous paths.
"""
