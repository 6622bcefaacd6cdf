"""PostgreSQL's csvlog: a table without a header, whose number of columns shows the version of the server."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pyarrow.compute as pc

from esctl.sources.formats.text.known import AUDIT
from esctl.sources.formats.text.rows import members_of
from esctl.sources.pieces import BOM

COLUMNS = (
    "log_time", "user_name", "database_name", "process_id", "connection_from", "session_id", "session_line_num",
    "command_tag", "session_start_time", "virtual_transaction_id", "transaction_id", "error_severity",
    "sql_state_code", "message", "detail", "hint", "internal_query", "internal_query_pos", "context", "query",
    "query_pos", "location", "application_name", "backend_type", "leader_pid", "query_id",
)  # fmt: skip
"""https://www.postgresql.org/docs/current/runtime-config-logging.html (Using CSV-Format Log Output)"""
CSVLOG = "postgresql"
"""The name of these columns in the dialect of a source."""
_WIDTHS = (23, 24, 26)  # up to version 12, of 13, and from 14 on
_FIRST = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3} [A-Z0-9+:-]{1,6},")


def csvlog_columns(head: bytes) -> int:
    """Return how many columns a csvlog has, by the first bytes of a source; 0 if it is not a csvlog."""
    text = head.removeprefix(BOM).lstrip(b"\r\n")
    if not _FIRST.match(text):
        return 0
    try:
        row = next(csv.reader(io.StringIO(text.decode(errors="replace"), newline="")))
    except csv.Error:
        return 0
    return len(row) if len(row) in _WIDTHS and re.fullmatch("[A-Z]+[0-9]?", row[11]) else 0


def with_audit(names: list[str], values: list[Any], messages: Any) -> tuple[list[str], list[Any]]:
    """Return the members of rows (JSON texts, by name), with what pgaudit says in their messages as `audit`."""
    if not pc.any(pc.starts_with(messages, "AUDIT: ")).as_py():
        return names, values
    return [*names, AUDIT.into], [*values, members_of(messages, AUDIT)]
