"""Find the mapping of a source from a sample of its records: a known format, else a plain envelope by its names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from esctl.index.decode.encodings import EXTENDED, Opening
from esctl.index.decode.rows import DIALECTS
from esctl.index.decode.surrounded import WRAPPER, alone, around_of
from esctl.index.envelope.finding import field_names
from esctl.index.envelope.finding.actor import may_name_an_actor, surely_names_an_actor
from esctl.index.envelope.finding.bulk import drop_action_lines, with_action_lines
from esctl.index.envelope.finding.finders import FINDERS, find_remaining_object
from esctl.index.envelope.finding.messages import body_name, with_tombstone
from esctl.index.envelope.finding.options import Candidate, describe_candidate, list_candidates, unlikeness
from esctl.index.envelope.finding.sampled_fields import (
    SampledField,
    identifies,
    is_time,
    plain_name,
)
from esctl.index.envelope.finding.search import Choice, Search
from esctl.index.envelope.finding.times import time_beside_type
from esctl.index.envelope.finding.unmet import Unmet
from esctl.index.envelope.mapping import CUSTOM
from esctl.index.envelope.openings import find_openings
from esctl.index.envelope.paths import format_path, look_up, parse_path
from esctl.index.envelope.recognise import Recognised, recognise, recognise_as, recognise_lines
from esctl.index.envelope.times.of_sample import Doubt
from esctl.model import Stanza

PLAIN = CUSTOM
"""Name of the stanza of a plain envelope."""


_ENCODING_LABELS = {
    "json": "JSON in a text",
    "hex": "JSON as hexadecimal digits",
    "base64": "JSON as base64",
    "gzip": "JSON, compressed",
    "struct": "a row in a text, as Athena prints it",
    EXTENDED: "MongoDB's extended JSON",
}


class Detection(Struct, frozen=True):
    """What a sample of records shows: the mapping, the reasons for it, and candidates for the entity if that is open.

    `times` are candidates for the time if several are equally likely; the stanza then has none.
    """

    stanza: Stanza
    rows: tuple[Choice, ...]
    candidates: tuple[Candidate, ...] = ()
    times: tuple[Candidate, ...] = ()
    doubt: Doubt | None = None  # of a time whose day and month cannot be told apart
    unmet: tuple[Unmet, ...] = ()  # what the mapping says, and no record of the sample has


def detect(samples: Sequence[object], pattern: str = "") -> Detection:
    """Find the mapping of a source from its first records (parsed JSON).

    `pattern` is that of a text log's lines; it may be the name of a known format.

    A known format comes before the plain envelope. Without an entity, `stanza.entity` and `.entities` are empty and
    `candidates` name the fields to choose from.
    """
    if lined := recognise_lines(pattern, samples):
        return _explain_known(lined, samples)
    if (inner := drop_action_lines(samples)) is not None:
        found = detect(inner, pattern)
        row = Choice("ignore_types", "bulk *", "lines that say what Elasticsearch is to do with the next")
        return replace(found, stanza=with_action_lines(found.stanza), rows=(*found.rows, row))
    openings, samples = find_openings(samples)
    known = recognise(samples)
    detection = (
        _explain_known(known, samples) if known else _detect_unknown([alone(sample) for sample in samples], openings)
    )
    if not (known or detection.stanza.entity):
        detection = replace(detection, candidates=(*detection.candidates, *_candidates_around(samples)))
    if not openings or (known and known.stanza.name in DIALECTS):
        return detection
    opened = tuple((format_path(path), encoding) for path, encoding in openings)
    rows = [Choice("encoding", path or "record", f"{_ENCODING_LABELS[encoding]}, opened") for path, encoding in opened]
    stanza = replace(detection.stanza, opened=(*opened, *detection.stanza.opened))
    return replace(detection, stanza=stanza, rows=(*rows, *detection.rows))


def detect_by_preset(name: str, samples: Sequence[object]) -> Detection:
    """Return the mapping of a source that is known, from where it is read, to follow a preset."""
    return _explain_known(recognise_as(name, samples), samples)


def _detect_unknown(samples: Sequence[object], openings: Sequence[Opening]) -> Detection:
    records = [sample for sample in samples if isinstance(sample, dict)]
    body = body_name(records)
    opened = tuple(str(path[0]) for path, _ in openings if len(path) == 1)
    opened = (*opened, *([body] if body is not None and body not in opened else ()))
    detection = _detect_plain(records, opened)
    found = {row.field for row in detection.rows if not row.path.startswith("=")}
    for place, needed in _places_of_events(records, openings, opened, detection):
        if inner := _detect_inside(place, records, *needed):
            return _with_tombstones(inner, records, detection)
    if inner := _detect_only_object(records, found):
        return _with_tombstones(inner, records, detection)
    if not {"type", "time"} & found and (inner := _detect_by_payload(records, detection, opened)):
        return inner
    return detection


def _places_of_events(
    records: list[dict[str, Any]], openings: Sequence[Opening], opened: Sequence[str], outer: Detection
) -> Iterator[tuple[Sequence[str | int], tuple[str, ...]]]:
    """Yield where a whole envelope may be inside records that have only part of one, and the fields it must have."""
    found = {row.field for row in outer.rows if row.path[:1] not in ("=", "?")}
    held, sure = _top_level_holder(outer.stanza.type), {row.field for row in outer.rows if not row.sure}
    carriers = _carrier_names(records)
    is_parted = held in opened and held == _top_level_holder(outer.stanza.entity)
    is_parted = is_parted or (held in carriers and "entity" not in sure)
    if "type" not in found or "entity" not in found or is_parted:
        deep = [path for path, _ in openings if len(path) > 1]
        carriers = carriers if "type" not in found or is_parted else []
        for place in dict.fromkeys([*((key,) for key in (*opened, *carriers)), *deep]):
            yield place, ("entity",)


def _detect_only_object(records: list[dict[str, Any]], found: Set[str]) -> Detection | None:
    """Return what is found in the only object that may be the event, if records have no id, type or time outside it."""
    if {"id", "type", "time"} & found:
        return None
    # An actor has a name and perhaps a date, and is no event.
    keys = [key for key in sorted(records[0] if records else {}) if not may_name_an_actor(key)]
    keys = [key for key in keys if all(isinstance(record.get(key), dict) for record in records)]
    inner = [held for key in keys if (held := _detect_inside((key,), records))]
    return inner[0] if len(inner) == 1 else None


def _with_tombstones(inner: Detection, records: list[dict[str, Any]], outer: Detection) -> Detection:
    """Add tombstones, and their time, to the mapping of events that keyed messages carry."""
    search = Search(records)
    stanza = with_tombstone(search, inner.stanza)
    if not stanza.tombstone:
        return inner
    return replace(
        inner,
        stanza=replace(stanza, time=(*stanza.time, *outer.stanza.time)),
        rows=(*inner.rows, *search.rows),
    )


def _detect_by_payload(records: list[dict[str, Any]], detection: Detection, opened: Sequence[str]) -> Detection | None:
    """Look for type and time in the payload of records that have none outside it, such as keyed messages."""
    held = [str(part) for path in detection.stanza.data for part in parse_path(path)]
    found = _detect_plain(records, (*opened, held[0])) if len(held) == 1 else None
    fields = {row.field for row in found.rows if not row.path.startswith("=")} if found else set()
    return found if {"type", "time"} <= fields else None


def _top_level_holder(paths: Sequence[str]) -> object:
    """Return the name of the top-level object that the first path leads into, or None."""
    parts = parse_path(paths[0]) if paths and not paths[0].startswith("=") else ()
    return parts[0] if len(parts) > 1 else None


def _carrier_names(records: list[dict[str, Any]]) -> list[str]:
    return sorted({key for record in records for key in record if plain_name(key) in field_names.CARRIERS})


def _candidates_around(samples: Sequence[object]) -> tuple[Candidate, ...]:
    """List the fields around records (as around the history of each order) that could be the entity."""
    found = [{WRAPPER: around} for each in samples if (around := around_of(each))]
    return tuple(list_candidates(found, "entity"))


def _explain_known(known: Recognised, samples: Sequence[object]) -> Detection:
    stanza = known.stanza
    why = f"preset {stanza.name}: {known.matching} of {len(samples)} sampled records have its fields"
    rows = [Choice("preset", stanza.name, why)]
    if stanza.unwrap:
        rows.append(Choice("unwrap", stanza.unwrap, "the event is inside this field"))
    for name in ("id", "type", "time", "entity", "actor", "correlation", "causation", "sequence", "data"):
        paths = getattr(stanza, name) or (stanza.id_parts if name == "id" else ())
        if paths:
            joined = _join_first(paths, " + " if name in ("id", "sequence") and not stanza.id else " | ")
            rows.append(Choice(name, joined, f"preset {stanza.name}"))
    # The roles of a change log mean something to its dialect only.
    for role, paths in () if stanza.name in DIALECTS else stanza.entities:
        rows.append(Choice("entity", _join_first(paths, " | "), f"preset {stanza.name}, as {role}"))
    if stanza.row_keys and stanza.name in DIALECTS:
        rows.append(Choice("row_keys", _format_row_keys(stanza.row_keys), _KEY_UNKNOWN))
    rows.append(Choice("order", stanza.order, f"preset {stanza.name}"))
    return Detection(stanza, tuple(rows))


_KEY_UNKNOWN = "no record tells the key; to say one: --map row_keys.TABLE=COLUMN"


def _format_row_keys(keys: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Write which columns name the rows of tables."""
    return _join_first([f"{table or 'rows'}: {', '.join(names) or 'all columns'}" for table, names in keys], " | ")


def _join_first(paths: Sequence[str], between: str) -> str:
    more = f" (and {len(paths) - 3} more)" if len(paths) > 3 else ""
    return between.join(paths[:3]) + more


def _detect_inside(path: Sequence[str | int], records: list[dict[str, Any]], *needed: str) -> Detection | None:
    """Return what is found in the objects at a path, if most records have one and the needed fields are found."""
    inner = [held for record in records if isinstance(held := look_up(record, path), dict)]
    found = _detect_plain(inner) if 2 * len(inner) > len(records) else None
    if not found or not {"type", "time", *needed} <= {row.field for row in found.rows if row.path[:1] not in "=?"}:
        return None
    stanza = replace(found.stanza, unwrap=format_path(path))
    row = Choice("unwrap", stanza.unwrap, "the event is inside this field")
    return replace(found, stanza=stanza, rows=(row, *found.rows))


def _detect_plain(records: list[dict[str, Any]], opened: Sequence[str] = ()) -> Detection:
    search = Search(records, tuple(map(plain_name, opened)))
    for name, find in FINDERS:
        search.add(name, find(search))
    if "data" not in search.found and "entity" in search.found:
        search.add("data", find_remaining_object(search))
    data = search.found.get("data")
    search.add_defaults()
    before = time_beside_type(search)
    order = "time" if "time" in search.found else ("sequence" if "sequence" in search.found else "position")
    why = {"time": "by time, then arrival", "sequence": "no time, but a sequence", "position": "no time: by arrival"}
    stanza = Stanza(
        PLAIN,
        **{  # type: ignore[arg-type]
            name: (*before.get(name, ()), *search.paths_of(name)) for name in search.found if name != "data"
        },
        **({} if "type" in search.found else {"type": ("=event",)}),  # type: ignore[arg-type]
        data=(data.text,) if data else (),
        data_without=_envelope_members(search, data, before) if data and data.name in search.opened else (),
        kind=(search.kind.text,) if search.kind else (),
        order=order,  # type: ignore[arg-type]
    )
    stanza = with_tombstone(search, stanza)
    if absent := _texts_for_nothing(search):
        stanza = replace(stanza, absent=absent)
        search.rows.append(Choice("absent", " | ".join(absent), "stands for nothing, and names neither thing nor doer"))
    if _has_links(search):
        stanza = replace(stanza, ignore_types=("$*",))
        search.rows.append(Choice("ignore_types", "$*", "links and system events of an event store"))
    sequence = search.found.get("sequence")
    finer = f'; order = "sequence" would fold by {sequence.text}' if sequence and order == "time" else ""
    search.rows.append(Choice("order", order, why[order] + finer))
    times = search.doubts["time"].fields if "time" in search.doubts else ()
    return Detection(
        stanza, tuple(search.rows), () if stanza.entity else _candidates(search), tuple(map(describe_candidate, times))
    )


_TEXTS_FOR_NOTHING = frozenset(
    ("NULL", "null", "\\N", "(null)", "<null>", "None", "nil", "undefined", "N/A", "n/a", "#N/A", "-")
)


def _texts_for_nothing(search: Search) -> tuple[str, ...]:
    """List the texts that mean nothing, in fields that name an entity, an actor or a tenant."""
    named = [search.found[name] for name in ("entity", "actor", "tenant") if name in search.found]
    return tuple(sorted({value for each in named for value in each.scalars if value in _TEXTS_FOR_NOTHING}))


def _has_links(search: Search) -> bool:
    """Return whether some types, but not all, are those of an event store's own events (`$>`, `$metadata`)."""
    kind = search.found.get("type")
    own = [str(value).startswith("$") for value in kind.values.values()] if kind else []
    return kind is not None and any(value in ("$>", "$metadata") for value in kind.scalars) and not all(own)


def _envelope_members(search: Search, data: SampledField, before: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """List the members of an opened payload that were found to be envelope."""
    earlier = (parse_path(path) for paths in before.values() for path in paths)
    inside = [*(found.path for name, found in search.found.items() if name != "entity"), *earlier]
    return tuple(dict.fromkeys(str(path[-1]) for path in inside if len(path) == 2 and path[0] == data.path[0]))


def _candidates(search: Search) -> tuple[Candidate, ...]:
    """List the fields that could be the entity, the likeliest first: named like one, with many values that repeat."""
    times = {each.path for each in search.fields if is_time(each)}
    usable = [each for each in search.fields if identifies(each) and search.is_free(each) and each.path not in times]
    open_between = list(search.doubts["entity"].fields) if "entity" in search.doubts else []

    usable.sort(key=lambda each: (surely_names_an_actor(each), *unlikeness(each)))
    return tuple(map(describe_candidate, [*open_between, *(each for each in usable if each not in open_between)][:8]))
