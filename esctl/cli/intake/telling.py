"""What ingest and reindex print on stderr about mappings and sources."""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import typer

from esctl.cli import diagnostics
from esctl.errors import InputError, shell_word
from esctl.index.envelope.mapping import CUSTOM
from esctl.index.envelope.toml_text import toml_string
from esctl.model import CLOCK_SKEW_SECONDS

if TYPE_CHECKING:
    from esctl.api import Store
    from esctl.index.envelope.detect import Detection
    from esctl.index.seen_ids.apart import Apart
    from esctl.intake.intake import Outcome
    from esctl.model import Answer, Column, Cursor, MappingConfig

_RECORDS_LOOKED_AT = 20
MOST_TOLD = 5
"""The most sources that are named one by one."""
_READINGS = {
    ("encoding", "utf-16-le"): "read as UTF-16",
    ("encoding", "utf-16-be"): "read as UTF-16 (big-endian)",
    ("encoding", "utf-8 or cp1252"): "no UTF-8: read as Windows-1252 (cp1252); where it is another: --encoding NAME",
    ("prefix", "any"): "what stands before the JSON of each line is kept, and no part of the events",
    ("prefix", "cri"): "what a container runtime wrote before each line is no part of the events; "
    "parts of long lines are joined",
    ("commas", "1"): "its numbers seem to have a decimal comma, and are texts; to read them as numbers, in a store of "
    "its own: --decimal ,",
    ("prefix", "key"): "each line is a key, a tab and JSON: read as the fields key and payload",
}
"""The note for a key and value in the dialect of a source."""
_OFFSETS = {
    "PST": "-08:00", "PDT": "-07:00", "MST": "-07:00", "MDT": "-06:00", "CST": "-06:00", "CDT": "-05:00",
    "EST": "-05:00", "EDT": "-04:00", "WET": "+00:00", "BST": "+01:00", "CET": "+01:00", "CEST": "+02:00",
    "EET": "+02:00", "EEST": "+03:00", "MSK": "+03:00", "IST": "+05:30", "JST": "+09:00", "AEST": "+10:00",
    "AEDT": "+11:00",
}  # fmt: skip
"""The usual offsets of zone abbreviations, to suggest to the user."""
_YEARLESS = (
    "its times have no year, so its events are undated; say that of its first line: esctl reindex --map year=YYYY"
)
_UNPATTERNED = "its lines are no text, so the pattern that is told is not used"


def report_detections(found: Sequence[tuple[str, Detection]], quiet: bool) -> None:
    """Print the mapping recognised in new sources, once for those that are alike."""
    if quiet:
        return
    alike: dict[object, tuple[list[str], Detection]] = {}
    for name, detection in found:
        alike.setdefault(detection.stanza, ([], detection))[0].append(name)
    for names, detection in alike.values():
        if not detection.rows:
            continue  # the whole mapping is configured
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        diagnostics.note(f"mapping of {names[0]}{more}: {detection.stanza.name}")
        width = max((len(choice.field) for choice in detection.rows), default=0)
        for choice in detection.rows:
            sure = f"{choice.sure}: " if choice.sure else ""
            diagnostics.note(f"  {choice.field:<{width}}  {choice.path}  ({sure}{choice.why})")
        if detection.stanza.name == CUSTOM and not detection.stanza.actor:
            diagnostics.note(
                f"  {'actor':<{width}}  none  (no field was recognised as who did it; to say one: --map actor=PATH)"
            )
    _report_unmet(found)


def _report_unmet(found: Sequence[tuple[str, Detection]]) -> None:
    """Print which paths of a mapping lead nowhere in a source, and how to give a path for some sources only."""
    unmet = [(name, each) for name, detection in found for each in detection.unmet if each.path]
    for name, each in unmet[:MOST_TOLD]:
        meant = f"; did you mean {each.near}?" if each.near else ""
        diagnostics.note(
            f"note: {name}: the {each.field} is said to be {each.path}, which none of its first records has{meant}"
        )
    if len(unmet) > MOST_TOLD:
        diagnostics.note(f"note: so it is with {len(unmet) - MOST_TOLD} more paths")
    if unmet:
        diagnostics.note("to say a path of some sources only: --map 'SOURCE:KEY=PATH', or [mapping.sources.\"SOURCE\"]")


def report_readings(names: Sequence[str], cursors: Mapping[str, Cursor], mapping: MappingConfig, quiet: bool) -> None:
    """Print how the text of new sources is read if that is not plain, once for those that are alike."""
    from esctl.index.envelope.text.told import pattern_of, year_of

    alike: dict[str, list[str]] = {}
    for name in names:
        for key, value in cursors[name].dialect.items():
            if reading := _READINGS.get((key, value)):
                alike.setdefault(reading, []).append(name)
        if "month" in cursors[name].dialect and not year_of(mapping, name):
            alike.setdefault(_YEARLESS, []).append(name)
        if cursors[name].format != "text" and pattern_of(mapping, name):
            alike.setdefault(_UNPATTERNED, []).append(name)
    for reading, sources in alike.items():
        more = f" and {len(sources) - 1} more" if len(sources) > 1 else ""
        diagnostics.note(f"note: {sources[0]}{more}: {reading}", quiet)


def report_apart(found: Sequence[Apart], quiet: bool) -> None:
    """Print which sources were found to have a numbering of ids of their own, and how to declare that in esctl.toml."""
    for each in found[:MOST_TOLD]:
        shared = f", as are those of {', '.join(each.kin[:MOST_TOLD])}" if each.kin else ""
        diagnostics.note(
            f"note: {each.source} has a numbering of its own: {each.why}; its ids are told apart from theirs{shared}",
            quiet,
        )
    if len(found) > MOST_TOLD:
        diagnostics.note(f"note: so have {len(found) - MOST_TOLD} more sources: esctl config show", quiet)
    alone = [each.source for each in found if not each.kin]
    if not found:
        return
    if alone:
        diagnostics.note('to say so in esctl.toml (or, where they are the same events, otherwise: "store"):', quiet)
    for name in alone[:MOST_TOLD]:
        diagnostics.note(f'  [mapping.sources.{toml_string(glob.escape(name))}]\n  scope = "source"', quiet)


def refuse_unread(store: Store, names: Sequence[str], after: int) -> None:
    """Print which new sources could hardly be read, judged by their records after a position.

    Raises InputError if no record of a source could be read, typer.Exit(1) if more than half could not.
    """
    rows = store.view.relation(["position", "source", "invalid", "data"], None, [f"position > {after}"])
    unread = "count(*) FILTER (invalid IS NOT NULL AND data IS NULL)"
    sql = (
        f"SELECT source, count(*), {unread}, min(invalid), min(position) FROM ({rows}) GROUP BY source ORDER BY source"
    )
    found = {source: rest for source, *rest in store.session.connection.execute(sql).fetchall() if source in set(names)}
    for name, (count, invalid, reason, first) in found.items():
        if invalid == count:
            raise InputError(
                f"{name}: none of its {count} records could be read: {reason}",
                _unread_hint(store, name, first),
            )
    most = {name: rest for name, rest in found.items() if 2 * rest[1] > rest[0]}
    for name, (count, invalid, *_) in most.items():
        diagnostics.note(f"warning: {name}: {invalid} of its {count} records could not be read: esctl log --invalid")
    if most:
        raise typer.Exit(1)


def _unread_hint(store: Store, name: str, at: int) -> str:
    from esctl.log.reader import raw_of
    from esctl.sources.formats.tables import find_dialect

    first = raw_of(store.store_state, range(at, min(store.store_state.head, at + _RECORDS_LOOKED_AT) + 1))
    text = b"".join(raw or b"" for raw in first.values())
    hint = "they are kept: esctl log --invalid; if it is a table, "
    if find_dialect(text, whole=True, named=False) is not None:
        hint += f"it has no header, in a store of its own: esctl ingest --no-header {shell_word(name)} --store NAME"
    else:
        hint += "name its format: --input-format csv"
    is_text = store.store_state.cursors[name].format == "text"
    return hint + "; if a text log, its lines: esctl reindex --pattern 'GROK OR REGEX'" * is_text


def report_homeless(store: Store, count: int, quiet: bool, after: int = 0) -> None:
    """Print how many events after a position have no entity, and for how many of them the mapping intends that.

    If there are several sources, those with such events are listed with their counts.
    """
    from esctl.ask.scope.ignored import count_homeless, count_ignored

    declared = count_ignored(store.scope(), after) if count else 0
    if declared:
        verb = "is" if declared == 1 else "are"
        diagnostics.note(
            f"{_count_events(declared)} of no entity {verb} ignored, as the mapping says: esctl log --ignored", quiet
        )
    if count > declared:
        diagnostics.note(f"note: {_count_events(count - declared)} of no entity: esctl doctor --homeless", quiet)
        found = count_homeless(store.scope(), after) if len(store.view.manifest.sources) > 1 and not quiet else []
        for name, homeless, events in found[:MOST_TOLD]:
            diagnostics.note(f"  {name}: {homeless} of {_count_events(events)}")
        if len(found) > MOST_TOLD:
            diagnostics.note(f"  and some of {len(found) - MOST_TOLD} more sources")


def report_read_twice(store: Store, quiet: bool, after: int = 0) -> None:
    """Print how many events after a position are in another source too, so that they count twice.

    Either the other source is read differently, or the events have no id.
    """
    from esctl.ask.health.read_twice import count_read_twice
    from esctl.ask.health.repeats import count_repeats

    found = count_read_twice(store.scope(), after)
    if found is not None:
        count, source, other = found
        diagnostics.note(
            f"note: {_count_events(count)} of {source} {'is' if count == 1 else 'are'} in {other} too, which is read "
            f"differently, and count twice: esctl doctor --read-twice",
            quiet,
        )
        diagnostics.note(
            'to tell their ids apart no more, in the [mapping.sources] stanza of each: scope = "store"', quiet
        )

    repeated = count_repeats(store.scope(), after)
    if repeated is not None:
        count, source, other = repeated
        diagnostics.note(
            f"note: {_count_events(count)} of {source} {'is' if count == 1 else 'are'} in {other} too, without an id "
            "and in the same words, and count twice: esctl doctor --repeats",
            quiet,
        )


def _count_events(count: int) -> str:
    return "1 event" if count == 1 else f"{count} events"


def report_unzoned(names: Sequence[str], cursors: Mapping[str, Cursor], tz: str, quiet: bool) -> None:
    """Print which known sources had no new record, so that `--tz` does not apply to them."""
    if not names:
        return
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    diagnostics.note(
        f"note: --tz {tz} does not apply to {names[0]}{more}: no new record, and what is known was read in "
        f"{cursors[names[0]].dialect.get('tz', 'UTC')}. It applies from the next record on, to all of them; at once in "
        f"a new store: the same command with --store NAME",
        quiet,
    )


def report_unheeded(found: Sequence[tuple[str, str, str | None]], quiet: bool) -> None:
    """Print which options come too late to change how known sources are read. `found`: source, option, value if any."""
    for name, option, value in found[:MOST_TOLD]:
        given = f"--{option}" if value is None else f"--{option} {shell_word(value)}"
        diagnostics.note(
            f"note: {given} does not apply to {name}, whose first records were read otherwise. "
            "It applies in a new store: the same command with --store NAME",
            quiet,
        )


def _zone_hint(why: str) -> str:
    """Return the hint that defines the zone abbreviation at the end of an unread time; empty if there is none."""
    found = re.search(r" ([A-Z]{2,5})\"?$", why)
    if found is None:
        return ""
    offset = _OFFSETS.get(found[1], "+HH:MM")
    return f'; what {found[1]} is, say in [mapping] of esctl.toml, as: zone_names = {{ {found[1]} = "{offset}" }}'


def report_undated(store: Store, quiet: bool, after: int = 0) -> None:
    """Print how many events after a position are undated, with one of them as an example."""
    from esctl.ask.events.undated import find_undated

    found = find_undated(store.scope(), after) if store.view.manifest.undated else None
    if found is not None:
        count, position, why, source = found
        whole = "" if count < store.view.manifest.events - after else ", which is all of them"
        what = "event has" if count == 1 else "events have"
        diagnostics.note(
            f"note: {count} {what} no time that can be read{whole}; @{position} of {source}: {why}; undated events "
            f"keep their place in the log: esctl doctor --undated{_zone_hint(why)}",
            quiet,
        )


def report_omissions(store: Store, names: Sequence[str], quiet: bool) -> None:
    """Print which sources are change logs whose format leaves something out: truncations, in wal2json's format 1."""
    stanzas, sources = store.view.manifest.stanzas, store.view.manifest.sources
    for name in names:
        cursor, number = store.store_state.cursors.get(name), sources.get(name)
        if cursor is None or number is None or stanzas[number].name != "wal2json":
            continue
        if cursor.dialect.get("records_path") == "change":
            diagnostics.note(
                f"note: {name}: wal2json's format 1 tells no truncations, so rows of a truncated table stay", quiet
            )


def report_clock_changes(store: Store, quiet: bool, after: int = 0) -> None:
    """Print how many events after a position have times that a clock shows twice or never."""
    from esctl.ask.events.undated import count_changed
    from esctl.ask.scope.basis import names_zones

    if not names_zones(store.store_state.cursors.values()):
        return
    twice, never = count_changed(store.scope(), after)
    of = "note: of the times without an offset, read in the zone of --tz,"
    if twice:
        diagnostics.note(
            f"{of} {twice} that its clocks show twice: the first pass is taken, or the second where the order of "
            "records shows it: esctl doctor --clock-change",
            quiet,
        )
    if never:
        diagnostics.note(
            f"{of} {never} that they never show: read with the offset before the gap, and perhaps after times that "
            "follow: esctl doctor --clock-change",
            quiet,
        )


def report_clock(ahead: int, at: int, quiet: bool) -> None:
    """Print that the log was ahead of the clock (in microseconds), so that records are dated by its last commit, `at`.

    A difference of up to CLOCK_SKEW_SECONDS is not reported.
    """
    if ahead > CLOCK_SKEW_SECONDS * 1_000_000:
        from datetime import timedelta

        from esctl.timespec import format_instant

        distance = timedelta(seconds=ahead // 1_000_000)
        diagnostics.note(
            f"note: the log was ahead of this machine's clock by {distance}: a clock once jumped forward, or has gone "
            f"back; till then records are dated by the last commit, {format_instant(at)}: esctl doctor --recording",
            quiet,
        )


def summary_answer(outcome: Outcome, store: Store) -> Answer:
    """Return the summary of an ingest as an answer of one row."""
    from msgspec.structs import asdict

    from esctl.model import Answer

    values = asdict(outcome.summary)
    items = ", ".join(
        f"CAST({value!r} AS {'DECIMAL(18,3)' if name == 'seconds' else 'BIGINT'}) AS {name}"
        for name, value in values.items()
    )
    return Answer(store.session, f"SELECT {items}", summary_columns(), title="ingested")


def summary_columns() -> tuple[Column, ...]:
    """Return the columns of the summary of an ingest."""
    from esctl.model import Column, IngestSummary

    names = IngestSummary.__struct_fields__
    return tuple(Column(name, "number" if name == "seconds" else "integer") for name in names)
