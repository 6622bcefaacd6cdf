"""Reading of one source from where it was left: which source it is, its format, its batches and their cursors."""

from __future__ import annotations

import base64
import hashlib
import os
import shlex
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import IO, Any, cast

import pyarrow as pa
from msgspec import Struct
from msgspec.structs import replace

from esctl.errors import InputError, UsageError
from esctl.model import Cursor, FileCursor
from esctl.sources.feed import Feed
from esctl.sources.files.beginnings import find_longer
from esctl.sources.files.cutting import record_reader
from esctl.sources.files.deliveries import Reading, RecordReader, WholeFile
from esctl.sources.files.finding import Source, open_stream
from esctl.sources.files.generations import COLUMNAR, HEAD_SIZE, Candidate, find_candidates, same_files, select_matching
from esctl.sources.formats import columnar, detect, encodings
from esctl.sources.formats.documents import NothingReader
from esctl.sources.formats.foreign import refusal
from esctl.sources.formats.packed import PACKED, PackedReader
from esctl.sources.formats.scripts import without_script
from esctl.sources.formats.shape import Shape, format_records_path, may_have_records, parse_records_path, shape_of
from esctl.sources.formats.tables import Dialect, find_dialect, has_commas, width_of
from esctl.sources.formats.text.csvlog import CSVLOG, csvlog_columns
from esctl.sources.formats.text.years import first_month
from esctl.sources.formats.wrappers import find_shape
from esctl.sources.names import next_name
from esctl.sources.pieces import BLANKS, BOM, NOISE
from esctl.sources.protocol import Delivery
from esctl.sources.streams import LIMITS, ByteStream, Limits

FORMATS = ("jsonl", "json", "json-document", "csv", "tsv", "text", "parquet", "arrow", "avro", "evtx")
LINES = "lines"
"""The input format of followed files: lines of JSON, or of a text log."""
_SKIP = 8 << 20
_EMPTY_HASH = hashlib.sha256().hexdigest()


class SourceOptions(Struct, frozen=True):
    """How to read sources. Sizes are in bytes; `null` is the CSV cell text that means JSON null.

    `pattern_of` returns the pattern that is set for the lines of a source, by its name, or "".
    """

    input_format: str = "auto"
    records_path: str | None = None
    final: bool = False
    batch_bytes: int = 48 << 20
    batch_rows: int = 500_000
    null: str | None = None
    max_record_bytes: int = 256 << 20
    limits: Limits = LIMITS
    encoding: str | None = None
    header: bool | None = None
    decimal: str | None = None
    pattern_of: Callable[[str], str] = lambda name: ""


def read(source: Source, options: SourceOptions, cursors: Mapping[str, Cursor]) -> Reading:
    """Open what is new in a source, given the cursors of all sources of the store.

    A known source whose read prefix is unchanged is continued, also under another name; one whose prefix has changed
    is read anew as the next generation (`name#2`). Stdin is compared only with what stdin gave before. Raises
    InputError if the source cannot be read, UsageError if the options do not fit together.
    """
    _check_options(options)
    stream = open_stream(source, options.limits)
    try:
        return _read(source, stream, options, cursors)
    except BaseException:
        stream.close()
        raise


class FileReader:
    """A file or stdin, as a SourceReader."""

    def __init__(self, source: Source, options: SourceOptions) -> None:
        self._source = source
        self._options = options
        self._reading: Reading | None = None

    @property
    def name(self) -> str:
        """Return the name that its records are kept under."""
        return self._source.name if self._reading is None else self._reading.name

    @property
    def pending(self) -> int:
        """Return how many bytes at the end are in no record yet."""
        return 0 if self._reading is None else self._reading.pending_bytes

    @property
    def may_wait(self) -> bool:
        """Return whether it is not a plain file."""
        return not self._source.reopenable

    def open(self, known: Mapping[str, Cursor]) -> Iterator[Delivery]:
        """Open the file for what is new in it. Raises what `read` does."""
        self._reading = read(self._source, self._options, known)
        return iter(self._reading)


def file_readers(sources: Sequence[Source], options: SourceOptions) -> Iterator[FileReader]:
    """Return the readers of some files, each made only when asked for, because it holds the batch that it read last."""
    return (FileReader(source, options) for source in sources)


def _check_options(options: SourceOptions) -> None:
    if options.input_format not in ("auto", LINES, *FORMATS):
        raise UsageError(f"--input-format {options.input_format}: no such format", f"one of auto, {', '.join(FORMATS)}")
    if options.decimal not in (None, ",", "."):
        raise UsageError(f"--decimal {options.decimal!r} is not a mark of fractions", "it is , or .")
    if options.records_path is not None and not parse_records_path(options.records_path):
        raise UsageError(f"--records-path {options.records_path!r} names nothing", "it names an array in JSON objects")
    if options.records_path and options.input_format not in ("auto", "json"):
        raise UsageError(
            f"--records-path cannot be combined with --input-format {options.input_format}",
            "it names an array in JSON objects",
        )


def _read(source: Source, stream: ByteStream, options: SourceOptions, cursors: Mapping[str, Cursor]) -> Reading:
    head = stream.read(detect.HEAD)
    whole = stream.ended
    if foreign := refusal(source.name, head, options.input_format):
        raise foreign
    encoding = encodings.encoding_of(head, options.encoding)
    text = encodings.utf8(head, encoding)
    feed = Feed(stream, options.max_record_bytes, head, whole)
    columnar = detect.sniff_columnar(head) if options.input_format == "auto" else options.input_format
    pattern = options.pattern_of(source.name)
    if options.records_path:
        found_format = columnar if columnar in COLUMNAR else _format(text, whole, options, pattern)
        _check_records_path(source.name, found_format, options.records_path, text, whole)
    if columnar in COLUMNAR:
        return _read_columnar(source, feed, columnar, options, cursors)
    agrees = partial(_agrees, options=options, encoding=encoding)
    found = find_candidates(source.name, head[:HEAD_SIZE], cursors, source.reopenable, agrees)
    if found:
        with ExitStack() as spools:
            known, feed = _find_continued(feed, _reopener(source, feed, spools), found)
        if known is not None:
            return _resume(known, feed, options)
    longer = find_longer(source, feed.stream, head, cursors, agrees)
    if longer is not None:
        return Reading(longer.name, feed, NothingReader(), longer.cursor, b"", options.batch_rows)
    name = next_name(source.name, cursors)
    start = first_cursor(_format(text, whole, options, pattern), text, whole, options, encoding, pattern)
    return Reading(name, feed, _make_reader(feed, start, options), start, head[:HEAD_SIZE], options.batch_rows)


def _format(head: bytes, whole: bool, options: SourceOptions, pattern: str) -> str:
    if options.input_format not in ("auto", LINES):
        return options.input_format
    sniffed = "text" if detect.is_text(head, whole, pattern) else detect.sniff(head, whole)
    if options.input_format == LINES:
        return "text" if sniffed == "text" else "jsonl"
    if (
        sniffed in ("jsonl", "text")
        and options.header is not None
        and (table := find_dialect(head, whole, named=False))
    ):
        return "tsv" if table.delimiter == "\t" else "csv"
    return "json" if sniffed in ("jsonl", "text") and options.records_path else sniffed


def _check_records_path(name: str, input_format: str, given: str, head: bytes, whole: bool) -> None:
    """Raise UsageError for a path that leads to no records, as far as the head of the source shows."""
    if input_format != "json":
        raise UsageError(
            f"{name}: --records-path {given!r} is for JSON, and this is {input_format}",
            "leave it out for this source; it names an array in JSON objects",
        )
    if head.strip(BLANKS) and not may_have_records(head, whole, parse_records_path(given)):
        likely = find_shape(head, None).path
        raise UsageError(
            f"{name}: --records-path {given!r} is not an array in it",
            f"did you mean --records-path {shlex.quote(format_records_path(likely))}?"
            if likely
            else "leave it out, or name the array: --records-path page.events, or pages[].events[]",
        )


def is_read_alike(cursor: FileCursor, options: SourceOptions) -> bool:
    """Return whether a known source with unchanged bytes would be read as it was before."""
    if cursor.format in COLUMNAR:
        return options.records_path is None and options.input_format in ("auto", cursor.format)
    return _agrees(cursor, options, encodings.parse_encoding(options.encoding or "utf-8"))


def _agrees(cursor: FileCursor, options: SourceOptions, encoding: str) -> bool:
    """Return whether a source read as the cursor says may be continued under these options, read as `encoding`."""
    if cursor.format in COLUMNAR or options.input_format not in ("auto", LINES, cursor.format):
        return False
    if options.input_format == LINES and cursor.format not in ("jsonl", "text"):
        return False
    if options.encoding and cursor.dialect.get("encoding", "") != encoding:
        return False
    if options.records_path is None:
        return True
    return _shape_dialect(shape_of(parse_records_path(options.records_path))).items() <= cursor.dialect.items()


def _shape_dialect(shape: Shape) -> dict[str, str]:
    path = {"records_path": format_records_path(shape.path)} if shape.path else {}
    return {"shape": shape.kind, **path}


def _reopener(source: Source, feed: Feed, spools: ExitStack) -> Callable[[], ByteStream]:
    """Return a function that opens the stream again; a source that cannot be opened twice is first copied to disk."""
    path = source.path
    if path is not None and source.reopenable:
        return lambda: open_stream(source, feed.stream.limits)
    spool = spools.enter_context(_spool(feed))
    return lambda: ByteStream(source.name, _reopen(spool), None, plain=True)


def _spool(feed: Feed) -> IO[bytes]:
    """Copy a stream to a nameless file, and make the feed read that file from its beginning."""
    spool = cast(IO[bytes], tempfile.TemporaryFile(buffering=0))  # noqa: SIM115  # the caller closes it
    spool.write(feed.window.data)
    while block := feed.stream.read(_SKIP):
        spool.write(block)
    feed.stream.close()
    feed.stream = ByteStream(feed.stream.name, _reopen(spool), None, plain=True)
    feed.window = feed.window[:0]
    feed.ended = False
    return spool


def _reopen(spool: IO[bytes]) -> IO[bytes]:
    spool.seek(0)
    return cast(IO[bytes], os.fdopen(os.dup(spool.fileno()), "rb", buffering=0))


def _find_continued(
    feed: Feed, reopen: Callable[[], ByteStream], found: list[Candidate]
) -> tuple[Candidate | None, Feed]:
    """Return the source that the feed continues, or None, and a feed at the offset where it was left (or at 0)."""
    agreed = select_matching(feed, found, _SKIP)
    known = agreed[0] if agreed else None
    offset = known.cursor.offset if known else 0
    if feed.base != offset or feed.digest(offset) != (known.cursor.sha256 if known else _EMPTY_HASH):
        feed.stream.close()
        feed = Feed(reopen(), feed.limit)
        if not feed.skip_to(offset, _SKIP) or (known and feed.digest(offset) != known.cursor.sha256):
            raise InputError(
                f"{feed.stream.name}: changed while it was read", "read it again when nothing writes to it"
            )
    return known, feed


def _resume(known: Candidate, feed: Feed, options: SourceOptions) -> Reading:
    cursor = known.cursor
    feed.rewind(base64.b64decode(cursor.tail))
    reader = NothingReader() if cursor.format == "json-document" else _make_reader(feed, cursor, options)
    return Reading(known.name, feed, reader, cursor, b"", options.batch_rows)


def first_cursor(
    input_format: str, head: bytes, whole: bool, options: SourceOptions, encoding: str = "", pattern: str = ""
) -> FileCursor:
    """Return the cursor of a source before anything is read, with the dialect that its first bytes (UTF-8) show."""
    dialect: dict[str, str] = {}
    if input_format == "jsonl" and (prefix := detect.line_prefix(head, whole)):
        dialect = {"prefix": prefix}
    elif input_format == "jsonl" and detect.has_header_lists(head, whole):
        dialect = {"headers": "list"}
    elif input_format == "json":
        bare = without_script(head.removeprefix(BOM).lstrip(NOISE))
        shape = find_shape(head if bare is None else bare, options.records_path)
        dialect = {**_shape_dialect(shape), "inside": "0", **({} if bare is None else {"script": "1"})}
    elif input_format == "text":
        month = first_month(head)
        dialect = {**detect.text_dialect(head, whole, pattern), **({"month": month} if month else {})}
    elif input_format in ("csv", "tsv"):
        dialect = _table_dialect(input_format, head, whole, options).as_text()
    if encoding:
        dialect["encoding"] = encoding
    return FileCursor(0, _EMPTY_HASH, 0, _EMPTY_HASH, format=input_format, records=0, dialect=dialect)


def cursor_of_lines(name: str, head: bytes, options: SourceOptions) -> FileCursor:
    """Return the cursor of a source of lines before anything is read, with the dialect that its first lines show."""
    pattern = options.pattern_of(name)
    encoding = encodings.parse_encoding(options.encoding) if options.encoding else ""
    text = encodings.utf8(head, encoding)
    found = _format(text, False, replace(options, input_format=LINES), pattern)
    return first_cursor(found, text, False, options, encoding, pattern)


def _table_dialect(input_format: str, head: bytes, whole: bool, options: SourceOptions) -> Dialect:
    if options.header is None and (columns := csvlog_columns(head)):
        return Dialect(",", columns=columns, names=CSVLOG, null=options.null, decimal=options.decimal or "")
    named = options.header is None and find_dialect(head, whole) is not None
    found = find_dialect(head, whole, named) or Dialect("\t" if input_format == "tsv" else ",")
    null = found.null if options.null is None else options.null
    commas = options.decimal is None and has_commas(head, found, whole)
    found = replace(found, null=null, decimal=options.decimal or "", commas=commas)
    return found if options.header is not False else replace(found, columns=width_of(head, found, whole))


def _make_reader(feed: Feed, cursor: FileCursor, options: SourceOptions) -> RecordReader:
    return record_reader(feed, cursor, options.batch_bytes, options.final)


def _read_columnar(
    source: Source, feed: Feed, input_format: str, options: SourceOptions, cursors: Mapping[str, Cursor]
) -> Reading:
    opener = _arrow_opener(source, feed)
    head = feed.window[:HEAD_SIZE].tobytes()
    while feed.fill(_SKIP):
        feed.release(feed.end)
    sha256 = feed.digest(feed.end)
    found = same_files(source.name, sha256, cursors, foreign=source.reopenable)
    known = [candidate for candidate in found if candidate.cursor.format == input_format]
    if known:
        name, start = known[0].name, known[0].cursor
    else:
        name = next_name(source.name, cursors)
        start = FileCursor(0, sha256, len(head), hashlib.sha256(head).hexdigest(), format=input_format, records=0)
    bounds = columnar.Bounds(options.batch_bytes, options.max_record_bytes, feed.end, options.limits)
    kind = PackedReader if input_format in PACKED else columnar.ColumnarReader
    reader = kind(source.name, opener, input_format, start.offset, bounds)
    return Reading(name, WholeFile(feed.stream, sha256), reader, start, b"", options.batch_rows)


def _arrow_opener(source: Source, feed: Feed) -> Callable[[], Any]:
    path = source.path
    if path is not None and source.reopenable and source.member is None and not feed.stream.compressed:
        return lambda: pa.OSFile(str(path))
    with _spool(feed) as spool:
        file = pa.PythonFile(_reopen(spool), mode="r")
    feed.fill(HEAD_SIZE)
    return lambda: file
