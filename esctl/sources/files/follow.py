"""Following of files of lines, as `tail -F` does: what is added to them, and the files that take over their names.

Files are polled, not watched: a look at a few files several times a second costs next to nothing, and works on network
disks and in containers, where notifications are unreliable.
"""

from __future__ import annotations

import io
import os
import select
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, cast

from msgspec import Struct
from msgspec.structs import replace

from esctl.errors import InputError, UsageError
from esctl.model import Cursor, FileCursor
from esctl.sources.feed import Feed
from esctl.sources.files.cutting import line_reader
from esctl.sources.files.deliveries import Reading, RecordReader
from esctl.sources.files.finding import Source
from esctl.sources.files.generations import HEAD_SIZE
from esctl.sources.files.predecessors import LeftFile, NamedDeliveries, Predecessors, file_id_of
from esctl.sources.files.reading import LINES, SourceOptions, cursor_of_lines, first_cursor, read
from esctl.sources.files.rotated import PROBE, FileId
from esctl.sources.formats.detect import HEAD, sniff
from esctl.sources.formats.encodings import WIDE, encoding_of, parse_encoding
from esctl.sources.formats.lines import LineReader
from esctl.sources.names import next_name
from esctl.sources.pieces import BLANKS, Piece
from esctl.sources.protocol import Delivery, Note
from esctl.sources.streams import ByteStream

BLOCK = 1 << 20
IDLE_SECONDS = 10.0
"""How long a file that was moved away is still read after its last bytes: its writer may not have noticed yet."""


class _CompleteRecords:
    """The complete records in a feed; an unfinished one waits for its end."""

    pending = 0

    def __init__(self, lines: LineReader) -> None:
        self._lines = lines

    def __iter__(self) -> Iterator[Piece]:
        return self._lines.cut_complete()


class Growing(Struct):
    """One file that may grow, read from where it was left. `name`: the source that it is recorded as."""

    name: str
    feed: Feed
    cursor: FileCursor
    head: bytes | None  # the first bytes of a new source, as far as read
    descriptor: int
    options: SourceOptions
    probe: bytes = b""
    last_read: float = 0.0
    ended: bool = False
    is_fresh: bool = True  # the bytes read to recognise the file may hold lines
    is_empty: bool = False  # it has no line yet that shows how it is written
    given_name: str = ""

    def poll(self, limit: int) -> Iterator[Delivery]:
        """Yield the records completed since the last poll, from about `limit` bytes."""
        if self._read_available(limit) or self.is_fresh:
            self.is_fresh = False
            self._detect_format()
            yield from self._deliveries(_CompleteRecords(line_reader(self.feed, 0, False, self.cursor, waits=False)))

    def finish(self) -> Iterator[Delivery]:
        """Yield an unfinished last line too, if it is JSON (or `--final`), and close the file."""
        try:
            self.feed.ended = True
            yield from self._deliveries(line_reader(self.feed, 0, self.options.final, self.cursor))
        finally:
            os.close(self.descriptor)

    def _detect_format(self) -> None:
        """Detect how a source is written that had no line when it was opened."""
        if self.is_empty and self.head is not None and b"\n" in self.head.lstrip(BLANKS):
            self.is_empty = False
            self.cursor = cursor_of_lines(self.given_name, self.head, self.options)

    @property
    def pending(self) -> int:
        """Count the bytes that are in no record yet."""
        return len(self.feed.window)

    def is_same(self) -> bool:
        """Return whether the file still has what was read of it; it has not if it was truncated or rewritten."""
        if os.fstat(self.descriptor).st_size < self.feed.end:
            return False
        if len(self.probe) < min(PROBE, self.feed.end):
            self.probe = os.pread(self.descriptor, min(PROBE, self.feed.end), 0)
        return os.pread(self.descriptor, len(self.probe), 0) == self.probe

    def _deliveries(self, reader: RecordReader) -> Iterator[Delivery]:
        reading = Reading(self.name, self.feed, reader, self.cursor, self.head or b"", self.options.batch_rows)
        for delivery in reading.deliveries():
            self.cursor = cast(FileCursor, delivery.cursor)
            yield replace(delivery, read=delivery.batch.nbytes)

    def _read_available(self, limit: int) -> int:
        blocks = []
        while limit > 0 and not self.ended and self._is_readable():
            data = os.read(self.descriptor, BLOCK)
            if not data:
                self._note_end()
                break
            blocks.append(data)
            limit -= len(data)
        taken = b"".join(blocks)
        if taken:
            self.last_read = time.monotonic()
            if self.head is not None and len(self.head) < HEAD_SIZE:
                self.head += taken[: HEAD_SIZE - len(self.head)]
            self.feed.append(taken)
        return len(taken)

    def _is_readable(self) -> bool:
        return True

    def _note_end(self) -> None:
        """Take note of the end of the bytes; a file may still grow."""


class _Stream(Growing):
    """Stdin: read as far as possible without waiting; unlike a file it may end."""

    def _is_readable(self) -> bool:
        return bool(select.select([self.descriptor], [], [], 0)[0])

    def _note_end(self) -> None:
        self.ended = True


class Tail:
    """One name that is followed, whatever file has it."""

    def __init__(self, source: Source, options: SourceOptions, note: Note) -> None:
        if options.encoding and parse_encoding(options.encoding) in WIDE:
            raise _wide(source.name)
        self.source = source
        self._options = options
        self._note = note
        self._current: Growing | None = None
        self._moved: list[Growing] = []
        self._is_absent = False
        self._earlier = None if source.path is None else Predecessors(source.path, source.name, options, note)
        self._left: LeftFile | None = None
        self._written = 0  # the mtime (ns) of the file when its name was last looked at

    @property
    def names(self) -> tuple[str, ...]:
        """List the names that the open files are recorded under, or will be if anything is added."""
        return tuple(each.name for each in [*self._moved, *([self._current] if self._current else [])])

    @property
    def ended(self) -> bool:
        """Return whether nothing more can come: stdin was closed."""
        return self._current is not None and self._current.ended

    @property
    def pending(self) -> list[tuple[str, int]]:
        """List the sources that end in bytes that are in no record yet, with the number of these bytes."""
        held = [*self._moved, *([self._current] if self._current else [])]
        return [(each.name, each.pending) for each in held if each.pending]

    def poll(self, cursors: Mapping[str, Cursor], limit: int) -> Iterator[Delivery]:
        """Yield the records from about `limit` bytes of what was added since the last poll.

        `cursors`: those of all sources of the store, including those of earlier deliveries. Raises InputError if the
        file cannot be read, UsageError if it is not a file of lines.
        """
        if self.ended:  # and closed: only stdin ends, which has no files that were moved away
            return
        for moved in list(self._moved):
            yield from moved.poll(limit)
            if time.monotonic() - moved.last_read > IDLE_SECONDS:
                self._moved.remove(moved)
                yield from moved.finish()
        current = self._current
        if current is not None and self.source.path is not None and not current.is_same():
            self._note(f"{self.source.name}: it was truncated; what it has now is read from its start")
            os.close(current.descriptor)
            self._leave_current(current.name, None)
        if self._current is None:
            yield from self._begin(cursors, limit)
        current = self._current
        if current is None:
            return
        yield from current.poll(limit)
        if current.ended:
            yield from current.finish()
        elif self._is_replaced(current):
            current.last_read = time.monotonic()
            self._moved.append(current)
            self._leave_current(current.name, file_id_of(current.descriptor))

    def close(self) -> None:
        """Close all files."""
        for held in [*self._moved, *([self._current] if self._current and not self._current.ended else [])]:
            os.close(held.descriptor)

    def _leave_current(self, name: str, place: FileId | None) -> None:
        self._current, self._left = None, LeftFile(name, place, self._written)

    def _is_replaced(self, current: Growing) -> bool:
        if self.source.path is None:
            return False
        try:
            there = self.source.path.stat()
        except OSError:
            return False  # until another file has the name, this one may grow
        if not os.path.samestat(there, os.fstat(current.descriptor)):
            return True
        self._written = there.st_mtime_ns
        return False

    def _begin(self, cursors: Mapping[str, Cursor], limit: int) -> Iterator[Delivery]:
        """Open the file that has the name now, and yield what the files hold that had the name in between."""
        was_missed = self._is_absent
        if self._earlier is not None:
            self._earlier.look()
        opened = self._current = self._open(cursors)
        if opened is None or self._earlier is None:
            return
        self._written = os.fstat(opened.descriptor).st_mtime_ns
        given = self._read_predecessors(self._earlier, opened, cursors, limit, was_missed=was_missed)
        self._left = None
        yield from given
        if opened.head is not None:  # a new file; the files before it may have taken its name
            opened.name = next_name(self.source.name, self._with_open_files(cursors))

    def _read_predecessors(
        self, earlier: Predecessors, opened: Growing, cursors: Mapping[str, Cursor], limit: int, *, was_missed: bool
    ) -> Iterator[Delivery]:
        """Return the deliveries of files that had the name between the one that was read last and the opened one."""

        def take(path: Path) -> NamedDeliveries:
            return self._read_predecessor(path, cursors, limit)

        now = file_id_of(opened.descriptor)
        if self._left is not None or was_missed:
            return earlier.read_since(self._left, now, cursors, take)
        if opened.name not in cursors and self.source.name in cursors:
            return earlier.resume(now, cursors, take)
        return iter(())

    def _read_predecessor(self, path: Path, cursors: Mapping[str, Cursor], limit: int) -> NamedDeliveries:
        """Read an earlier file to its end, and keep it open for what its writer may still add."""
        growing = self._open_where_left(Source(self.source.name, path), self._with_open_files(cursors))
        before = -1
        while before < growing.feed.end:
            before = growing.feed.end
            yield from growing.poll(limit)
        if growing.feed.end:
            self._moved.append(growing)
        else:
            os.close(growing.descriptor)
        return growing.name

    def _with_open_files(self, cursors: Mapping[str, Cursor]) -> Mapping[str, Cursor]:
        """Return the cursors, with those of open files that have no complete record yet."""
        held = {each.name: each.cursor for each in self._moved if each.name not in cursors}
        return {**cursors, **held} if held else cursors

    def _open(self, cursors: Mapping[str, Cursor]) -> Growing | None:
        path = self.source.path
        if path is None:
            start = first_cursor("jsonl", b"", whole=True, options=self._options)
            stream = ByteStream(self.source.name, cast(IO[bytes], io.BytesIO()), None, plain=True)
            name = next_name(self.source.name, cursors)
            feed = Feed(stream, self._options.max_record_bytes)
            made = _Stream(name, feed, start, b"", os.dup(0), self._options)
            made.is_empty, made.given_name = True, self.source.name
            return made
        try:
            is_file = stat.S_ISREG(path.stat().st_mode)
        except FileNotFoundError:
            if not self._is_absent:
                self._note(f"{self.source.name}: not there yet; it is read as soon as it is")
            self._is_absent = True
            return None
        except OSError as error:
            raise InputError(
                f"{self.source.name}: cannot be opened: {error.strerror}", "check its permissions"
            ) from error
        if not is_file:
            raise UsageError(f"{self.source.name} is not a file that can be followed", "give a file, or - for stdin")
        self._is_absent = False
        return self._open_where_left(self.source, cursors)

    def _open_where_left(self, source: Source, cursors: Mapping[str, Cursor]) -> Growing:
        reading = read(source, replace(self._options, input_format=LINES), cursors)
        feed, cursor, head = reading.left_at
        assert feed is not None
        if feed.stream.compressed:
            raise UsageError(f"{self.source.name} is compressed, and cannot be followed", "leave --follow out")
        self._check_lines(head)
        descriptor = feed.stream.duplicate()
        os.lseek(descriptor, feed.end, os.SEEK_SET)
        reading.close()
        growing = Growing(reading.name, feed, cursor, None if cursor.offset else head, descriptor, self._options)
        growing.is_empty, growing.given_name = not cursor.offset and b"\n" not in head.lstrip(BLANKS), source.name
        growing.probe = os.pread(descriptor, min(PROBE, feed.end), 0)
        growing.last_read = time.monotonic()
        return growing

    def _check_lines(self, head: bytes) -> None:
        if encoding_of(head, None) in WIDE:
            raise _wide(self.source.name)
        if self._options.input_format == "auto" and b"\n" in head:
            found = sniff(head[:HEAD], whole=False)
            if found not in ("jsonl", "json", "text"):
                raise UsageError(
                    f"{self.source.name} looks like {found}, and only lines of JSON can be followed",
                    "leave --follow out, or say --input-format jsonl",
                )


def _wide(name: str) -> UsageError:
    return UsageError(f"{name} is UTF-16, which cannot be followed", "leave --follow out, or write it as UTF-8")
