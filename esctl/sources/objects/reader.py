"""One object as a source: not fetched where it is known as it is, else read from a file as files are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import cast

from msgspec import Struct
from msgspec.structs import asdict, replace

from esctl.model import Cursor, FileCursor, ObjectCursor
from esctl.sources.files.finding import Aside, Source, opened
from esctl.sources.files.reading import FileReader, SourceOptions, is_read_alike
from esctl.sources.formats.columnar import EMPTY
from esctl.sources.formats.foreign import ForeignError
from esctl.sources.names import generations
from esctl.sources.objects.listing import Listed
from esctl.sources.protocol import Delivery

Note = Callable[[str], None]


class Seen:
    """Which objects are in the log, as their cursors say."""

    def __init__(self, known: Mapping[str, Cursor], options: SourceOptions) -> None:
        self._known, self._options = known, options
        self._members: dict[str, list[str]] = {}  # of archives, by each name that the archive may have
        for name, cursor in known.items():
            if isinstance(cursor, ObjectCursor) and cursor.etag and "!" in name:
                for at in (at for at, sign in enumerate(name) if sign == "!"):
                    self._members.setdefault(name[:at], []).append(name)

    def cursor_of(self, name: str, one: Listed) -> ObjectCursor | None:
        """Return a cursor that says that an object of this name is in the log as it was listed, all that is whole."""
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
        """Return whether nothing is said of how members are read, of which the cursor of one cannot tell for all."""
        options = self._options
        return options.input_format == "auto" and options.encoding is None and options.records_path is None


class Context(Struct):
    """What the readers of one listing share: also what was `refused`, and is not to be fetched again.

    `seen` is of the cursors that the first of them was given.
    """

    options: SourceOptions
    file_of: Callable[[Callable[[Listed], bool]], Path]
    name_of: Callable[[Listed], str]
    note: Note
    refused: set[Listed]
    seen: Seen | None = None

    def is_wanted(self, one: Listed) -> bool:
        """Return whether an object has to be fetched: not if it is known, nor if it is known to be no log."""
        is_read = bool(one.size) and one not in self.refused
        return is_read and (self.seen is None or self.seen.cursor_of(self.name_of(one), one) is None)


class ObjectReader:
    """An object, as a SourceReader. It is fetched when it is opened, unless it is known as it is."""

    may_wait = False

    def __init__(self, one: Listed, context: Context) -> None:
        self.listed, self._context = one, context
        self._name = self._own = context.name_of(one)
        self.pending = 0

    @property
    def name(self) -> str:
        """Return the name that its records are kept under; of an archive its own."""
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
        """Yield what is new in the file. The last delivery says which object that was, once all of it was read."""
        aside, refused, held = Aside(), None, None
        last: tuple[str, FileCursor] | None = None  # of this object: a copy of another one tells nothing of that
        try:
            for source in opened(Source(self._own, path), self._context.options.limits, aside):
                if held is not None:  # what comes may be known by it
                    yield held
                held, reader = None, FileReader(source, self._context.options)
                try:
                    for delivery in self._named(reader, source, known):
                        if held is not None:
                            yield held
                        held = delivery
                        last = (held.source, cast(FileCursor, held.cursor)) if _is_own(reader, source) else last
                except ForeignError as error:
                    refused = refused or error
                self.pending += reader.pending
                last = last or _known(reader, source, known)
        finally:
            path.unlink(missing_ok=True)
        aside.tell(self._context.note)
        yield from self._end(held, None if refused else last)
        if refused is not None:
            self._context.refused.add(self.listed)
            raise refused

    def _named(self, reader: FileReader, source: Source, known: Mapping[str, Cursor]) -> Iterator[Delivery]:
        """Yield the deliveries of a file, those that are of this object with cursors of objects."""
        deliveries = reader.open(known)
        if source.member is None:
            self._name = reader.name
        for delivery in deliveries:
            is_ours = _is_own(reader, source)
            yield replace(delivery, cursor=_as_object(delivery.cursor)) if is_ours else delivery

    def _end(self, held: Delivery | None, last: tuple[str, FileCursor] | None) -> Iterator[Delivery]:
        """Yield the last delivery, and mark the last of this object's own cursors as that of all of it."""
        if last is None or not self.listed.etag:
            yield from [held] if held is not None else []
            return
        name, cursor = last
        one = self.listed
        marked = replace(_as_object(cursor), etag=one.etag, size=one.size, pending=self.pending)
        if held is not None and held.source == name:
            yield replace(held, cursor=marked)
        else:
            yield from [held] if held is not None else []
            yield Delivery(name, EMPTY, marked)


def _is_own(reader: FileReader, source: Source) -> bool:
    """Return whether a file goes on as itself, and not as a source of another name that had the same bytes."""
    return reader.name == source.name or reader.name.rpartition("#")[0] == source.name


def _known(reader: FileReader, source: Source, known: Mapping[str, Cursor]) -> tuple[str, FileCursor] | None:
    cursor = known.get(reader.name) if _is_own(reader, source) else None
    return (reader.name, cursor) if isinstance(cursor, FileCursor) else None


def _as_object(cursor: Cursor) -> ObjectCursor:
    return cursor if isinstance(cursor, ObjectCursor) else ObjectCursor(**asdict(cursor))
