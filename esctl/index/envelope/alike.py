"""One stanza for one log in several files: a source that leaves something open is read like a similar one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from esctl.index.decode.times.python import instant_of
from esctl.index.decode.times.reading import reading_of
from esctl.index.envelope.detect import PLAIN, Detection
from esctl.index.envelope.finding.search import Choice
from esctl.index.envelope.openings import open_sample
from esctl.index.envelope.payload_keys import openings_of
from esctl.index.envelope.times.of_sample import texts_at
from esctl.model import Stanza

FEWEST_RECORDS = 12
"""Fewer records than this do not show how values repeat."""
_MOSTLY = 0.9
_COMPARED = ("id", "type", "time", "entity", "actor", "sequence", "data")


def find_known_stanza(
    found: Detection, sample: Sequence[Any], known: Mapping[Stanza, str]
) -> tuple[Stanza, Detection] | None:
    """Return the one known stanza that fits a source, if the source leaves something open or has few records.

    None if the source is read by itself. `known` are the stanzas of earlier sources, each with a source of it.
    """
    is_open = bool(found.doubt or found.times or (found.candidates and not found.stanza.entity))
    if found.stanza.name != PLAIN or found.stanza.pattern or not (is_open or len(sample) < FEWEST_RECORDS):
        return None
    likely = {
        stanza: name
        for stanza, name in known.items()
        if stanza.name == PLAIN and stanza.entity and _has_form(stanza, found.stanza, is_open)
    }
    fitting = {
        _without_numbering(each): (name, each) for each, name in [*likely.items()][::-1] if _fits_sample(each, sample)
    }
    if len(fitting) != 1 or (_without_numbering(found.stanza) in fitting and not is_open):
        return None
    ((name, stanza),) = fitting.values()
    stanza = replace(stanza, numbering=0, newest_first=found.stanza.newest_first)
    return stanza, Detection(stanza, _choice_rows(found, stanza, name))


def _has_form(stanza: Stanza, own: Stanza, is_open: bool) -> bool:
    """Return whether a stanza has the payload and id of a source's own stanza, and its type if nothing is open."""
    form = (stanza.data, stanza.data_without, stanza.unwrap, stanza.opened, stanza.id)
    return form == (own.data, own.data_without, own.unwrap, own.opened, own.id) and (is_open or stanza.type == own.type)


def _without_numbering(stanza: Stanza) -> Stanza:
    return replace(stanza, numbering=0, newest_first=None)


def _fits_sample(stanza: Stanza, sample: Sequence[Any]) -> bool:
    records = [open_sample(each, openings_of(stanza)) for each in sample]
    columns = [list(texts_at(stanza, getattr(stanza, name), records)) for name in ("type", "time", "entity")]
    if not records or any(len(column) < _MOSTLY * len(records) for column in columns):
        return False
    reading = reading_of(stanza)
    return not stanza.time or all(instant_of(text, "UTC", reading) is not None for text in columns[1])


def _choice_rows(found: Detection, stanza: Stanza, name: str) -> tuple[Choice, ...]:
    rows = [Choice("mapping", name, "read as that one is: its records have these fields")]
    for field in _COMPARED:
        known, own = getattr(stanza, field), getattr(found.stanza, field)
        if known:
            by_itself = f"; by itself it would be {' | '.join(own) or 'open'}" if known != own else ""
            rows.append(Choice(field, " | ".join(known), f"as in {name}{by_itself}"))
    if stanza.time_format:
        rows.append(Choice("time_format", " | ".join(stanza.time_format), f"as in {name}"))
    rows.append(Choice("order", stanza.order, f"as in {name}"))
    return tuple(rows)
