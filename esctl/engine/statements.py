"""Parse SQL with DuckDB's own parser, so that what is checked is what will run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from esctl.engine.duckdb import single_row
from esctl.errors import UsageError

if TYPE_CHECKING:
    import duckdb

LONGEST = 1 << 20
"""The most characters of a query: no person writes more."""

_NO_TEXT = re.compile("[\x00\ud800-\udfff]")

Node = dict[str, Any]


class Select(Struct, frozen=True):
    """One SELECT: its text, without a final semicolon, and DuckDB's own syntax tree of it."""

    text: str
    tree: Node

    @property
    def wrapped(self) -> str:
        """Return the text as a subquery: nothing in it can end the statement around it."""
        return f"SELECT * FROM (\n{self.text}\n)"

    @property
    def is_ordered(self) -> bool:
        """Return whether the query settles the order of its rows."""
        source = self.tree.get("from_table")
        if isinstance(source, dict) and source.get("type") == "SHOW_REF":
            return True  # the columns of a relation, in their order
        return any(modifier["type"] == "ORDER_MODIFIER" for modifier in self.tree["modifiers"])

    def nodes(self) -> Iterator[Node]:
        """Return every node of the tree, a parent before its children."""
        waiting: list[Any] = [self.tree]
        while waiting:
            node = waiting.pop()
            if isinstance(node, dict):
                yield node
                waiting += node.values()
            elif isinstance(node, list):
                waiting += node


def parse_select(connection: duckdb.DuckDBPyConnection, text: str, where: str) -> Select:
    """Parse a text that must be one SELECT. Raises UsageError naming `where`."""
    hint = "it must be one SELECT (a PIVOT names its values: ON x IN (...))"
    if len(text) > LONGEST or _NO_TEXT.search(text):
        raise UsageError(f"{where} is not a query: it is too long, holds a NUL or is not UTF-8", hint)
    body = text.strip().rstrip("; \t\r\n")
    (node,) = _statements(connection, body, where, hint)
    select = Select(body, node)
    _statements(connection, select.wrapped, where, hint)
    return select


def _statements(connection: duckdb.DuckDBPyConnection, text: str, where: str, hint: str) -> list[Node]:
    """Return the query node of a text that is a single statement. Raises UsageError for another text."""
    row = single_row(connection, "SELECT json_serialize_sql(?::VARCHAR)", [text])
    try:
        document = json.loads(row[0]) if row else {}
    except RecursionError:
        raise UsageError(f"{where} is nested too deeply", "split it with WITH") from None
    if document.get("error"):
        message = str(document.get("error_message", "")).splitlines()[0]
        if document.get("error_type") == "not implemented":
            raise UsageError(f"{where} is not one SELECT", hint)
        raise UsageError(f"{where} is not an SQL query: {message}", hint)
    nodes = [statement["node"] for statement in document.get("statements", ())]
    if len(nodes) != 1:
        raise UsageError(f"{where} is not one SELECT", hint)
    return nodes
