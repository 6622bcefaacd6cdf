"""Records on their way from sources into a commit, and the outcome of an ingest, in a batch or following."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from esctl.model import SAMPLE_RECORDS, TABLES, UNENDED, IngestSummary

if TYPE_CHECKING:
    from esctl.index.envelope.detect import Detection
    from esctl.index.files.manifest import IndexFile, Manifest
    from esctl.index.seen_ids.apart import Apart
    from esctl.log.store_state import StoreState
    from esctl.log.writer import Part
    from esctl.model import Cursor
    from esctl.sources.files.reading import SourceOptions
    from esctl.sources.protocol import Delivery

COMMIT_BYTES = 48 << 20
COMMIT_ROWS = 500_000
LONG = 3
"""Commits after which an ingest counts as long."""
LARGER = 2
"""How many times larger its commits are then, so that index files are large when written and need no merging."""
COMMIT_PARTS = 1000
"""Most parts of a commit: of many small files, those already read are kept whatever happens to the rest."""


class Observer(Protocol):
    """A callback for progress."""

    def __call__(self, read: int, records: int) -> None:
        """Report bytes read and records kept since the last call."""


def observe_nothing(read: int, records: int) -> None:
    """Observe nothing."""


class IngestOptions(Struct, frozen=True):
    """How to ingest. `tz` is the zone of times that name none."""

    source: SourceOptions
    strict: bool = False
    skip_duplicates: bool = False
    tz: str = "UTC"

    @property
    def takes_all(self) -> bool:
        """Return whether records are kept whatever they are, so that none need be examined first."""
        return not (self.strict or self.skip_duplicates)


class Outcome(Struct, frozen=True):
    """What an ingest did. `pending`: bytes at the end of sources that are in no record yet, by source name.

    `homeless`: new events that name no entity; `first`: the store had no commit before; `apart`: sources found to have
    a numbering of their own; `ahead`: microseconds that the log was ahead of the clock; `unzoned`: sources without a
    new record, still read in another zone than was asked for; `unheeded`: options that do not apply to known sources
    (source, option, its value if it takes one); `same`: sources with exactly the bytes of a known one, each with its
    name; `begun`: sources that are the beginning of a known one; `maybe_begun`: sources that may be, which erased
    records leave open; `unended`: tables whose last row has no line end, so that it may be half; `torn`: tables that
    went on within such a row.
    """

    summary: IngestSummary
    detections: tuple[tuple[str, Detection], ...]
    pending: tuple[tuple[str, int], ...]
    skipped: int
    store_state: StoreState
    homeless: int
    first: bool
    apart: tuple[Apart, ...] = ()
    ahead: int = 0
    unzoned: tuple[str, ...] = ()
    unheeded: tuple[tuple[str, str, str | None], ...] = ()
    same: tuple[tuple[str, str], ...] = ()
    begun: tuple[tuple[str, str], ...] = ()
    maybe_begun: tuple[tuple[str, str], ...] = ()
    unended: tuple[str, ...] = ()
    torn: tuple[str, ...] = ()

    def __repr__(self) -> str:
        summary = self.summary
        found = f"{summary.duplicates} duplicates, {summary.conflicts} conflicts, {summary.invalid} invalid"
        return f"<Outcome {summary.records} records: {summary.new} new, {found}, {self.homeless} of no entity>"


class Intake(Struct):
    """Records that were read and are in no commit yet. `known`: cursors of all sources, after what was taken so far."""

    options: IngestOptions
    observe: Observer
    known: dict[str, Cursor]
    parts: list[Part] = field(default_factory=list)
    rows: int = 0
    bytes: int = 0
    commits: int = 0
    records: int = 0  # taken in all
    same: list[tuple[str, str]] = field(default_factory=list)  # sources, and the known ones whose bytes they have
    begun: list[tuple[str, str]] = field(default_factory=list)  # sources, and the known ones that they begin
    maybe_begun: list[tuple[str, str]] = field(default_factory=list)  # sources, and the known ones that they may begin
    unended: dict[str, None] = field(default_factory=dict)  # tables whose last row has no line end
    torn: list[str] = field(default_factory=list)  # tables that went on within a row that was taken before
    _sampled: dict[str, int] = field(default_factory=dict)
    _unkept: dict[str, Callable[[], None]] = field(default_factory=dict)

    def take(self, delivery: Delivery) -> None:
        """Take in a delivery, and note in its cursor the zone that its times are read in."""
        from esctl.log.writer import Part

        before = self.known.get(delivery.source)
        dialect = dict(delivery.cursor.dialect)
        if self.options.tz != "UTC":
            dialect["tz"] = self.options.tz
        elif before is not None and "tz" in before.dialect:
            dialect["tz"] = before.dialect["tz"]
        if delivery.cursor.format in TABLES and delivery.batch.num_rows:
            self._note_ends(delivery, before, dialect)
        batch, cursor = delivery.batch, replace(delivery.cursor, dialect=dialect)
        self.known[delivery.source] = cursor
        self.parts.append(Part(delivery.source, [batch], cursor))
        if delivery.kept is not None:
            self._unkept[delivery.source] = delivery.kept
        self.records += batch.num_rows
        self.rows += batch.num_rows
        self.bytes += batch.nbytes

    def _note_ends(self, delivery: Delivery, before: Cursor | None, dialect: dict[str, str]) -> None:
        """Note whether a table's rows go on within one taken before, and in its dialect if the last has no line end."""
        raws = delivery.batch["raw"]
        first, last = (raws[at].as_py().strip(b"\0") for at in (0, len(raws) - 1))  # around line ends in UTF-16
        if before is not None and UNENDED in before.dialect and first[:1] not in (b"\r", b"\n"):
            self.torn.append(delivery.source)
        self.unended.pop(delivery.source, None)
        dialect.pop(UNENDED, None)
        if not last.endswith(b"\n"):
            dialect[UNENDED] = "1"
            self.unended[delivery.source] = None

    @property
    def is_full(self) -> bool:
        """Return whether enough is waiting for a commit."""
        times = LARGER if self.commits >= LONG else 1
        full = self.rows >= times * COMMIT_ROWS or self.bytes >= times * COMMIT_BYTES
        return full or len(self.parts) >= COMMIT_PARTS

    def empty(self) -> Sequence[Part]:
        """Return the parts that wait, and begin anew."""
        parts, self.parts, self.rows, self.bytes = self.parts, [], 0, 0
        self.commits += 1
        return parts

    def tell_kept(self) -> None:
        """Tell the sources that what was taken from them is durable."""
        unkept, self._unkept = self._unkept, {}
        for tell in unkept.values():
            tell()

    def with_samples(self, parts: Iterable[Part], committed: Mapping[str, Cursor]) -> list[Part]:
        """Return the parts, their cursors with the number of records in the first commit of the source."""
        return [self._with_sample(part, committed.get(part.source)) for part in parts]

    def _with_sample(self, part: Part, known: Cursor | None) -> Part:
        sampled = self._sampled.get(part.source) or (known.sampled if known is not None else 0)
        rows = sum(batch.num_rows for batch in part.batches)
        self._sampled[part.source] = sampled or min(rows, SAMPLE_RECORDS)
        return replace(part, cursor=replace(part.cursor, sampled=self._sampled[part.source]))

    def unzoned(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return which of some sources are still read in another zone than was asked for."""
        zone = self.options.tz
        known = ((name, self.known.get(name)) for name in names) if zone != "UTC" else ()
        return tuple(name for name, cursor in known if cursor and cursor.records and cursor.dialect.get("tz") != zone)

    def unheeded(self, names: Iterable[str]) -> tuple[tuple[str, str, str | None], ...]:
        """Return the options that do not apply to known sources, read otherwise: (source, option, value if any)."""
        source = self.options.source
        if (source.decimal, source.null, source.header) == (None, None, None):
            return ()
        known = ((name, cursor) for name in names if (cursor := self.known.get(name)))
        return tuple((name, *each) for name, cursor in known for each in _unheeded(source, cursor))


def _unheeded(given: SourceOptions, cursor: Cursor) -> Iterator[tuple[str, str | None]]:
    """Yield the options by which a table would be read otherwise than it is."""
    dialect = cursor.dialect
    if not dialect.get("delimiter"):
        return
    if given.decimal is not None and given.decimal != dialect.get("decimal", "."):
        yield "decimal", given.decimal
    if given.null is not None and given.null != dialect.get("null"):
        yield "null", given.null
    if given.header is not None and (cursor.header if not given.header else "columns" in dialect):
        yield "header" if given.header else "no-header", None


class StoreBefore(Struct, frozen=True):
    """The store and its index as an ingest found them, and when it began."""

    store_state: StoreState
    manifest: Manifest
    started: float = field(default_factory=time.monotonic)

    def outcome(
        self,
        intake: Intake,
        names: Iterable[str],
        detections: Iterable[tuple[str, Detection]],
        pending: Iterable[tuple[str, int]],
        after: tuple[StoreState, Manifest],
        *,
        skipped: int = 0,
        ahead: int = 0,
    ) -> Outcome:
        """Return the outcome of an ingest from the named sources; `after`: the store state and manifest after it."""
        from esctl.index.seen_ids.apart import newly_apart

        store_state, manifest = after
        return Outcome(
            self._summary(intake.records, skipped, store_state.head, manifest),
            tuple(detections),
            tuple(pending),
            skipped,
            store_state,
            homeless=manifest.homeless - self.manifest.homeless,
            first=self.store_state.seq == 0,
            apart=newly_apart(self.manifest, manifest),
            ahead=ahead,
            unzoned=intake.unzoned(names),
            unheeded=intake.unheeded(names),
            same=tuple(intake.same),
            begun=tuple(intake.begun),
            maybe_begun=tuple(intake.maybe_begun),
            unended=() if intake.options.source.final else tuple(intake.unended),
            torn=tuple(intake.torn),
        )

    def _summary(self, records: int, skipped: int, head: int, after: Manifest) -> IngestSummary:
        def added(count: Callable[[IndexFile], int]) -> int:
            # There are fewer than before if ids turned out not to be shared.
            return max(sum(map(count, after.files)) - sum(map(count, self.manifest.files)), 0)

        new, seconds = records - skipped, time.monotonic() - self.started
        return IngestSummary(
            records=records,
            new=new,  # of this run: another writer may have come between
            duplicates=added(lambda file: file.duplicates) + skipped,
            conflicts=added(lambda file: file.conflicts),
            invalid=added(lambda file: file.invalid),
            head=head,
            seconds=round(seconds, 3),
            events_per_second=round(new / max(seconds, 0.001)),
        )
