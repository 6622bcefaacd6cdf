"""Write saved rows as JSON Lines, with the changed rows put in their places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from esctl.model import Answer, Column, Ready
from esctl.output.cells import object_sql
from esctl.output.rows import pieces
from esctl.output.target import Target, Written
from esctl.output.text import encode_json
from esctl.output.zone import Zone


def can_copy(answer: Answer, target: Target) -> bool:
    """Return whether the saved lines are in the form that the target asks for."""
    whole = not target.columns or target.columns == tuple(column.name for column in answer.columns)
    return target.format == "jsonl" and target.tz == "UTC" and target.limit is None and whole


def write_ready(ready: Ready, columns: Sequence[Column], connection: Any, zone: Zone, sink: BinaryIO) -> Written:
    """Copy the saved lines, with each changed row in place of its old line."""
    source, rows = _Lines(ready.lines()), ready.rows
    for line, start, end in _changes(ready, columns, connection, zone):
        source.copy(start, sink)
        rows -= end > start
        source.skip(end)
        if line is not None:
            sink.write(line)
            rows += 1
    source.copy(None, sink)
    return Written(rows)


def _changes(
    ready: Ready, columns: Sequence[Column], connection: Any, zone: Zone
) -> Iterator[tuple[bytes | None, int, int]]:
    """Yield the changed rows as lines (None: removed), each with the start and end of the bytes that it replaces."""
    if not ready.changes:
        return
    names = [f"c{index}" for index in range(len(columns))]
    line = object_sql([(f"r.{name}", column) for name, column in zip(names, columns, strict=True)], zone)
    sql = f"""select case when not gone then {line} end, line_start::varchar, line_end::varchar
        from (\n{ready.changes}\n) r({", ".join([*names, "line_start", "line_end", "gone"])})"""
    with pieces(connection, sql) as found:
        for piece in found:
            for text, start, end in piece:
                encoded = None if text is None else encode_json(text) + b"\n"
                yield encoded, int(start or 0), int(end or 0)


class _Lines:
    """Bytes that come in blocks, copied or skipped from front to end."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._block = memoryview(b"")
        self._at = 0

    def copy(self, end: int | None, sink: BinaryIO) -> None:
        """Write the bytes up to the offset `end`, or all if it is None."""
        self._advance(end, sink)

    def skip(self, end: int) -> None:
        """Skip the bytes up to the offset `end`."""
        self._advance(end, None)

    def _advance(self, end: int | None, sink: BinaryIO | None) -> None:
        while end is None or self._at < end:
            if not self._block:
                block = next(self._blocks, None)
                if block is None:
                    return
                self._block = memoryview(block)
            count = len(self._block) if end is None else min(end - self._at, len(self._block))
            if sink is not None:
                sink.write(self._block[:count])
            self._block, self._at = self._block[count:], self._at + count
