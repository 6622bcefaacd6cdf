"""CSV and TSV (RFC 4180): where rows end, what the header says, and rows as JSON objects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import replace
from pyarrow import csv as arrow_csv

from esctl.errors import InputError, shell_word
from esctl.model import Cursor
from esctl.sources.feed import Bytes, Feed
from esctl.sources.formats.cells import row_pattern, split_row, trim_cells, with_point, with_points, without_lead
from esctl.sources.formats.column_names import header_line, header_names, header_of, names_in
from esctl.sources.formats.json.scan import escaped_offsets
from esctl.sources.formats.json.write import join_members, quote_texts
from esctl.sources.formats.tables import Dialect, dialect_of
from esctl.sources.formats.text.csvlog import CSVLOG, with_audit
from esctl.sources.pieces import BOM, NEWLINE, NOWHERE, QUOTE, RETURN, Offsets, Piece, slices_of

_FEW_ROWS = 256
_HEADER_AGAIN = "the header again"


class DelimitedReader:
    """Cuts a feed into rows, about `size` bytes at a time, as Pieces; blank lines belong to the row after them.

    `names` are those of the columns, None if the header line is still to be read. An unterminated last row is a record
    if it has that many cells or is `final`; else it stays unread, counted in `pending`. Raises InputError at a header
    between rows that has other columns.
    """

    def __init__(self, feed: Feed, size: int, final: bool, dialect: Dialect, names: list[str] | None) -> None:
        self.pending = 0
        self._feed = feed
        self._size = size
        self._final = final
        self._dialect = dialect
        self._names = names

    def __iter__(self) -> Iterator[Piece]:
        feed = self._feed
        more = True
        while more:
            more = feed.fill(self._size)
            ends = row_ends(feed.window, self._dialect)
            if self._names is None and (end := self._header_end()):
                yield self._cut_header(end)
                ends = row_ends(feed.window, self._dialect)
            if self._names is None:
                feed.check_open()
                continue
            bounds = np.append(0, ends)
            fitting, problem = feed.count_fitting(bounds[:-1], bounds[1:])
            alike, other = self._count_alike(bounds[: fitting + 1])
            if alike:
                yield self._cut_rows(bounds[: alike + 1])
            if stop := other or problem:
                raise stop
            feed.check_open()
        if len(feed.window):
            yield from self._cut_last()

    def _header_end(self) -> int:
        """Return where the header ends in the window, 0 if it is not complete yet."""
        begin = 0
        for _ in range(self._dialect.skip):
            newlines = np.flatnonzero(self._feed.window[begin:] == NEWLINE)
            if not len(newlines):
                return 0
            begin += int(newlines[0]) + 1
        ends = row_ends(self._feed.window[begin:], replace(self._dialect, fields=""))
        return begin + int(ends[0]) if len(ends) else 0

    def _cut_header(self, end: int) -> Piece:
        text = self._feed.window[:end].tobytes()
        self._names = header_names(text, self._dialect)
        upto = self._feed.base + end
        return Piece(slices_of(self._feed.window, np.zeros(1, np.int64)), NOWHERE, NOWHERE, upto, header=text)

    def _count_alike(self, bounds: Offsets) -> tuple[int, InputError | None]:
        """Return how many rows come before a header with other columns, and the error for that header or None.

        The columns are those of the first header, wherever reading begins.
        """
        mark = b"\n" + self._dialect.fields.encode()
        text = b"\n" + self._feed.window[: int(bounds[-1])].tobytes() if self._dialect.fields else b""
        at = text.find(mark)
        while at >= 0:
            line = text[at + 1 :].partition(b"\n")[0]
            if names_in(line, self._dialect) != self._names:
                row = int(np.searchsorted(bounds, at, side="right")) - 1
                first = text[int(bounds[row]) + 1 :].split(maxsplit=1)[0]
                return row, self._columns_error(self._feed.base + at, first.decode(errors="replace"))
            at = text.find(mark, at + 1)
        return len(bounds) - 1, None

    def _columns_error(self, offset: int, first: str) -> InputError:
        """Return the error for a header with other columns; `first` is how the lines before it begin."""
        name = self._feed.stream.name
        cut = f"csplit -z -f {shell_word(name + '.')} {shell_word(name)} {shell_word(f'/^{first}/')} '{{*}}'"
        return InputError(f"{name}: its columns are others from byte {offset} on", f"read it in parts: {cut}")

    def _cut_rows(self, bounds: Offsets) -> Piece:
        feed = self._feed
        absolute = bounds + feed.base
        return Piece(slices_of(feed.window, bounds), absolute[:-1], absolute[1:], int(absolute[-1]))

    def _cut_last(self) -> Iterator[Piece]:
        rest = self._feed.window.tobytes()
        lead = len(rest) - len(without_lead(rest, _comment_mark(self._dialect)))
        cells = split_row(rest[lead:], self._dialect)
        if lead == len(rest):
            upto = self._feed.end
            yield Piece(slices_of(self._feed.window, np.zeros(1, np.int64)), NOWHERE, NOWHERE, upto, tail=rest)
        elif self._names is None and self._final:
            yield self._cut_header(len(rest))
        elif self._names is not None and (
            self._final or (cells is not None and len(trim_cells(cells, len(self._names))) == len(self._names))
        ):
            if other := self._count_alike(np.array([0, len(rest)], np.int64))[1]:
                raise other
            yield self._cut_rows(np.array([0, len(rest)], np.int64))
        else:
            self.pending = len(rest)


def row_ends(window: Bytes, dialect: Dialect) -> Offsets:
    """Return the offsets just after the newline of each row that is complete; blank lines belong to the next row."""
    marks = np.flatnonzero((window == NEWLINE) | (window == (NEWLINE if dialect.fields else QUOTE)))
    is_quote = window[marks] == QUOTE
    if dialect.escape and is_quote.any():
        escaped = np.isin(marks, escaped_offsets(window, False)[0])
        marks, is_quote = marks[~(is_quote & escaped)], is_quote[~(is_quote & escaped)]
    if is_quote.any():
        inside = np.cumsum(is_quote) & 1
        opening = marks[is_quote & (inside == 1)]
        if not _are_at_cell_starts(window, opening, dialect.delimiter):
            return _row_ends_by_cell(window, dialect)
        newlines = marks[~is_quote & (inside == 0)]
    else:
        newlines = marks
    if not len(newlines):
        return NOWHERE
    starts = np.concatenate([[0], newlines[:-1] + 1])
    return _without_blank_rows(window, starts, newlines, _comment_mark(dialect))


def _are_at_cell_starts(window: Bytes, opening: Offsets, delimiter: str) -> bool:
    before = window[np.maximum(opening - 1, 0)]
    fine = (before == ord(delimiter)) | (before == NEWLINE) | (before == QUOTE) | (opening == 0)
    bom = len(BOM) if window[: len(BOM)].tobytes() == BOM else 0
    return bool((fine | (opening == bom)).all())


def _row_ends_by_cell(window: Bytes, dialect: Dialect) -> Offsets:
    text = window.tobytes()
    pattern, ends = row_pattern(dialect.delimiter, dialect.escape), []
    found = pattern.match(text, len(BOM) if text.startswith(BOM) else 0)
    while found:
        ends.append(found.end())
        found = pattern.match(text, found.end())
    newlines = np.array(ends, np.int64) - 1
    if not len(newlines):
        return NOWHERE
    return _without_blank_rows(window, np.concatenate([[0], newlines[:-1] + 1]), newlines, _comment_mark(dialect))


def _comment_mark(dialect: Dialect) -> bytes:
    """Return the character that comments between rows begin with, or b""."""
    return dialect.fields[:1].encode()


def _without_blank_rows(window: Bytes, starts: Offsets, newlines: Offsets, comment: bytes) -> Offsets:
    if window[: len(BOM)].tobytes() == BOM:
        starts[0] = len(BOM)
    first = window[starts]
    empty = (first == NEWLINE) | ((first == RETURN) & (newlines == starts + 1))
    if comment:
        empty |= first == comment[0]
    ends: Offsets = newlines[~empty] + 1
    return ends


def rows_to_json(raws: Any, cursor: Cursor) -> tuple[Any, Any]:
    """Return CSV rows as JSON objects of texts, and the reasons: two large_string arrays as long as `raws`.

    An empty cell without quotes is a missing member; one equal to `cursor.dialect["null"]` is null. A row that cannot
    be read (wrong number of cells, quote not closed, not UTF-8, the header again) is a null text with its reason.
    """
    raws = raws.combine_chunks() if isinstance(raws, pa.ChunkedArray) else raws
    raws, names = raws.cast(pa.large_binary()), header_of(cursor)
    texts, reasons = _write_rows(raws, names, dialect_of(cursor.dialect))
    again = _is_header(raws, cursor) if len(names) > 1 else None
    if again is None or not pc.any(again).as_py():
        return texts, reasons
    nothing = pa.scalar(None, pa.large_string())
    return pc.if_else(again, nothing, texts), pc.if_else(again, pa.scalar(_HEADER_AGAIN, pa.large_string()), reasons)


def _is_header(raws: Any, cursor: Cursor) -> Any:
    """Return a mask of the rows that repeat the header, as in concatenated tables; None if there is no header."""
    line = header_line(cursor)
    found = [pc.fill_null(pc.equal(raws, pa.scalar(line + end, raws.type)), False) for end in (b"", b"\n", b"\r\n")]
    return pc.or_(pc.or_(found[0], found[1]), found[2]) if line else None


def _write_rows(raws: Any, names: list[str], dialect: Dialect) -> tuple[Any, Any]:
    texts = None if dialect.escape else _write_by_column(raws, names, dialect)
    if texts is not None:
        return texts, pa.nulls(len(raws), pa.large_string())
    if len(raws) > _FEW_ROWS:
        # Halving keeps all but the neighbourhood of an odd row on the fast path.
        half = len(raws) // 2
        parts = [_write_rows(part, names, dialect) for part in (raws[:half], raws[half:])]
        return pa.concat_arrays([part[0] for part in parts]), pa.concat_arrays([part[1] for part in parts])
    rows = [_write_row(raw, names, dialect) for raw in raws.to_pylist()]
    return (
        pa.array([text for text, _ in rows], pa.large_string()),
        pa.array([reason for _, reason in rows], pa.large_string()),
    )


def _write_row(raw: bytes | None, names: list[str], dialect: Dialect) -> tuple[str | None, str | None]:
    if raw is None:
        return None, None
    cells = split_row(without_lead(raw, _comment_mark(dialect)), dialect)
    if cells is None:
        return None, "a quote is not closed"
    cells = trim_cells(cells, len(names))
    if len(cells) != len(names):
        return None, f"{len(cells)} cells where the header has {len(names)}"
    try:
        texts = [None if cell is None else cell.decode() for cell in cells]
        texts = [text and (text.lstrip(" ") or None) for text in texts] if dialect.spaced else texts
    except UnicodeDecodeError:
        return None, "not UTF-8"
    if dialect.names == CSVLOG:
        cells_of = [pa.array([text], pa.large_string()) for text in texts]
        return _write_objects(names, cells_of, dialect)[0].as_py(), None
    members: dict[str, str | None] = {}
    for name, text in zip(names, texts, strict=True):
        if dialect.null is not None and (text or "") == dialect.null:
            members[name] = None
        elif text is not None:
            members[name] = with_point(text) if dialect.decimal == "," else text
    if dialect.path:
        members["_path"] = dialect.path
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")), None


def _write_by_column(raws: Any, names: list[str], dialect: Dialect) -> Any | None:
    """Return rows as JSON objects by Arrow's CSV reader, or None if a row is not plain enough to be read alike."""
    joined = _join_rows(raws, dialect)
    if joined is None or (dialect.has_quotes and not _is_plain(np.frombuffer(joined, np.uint8), dialect.delimiter)):
        return None
    columns = [str(number) for number in range(len(names) + dialect.trailing)]
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(joined),
            arrow_csv.ReadOptions(column_names=columns, block_size=max(len(joined), 1 << 16)),
            arrow_csv.ParseOptions(
                delimiter=dialect.delimiter,
                newlines_in_values=not dialect.fields,
                quote_char='"' if dialect.has_quotes else False,
            ),
            arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.large_string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:
        return None
    if table.num_rows != len(raws):
        return None
    if dialect.trailing and table.column(columns[-1]).null_count < table.num_rows:
        return None
    cells = [table.column(column).combine_chunks() for column in columns[: len(names)]]
    return _write_objects(names, cells, dialect)


def _write_objects(names: list[str], cells: list[Any], dialect: Dialect) -> Any:
    values = [_write_member(column, dialect) for column in cells]
    if dialect.names == CSVLOG:
        names, values = with_audit(names, values, cells[names.index("message")])
    if dialect.path:
        path = pa.repeat(pa.scalar(json.dumps(dialect.path), pa.large_string()), len(cells[0]))
        names, values = [*names, "_path"], [*values, path]
    return join_members(names, values)


def _join_rows(raws: Any, dialect: Dialect) -> bytes | None:
    """Return rows joined, or None if a row is null or has a quote that it does not close."""
    if not len(raws) or raws.null_count:
        return None
    offsets = np.frombuffer(raws.buffers()[1], np.int64)[raws.offset : raws.offset + len(raws) + 1]
    data = raws.buffers()[2].slice(int(offsets[0]), int(offsets[-1] - offsets[0]))
    quotes = np.flatnonzero(np.frombuffer(data, np.uint8) == QUOTE) if dialect.has_quotes else NOWHERE
    if (np.searchsorted(quotes, offsets - offsets[0]) % 2).any():
        return None
    text = without_lead(data.to_pybytes(), _comment_mark(dialect))
    return text if text.endswith(b"\n") else text + b"\n"


def _is_plain(text: Bytes, delimiter: str) -> bool:
    """Return whether quotes are only at both ends of cells, and every carriage return belongs to a line end."""
    returns = np.flatnonzero(text == RETURN)
    if len(returns) and not (text[np.minimum(returns + 1, len(text) - 1)] == NEWLINE).all():
        return False
    quotes = np.flatnonzero(text == QUOTE)
    if not len(quotes):
        return True
    if len(quotes) % 2 or not _are_at_cell_starts(text, quotes[0::2], delimiter):
        return False
    after = text[np.minimum(quotes[1::2] + 1, len(text) - 1)]
    return bool(((after == ord(delimiter)) | (after == NEWLINE) | (after == RETURN) | (after == QUOTE)).all())


def _write_member(column: Any, dialect: Dialect) -> Any:
    if dialect.spaced:
        column = pc.ascii_ltrim(column, " ")
        column = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.large_string()), column)
    if dialect.decimal == ",":
        column = with_points(column)
    text = quote_texts(column)
    if dialect.null is None:
        return text
    is_null = pc.equal(pc.fill_null(column, ""), dialect.null)
    return pc.if_else(is_null, pa.scalar("null", pa.large_string()), text)
