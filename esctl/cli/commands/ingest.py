"""esctl ingest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from esctl.cli import diagnostics, failures
from esctl.cli.intake.live_sources import LiveOptions, NamedSources, find_sources
from esctl.cli.intake.options import Following, Meaning, Reading
from esctl.cli.options import Shared, command

if TYPE_CHECKING:
    from esctl.api import Store
    from esctl.intake.follow import Pace
    from esctl.intake.intake import IngestOptions, Outcome
    from esctl.ledger.sign.note import SigningKey


Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE...",
        help="Files, globs, folders, or - for stdin; plain or .gz .zst .bz2 .xz. Objects: 's3://BUCKET/logs/**/*.gz' "
        "(or gs, az). kafka://HOST/TOPIC, 'postgres://HOST/DB?slot=S&publication=P', or a name of "
        "[sources] in esctl.toml.",
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="All or nothing: keep nothing if any record is invalid.")]
SkipDuplicates = Annotated[
    bool, typer.Option("--skip-duplicates", help="Leave events that are known already out of the log.")
]
Checkpoint = Annotated[
    bool, typer.Option("--checkpoint", help="Sign the head afterwards, with the only key you have or --key.")
]
Key = Annotated[str, typer.Option("--key", metavar="NAME", help="The key for --checkpoint.")]
Erasable = Annotated[bool, typer.Option("--erasable", help="Make a new store in which records can be erased later.")]
Jobs = Annotated[int | None, typer.Option("--jobs", "-j", metavar="N", min=1, help="Use N processors; by default all.")]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="ENGINE",
        help="Have what is read written and indexed side by side, as one commit: local:N by N processes, or on Spark, "
        "Ray or Dask (sc://HOST, spark://HOST, ray://HOST, dask://HOST).",
    ),
]
Ask = Annotated[
    bool | None,
    typer.Option("--ask/--no-ask", help="Ask how new sources are read; else only at a terminal, of what is unsure."),
]


@command
def run(
    shared: Shared,
    sources: Sources,
    reading: Reading,
    meaning: Meaning,
    following: Following,
    live: LiveOptions,
    strict: Strict = False,
    skip_duplicates: SkipDuplicates = False,
    erasable: Erasable = False,
    ask: Ask = None,
    checkpoint: Checkpoint = False,
    key: Key = "",
    jobs: Jobs = None,
    engine: Engine = "",
) -> None:
    """Read logs into the store, exactly once; what is known already is not taken in again."""
    from esctl.cli.intake.asking import ask_about_new, check_ask
    from esctl.cli.intake.following import check_followable, follow_sources
    from esctl.cli.opening import heed_config
    from esctl.maintain.save_states import take_after_ingest

    check_ask(ask, sources, following.follow)
    _check_engine(engine, follow=following.follow, strict=strict, skip_duplicates=skip_duplicates)
    signing = _check_ahead(shared, key, checkpoint)
    pace = following.pace()
    options = _options(shared, strict, skip_duplicates, reading)
    found = find_sources(sources, live.given(), following.follow, options.source.limits, shared)
    check_followable(options, following.follow, found)
    store = _open_or_create(shared, found, meaning, erasable=erasable, jobs=jobs)
    heed_config(shared, store)
    _tell_store(store, shared)
    _keep_private(store, found, shared)
    with _lend_engine(store, engine, shared):
        outcome = (follow_sources if following.follow else _ingest)(store, found, options, pace, shared)
    store, outcome, certain = ask_about_new(store, outcome, ask, shared)
    _report(outcome, shared, store)
    _vouch(outcome, signing)
    _check_understood(certain, store, shared)
    take_after_ingest(store)


def _check_engine(engine: str, **others: bool) -> None:
    """Raise UsageError for an engine with an option that examines records before they are kept, or follows sources."""
    from esctl.errors import UsageError

    for name, given in others.items():
        if given and engine not in ("", "off"):
            raise UsageError(
                f"--engine cannot be combined with --{name.replace('_', '-')}", "leave one of them out: --engine off"
            )


@contextmanager
def _lend_engine(store: Store, engine: str, shared: Shared) -> Iterator[None]:
    """Give the store an engine for the block. `ESCTL_ENGINE` does not count here: an engine makes it all one commit."""
    if engine:
        from esctl.cluster.engines import engine_of

        store.engine = engine_of(engine, shared.memory_limit, "--engine")
    try:
        yield
    finally:
        store.engine = None


def _check_ahead(shared: Shared, key: str, checkpoint: bool) -> SigningKey | None:
    """Check early what would otherwise fail after reading; return the key to sign with, or None."""
    from esctl.cli.intake.telling import summary_columns
    from esctl.cli.opening import input_zone
    from esctl.cli.render import check_showable
    from esctl.engine.zones import find_zone

    failures.say_when_interrupted("what is committed is kept; the same command goes on from there")
    find_zone(input_zone(shared))  # the zone is kept with the sources
    check_showable(shared, summary_columns())
    if not (checkpoint or key):
        return None
    from esctl.ledger.sign.keys import read_key

    return read_key(key)


def _open_or_create(
    shared: Shared, found: NamedSources, meaning: Meaning, *, erasable: bool, jobs: int | None
) -> Store:
    """Return the store, created if there was none."""
    from esctl.api import Store
    from esctl.cli.opening import input_zone
    from esctl.engine import processors

    processors.use_processors(jobs)
    return Store.create(
        shared.store, shared.config, erasable=erasable, overrides=meaning.overrides(shared),
        memory_limit=shared.memory_limit, tz=input_zone(shared), threads=jobs, sources=found.paths,
    )  # fmt: skip


def _options(shared: Shared, strict: bool, skip_duplicates: bool, reading: Reading) -> IngestOptions:
    from esctl.cli.opening import input_zone
    from esctl.intake.intake import IngestOptions

    return IngestOptions(reading.options(), strict=strict, skip_duplicates=skip_duplicates, tz=input_zone(shared))


def _tell_store(store: Store, shared: Shared) -> None:
    """Print which store is used, unless it lies in the working folder."""
    if store.path.resolve().parent != Path.cwd():
        diagnostics.note(f"store: {store.path}", shared.quiet)


def _keep_private(store: Store, found: NamedSources, shared: Shared) -> None:
    from esctl.storage.rights import narrow, source_stats

    if narrow(store.path, source_stats(found.paths)):
        diagnostics.note(f"note: {store.path} can now be read by no more than may read these sources", shared.quiet)


def _ingest(store: Store, found: NamedSources, options: IngestOptions, _pace: Pace, shared: Shared) -> Outcome:
    from esctl.cli.intake.telling import report_detections

    with diagnostics.progress("reading", found.size, shared.quiet, after="indexing") as advance:
        outcome = store.ingest(*found.files, *found.live, options=options, observe=advance)
    report_detections(outcome.detections, shared.quiet)
    return outcome


def _report(outcome: Outcome, shared: Shared, store: Store) -> None:
    from esctl.cli.intake.telling import summary_answer
    from esctl.cli.opening import output_settings
    from esctl.cli.render import render

    _report_sources(outcome, shared, store)
    _report_events(outcome, shared, store)
    render(summary_answer(outcome, store), shared, (), output_settings(store))


def _report_sources(outcome: Outcome, shared: Shared, store: Store) -> None:
    from esctl.cli.intake.known_files import report_begun, report_same, report_unended
    from esctl.cli.intake.telling import (
        report_clock,
        report_readings,
        report_unheeded,
        report_unzoned,
    )
    from esctl.cli.opening import input_zone

    for name, count in outcome.pending:
        diagnostics.note(
            f"{name}: {count} bytes of an unfinished last line wait for the rest (or --final)", shared.quiet
        )
    if outcome.skipped:
        diagnostics.note(
            f"{outcome.skipped} duplicates were left out: their sources can no longer be exported whole", shared.quiet
        )
    report_same(outcome.same, shared.quiet)
    report_begun(outcome, shared.quiet)
    report_unended(outcome, shared.quiet)
    report_readings([name for name, _ in outcome.detections], outcome.store_state.cursors, store.mapping, shared.quiet)
    report_unzoned(outcome.unzoned, outcome.store_state.cursors, input_zone(shared), shared.quiet)
    report_unheeded(outcome.unheeded, shared.quiet)
    report_clock(outcome.ahead, outcome.store_state.at, shared.quiet)


def _report_events(outcome: Outcome, shared: Shared, store: Store) -> None:
    """Print what is odd about the new events."""
    from esctl.cli.intake import telling
    from esctl.cli.intake.overruling import report_idle, report_overruled

    summary = outcome.summary
    before = summary.head - summary.new
    for count, what, option in (
        (summary.invalid, "invalid record", "--invalid"),
        (summary.conflicts, "conflicting event", "--conflicts"),
    ):
        if count:
            diagnostics.note(f"note: {count} {what}{'s' * (count != 1)}: esctl log {option}", shared.quiet)
    telling.report_apart(outcome.apart, shared.quiet)
    if outcome.detections:
        telling.report_read_twice(store, shared.quiet, before)
        report_overruled(store, shared.quiet)
        telling.report_omissions(store, [name for name, _ in outcome.detections], shared.quiet)
    elif summary.new:
        report_idle(store, shared.quiet)
    telling.report_homeless(store, outcome.homeless, shared.quiet, before)
    telling.report_undated(store, shared.quiet, before)
    telling.report_clock_changes(store, shared.quiet, before)


def _check_understood(outcome: Outcome, store: Store, shared: Shared) -> None:
    """Raise UsageError if a new source's mapping leaves its entity or times open, or finds none.

    Raises InputError if no record of a source could be read, typer.Exit(1) if more than half could not.
    """
    from esctl.cli.intake.telling import refuse_unread
    from esctl.cli.intake.unsure import refuse_doubts, refuse_unmet, refuse_unsure

    if outcome.summary.invalid:
        refuse_unread(store, [name for name, _ in outcome.detections], outcome.summary.head - outcome.summary.new)
    refuse_unmet(store, outcome.detections, shared.store)
    refuse_unsure(store, outcome.detections, shared.store)
    refuse_doubts(store, outcome.detections, shared.store)


def _vouch(outcome: Outcome, key: SigningKey | None) -> None:
    """Keep the new head as last seen, and sign it if there is a key."""
    from esctl.ledger.sign.last_seen import advance

    if not advance(outcome.store_state, anew=outcome.first):
        diagnostics.note("warning: the store does not continue what was last seen of it here: esctl verify")
    if key is not None:
        from esctl.ledger.sign.checkpoints import make_checkpoint

        make_checkpoint(outcome.store_state.path, key)
