"""Ingest what is added to sources, as it is added: `esctl ingest --follow`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field

from esctl.errors import InputError
from esctl.intake.intake import COMMIT_BYTES, IngestOptions, Intake, Observer, Outcome, StoreBefore

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from esctl.index.background import BackgroundIndexer
    from esctl.index.envelope.detect import Detection
    from esctl.index.update import Updater
    from esctl.log.store_state import StoreState
    from esctl.sources.protocol import FollowedSource

POLL_SECONDS = 0.2
PATIENCE = 600.0
"""Seconds to wait for another process that is writing to the store."""


class Pace(Struct, frozen=True):
    """When to commit: this many seconds after the first waiting record, or at this many records."""

    seconds: float = 1.0
    records: int = 500_000


class Callbacks(Struct, frozen=True):
    """Callbacks of `follow`. `before_commit` is called before the store is written to."""

    is_asked_to_stop: Callable[[], bool]
    observe: Observer
    detected: Callable[[str, Detection], None]
    before_commit: Callable[[], None]


class _Run(Struct):
    store: Path
    sources: Sequence[FollowedSource]
    intake: Intake
    pace: Pace
    callbacks: Callbacks
    behind: BackgroundIndexer
    connection: duckdb.DuckDBPyConnection  # the writer's own
    store_state: StoreState
    names: dict[str, None] = field(default_factory=dict)  # of the sources that were followed
    waiting_since: float = 0.0
    ahead: int = 0  # microseconds that the log was ahead of the clock


def follow(
    store: Path,
    sources: Sequence[FollowedSource],
    options: IngestOptions,
    pace: Pace,
    updater: Callable[[Callable[[str, Detection], None]], Updater],
    connection: duckdb.DuckDBPyConnection,
    callbacks: Callbacks,
) -> Outcome:
    """Read what is added to the sources, commit by commit, until asked to stop or until all sources have ended.

    The store's lock is held only for each commit, so that others can write in between. Records that are complete when
    it is asked to stop are committed. Closes the sources. Raises as `ingest` does.
    """
    from esctl.engine.duckdb import second_cursor
    from esctl.index.background import BackgroundIndexer
    from esctl.log.commits import open_log

    started = time.monotonic()
    found: list[tuple[str, Detection]] = []
    store_state = open_log(store).read()

    def detected(name: str, detection: Detection) -> None:
        found.append((name, detection))
        callbacks.detected(name, detection)

    build = updater(detected)
    before = StoreBefore(store_state, build.run(store_state).manifest, started)
    intake = Intake(options, callbacks.observe, dict(store_state.cursors))
    with BackgroundIndexer(build) as behind:
        run = _Run(store, sources, intake, pace, callbacks, behind, second_cursor(connection), store_state)
        pending = _read(run)
    after = build.run(run.store_state).manifest
    return before.outcome(intake, run.names, found, pending, (run.store_state, after), ahead=run.ahead)


def _read(run: _Run) -> list[tuple[str, int]]:
    """Poll until asked to stop; return the bytes in no record yet, by source name."""
    try:
        while not run.callbacks.is_asked_to_stop() and not all(source.ended for source in run.sources):
            if not _poll(run, run.sources):
                run.behind.check()
                time.sleep(POLL_SECONDS)
        _poll(run, [source for source in run.sources if not source.ended])
        _commit(run)
        return [each for source in run.sources for each in source.pending]
    finally:
        for source in run.sources:
            source.close()


def _poll(run: _Run, sources: Sequence[FollowedSource]) -> bool:
    """Read what was added, and commit if it is time to; return whether there may be more to read at once."""
    more = False
    for source in sources:
        try:
            size = _take(run, source)
        except InputError:
            _commit(run)  # the source may be gone, and what was read of it is nowhere else
            raise
        run.names.update(dict.fromkeys(source.names))
        more = more or size >= COMMIT_BYTES // 4
    is_late = bool(run.intake.parts) and time.monotonic() - run.waiting_since >= run.pace.seconds
    if is_late or run.intake.rows >= run.pace.records or run.intake.is_full:
        _commit(run)
    return more


def _take(run: _Run, source: FollowedSource) -> int:
    """Read what was added to a source; return its size in bytes."""
    size = 0
    for delivery in source.poll(run.intake.known, COMMIT_BYTES // 4):
        if not run.intake.parts:
            run.waiting_since = time.monotonic()
        run.intake.take(delivery)
        run.callbacks.observe(delivery.read, delivery.batch.num_rows)
        size += delivery.batch.nbytes
    return size


def _commit(run: _Run) -> None:
    """Commit what was read, then have it indexed while more is read."""
    from esctl.log.writer import LogWriter, read_meanwhile

    parts = run.intake.with_samples(run.intake.empty(), run.store_state.cursors)
    if not parts:
        return
    run.callbacks.before_commit()
    written: list[pa.Table] = []
    with LogWriter(run.store, timeout=PATIENCE, connection=run.connection) as writer:
        for name in {part.source for part in parts}:
            if writer.store_state.cursors.get(name) != run.store_state.cursors.get(name):
                raise read_meanwhile(name, run.store)
        run.ahead = max(run.ahead, writer.ahead)
        run.store_state = writer.append(parts, written)
    run.intake.tell_kept()
    run.behind.put(run.store_state, written)
