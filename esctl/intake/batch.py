"""Sources -> log -> index: the pipeline of `esctl ingest`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as finished
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from esctl.errors import EsctlError, InputError, with_more
from esctl.intake.intake import IngestOptions, Intake, Observer, Outcome, StoreBefore

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from esctl.engine.workers import Workers
    from esctl.index.background import BackgroundIndexer
    from esctl.index.chunk_events import ChunkEvents
    from esctl.index.envelope.detect import Detection
    from esctl.index.scan import IndexView
    from esctl.index.update import Updater
    from esctl.intake.kept import KeptBytes
    from esctl.intake.spread import Spread
    from esctl.log.store_state import StoreState
    from esctl.log.writer import LogWriter, Part
    from esctl.sources.files.generations import KnownSources
    from esctl.sources.protocol import Delivery, SourceReader


class _Run(Struct):
    writer: LogWriter
    updater: Updater
    behind: BackgroundIndexer
    intake: Intake
    pool: ThreadPoolExecutor
    kept: KeptBytes
    spread: Spread | None = None  # what workers write
    skipped: int = 0
    names: list[str] = field(default_factory=list)  # of the sources that were read
    pending: list[tuple[str, int]] = field(default_factory=list)


def ingest(
    store: Path,
    sources: Iterable[SourceReader],
    options: IngestOptions,
    updater: Callable[[Callable[[str, Detection], None]], Updater],
    observe: Observer,
    connection: duckdb.DuckDBPyConnection,
    workers: Workers | None = None,
) -> Outcome:
    """Read what is new in the sources into the store, and bring its index up to date.

    With `workers`, these write and index what is read, in one commit; not together with `strict` or `skip_duplicates`.
    `sources` may be a generator: each source is finished before the next is asked for. If killed, the store stays whole
    and the same call resumes. Raises InputError for a source that cannot be read, and with `strict` for the first
    invalid record, naming it; then nothing is kept.
    """
    from esctl.engine.duckdb import second_cursor
    from esctl.index.background import BackgroundIndexer
    from esctl.intake.kept import KeptBytes
    from esctl.log.writer import LogWriter
    from esctl.sources.files.generations import KnownSources

    started = time.monotonic()
    found: list[tuple[str, Detection]] = []
    build = updater(lambda name, detection: found.append((name, detection)))
    with LogWriter(store, connection=second_cursor(connection)) as writer, _report_kept(writer):
        before, ahead = StoreBefore(writer.store_state, build.run(writer.store_state).manifest, started), writer.ahead
        intake = Intake(options, observe, known := KnownSources(before.store_state.cursors))
        known.kept = kept = KeptBytes(writer, intake)
        known.begun, known.maybe_begun = intake.begun, intake.maybe_begun
        with BackgroundIndexer(build) as behind, ThreadPoolExecutor(1, "reading") as pool:
            run = _Run(writer, build, behind, intake, pool, kept)
            with _start_spread(workers, writer, known) as run.spread:
                _read(run, sources)
        store_state = writer.store_state
        # Before another writer adds to what is counted.
        view = _update_index(workers, build, store_state, before.store_state.head)
    return before.outcome(
        intake, run.names, found, run.pending, (store_state, view.manifest), skipped=run.skipped, ahead=ahead
    )  # fmt: skip


def _update_index(workers: Workers | None, build: Updater, store_state: StoreState, before: int) -> IndexView:
    if workers is not None:
        from esctl.index.in_parts import build_in_parts

        build_in_parts(workers, build, store_state)
    return build.settle(store_state) if store_state.head > before else build.run(store_state)


def _start_spread(
    workers: Workers | None, writer: LogWriter, known: KnownSources
) -> AbstractContextManager[Spread | None]:
    if workers is None:
        return nullcontext()
    from esctl.intake.spread import SettledBytes, Spread

    spread = Spread(workers, writer)
    assert known.kept is not None
    known.kept = SettledBytes(known.kept, spread)
    return spread


@contextmanager
def _report_kept(writer: LogWriter) -> Iterator[None]:
    """Add to an error how many records were committed before it and are kept."""
    from esctl.log.commits import open_log

    before = writer.store_state.head
    try:
        yield
    except (EsctlError, OSError) as error:
        kept = open_log(writer.path).read().head - before
        if not kept:
            raise
        message, hint = f"{kept:,} new records are in the log", "run the same command again: it goes on from there"
        raise with_more(error, message, hint) from error


def _read(run: _Run, sources: Iterable[SourceReader]) -> None:
    from esctl.sources.formats.foreign import ForeignError

    strict = run.intake.options.strict
    refused: list[InputError] = []
    try:
        for source in sources:
            try:
                _read_source(run, source)
            except ForeignError as error:
                if strict:
                    raise
                refused.append(error)
            run.names.append(source.name)
            run.pending += [(source.name, source.pending)] if source.pending else []
    except InputError:
        if not strict:
            _flush(run)  # what was read before a source failed is evidence all the same
            _commit(run)
        raise
    _flush(run)
    _commit(run)
    if refused:
        more = f" (and {len(refused) - 1} more sources)" if len(refused) > 1 else ""
        raise InputError(refused[0].message + more, refused[0].hint)


def _commit(run: _Run) -> None:
    """Commit what is staged, if everything that was read is to be one commit."""
    if run.spread is not None:
        run.spread.finish()
    if run.spread is not None or run.intake.options.strict:
        run.writer.commit()
        run.intake.tell_kept()


def _read_source(run: _Run, source: SourceReader) -> None:
    named, before, begun = source.name, run.intake.records, len(run.intake.begun)
    deliveries = source.open(run.intake.known)
    # A source that may wait is not read ahead, so that Ctrl-C reaches it.
    for delivery in deliveries if source.may_wait else _read_ahead(run.pool, deliveries):
        run.intake.take(delivery)
        if run.intake.is_full:
            _flush(run)
        run.intake.observe(delivery.read, delivery.batch.num_rows)
    is_other = source.name.partition("#")[0] != named.partition("#")[0]
    if is_other and run.intake.records == before and not source.pending and len(run.intake.begun) == begun:
        run.intake.same.append((named, source.name))


def _read_ahead(pool: ThreadPoolExecutor, deliveries: Iterator[Delivery]) -> Iterator[Delivery]:
    """Yield deliveries; the next one is read while one is processed."""
    delivery = next(deliveries, None)
    while delivery is not None:
        waiting = pool.submit(next, deliveries, None)
        try:
            yield delivery
        finally:
            finished([waiting])  # also if the generator is closed: only one thread may read a source
        delivery = waiting.result()


def _flush(run: _Run) -> None:
    """Hand what was read to the workers, to staging, or to the log and then the index."""
    with run.kept.lock:
        run.kept.note(flushing=True)
        _flush_parts(run, run.intake.empty())


def _flush_parts(run: _Run, parts: Sequence[Part]) -> None:
    options = run.intake.options
    checked = _examine(run, parts) if options.strict or options.skip_duplicates else parts
    parts = run.intake.with_samples(checked, run.writer.store_state.cursors)
    if not parts:
        return
    if run.spread is not None:
        run.spread.put(parts)
    elif options.strict:
        run.writer.stage(parts)
    else:
        written: list[pa.Table] = []
        run.behind.put(run.writer.append(parts, written), written)
        run.intake.tell_kept()


def _examine(run: _Run, parts: Sequence[Part]) -> Sequence[Part]:
    """Examine records before they are kept: refuse invalid ones (strict), leave duplicates out."""
    if not any(batch.num_rows for part in parts for batch in part.batches):
        return parts
    run.behind.wait()  # so that duplicates of what was read before are found
    understood = run.updater.preview(run.writer.store_state, parts)
    if run.intake.options.strict and understood.invalid:
        raise _refusal(understood)
    if not run.intake.options.skip_duplicates or not understood.duplicate_positions:
        return parts
    run.skipped += len(understood.duplicate_positions)
    return _without_positions(parts, set(understood.duplicate_positions), run.writer.store_state.head + 1)


def _without_positions(parts: Sequence[Part], positions: set[int], first: int) -> list[Part]:
    """Return parts without the records that would get these positions; the first would get `first`."""
    import pyarrow as pa

    at, kept = first, []
    for part in parts:
        (batch,) = part.batches
        stays = [position not in positions for position in range(at, at + batch.num_rows)]
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
