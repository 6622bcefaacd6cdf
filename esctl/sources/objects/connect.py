"""Objects in object storage as a live source: `s3://bucket/logs/**/*.json.gz`."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from esctl.cloud.address import Address, parse_address
from esctl.cloud.client import open_bucket
from esctl.model import Cursor
from esctl.sources.files.reading import SourceOptions
from esctl.sources.formats.foreign import ForeignError
from esctl.sources.objects.failures import AwayError, ChangedError, VanishedError
from esctl.sources.objects.listing import Listed, Listing
from esctl.sources.objects.reader import Context, ObjectReader
from esctl.sources.objects.spool import Queue, Spool
from esctl.sources.protocol import Delivery, FollowedSource, Note

if TYPE_CHECKING:
    from obstore.store import ObjectStore

    from esctl.sources.live import Live

LISTED_EVERY = 15.0
"""Seconds from the end of one look at a bucket to the next: a look costs a request for every thousand objects."""


def connect(live: Live, note: Note) -> Objects:
    """Return the objects that an address names, once the first of them is listed.

    Raises UsageError for a wrong address, InputError if there are none or they may not be listed.
    """
    address = parse_address(live.url)
    found = Objects(open_bucket(address), address, note)
    found.look()
    return found


class Objects:
    """The objects that an address names."""

    holds_files = True

    def __init__(self, client: ObjectStore, address: Address, note: Note) -> None:
        self._client, self._address, self.note = client, address, note
        self._listing = Listing(client, address, note)
        self._begun: Iterator[Listed] | None = None

    def look(self) -> None:
        """Begin to list the objects. Raises InputError if there are none or they may not be listed."""
        listing = iter(self._listing)
        self._begun = chain([next(listing)], listing)

    def readers(self, how: SourceOptions | None = None, refused: set[Listed] | None = None) -> Iterator[ObjectReader]:
        """Return the readers of the objects, as they are listed, in the order of their keys.

        `refused`: objects that are known to be no logs; readers add to it.
        """
        spool = Spool(self._client, self._address)
        try:
            begun, self._begun = self._begun, None
            queue = Queue(iter(self._listing) if begun is None else begun, spool)
            refused = set() if refused is None else refused
            context = Context(how or SourceOptions(), queue.file, self.name_of, self.note, refused)
            for one in queue:
                yield ObjectReader(one, context)
        finally:
            spool.close()

    def name_of(self, one: Listed) -> str:
        """Return the name that the records of an object are kept under."""
        return str(self._address.with_key(one.key))

    def followed(self, how: SourceOptions | None = None) -> Sequence[FollowedSource]:
        """Return the objects as one source that is followed."""
        return [FollowedObjects(self, how or SourceOptions())]


class FollowedObjects:
    """Objects that are followed: they are listed again and again."""

    ended = False

    def __init__(self, objects: Objects, options: SourceOptions) -> None:
        self._objects, self._options = objects, options
        self._look: Generator[Delivery] | None = None
        self._known: Mapping[str, Cursor] = {}
        self._looked = float("-inf")
        self._names: dict[str, None] = {}
        self._pending: dict[str, int] = {}
        self._refused: set[Listed] = set()
        self._is_away = False

    @property
    def names(self) -> tuple[str, ...]:
        """List the objects that were read since the last look began."""
        return tuple(self._names)

    @property
    def pending(self) -> list[tuple[str, int]]:
        """List the objects that end in bytes that are in no record, with the number of these bytes."""
        return list(self._pending.items())

    def poll(self, known: Mapping[str, Cursor], limit: int) -> Iterator[Delivery]:
        """Yield what is new, also in objects that changed; list the objects again if that is due. Raises InputError."""
        self._known = known
        if self._look is None:
            if time.monotonic() - self._looked < LISTED_EVERY:
                return
            self._look = self._read_new()
        size = 0
        for delivery in self._look:
            yield delivery
            size += delivery.batch.nbytes
            if size >= limit:
                return
        self._look, self._looked = None, time.monotonic()

    def _read_new(self) -> Generator[Delivery]:
        self._names.clear()
        try:
            for reader in self._objects.readers(self._options, self._refused):
                yield from self._read_one(reader)
        except AwayError as error:
            if not self._is_away:
                self._objects.note(f"{error.message}; it is tried again")
            self._is_away = True
        else:
            self._is_away = False

    def _read_one(self, reader: ObjectReader) -> Iterator[Delivery]:
        try:
            for delivery in reader.open(self._known):
                self._names[delivery.source] = None
                yield delivery
        except ForeignError as error:
            self._objects.note(f"{error.message}; it is left out")
        except (ChangedError, VanishedError) as error:
            self._objects.note(f"{error.message}; what it is then is read at the next look")
        self._pending.pop(reader.name, None)
        if reader.pending:
            self._pending[reader.name] = reader.pending

    def close(self) -> None:
        """Stop fetching."""
        if self._look is not None:
            self._look.close()
