"""Ingest what is added to files, as it is added: `esctl ingest --follow`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from esctl.errors import InputError
from esctl.intake.batch import COMMIT_BYTES, SAMPLED, IngestOptions, Observer, Outcome
from esctl.model import Cursor, IngestSummary

if TYPE_CHECKING:
    import duckdb

    from esctl.index.envelope.detect import Detection
    from esctl.index.files.manifest import IndexFile, Manifest
    from esctl.index.update import Updater
    from esctl.log.store_state import Snapshot
    from esctl.log.writer import Part
    from esctl.sources.files import Source
    from esctl.sources.follow import Tail
    from esctl.sources.reading import Delivery

POLL_SECONDS = 0.2
PATIENCE = 600.0
"""Seconds to wait for another process that is writing to the store."""


class Pace(Struct, frozen=True):
    """When to commit: so many seconds after the first record that waits, or at so many records."""

    seconds: float = 2.0
    records: int = 100_000


class Talk(Struct, frozen=True):
    """What is asked and told on the way."""

    is_asked_to_stop: Callable[[], bool]
    observe: Observer
    detected: Callable[[str, Detection], None]
    note: Callable[[str], None]


class _Follower(Struct):
    store: Path
    options: IngestOptions
    pace: Pace
    observe: Observer
    updater: Updater
    connection: duckdb.DuckDBPyConnection
    snapshot: Snapshot
    cursors: dict[str, Cursor]
    sources: Sequence[Source]
    note: Callable[[str], None]
    parts: list[Part] = field(default_factory=list)
    rows: int = 0
    bytes: int = 0
    waiting_since: float = 0.0
    records: int = 0
    ahead: int = 0  # microseconds that the log was ahead of the clock


def follow(
    store: Path,
    sources: Sequence[Source],
    options: IngestOptions,
    pace: Pace,
    updater: Callable[[Callable[[str, Detection], None]], Updater],
    connection: duckdb.DuckDBPyConnection,
    talk: Talk,
) -> Outcome:
    """Read what is added to the sources, commit by commit, until asked to stop or until nothing can follow.

    The store's lock is held for the commits alone, so that others can write to it in between. What is complete when it
    is asked to stop is committed. Raises as `ingest` does.
    """
    from esctl.index.seen_ids.numberings import newly_apart
    from esctl.log.commits import open_log
    from esctl.sources.follow import Tail

    started = time.monotonic()
    found: list[tuple[str, Detection]] = []
    before = open_log(store).read()

    def detected(name: str, detection: Detection) -> None:
        found.append((name, detection))
        talk.detected(name, detection)

    build = updater(detected)
    base = build.run(before).manifest
    run = _Follower(
        store, options, pace, talk.observe, build, connection, before, dict(before.cursors), sources, talk.note
    )
    tails = [Tail(source, options.source, talk.note) for source in sources]
    try:
        while not talk.is_asked_to_stop() and not all(tail.ended for tail in tails):
            if not _poll(run, tails):
                time.sleep(POLL_SECONDS)
        _poll(run, [tail for tail in tails if not tail.ended])
        _commit(run)
        pending = tuple(each for tail in tails for each in tail.pending)
    finally:
        for tail in tails:
            tail.close()
    view = build.run(run.snapshot)
    summary = _summary(run, base, view.manifest, time.monotonic() - started)
    homeless = view.manifest.homeless - base.homeless
    told = newly_apart(base, view.manifest)
    return Outcome(summary, tuple(found), pending, 0, run.snapshot, homeless, before.seq == 0, told, run.ahead)


def _poll(run: _Follower, tails: Sequence[Tail]) -> bool:
    """Read what was added, and commit if it is time to. Tells whether there may be more to read at once."""
    more = False
    for tail in tails:
        size = 0
        for name, delivery in tail.poll(run.cursors, COMMIT_BYTES // 4):
            _keep(run, name, delivery)
            size += delivery.batch.nbytes
        more = more or size >= COMMIT_BYTES // 4
    is_late = bool(run.parts) and time.monotonic() - run.waiting_since >= run.pace.seconds
    if is_late or run.rows >= run.pace.records or run.bytes >= COMMIT_BYTES:
        _commit(run)
    return more


def _keep(run: _Follower, name: str, delivery: Delivery) -> None:
    from esctl.log.writer import Part

    known = run.cursors.get(name)
    dialect = dict(delivery.cursor.dialect)
    if run.options.tz != "UTC":
        dialect["tz"] = run.options.tz
    elif known is not None and "tz" in known.dialect:
        dialect["tz"] = known.dialect["tz"]
    rows = delivery.batch.num_rows
    sampled = known.sampled if known is not None and known.sampled else min(rows, SAMPLED)
    cursor = replace(delivery.cursor, dialect=dialect, sampled=sampled)
    if not run.parts:
        run.waiting_since = time.monotonic()
    run.cursors[name] = cursor
    run.parts.append(Part(name, [delivery.batch], cursor))
    run.records += rows
    run.rows += rows
    run.bytes += delivery.batch.nbytes
    run.observe(delivery.batch.nbytes, rows)


def _commit(run: _Follower) -> None:
    """Make what was read durable, then understand it."""
    from esctl.log.writer import LogWriter
    from esctl.storage.rights import narrow, seen

    if not run.parts:
        return
    if narrow(run.store, seen(source.path for source in run.sources)):
        run.note(f"{run.store} can now be read by no more than may read what is followed")
    with LogWriter(run.store, timeout=PATIENCE, connection=run.connection) as writer:
        for name in {part.source for part in run.parts}:
            if writer.snapshot.cursors.get(name) != run.snapshot.cursors.get(name):
                raise InputError(
                    f"another process has read {name} into {run.store} meanwhile",
                    "nothing was recorded twice; run the same command again",
                )
        run.ahead = max(run.ahead, writer.ahead)
        run.snapshot = writer.append(run.parts)
    run.updater.run(run.snapshot)
    run.parts, run.rows, run.bytes = [], 0, 0


def _summary(run: _Follower, before: Manifest, after: Manifest, seconds: float) -> IngestSummary:
    def added(count: Callable[[IndexFile], int]) -> int:
        return max(sum(map(count, after.files)) - sum(map(count, before.files)), 0)

    return IngestSummary(
        records=run.records,
        new=run.records,
        duplicates=added(lambda file: file.duplicates),
        conflicts=added(lambda file: file.conflicts),
        invalid=added(lambda file: file.invalid),
        head=run.snapshot.head,
        seconds=round(seconds, 3),
        events_per_second=round(run.records / max(seconds, 0.001)),
    )
