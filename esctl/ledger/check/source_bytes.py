"""Hash the bytes of each source again from its records, and check them against the cursors of the commits."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow as pa
from msgspec import Struct, field

from esctl.index.decode.log_rows import runs_of
from esctl.ledger.check.findings import Finding
from esctl.log.store_state import Commit, commit_name
from esctl.model import Cursor, FileCursor

_HEAD = 65_536
_ROWS = frozenset({"parquet", "arrow", "avro", "evtx"})
"""Formats whose cursors count rows: the file's own bytes are in no record."""


class _Source(Struct):
    """The bytes of a source so far: its header and its records."""

    digest: Any
    head: bytes
    length: int
    records: int = 0
    erased: int = 0
    first: int = 0  # position of the first record since the last cursor


class CheckedCursor(Struct, frozen=True):
    """The cursor of a source in a commit, compared with the records before it; `checked`: by its digest."""

    commit: int
    source: str
    size: int  # of the log, with the commit
    checked: bool
    finding: Finding | None = None


class SourceHashes(Struct):
    """The hashed bytes of sources (of all, or `only` some), and the cursors judged by them."""

    only: frozenset[str] | None = None
    judged: list[CheckedCursor] = field(default_factory=list)
    _commits: list[Commit] = field(default_factory=list)  # still to come, the next one last
    _sources: dict[str, _Source] = field(default_factory=dict)
    _headers: dict[str, str] = field(default_factory=dict)
    _next: int = 1  # position of the record that comes next

    def expect(self, commits: Sequence[Commit]) -> None:
        """Expect the cursors of these commits to match the records that are added."""
        self._commits = [commit for commit in reversed(commits) if commit.cursors]
        for commit in commits:
            for name, cursor in commit.cursors.items():
                if cursor.header:
                    self._headers[name] = cursor.header
        self._judge(0)

    def add(self, table: pa.Table, first: int) -> None:
        """Add the records of a segment that begins at position `first`. After a gap nothing more is judged."""
        if first != self._next:
            self._commits, self._next = [], -1
            return
        start = 0
        while start < table.num_rows:
            stop = table.num_rows
            if self._commits:
                stop = min(stop, start + max(self._commits[-1].tree.size - (first + start - 1), 0))
            for name, begin, end in runs_of(table.slice(start, stop - start)) if stop > start else ():
                if self.only is not None and name not in self.only:
                    continue
                self._add_rows(name, table["raw"].slice(start + begin, end - begin), table, start + begin, first)
            self._next = first + stop
            self._judge(self._next - 1)
            start = stop

    def _add_rows(self, name: str, raws: pa.ChunkedArray, table: pa.Table, row: int, first: int) -> None:
        source = self._source(name)
        source.first = source.first or first + row
        source.records += len(raws)
        if table["erased_leaf"].null_count < table.num_rows:
            source.erased += len(raws) - table["erased_leaf"].slice(row, len(raws)).null_count
        for raw in raws.chunks:
            bounds = np.frombuffer(raw.buffers()[1], np.int64, len(raw) + 1, raw.offset * 8)
            content = memoryview(raw.buffers()[2] or b"")[int(bounds[0]) : int(bounds[-1])]
            source.digest.update(content)
            source.length += len(content)
            if len(source.head) < _HEAD:
                source.head += bytes(content[: _HEAD - len(source.head)])

    def _source(self, name: str) -> _Source:
        if name not in self._sources:
            header = _decode_base64(self._headers.get(name, ""))
            self._sources[name] = _Source(sha256(header), header[:_HEAD], len(header))
        return self._sources[name]

    def _judge(self, head: int) -> None:
        """Judge the cursors of the commits up to position `head`."""
        while self._commits and self._commits[-1].tree.size <= head:
            commit = self._commits.pop()
            for name, cursor in commit.cursors.items():
                self._judge_cursor(name, cursor, commit)

    def _judge_cursor(self, name: str, cursor: Cursor, commit: Commit) -> None:
        source = self._source(name)
        position, source.first = source.first or None, 0
        tail = _decode_base64(cursor.tail) if isinstance(cursor, FileCursor) else b""
        if (
            not isinstance(cursor, FileCursor)
            or cursor.format in _ROWS
            or source.erased
            or source.length + len(tail) < cursor.offset
        ):
            checked = False
            wrong = source.records > cursor.records
        else:
            checked = True
            digest = source.digest.copy()
            digest.update(tail)
            head = (source.head + tail)[: cursor.head_size]
            wrong = (
                source.length + len(tail) != cursor.offset
                or digest.hexdigest() != cursor.sha256
                or sha256(head).hexdigest() != cursor.head_sha256
                or source.records != cursor.records
            )
        message = f"the records of {name} are not the bytes that were read from it"
        finding = Finding("changed", message, f"commits/{commit_name(commit.seq)}", position) if wrong else None
        self.judged.append(CheckedCursor(commit.seq, name, commit.tree.size, checked, finding))


def _decode_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
