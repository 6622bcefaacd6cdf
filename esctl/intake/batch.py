"""Sources -> log -> index: the pipeline of `esctl ingest`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as finished
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from esctl.errors import EsctlError, InputError, with_more
from esctl.model import IngestSummary

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from esctl.index.background import Behind
    from esctl.index.builder import ChunkEvents
    from esctl.index.envelope.detect import Detection
    from esctl.index.files.manifest import IndexFile, Manifest
    from esctl.index.seen_ids.numberings import Apart
    from esctl.index.update import Updater
    from esctl.log.store_state import Snapshot
    from esctl.log.writer import LogWriter, Part
    from esctl.sources.files import Source
    from esctl.sources.generations import Known
    from esctl.sources.reading import Delivery, Reading, SourceOptions

COMMIT_BYTES = 48 << 20
COMMIT_ROWS = 500_000
COMMIT_PARTS = 1000
"""So many small files make a commit: what was read of many is kept, whatever becomes of the rest."""
SAMPLED = 1000


class Observer(Protocol):
    """What is told of the progress."""

    def __call__(self, read: int, records: int) -> None:
        """Report bytes read and records kept since the last call."""


def unobserved(read: int, records: int) -> None:
    """Observe nothing."""


class IngestOptions(Struct, frozen=True):
    """How to ingest. `tz` is the zone of times that name none."""

    source: SourceOptions
    strict: bool = False
    skip_duplicates: bool = False
    tz: str = "UTC"


class Outcome(Struct, frozen=True):
    """What an ingest did. `pending` are bytes at the end of sources that are in no record yet, by source name.

    `homeless` are new events that name no entity; `first`: the store had no commit before; `apart`: sources that were
    found to have a numbering of ids of their own; `ahead`: microseconds that the log was ahead of the clock.
    """

    summary: IngestSummary
    detections: tuple[tuple[str, Detection], ...]
    pending: tuple[tuple[str, int], ...]
    skipped: int
    snapshot: Snapshot
    homeless: int
    first: bool
    apart: tuple[Apart, ...] = ()
    ahead: int = 0


class _Run(Struct):
    writer: LogWriter
    updater: Updater
    behind: Behind
    options: IngestOptions
    observe: Observer
    cursors: Known
    pool: ThreadPoolExecutor
    records: int = 0
    skipped: int = 0
    parts: list[Part] = field(default_factory=list)
    rows: int = 0
    bytes: int = 0
    pending: list[tuple[str, int]] = field(default_factory=list)
    sampled: dict[str, int] = field(default_factory=dict)


def ingest(
    store: Path,
    sources: Sequence[Source],
    options: IngestOptions,
    updater: Callable[[Callable[[str, Detection], None]], Updater],
    observe: Observer,
    connection: duckdb.DuckDBPyConnection,
) -> Outcome:
    """Read what is new in the sources into the store, and bring its index up to date.

    Killed anywhere, the store stays whole and the same call resumes. Raises InputError for a source that cannot be
    read, and with `strict` for the first invalid record, naming it; then nothing is kept.
    """
    from esctl.engine.duckdb import second_cursor
    from esctl.index.background import Behind
    from esctl.index.seen_ids.numberings import newly_apart
    from esctl.log.writer import LogWriter
    from esctl.sources.generations import Known

    started = time.monotonic()
    found: list[tuple[str, Detection]] = []
    build = updater(lambda name, detection: found.append((name, detection)))
    with LogWriter(store, connection=second_cursor(connection)) as writer, _kept_told(writer):
        before, ahead = writer.snapshot, writer.ahead
        base = build.run(before).manifest
        with Behind(build) as behind, ThreadPoolExecutor(1, "reading") as pool:
            run = _Run(writer, build, behind, options, observe, Known(before.cursors), pool)
            try:
                for source in sources:
                    _read_source(run, source)
            except InputError:
                if not options.strict:
                    _flush(run)  # what was read before a source failed is evidence all the same
                raise
            _flush(run)
            if options.strict:
                writer.commit()
        snapshot = writer.snapshot
        view = build.run(snapshot)  # before another writer adds to what is counted
    summary = _summary(run, snapshot.head, base, view.manifest, time.monotonic() - started)
    homeless = view.manifest.homeless - base.homeless
    told = newly_apart(base, view.manifest)
    first = before.seq == 0
    return Outcome(summary, tuple(found), tuple(run.pending), run.skipped, snapshot, homeless, first, told, ahead)


@contextmanager
def _kept_told(writer: LogWriter) -> Iterator[None]:
    """Add to a failure how many records were committed before it: those are kept."""
    from esctl.log.commits import open_log

    before = writer.snapshot.head
    try:
        yield
    except (EsctlError, OSError) as error:
        kept = open_log(writer.path).read().head - before
        if not kept:
            raise
        told, hint = f"{kept:,} new records are in the log", "run the same command again: it goes on from there"
        raise with_more(error, told, hint) from error


def _summary(run: _Run, head: int, before: Manifest, after: Manifest, seconds: float) -> IngestSummary:
    def added(count: Callable[[IndexFile], int]) -> int:
        # Fewer than before where ids turned out not to be shared.
        return max(sum(map(count, after.files)) - sum(map(count, before.files)), 0)

    new = run.records - run.skipped  # of this run: another writer may have come between
    return IngestSummary(
        records=run.records,
        new=new,
        duplicates=added(lambda file: file.duplicates) + run.skipped,
        conflicts=added(lambda file: file.conflicts),
        invalid=added(lambda file: file.invalid),
        head=head,
        seconds=round(seconds, 3),
        events_per_second=round(new / max(seconds, 0.001)),
    )


def _read_source(run: _Run, source: Source) -> None:
    from esctl.sources.reading import read

    reading = read(source, run.options.source, run.cursors)
    done = 0
    # What is not a plain file may keep a reader waiting, whom Ctrl-C is to reach.
    regular = source.path is not None and source.path.is_file()
    for delivery in _ahead(run.pool, reading) if regular else reading:
        _keep(run, reading, delivery)
        run.observe(reading.done - done, delivery.batch.num_rows)
        done = reading.done
    if reading.pending_bytes:
        run.pending.append((reading.name, reading.pending_bytes))


def _ahead(pool: ThreadPoolExecutor, reading: Reading) -> Iterator[Delivery]:
    """Read the next batch while one is dealt with."""
    deliveries = iter(reading)
    delivery = next(deliveries, None)
    while delivery is not None:
        waiting = pool.submit(next, deliveries, None)
        try:
            yield delivery
        finally:
            finished([waiting])  # also where nobody wants it any more: no two may read a source at once
        delivery = waiting.result()


def _keep(run: _Run, reading: Reading, delivery: Delivery) -> None:
    from esctl.log.writer import Part

    known = run.cursors.get(reading.name)
    dialect = dict(delivery.cursor.dialect)
    if run.options.tz != "UTC":
        dialect["tz"] = run.options.tz
    elif known is not None and "tz" in known.dialect:
        dialect["tz"] = known.dialect["tz"]
    batch, cursor = delivery.batch, replace(delivery.cursor, dialect=dialect)
    run.records += batch.num_rows
    run.cursors[reading.name] = cursor
    run.parts.append(Part(reading.name, [batch], cursor))
    run.rows += batch.num_rows
    run.bytes += batch.nbytes
    if run.rows >= COMMIT_ROWS or run.bytes >= COMMIT_BYTES or len(run.parts) >= COMMIT_PARTS:
        _flush(run)


def _flush(run: _Run) -> None:
    """Make what was read durable, then understand it."""
    parts, run.parts, run.rows, run.bytes = run.parts, [], 0, 0
    checked = _checked(run, parts) if run.options.strict or run.options.skip_duplicates else parts
    parts = [_sampled(run, part) for part in checked]
    if not parts:
        return
    if run.options.strict:
        run.writer.stage(parts)
    else:
        written: list[pa.Table] = []
        run.behind.put(run.writer.append(parts, written), written)


def _sampled(run: _Run, part: Part) -> Part:
    """Return a part that tells how many records the first commit of its source has."""
    known = run.writer.snapshot.cursors.get(part.source)
    told = run.sampled.get(part.source) or (known.sampled if known is not None else 0)
    rows = sum(batch.num_rows for batch in part.batches)
    run.sampled[part.source] = told or min(rows, SAMPLED)
    return replace(part, cursor=replace(part.cursor, sampled=run.sampled[part.source]))


def _checked(run: _Run, parts: Sequence[Part]) -> Sequence[Part]:
    """Look at records before they are kept: refuse invalid ones (strict), leave duplicates out."""
    import pyarrow as pa

    if not any(batch.num_rows for part in parts for batch in part.batches):
        return parts
    run.behind.wait()  # so that duplicates of what was read before are found
    understood = run.updater.preview(run.writer.snapshot, parts)
    if run.options.strict and understood.invalid:
        raise _refusal(understood)
    if not run.options.skip_duplicates or not understood.duplicate_positions:
        return parts
    gone, at, kept = set(understood.duplicate_positions), run.writer.snapshot.head + 1, []
    run.skipped += len(gone)
    for part in parts:
        (batch,) = part.batches
        stays = [position not in gone for position in range(at, at + batch.num_rows)]
        kept.append(replace(part, batches=[batch.filter(pa.array(stays, pa.bool_()))]))
        at += batch.num_rows
    return kept


def _refusal(understood: ChunkEvents) -> InputError:
    events = understood.table
    bad = events.filter(events["invalid"].is_valid()).select(["source", "offset", "invalid"]).slice(0, 1).to_pylist()[0]
    return InputError(
        f"{bad['source']}: invalid record at offset {bad['offset']}: {bad['invalid']}",
        "nothing was ingested; without --strict invalid records are kept and counted",
    )
