"""The readers that cut sources into records, chosen by the format and dialect of the cursor."""

from __future__ import annotations

from esctl.model import FileCursor
from esctl.sources.feed import Feed
from esctl.sources.files.deliveries import RecordReader
from esctl.sources.formats import delimited, encodings
from esctl.sources.formats.column_names import header_of
from esctl.sources.formats.documents import DocumentReader
from esctl.sources.formats.lines import LineReader
from esctl.sources.formats.prefixes import has_json
from esctl.sources.formats.shape import Shape, parse_records_path
from esctl.sources.formats.tables import dialect_of
from esctl.sources.formats.text.lines import TextReader
from esctl.sources.formats.text.split_line_reader import PartsReader
from esctl.sources.formats.text.split_lines import CRI, DOCKER
from esctl.sources.formats.values import ValueReader


def record_reader(feed: Feed, cursor: FileCursor, size: int, final: bool) -> RecordReader:
    """Return the reader that cuts a source written as its cursor says, about `size` bytes at a time."""
    encoding = cursor.dialect.get("encoding", "")
    if encoding not in encodings.WIDE or cursor.format == "json-document":
        return _cutter(feed, cursor, size, final)
    narrow = encodings.NarrowFeed(feed, encoding)
    return encodings.WideReader(narrow, _cutter(narrow, cursor, size, final))


def _cutter(feed: Feed, cursor: FileCursor, size: int, final: bool) -> RecordReader:
    dialect = cursor.dialect
    if cursor.format == "json-document":
        return DocumentReader(feed, size)
    if cursor.format == "json":
        path = parse_records_path(dialect.get("records_path", ""))
        shape, inside = Shape(dialect["shape"], path), dialect["inside"] == "1"
        return ValueReader(feed, size, final, shape, inside, "script" in dialect)
    if cursor.format in ("csv", "tsv"):
        written = dialect_of(dialect)
        names = header_of(cursor) if cursor.header or written.columns else None
        return delimited.DelimitedReader(feed, size, final, written, names)
    return line_reader(feed, size, final, cursor)


def line_reader(feed: Feed, size: int, final: bool, cursor: FileCursor, waits: bool = True) -> LineReader:
    """Return the reader of a source of lines. `waits`: whether it waits for lines that may continue a line of text."""
    prefix, encoding = cursor.dialect.get("prefix"), cursor.dialect.get("encoding", "")
    if cursor.format == "text":
        return TextReader(feed, size, final, cursor.dialect.get("pattern", ""), waits, prefix == CRI)
    narrow = "" if encoding in encodings.WIDE else encoding

    def is_whole(line: bytes) -> bool:
        return has_json(encodings.utf8(line, narrow), prefix)

    return (
        PartsReader(feed, size, final, prefix, is_whole)
        if prefix in (CRI, DOCKER)
        else LineReader(feed, size, final, is_whole)
    )
