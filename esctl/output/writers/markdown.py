"""A Markdown table (GitHub Flavored Markdown): everything from the log is plain text in it."""

from __future__ import annotations

import re
from typing import Any, BinaryIO

from esctl.output.cells import text_sql
from esctl.output.rows import pieces
from esctl.output.selection import Selection
from esctl.output.target import Target, Written
from esctl.output.text import visible
from esctl.output.zone import Zone

# Markup, HTML, table bars, and what GitHub links by itself (URLs, www., @names).
_MARKUP = re.compile(r"[\\`*_\[\]<>|~&$@]|:(?=//)|(?<=www)\.")
_RIGHT = frozenset({"integer", "number"})


def write_markdown(selection: Selection, connection: Any, target: Target, zone: Zone, sink: BinaryIO) -> Written:
    """Write rows as a Markdown table, a line a row."""
    columns = selection.columns
    heads = [f"{c.name} ({zone.name})" if c.kind == "time" else c.name for c in columns]
    rule = ["---:" if c.kind in _RIGHT else "---" for c in columns]
    sink.write(f"{_line([_cell(head) for head in heads])}\n{_line(rule)}\n".encode())
    texts = [text_sql(expr, column, zone, rfc3339=False) for expr, column in selection.cells]
    count = 0
    with pieces(connection, selection.select(texts, target.limit)) as rows:
        for piece in rows:
            sink.write("".join([_line([_cell(cell or "") for cell in row]) + "\n" for row in piece]).encode())
            count += len(piece)
    return Written(count)


def _cell(text: str) -> str:
    return _MARKUP.sub(r"\\\g<0>", visible(text))


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
