"""Say how a source is read: as it is configured, else as it was recognised, and on top of either what `--map` says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import convert
from msgspec.structs import replace

from esctl.index.envelope.detect import Detection, detect
from esctl.index.envelope.map_options import with_overrides
from esctl.index.envelope.mapping import RECOGNISED, beside, override, stanza_for
from esctl.index.envelope.openings import find_openings, opened, with_needed
from esctl.index.envelope.payload_keys import openings_of
from esctl.index.envelope.presets import PRESETS
from esctl.index.envelope.recognise import fitted
from esctl.log.store_state import StoreState
from esctl.model import Cursor, MappingConfig, Stanza

Sample = Callable[[], list[Any]]
"""Gives the first records of a source, parsed."""


def stanza_of(
    config: MappingConfig, source: str, recorded: Stanza | None, cursor: Cursor, sample: Sample
) -> tuple[Stanza, Detection | None]:
    """Return the stanza of a source, and what was recognised where that was needed.

    `recorded` is what had been recognised when records of it were erased.
    """
    configured = stanza_for(config, source)
    if configured is not None and configured.name != RECOGNISED:
        stanza = _finished(config, configured, sample, recorded)
        return stanza if recorded is None else replace(stanza, numbering=recorded.numbering), None
    detection = None if recorded is not None else recognised(sample(), cursor)
    found = recorded if detection is None else detection.stanza
    assert found is not None
    stanza = found if configured is None else beside(configured, found)
    told = None if detection is None else with_overrides(detection, stanza, "esctl.toml says so")
    stanza = _finished(config, stanza, sample, found)
    return stanza, None if told is None else with_overrides(told, stanza)


def _finished(config: MappingConfig, stanza: Stanza, sample: Sample, found: Stanza | None) -> Stanza:
    """Lay options over a stanza, and complete it by a sample. `found` is what was recognised, where that is known."""
    if config.overrides:
        stanza = override(stanza, config.overrides)
    openings = find_openings(sample())[0] if found is None else openings_of(found)
    if stanza.name in PRESETS:
        stanza = fitted(stanza, [opened(each, openings) for each in sample()])
    return with_needed(stanza, openings)


def recognised(sample: list[Any], cursor: Cursor) -> Detection:
    """Recognise a source. A document keeps its own payload: from one record it is a guess what its fields are for."""
    detection = detect(sample)
    if cursor.format != "json-document" or detection.stanza.data:
        return detection
    return replace(detection, stanza=replace(detection.stanza, data=("record",)))


def recorded(snapshot: StoreState, source: str) -> Stanza | None:
    """Return what had been recognised in a source when records of it were erased."""
    told = next((each.mappings[source] for each in snapshot.redactions if source in each.mappings), None)
    return convert(told, Stanza) if told is not None else None
