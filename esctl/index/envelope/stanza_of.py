"""Choose the stanza of a source: the configured one, else the recognised one, with `--map` options laid over it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import convert
from msgspec.structs import replace

from esctl.index.decode.rows import DIALECTS
from esctl.index.envelope.detect import Detection, detect, detect_by_preset
from esctl.index.envelope.finding.search import Choice
from esctl.index.envelope.finding.unmet import Unmet, find_unmet
from esctl.index.envelope.map_options import with_overrides
from esctl.index.envelope.mapping import CUSTOM, RECOGNISED, is_table, laid_over_recognised, override, stanza_for
from esctl.index.envelope.openings import find_openings, open_sample, with_needed_openings
from esctl.index.envelope.payload_keys import openings_of
from esctl.index.envelope.presets import PRESETS
from esctl.index.envelope.recognise import fit_to_sample, tables_without_key
from esctl.index.envelope.times.of_sample import Blocks, TimesShown, find_times_shown, has_old_times
from esctl.log.store_state import StoreState
from esctl.model import MESSAGE, SCHEMA, Cursor, MappingConfig, Stanza

Sample = Callable[[], list[Any]]
"""Gives the first records of a source, parsed."""


_SCHEMAS = Stanza("schemas", type=("=schema",), order="position", ignore_types=("schema",))
"""The stanza of schemas, which are kept for the records that they decode, and have no entity."""


def stanza_of(
    config: MappingConfig,
    source: str,
    recorded: Stanza | None,
    cursor: Cursor,
    sample: Sample,
    whole: Blocks | None = None,
) -> tuple[Stanza, Detection | None]:
    """Return the stanza of a source, and what was recognised or is in doubt, or None.

    `recorded` is the stanza that had been recognised when records of the source were erased. `whole` gives all records
    of the first commit, in blocks, if the sample does not tell day from month.
    """
    stanza, detection = _choose_stanza(config, source, recorded, cursor, sample)
    if recorded is not None:
        kept = {name: getattr(recorded, name) for name in ("time_format", "newest_first", "old_times")}
        return replace(stanza, **{name: getattr(stanza, name) or value for name, value in kept.items()}), detection
    if not stanza.time:
        return stanza, detection
    if stanza.order != "time":
        return replace(stanza, old_times=has_old_times(stanza, sample())), detection
    shown = find_times_shown(stanza, sample(), whole or (lambda: [sample()]))
    return _with_times(stanza, detection, shown)


def _with_times(stanza: Stanza, detection: Detection | None, shown: TimesShown) -> tuple[Stanza, Detection | None]:
    """Add what the records show about their times to a stanza and its detection."""
    found = replace(stanza, newest_first=shown.newest_first or stanza.newest_first, old_times=shown.old_times)
    rows = []
    if shown.order:
        found = replace(found, time_format=(shown.order,))
        rows.append(Choice("time_format", shown.order, f"{shown.by!r:.60} says so"))
    if shown.newest_first and not stanza.newest_first:
        rows.append(Choice("newest_first", "true", "times run backwards: of one instant, the first record is the last"))
    if detection is None:
        return found, Detection(found, (), doubt=shown.doubt) if shown.doubt else None
    return found, replace(detection, stanza=found, rows=(*detection.rows, *rows), doubt=shown.doubt)


def _with_unmet(
    stanza: Stanza, detection: Detection | None, base: Stanza, cursor: Cursor, sample: Sample
) -> Detection | None:
    """Add to a detection the paths of a stanza, other than those of `base`, that no record of the sample has."""
    if stanza.name in DIALECTS:
        open_tables = [
            Unmet(f"row_keys.{table}", "", column) for table, column in tables_without_key(stanza.name, sample())
        ]
        unmet = tuple(each for each in open_tables if not _is_key_given(stanza, each))
        return replace(detection or Detection(stanza, ()), unmet=unmet) if detection or unmet else None
    if stanza == base or cursor.format == MESSAGE:
        return detection
    unmet = find_unmet(stanza, base, sample())
    if stanza.name == CUSTOM and base.name == CUSTOM and not (stanza.entity or stanza.entities or stanza.time):
        unmet = (*unmet, Unmet("entity", ""))
    return replace(detection or Detection(stanza, ()), unmet=unmet) if unmet else detection


def _is_key_given(stanza: Stanza, each: Unmet) -> bool:
    """Return whether a stanza gives the key of a table that the records leave open."""
    table = each.field.partition(".")[2]
    return any(names and is_table(table, name) for name, names in stanza.row_keys)


def _choose_stanza(
    config: MappingConfig, source: str, recorded: Stanza | None, cursor: Cursor, sample: Sample
) -> tuple[Stanza, Detection | None]:
    if cursor.format == SCHEMA:
        return _SCHEMAS, None
    configured = stanza_for(config, source)
    if configured is not None and configured.name != RECOGNISED:
        stanza = _complete_stanza(config, source, configured, cursor, sample, recorded)
        base = PRESETS[stanza.name].stanza if stanza.name in PRESETS else Stanza(stanza.name)
        explained = _with_unmet(stanza, None, base, cursor, sample)
        return stanza if recorded is None else replace(stanza, numbering=recorded.numbering), explained
    detection = None if recorded is not None else recognise_source(sample(), cursor)
    found = recorded if detection is None else detection.stanza
    assert found is not None
    stanza = found if configured is None else laid_over_recognised(configured, found)
    explained = None if detection is None else with_overrides(detection, stanza, "esctl.toml says so")
    stanza = _complete_stanza(config, source, stanza, cursor, sample, found)
    base = PRESETS[stanza.name].stanza if stanza.name in PRESETS else found
    return stanza, None if explained is None else _with_unmet(
        stanza, with_overrides(explained, stanza), base, cursor, sample
    )


def _complete_stanza(
    config: MappingConfig, source: str, stanza: Stanza, cursor: Cursor, sample: Sample, found: Stanza | None
) -> Stanza:
    """Lay `--map` options over a stanza, and complete it from a sample. `found` is what was recognised, if known."""
    if config.overrides:
        stanza = override(stanza, config.overrides, source)
    if cursor.format == MESSAGE:
        from esctl.index.envelope.of_messages import mapped_in_messages

        preset = PRESETS.get(stanza.name)
        before = found if found is not None and found.name == stanza.name else preset.stanza if preset else Stanza("")
        stanza = mapped_in_messages(before, stanza, sample())
    openings = find_openings(sample())[0] if found is None else openings_of(found)
    if stanza.name in PRESETS:
        stanza = fit_to_sample(stanza, [open_sample(each, openings) for each in sample()])
    return with_needed_openings(stanza, openings)


def recognise_source(sample: list[Any], cursor: Cursor) -> Detection:
    """Recognise a source. A document's payload is the whole record: from one record, its fields would be guesses."""
    if cursor.format == MESSAGE:
        from esctl.index.envelope.of_messages import recognise_messages

        return recognise_messages(sample)
    if (name := cursor.dialect.get("preset", "")) in DIALECTS:
        return detect_by_preset(name, sample)
    detection = detect(sample, cursor.dialect.get("pattern") or cursor.dialect.get("names", ""))
    if cursor.format != "json-document" or detection.stanza.data:
        return detection
    return replace(detection, stanza=replace(detection.stanza, data=("record",)))


def recorded_stanza(store_state: StoreState, source: str) -> Stanza | None:
    """Return the stanza that had been recognised in a source when records of it were erased, or None."""
    mapping = next((each.mappings[source] for each in store_state.redactions if source in each.mappings), None)
    return convert(mapping, Stanza) if mapping is not None else None
