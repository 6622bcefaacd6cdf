"""One object as a source: not fetched if it is known and unchanged, else fetched and read as files are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import cast

from msgspec import Struct
from msgspec.structs import asdict, replace

from esctl.model import Cursor, FileCursor, ObjectCursor
from esctl.sources.files.finding import LeftOut, Source, expand_archive
from esctl.sources.files.reading import FileReader, SourceOptions, is_read_alike
from esctl.sources.formats.columnar import EMPTY
from esctl.sources.formats.foreign import ForeignError
from esctl.sources.names import generations
from esctl.sources.objects.listing import Listed
from esctl.sources.protocol import Delivery, Note


class Seen:
    """The objects that are in the log, according to their cursors."""

    def __init__(self, known: Mapping[str, Cursor], options: SourceOptions) -> None:
        self._known, self._options = known, options
        self._members: dict[str, list[str]] = {}  # members of archives, by each name that the archive may have
        for name, cursor in known.items():
            if isinstance(cursor, ObjectCursor) and cursor.etag and "!" in name:
                for at in (at for at, sign in enumerate(name) if sign == "!"):
                    self._members.setdefault(name[:at], []).append(name)

    def cursor_of(self, name: str, one: Listed) -> ObjectCursor | None:
        """Return a cursor that shows that all complete records of the listed object are in the log, or None."""
        if not one.etag:
            return None
        own = [each for each in generations(name, self._known) if self._is_same(each, one)]
        members = [each for each in self._members.get(name, ()) if self._is_same(each, one)]
        if own or (members and self._is_plain()):
            cursor = self._known[(own or members)[0]]
            assert isinstance(cursor, ObjectCursor)
            return None if cursor.pending and self._options.final else cursor
        return None

    def _is_same(self, name: str, one: Listed) -> bool:
        cursor = self._known.get(name)
        return (
            isinstance(cursor, ObjectCursor)
            and (cursor.etag, cursor.size) == (one.etag, one.size)
            and is_read_alike(cursor, self._options)
        )

    def _is_plain(self) -> bool:
        """Return whether no option says how to read members: one member's cursor cannot show that for all of them."""
        options = self._options
        return options.input_format == "auto" and options.encoding is None and options.records_path is None


class Context(Struct):
    """What the readers of one listing share. Objects that were `refused` are not fetched again.

    `seen` is made of the cursors that the first reader was given.
    """

    options: SourceOptions
    file_of: Callable[[Callable[[Listed], bool]], Path]
    name_of: Callable[[Listed], str]
    note: Note
    refused: set[Listed]
    seen: Seen | None = None

    def is_wanted(self, one: Listed) -> bool:
        """Return whether an object has to be fetched: not if it is empty, known, or known to be no log."""
        is_read = bool(one.size) and one not in self.refused
        return is_read and (self.seen is None or self.seen.cursor_of(self.name_of(one), one) is None)


class ObjectReader:
    """An object, as a SourceReader. It is fetched when it is opened, unless it is known and unchanged."""

    may_wait = False

    def __init__(self, one: Listed, context: Context) -> None:
        self.listed, self._context = one, context
        self._name = self._own = context.name_of(one)
        self.pending = 0

    @property
    def name(self) -> str:
        """Return the name that its records are kept under; for an archive, the name of the archive."""
        return self._name

    def open(self, known: Mapping[str, Cursor]) -> Iterator[Delivery]:
        """Fetch the object, and open it for what is new in it. Raises InputError."""
        context, one = self._context, self.listed
        if context.seen is None:
            context.seen = Seen(known, context.options)
        if not context.is_wanted(one):
            cursor = context.seen.cursor_of(self._own, one)
            self.pending = cursor.pending if cursor is not None else 0
            return iter(())
        return self._read(context.file_of(context.is_wanted), known)

    def _read(self, path: Path, known: Mapping[str, Cursor]) -> Iterator[Delivery]:
        """Yield what is new in the file. Once all is read, the last cursor says which object it was."""
        left_out, refused, held = LeftOut(), None, None
        last: tuple[str, FileCursor] | None = None  # not of a copy that has another name
        try:
            for source in expand_archive(Source(self._own, path), self._context.options.limits, left_out):
                if held is not None:  # the next member may be known by it
                    yield held
                held, reader = None, FileReader(source, self._context.options)
                try:
                    for delivery in self._read_member(reader, source, known):
                        if held is not None:
                            yield held
                        held = delivery
                        last = (held.source, cast(FileCursor, held.cursor)) if _is_own(reader, source) else last
                except ForeignError as error:
                    refused = refused or error
                self.pending += reader.pending
                last = last or _known_cursor(reader, source, known)
        finally:
            path.unlink(missing_ok=True)
        left_out.write_note(self._context.note)
        yield from self._mark_last(held, None if refused else last)
        if refused is not None:
            self._context.refused.add(self.listed)
            raise refused

    def _read_member(self, reader: FileReader, source: Source, known: Mapping[str, Cursor]) -> Iterator[Delivery]:
        """Yield the deliveries of a file; those recorded under this object's name get an ObjectCursor."""
        deliveries = reader.open(known)
        if source.member is None:
            self._name = reader.name
        for delivery in deliveries:
            is_ours = _is_own(reader, source)
            yield replace(delivery, cursor=_as_object_cursor(delivery.cursor)) if is_ours else delivery

    def _mark_last(self, held: Delivery | None, last: tuple[str, FileCursor] | None) -> Iterator[Delivery]:
        """Yield the last delivery, with the object's ETag, size and pending bytes in its own last cursor."""
        if last is None or not self.listed.etag:
            yield from [held] if held is not None else []
            return
        name, cursor = last
        one = self.listed
        marked = replace(_as_object_cursor(cursor), etag=one.etag, size=one.size, pending=self.pending)
        if held is not None and held.source == name:
            yield replace(held, cursor=marked)
        else:
            yield from [held] if held is not None else []
            yield Delivery(name, EMPTY, marked)


def _is_own(reader: FileReader, source: Source) -> bool:
    """Return whether a file is recorded under its own name, not under that of a source with the same bytes."""
    return reader.name == source.name or reader.name.rpartition("#")[0] == source.name


def _known_cursor(reader: FileReader, source: Source, known: Mapping[str, Cursor]) -> tuple[str, FileCursor] | None:
    cursor = known.get(reader.name) if _is_own(reader, source) else None
    return (reader.name, cursor) if isinstance(cursor, FileCursor) else None


def _as_object_cursor(cursor: Cursor) -> ObjectCursor:
    return cursor if isinstance(cursor, ObjectCursor) else ObjectCursor(**asdict(cursor))
