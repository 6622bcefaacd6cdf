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
from esctl.index.envelope.finding.actor import names_one, tells_a_doer
from esctl.index.envelope.finding.bulk import beside_actions, documents
from esctl.index.envelope.finding.finders import FINDERS, find_rest
from esctl.index.envelope.finding.messages import body_of, tombstone_of
from esctl.index.envelope.finding.options import Candidate, candidate, options, unlikeness
from esctl.index.envelope.finding.sampled_fields import (
    SampledField,
    identifies,
    is_time,
    plain_name,
)
from esctl.index.envelope.finding.search import Choice, Search
from esctl.index.envelope.finding.times import told_inside
from esctl.index.envelope.finding.unmet import Unmet
from esctl.index.envelope.mapping import CUSTOM
from esctl.index.envelope.openings import find_openings
from esctl.index.envelope.paths import format_path, parse_path
from esctl.index.envelope.recognise import Recognised, look_up, recognise, recognise_lines, recognise_told
from esctl.index.envelope.times.of_sample import Doubt
from esctl.model import Stanza

PLAIN = CUSTOM
"""Name of the stanza of a plain envelope."""


_ENCODED = {
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
        return _known(lined, samples)
    if (inner := documents(samples)) is not None:
        found = detect(inner, pattern)
        row = Choice("ignore_types", "bulk *", "lines that say what Elasticsearch is to do with the next")
        return replace(found, stanza=beside_actions(found.stanza), rows=(*found.rows, row))
    openings, samples = find_openings(samples)
    known = recognise(samples)
    detection = _known(known, samples) if known else _unknown([alone(sample) for sample in samples], openings)
    if not (known or detection.stanza.entity):
        detection = replace(detection, candidates=(*detection.candidates, *_around(samples)))
    if not openings or (known and known.stanza.name in DIALECTS):
        return detection
    opened = tuple((format_path(path), encoding) for path, encoding in openings)
    rows = [Choice("encoding", path or "record", f"{_ENCODED[encoding]}, opened") for path, encoding in opened]
    stanza = replace(detection.stanza, opened=(*opened, *detection.stanza.opened))
    return replace(detection, stanza=stanza, rows=(*rows, *detection.rows))


def detected_by_preset(name: str, samples: Sequence[object]) -> Detection:
    """Return the mapping of a source that is known, from where it is read, to follow a preset."""
    return _known(recognise_told(name, samples), samples)


def _unknown(samples: Sequence[object], openings: Sequence[Opening]) -> Detection:
    records = [sample for sample in samples if isinstance(sample, dict)]
    body = body_of(records)
    opened = tuple(str(path[0]) for path, _ in openings if len(path) == 1)
    opened = (*opened, *([body] if body is not None and body not in opened else ()))
    detection = _plain_envelope(records, opened)
    found = {row.field for row in detection.rows if not row.path.startswith("=")}
    for place, needed in _places(records, openings, opened, detection):
        if inner := _held_in(place, records, *needed):
            return _with_message(inner, records, detection)
    if inner := _only_held(records, found):
        return _with_message(inner, records, detection)
    if not {"type", "time"} & found and (inner := _told_by_payload(records, detection, opened)):
        return inner
    return detection


def _places(
    records: list[dict[str, Any]], openings: Sequence[Opening], opened: Sequence[str], outer: Detection
) -> Iterator[tuple[Sequence[str | int], tuple[str, ...]]]:
    """Yield where a whole envelope may be inside records that have only part of one, and the fields it must have."""
    found = {row.field for row in outer.rows if row.path[:1] not in ("=", "?")}
    held, sure = _holder(outer.stanza.type), {row.field for row in outer.rows if not row.sure}
    carriers = _carriers(records)
    is_parted = held in opened and held == _holder(outer.stanza.entity)
    is_parted = is_parted or (held in carriers and "entity" not in sure)
    if "type" not in found or "entity" not in found or is_parted:
        deep = [path for path, _ in openings if len(path) > 1]
        carriers = carriers if "type" not in found or is_parted else []
        for place in dict.fromkeys([*((key,) for key in (*opened, *carriers)), *deep]):
            yield place, ("entity",)


def _only_held(records: list[dict[str, Any]], found: Set[str]) -> Detection | None:
    """Return what is found in the only object that may be the event, if records have no id, type or time outside it."""
    if {"id", "type", "time"} & found:
        return None
    # An actor has a name and perhaps a date, and is no event.
    keys = [key for key in sorted(records[0] if records else {}) if not names_one(key)]
    keys = [key for key in keys if all(isinstance(record.get(key), dict) for record in records)]
    inner = [held for key in keys if (held := _held_in((key,), records))]
    return inner[0] if len(inner) == 1 else None


def _with_message(inner: Detection, records: list[dict[str, Any]], outer: Detection) -> Detection:
    """Add tombstones, and their time, to the mapping of events that keyed messages carry."""
    search = Search(records)
    stanza = tombstone_of(search, inner.stanza)
    if not stanza.tombstone:
        return inner
    return replace(
        inner,
        stanza=replace(stanza, time=(*stanza.time, *outer.stanza.time)),
        rows=(*inner.rows, *search.rows),
    )


def _told_by_payload(records: list[dict[str, Any]], detection: Detection, opened: Sequence[str]) -> Detection | None:
    """Look for type and time in the payload of records that have none outside it, such as keyed messages."""
    held = [str(part) for path in detection.stanza.data for part in parse_path(path)]
    found = _plain_envelope(records, (*opened, held[0])) if len(held) == 1 else None
    told = {row.field for row in found.rows if not row.path.startswith("=")} if found else set()
    return found if {"type", "time"} <= told else None


def _holder(paths: Sequence[str]) -> object:
    """Return the name of the top-level object that the first path leads into, or None."""
    parts = parse_path(paths[0]) if paths and not paths[0].startswith("=") else ()
    return parts[0] if len(parts) > 1 else None


def _carriers(records: list[dict[str, Any]]) -> list[str]:
    return sorted({key for record in records for key in record if plain_name(key) in field_names.CARRIERS})


def _around(samples: Sequence[object]) -> tuple[Candidate, ...]:
    """List the fields around records (as around the history of each order) that could be the entity."""
    found = [{WRAPPER: around} for each in samples if (around := around_of(each))]
    return tuple(options(found, "entity"))


def _known(known: Recognised, samples: Sequence[object]) -> Detection:
    stanza = known.stanza
    why = f"preset {stanza.name}: {known.matching} of {len(samples)} sampled records have its fields"
    rows = [Choice("preset", stanza.name, why)]
    if stanza.unwrap:
        rows.append(Choice("unwrap", stanza.unwrap, "the event is inside this field"))
    for name in ("id", "type", "time", "entity", "actor", "correlation", "causation", "sequence", "data"):
        paths = getattr(stanza, name) or (stanza.id_parts if name == "id" else ())
        if paths:
            joined = _shortened(paths, " + " if name in ("id", "sequence") and not stanza.id else " | ")
            rows.append(Choice(name, joined, f"preset {stanza.name}"))
    # The roles of a change log mean something to its dialect only.
    for role, paths in () if stanza.name in DIALECTS else stanza.entities:
        rows.append(Choice("entity", _shortened(paths, " | "), f"preset {stanza.name}, as {role}"))
    if stanza.row_keys and stanza.name in DIALECTS:
        rows.append(Choice("row_keys", _tables(stanza.row_keys), _UNTOLD_KEYS))
    rows.append(Choice("order", stanza.order, f"preset {stanza.name}"))
    return Detection(stanza, tuple(rows))


_UNTOLD_KEYS = "no record tells the key; to say one: --map row_keys.TABLE=COLUMN"


def _tables(keys: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Write which columns name the rows of tables."""
    return _shortened([f"{table or 'rows'}: {', '.join(names) or 'all columns'}" for table, names in keys], " | ")


def _shortened(paths: Sequence[str], between: str) -> str:
    more = f" (and {len(paths) - 3} more)" if len(paths) > 3 else ""
    return between.join(paths[:3]) + more


def _held_in(path: Sequence[str | int], records: list[dict[str, Any]], *needed: str) -> Detection | None:
    """Return what is found in the objects at a path, if most records have one and the needed fields are found."""
    inner = [held for record in records if isinstance(held := look_up(record, path), dict)]
    found = _plain_envelope(inner) if 2 * len(inner) > len(records) else None
    if not found or not {"type", "time", *needed} <= {row.field for row in found.rows if row.path[:1] not in "=?"}:
        return None
    stanza = replace(found.stanza, unwrap=format_path(path))
    row = Choice("unwrap", stanza.unwrap, "the event is inside this field")
    return replace(found, stanza=stanza, rows=(row, *found.rows))


def _plain_envelope(records: list[dict[str, Any]], opened: Sequence[str] = ()) -> Detection:
    search = Search(records, tuple(map(plain_name, opened)))
    for name, find in FINDERS:
        search.add(name, find(search))
    if "data" not in search.found and "entity" in search.found:
        search.add("data", find_rest(search))
    data = search.found.get("data")
    search.add_type_constant()
    before = told_inside(search)
    order = "time" if "time" in search.found else ("sequence" if "sequence" in search.found else "position")
    why = {"time": "by time, then arrival", "sequence": "no time, but a sequence", "position": "no time: by arrival"}
    stanza = Stanza(
        PLAIN,
        **{  # type: ignore[arg-type]
            name: (*before.get(name, ()), *search.paths_of(name)) for name in search.found if name != "data"
        },
        **({} if "type" in search.found else {"type": ("=event",)}),  # type: ignore[arg-type]
        data=(data.text,) if data else (),
        data_without=_envelope_of(search, data, before) if data and data.name in search.opened else (),
        kind=(search.kind.text,) if search.kind else (),
        order=order,  # type: ignore[arg-type]
    )
    stanza = tombstone_of(search, stanza)
    if absent := _nothings(search):
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
        stanza, tuple(search.rows), () if stanza.entity else _candidates(search), tuple(map(candidate, times))
    )


_NOTHINGS = frozenset(
    ("NULL", "null", "\\N", "(null)", "<null>", "None", "nil", "undefined", "N/A", "n/a", "#N/A", "-")
)


def _nothings(search: Search) -> tuple[str, ...]:
    """List the texts that mean nothing, in fields that name an entity, an actor or a tenant."""
    named = [search.found[name] for name in ("entity", "actor", "tenant") if name in search.found]
    return tuple(sorted({value for each in named for value in each.scalars if value in _NOTHINGS}))


def _has_links(search: Search) -> bool:
    """Return whether some types, but not all, are those of an event store's own events (`$>`, `$metadata`)."""
    kind = search.found.get("type")
    own = [str(value).startswith("$") for value in kind.values.values()] if kind else []
    return kind is not None and any(value in ("$>", "$metadata") for value in kind.scalars) and not all(own)


def _envelope_of(search: Search, data: SampledField, before: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """List the members of an opened payload that were found to be envelope."""
    told = (parse_path(path) for paths in before.values() for path in paths)
    inside = [*(found.path for name, found in search.found.items() if name != "entity"), *told]
    return tuple(dict.fromkeys(str(path[-1]) for path in inside if len(path) == 2 and path[0] == data.path[0]))


def _candidates(search: Search) -> tuple[Candidate, ...]:
    """List the fields that could be the entity, the likeliest first: named like one, with many values that repeat."""
    times = {each.path for each in search.fields if is_time(each)}
    usable = [each for each in search.fields if identifies(each) and search.free(each) and each.path not in times]
    open_between = list(search.doubts["entity"].fields) if "entity" in search.doubts else []

    usable.sort(key=lambda each: (tells_a_doer(each), *unlikeness(each)))
    return tuple(map(candidate, [*open_between, *(each for each in usable if each not in open_between)][:8]))
