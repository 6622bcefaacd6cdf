"""esctl ingest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from esctl.cli import diagnostics, failures
from esctl.cli.arguments import MAP_HELP, LinePattern, TimeFormat
from esctl.cli.live_sources import Create, From, OnRecreated, Properties, Property, Registry, SchemaDir, Snapshot, Until
from esctl.cli.options import Shared, command

if TYPE_CHECKING:
    from esctl.api import Store
    from esctl.cli.live_sources import Named
    from esctl.intake.follow import Pace
    from esctl.intake.intake import IngestOptions, Outcome
    from esctl.ledger.sign.note import SigningKey


Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE...",
        help="Files, globs, folders, or - for stdin; plain or .gz .zst .bz2 .xz. kafka://HOST/TOPIC, "
        "'postgres://HOST/DB?slot=S&publication=P', or a name of "
        "[sources] in esctl.toml.",
    ),
]
InputFormat = Annotated[
    str,
    typer.Option(
        "--input-format",
        metavar="FORMAT",
        help="auto, jsonl, json, json-document, csv, tsv, text, parquet, arrow, avro or evtx.",
    ),
]
RecordsPath = Annotated[
    str | None,
    typer.Option("--records-path", metavar="PATH", help="Where the records are in what wraps them: a.events, a[].b[]."),
]
Encoding = Annotated[
    str | None,
    typer.Option("--encoding", metavar="NAME", help="How text is encoded, as cp1252 or utf-16, where it is not UTF-8."),
]
Map = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="[SOURCE:]KEY=PATH", help=f"{MAP_HELP} Kept for the commands that follow."),
]
PresetName = Annotated[
    str | None,
    typer.Option("--preset", metavar="NAME", help="The format of the events, as esctl presets lists it."),
]
Null = Annotated[str | None, typer.Option("--null", metavar="TEXT", help="The CSV cell text that means null.")]
Header = Annotated[
    bool | None,
    typer.Option("--header/--no-header", help="Whether the first row of CSV names the columns; else that is found."),
]
Decimal = Annotated[
    str | None, typer.Option("--decimal", metavar="MARK", help="The decimal mark of numbers in CSV: , or .")
]
Strict = Annotated[bool, typer.Option("--strict", help="All or nothing: keep nothing if any record is invalid.")]
Final = Annotated[bool, typer.Option("--final", help="Accept an unfinished last line.")]
SkipDuplicates = Annotated[
    bool, typer.Option("--skip-duplicates", help="Leave events that are known already out of the log.")
]
MaxRecord = Annotated[str, typer.Option("--max-record", metavar="SIZE", help="The longest record to accept.")]
MaxExpansion = Annotated[
    int,
    typer.Option(
        "--max-expansion", metavar="N", min=1, help="A compressed source may unpack to N times its size (or 1 GiB)."
    ),
]
MaxUnpacked = Annotated[
    str, typer.Option("--max-unpacked", metavar="SIZE", help="What a compressed source may unpack to.")
]
Checkpoint = Annotated[
    bool, typer.Option("--checkpoint", help="Sign the head afterwards, with the only key you have or --key.")
]
Key = Annotated[str, typer.Option("--key", metavar="NAME", help="The key for --checkpoint.")]
Follow = Annotated[
    bool,
    typer.Option("--follow", help="Keep reading lines appended to the files, as tail -F does, until stopped."),
]
CommitEvery = Annotated[
    str, typer.Option("--commit-every", metavar="TIME", help="With --follow: the longest that a record waits (500ms).")
]
CommitRecords = Annotated[
    int, typer.Option("--commit-records", metavar="N", min=1, help="With --follow: how many records wait at most.")
]
Erasable = Annotated[bool, typer.Option("--erasable", help="Make a new store in which records can be erased later.")]
Ask = Annotated[
    bool | None,
    typer.Option("--ask/--no-ask", help="Ask how new sources are read; else only at a terminal, of what is unsure."),
]


@command
def run(
    shared: Shared,
    sources: Sources,
    input_format: InputFormat = "auto",
    records_path: RecordsPath = None,
    encoding: Encoding = None,
    mapping: Map = None,
    time_format: TimeFormat = None,
    pattern: LinePattern = None,
    preset: PresetName = None,
    null: Null = None,
    header: Header = None,
    decimal: Decimal = None,
    strict: Strict = False,
    final: Final = False,
    skip_duplicates: SkipDuplicates = False,
    max_record: MaxRecord = "256MiB",
    max_expansion: MaxExpansion = 1000,
    max_unpacked: MaxUnpacked = "1TiB",
    erasable: Erasable = False,
    ask: Ask = None,
    checkpoint: Checkpoint = False,
    key: Key = "",
    follow: Follow = False,
    commit_every: CommitEvery = "2s",
    commit_records: CommitRecords = 100_000,
    from_: From = "",
    until: Until = "",
    property_: Property = None,
    properties: Properties = "",
    registry: Registry = "",
    schema_dir: SchemaDir = "",
    on_recreated: OnRecreated = "",
    create: Create = False,
    snapshot: Snapshot = False,
) -> None:
    """Read logs into the store, exactly once; what is known already is not taken in again."""
    from esctl.api import Store
    from esctl.cli.asking import check_asked, settled
    from esctl.cli.following import check_followable, followed, parse_pace
    from esctl.cli.live_sources import find_sources, options_of
    from esctl.cli.opening import tell_passed_over, zone
    from esctl.engine.sizes import parse_size
    from esctl.maintain.save_states import keep
    from esctl.sources.streams import Limits

    check_asked(ask, sources, follow)
    signing = _begin(shared, key, checkpoint)
    pace = parse_pace(commit_every, commit_records)
    limits = Limits(max_expansion, parse_size(max_unpacked, "--max-unpacked"))
    live = options_of(property_, from_, until, properties, registry, schema_dir, on_recreated, create, snapshot)
    found = find_sources(sources, live, follow, limits, shared)
    options = _options(
        shared, strict, skip_duplicates, input_format=input_format, records_path=records_path, final=final, null=null,
        max_record_bytes=parse_size(max_record, "--max-record"), limits=limits, encoding=encoding, header=header,
        decimal=decimal,
    )  # fmt: skip
    check_followable(options, follow, found)
    said = _said(shared, _begun(mapping, preset), time_format=time_format, pattern=pattern)
    store = Store.create(
        shared.store, shared.config, erasable=erasable, overrides=said,
        memory_limit=shared.memory_limit, tz=zone(shared), sources=found.paths,
    )  # fmt: skip
    tell_passed_over(shared, store)
    _tell_store(store, shared)
    _keep_private(store, found, shared)
    outcome = (followed if follow else _ingested)(store, found, options, pace, shared)
    store, outcome, unsettled = settled(store, outcome, ask, shared)
    _report(outcome, shared, store)
    _vouch(outcome, signing)
    _check_understood(unsettled, store, shared)
    keep(store)


def _begin(shared: Shared, key: str, checkpoint: bool) -> SigningKey | None:
    """Check what would be found wrong too late; give the key to sign with, if there is to be a checkpoint."""
    from esctl.cli.opening import zone
    from esctl.engine.zones import find_zone
    from esctl.ledger.sign.keys import read_key

    failures.say_when_interrupted("what is committed is kept; the same command goes on from there")
    find_zone(zone(shared))  # it is kept with the sources
    return read_key(key) if checkpoint or key else None


def _options(shared: Shared, strict: bool, skip_duplicates: bool, **source: Any) -> IngestOptions:
    from esctl.cli.opening import zone
    from esctl.intake.intake import IngestOptions
    from esctl.sources.files.reading import SourceOptions

    return IngestOptions(SourceOptions(**source), strict=strict, skip_duplicates=skip_duplicates, tz=zone(shared))


def _said(shared: Shared, mapping: list[str] | None, **said: list[str] | None) -> list[str] | None:
    from esctl.config import find_store
    from esctl.index.envelope.map_options import read_overrides, with_options

    found = find_store(shared.store) if any(each is not None for each in (mapping, *said.values())) else None
    return with_options(read_overrides(found) if found is not None else (), mapping, **said)


def _begun(mapping: list[str] | None, preset: str | None) -> list[str] | None:
    """Return what --map says, after --preset; None where neither is given."""
    return mapping if preset is None else [f"preset={preset}", *(mapping or ())]


def _tell_store(store: Store, shared: Shared) -> None:
    """Print which store is used, where that is not plain to see."""
    if store.path.resolve().parent != Path.cwd():
        diagnostics.note(f"store: {store.path}", shared.quiet)


def _keep_private(store: Store, found: Named, shared: Shared) -> None:
    from esctl.storage.rights import narrow, seen

    if narrow(store.path, seen(found.paths)):
        diagnostics.note(f"note: {store.path} can now be read by no more than may read these sources", shared.quiet)


def _ingested(store: Store, found: Named, options: IngestOptions, _pace: Pace, shared: Shared) -> Outcome:
    from esctl.cli.ingesting import report_detections

    with diagnostics.progress("reading", found.size, shared.quiet, after="indexing") as advance:
        readers = [reader for each in found.live for reader in each.readers()]
        outcome = store.ingest(*found.files, *readers, options=options, observe=advance)
    report_detections(outcome.detections, shared.quiet)
    return outcome


def _report(outcome: Outcome, shared: Shared, store: Store) -> None:
    from esctl.cli.ingesting import summary_answer
    from esctl.cli.opening import output_settings
    from esctl.cli.render import render

    _report_sources(outcome, shared, store)
    _report_events(outcome, shared, store)
    render(summary_answer(outcome, store), shared, (), output_settings(store))


def _report_sources(outcome: Outcome, shared: Shared, store: Store) -> None:
    from esctl.cli.ingesting import report_clock, report_readings, report_same, report_unzoned
    from esctl.cli.opening import zone

    for name, count in outcome.pending:
        diagnostics.note(
            f"{name}: {count} bytes of an unfinished last line wait for the rest (or --final)", shared.quiet
        )
    if outcome.skipped:
        diagnostics.note(
            f"{outcome.skipped} duplicates were left out: their sources can no longer be exported whole", shared.quiet
        )
    report_same(outcome.same, shared.quiet)
    report_readings([name for name, _ in outcome.detections], outcome.snapshot.cursors, store.mapping, shared.quiet)
    report_unzoned(outcome.unzoned, outcome.snapshot.cursors, zone(shared), shared.quiet)
    report_clock(outcome.ahead, outcome.snapshot.at, shared.quiet)


def _report_events(outcome: Outcome, shared: Shared, store: Store) -> None:
    """Print what is odd about the new events."""
    from esctl.cli import ingesting as told
    from esctl.cli.overruling import report_overruled

    summary = outcome.summary
    before = summary.head - summary.new
    for count, what, option in (
        (summary.invalid, "invalid records", "--invalid"),
        (summary.conflicts, "conflicting events", "--conflicts"),
    ):
        if count:
            diagnostics.note(f"note: {count} {what}: esctl log {option}", shared.quiet)
    told.report_apart(outcome.apart, shared.quiet)
    if outcome.detections:
        told.report_read_twice(store, shared.quiet, before)
        report_overruled(store, shared.quiet)
        told.report_untold(store, [name for name, _ in outcome.detections], shared.quiet)
    told.report_homeless(store, outcome.homeless, shared.quiet, before)
    told.report_undated(store, shared.quiet, before)
    told.report_changed(store, shared.quiet, before)


def _check_understood(outcome: Outcome, store: Store, shared: Shared) -> None:
    """Raise UsageError where no entity is known, or the times of a source may be read in two ways.

    InputError where nothing of a source could be read.
    """
    from esctl.cli.ingesting import refuse_unread
    from esctl.cli.unsure import refuse_doubts, refuse_unsure

    if outcome.summary.invalid:
        refuse_unread(store, [name for name, _ in outcome.detections], outcome.summary.head - outcome.summary.new)
    refuse_unsure(store, outcome.detections, shared.store)
    refuse_doubts(store, outcome.detections, shared.store)


def _vouch(outcome: Outcome, key: SigningKey | None) -> None:
    """Keep the new head as last seen, and sign it where that is wanted."""
    from esctl.ledger.sign.checkpoints import make_checkpoint
    from esctl.ledger.sign.last_seen import advance

    if not advance(outcome.snapshot, anew=outcome.first):
        diagnostics.note("warning: the store does not continue what was last seen of it here: esctl verify")
    if key is not None:
        make_checkpoint(outcome.snapshot.path, key)
