"""Change logs of databases: each record read as the change of one row, in one form for all that write them."""

OUTBOX = "debezium_outbox"
"""The dialect whose records are domain events, and no changes of rows."""
PGOUTPUT = "pgoutput"
"""The dialect of a database that esctl itself follows."""
DIALECTS = (OUTBOX, PGOUTPUT, "debezium", "debezium_flat", "wal2json", "maxwell", "canal", "dynamodb", "mongodb")
"""Who writes a change log; each is an encoding of whole records. The more particular come first."""
TRIGGERED = ("supa_audit", "audit_trigger", "pgmemento", "row_history")
"""Presets of tables in which changes or versions of rows are kept, whose records keep their own words."""
DELETES, TRUNCATES = ("delete", "DELETE", "D"), ("truncate", "TRUNCATE", "T")
"""What the end of a row, and that of all rows of a table, is called in one or another."""
ROWS = "$rows"
"""The member of a payload that holds several rows, by their names."""
SET, UNSET, TRUNCATED, PATHS = "$set", "$unset", "$truncate", "$paths"
"""Members of a row that says how parts of a document changed: values by path, the paths that go, the lengths of
arrays by path, and the parts of paths that are not what they seem.
"""
