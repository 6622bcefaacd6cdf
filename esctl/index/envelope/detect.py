"""Find the mapping of a source from a sample of its records: a known format, else a plain one by its names."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from esctl.index.envelope import field_names
from esctl.index.envelope.mapping import CUSTOM, format_path
from esctl.index.envelope.recognise import Recognised, recognise
from esctl.index.envelope.sampled_fields import (
    ENOUGH,
    MOSTLY,
    UNNAMED,
    SampledField,
    all_integers,
    describe,
    ends_in_id,
    identifies,
    is_decimal,
    is_placed,
    is_time,
    is_unread_time,
    plain_name,
    time_score,
)
from esctl.model import MARK, Stanza

PLAIN = CUSTOM
"""Name of the stanza of a plain envelope."""

_MAX_PATHS = 400
_MOST_SEEN = 4000


class Choice(Struct, frozen=True):
    """One line of the explanation: the envelope field, where it is, why."""

    field: str
    path: str
    why: str


class Candidate(Struct, frozen=True):
    """A field that could be the entity: its path, how many different values the sample has, a few of them."""

    path: str
    distinct: int
    samples: tuple[str, ...]


class Detection(Struct, frozen=True):
    """What a sample of records tells: the mapping, the reasons, and entity candidates where there is no entity."""

    stanza: Stanza
    rows: tuple[Choice, ...]
    candidates: tuple[Candidate, ...] = ()


def detect(samples: Sequence[object]) -> Detection:
    """Find the mapping of a source from its first records (parsed JSON).

    A known format comes before the plain envelope. Without an entity, `stanza.entity` and `.entities` are empty and
    `candidates` name the fields to choose from.
    """
    known = recognise(samples)
    if known:
        return _known(known, samples)
    records = [sample for sample in samples if isinstance(sample, dict)]
    detection = _plain_envelope(records)
    if not {"id", "type", "time"} & {row.field for row in detection.rows if not row.path.startswith("=")}:
        inner = _unwrapped(records)
        if inner:
            return inner
    return detection


def _known(known: Recognised, samples: Sequence[object]) -> Detection:
    stanza = known.stanza
    why = f"preset {stanza.name}: {known.matching} of {len(samples)} sampled records have its fields"
    rows = [Choice("preset", stanza.name, why)]
    if stanza.unwrap:
        rows.append(Choice("unwrap", stanza.unwrap, "the event is inside this field"))
    for name in ("id", "type", "time", "entity", "actor", "correlation", "causation", "sequence", "data"):
        paths = getattr(stanza, name) or (stanza.id_parts if name == "id" else ())
        if paths:
            more = f" (and {len(paths) - 3} more)" if len(paths) > 3 else ""
            joined = (" + " if name in ("id", "sequence") and not stanza.id else " | ").join(paths[:3])
            rows.append(Choice(name, joined + more, f"preset {stanza.name}"))
    rows.append(Choice("order", stanza.order, f"preset {stanza.name}"))
    return Detection(stanza, tuple(rows))


def _unwrapped(records: list[dict[str, Any]]) -> Detection | None:
    """Look for the envelope one level down, where every record has one object under the same name."""
    shared = [
        key for key in sorted(records[0] if records else {}) if all(isinstance(r.get(key), dict) for r in records)
    ]
    for key in shared:
        found = _plain_envelope([record[key] for record in records])
        if {"type", "time"} <= {row.field for row in found.rows if not row.path.startswith("=")}:
            stanza = replace(found.stanza, unwrap=format_path((key,)))
            row = Choice("unwrap", stanza.unwrap, "the event is inside this field")
            return Detection(stanza, (row, *found.rows), found.candidates)
    return None


def _plain_envelope(records: list[dict[str, Any]]) -> Detection:
    search = _Search(records)
    for name, find in _FINDERS:
        search.add(name, find(search))
    data = search.found.get("data")
    search.add_type_constant()
    order = "time" if "time" in search.found else ("sequence" if "sequence" in search.found else "position")
    why = {"time": "by time, then arrival", "sequence": "no time, but a sequence", "position": "no time: by arrival"}
    stanza = Stanza(
        PLAIN,
        **{name: (found.text,) for name, found in search.found.items() if name != "data"},  # type: ignore[arg-type]
        **({} if "type" in search.found else {"type": ("=event",)}),  # type: ignore[arg-type]
        data=(data.text,) if data else (),
        order=order,  # type: ignore[arg-type]
    )
    sequence = search.found.get("sequence")
    finer = f'; order = "sequence" would fold by {sequence.text}' if sequence and order == "time" else ""
    search.rows.append(Choice("order", order, why[order] + finer))
    return Detection(stanza, tuple(search.rows), () if stanza.entity else _candidates(search))


class _Search(Struct):
    """The fields of a sample and what was chosen so far."""

    records: list[dict[str, Any]]
    fields: list[SampledField] = field(default_factory=list)
    by_name: dict[str, list[tuple[str | None, SampledField]]] = field(default_factory=dict)  # with the object it is in
    found: dict[str, SampledField] = field(default_factory=dict)
    rows: list[Choice] = field(default_factory=list)
    why: str = ""

    def __post_init__(self) -> None:
        found: dict[tuple[str, ...], SampledField] = {}
        for number, record in enumerate(self.records):
            for path, value in _walk(record):
                if value is not None and (path in found or len(found) < _MOST_SEEN):
                    found.setdefault(path, SampledField(path, len(self.records))).values[number] = value
        # In no order of columns: the same log has others in other formats.
        self.fields = sorted(found.values(), key=lambda each: (len(each.path), each.path))[:_MAX_PATHS]
        for each in self.fields:
            holder = plain_name(each.path[0]) if len(each.path) > 1 else None
            self.by_name.setdefault(each.name, []).append((holder, each))

    def add(self, name: str, chosen: SampledField | None) -> None:
        if chosen:
            self.found[name] = chosen
            self.rows.append(Choice(name, chosen.text, self.why))

    def add_type_constant(self) -> None:
        if "type" not in self.found:
            self.rows.append(Choice("type", "=event", "no field names the kind of event"))
        if "data" not in self.found:
            self.rows.append(Choice("data", "record", "the record without the fields above"))

    def free(self, field_: SampledField) -> bool:
        return field_.path not in {chosen.path for chosen in self.found.values()}

    def named(
        self, wanted: Iterable[str], accept: Callable[[SampledField], bool], inside: Iterable[str] = ()
    ) -> SampledField | None:
        """Return the first acceptable field by rank of its name: at the top, then inside objects of the names given."""
        for holders in ((None,), tuple(inside)):
            for name in wanted:
                for holder, each in self.by_name.get(name, ()):
                    if holder in holders and self.free(each) and accept(each):
                        self.why = f"named {each.path[-1]!r}, {describe(each)}"
                        return each
        return None


def _walk(record: dict[str, Any]) -> Iterable[tuple[tuple[str, ...], Any]]:
    for key, value in record.items():
        yield (key,), _unmarked(value)
        if isinstance(value, dict):
            for inner, deep in value.items():
                yield (key, inner), _unmarked(deep)


def _unmarked(value: Any) -> Any:
    """Samples come from judged text, where an exact number may stand as a string."""
    return value[1:] if isinstance(value, str) and value.startswith(MARK) else value


def _find_time(search: _Search) -> SampledField | None:
    """Choose the likeliest time: by its name, then by how many instants it tells apart."""
    usable = [each for each in search.fields if is_placed(each) and search.free(each) and is_time(each)]
    scored = [(score, each) for each in usable if (score := time_score(each)) is not None]
    if not scored:
        return _unread_time(search)
    score, chosen = min(scored, key=lambda pair: (pair[0], pair[1].path))
    named = f"named {chosen.path[-1]!r}" if score[1] < UNNAMED else "its values are times"
    search.why = f"{named}, {describe(chosen)}"
    return chosen


def _unread_time(search: _Search) -> SampledField | None:
    """Choose what is named as a time and looks like one, though nothing of it can be read: its events are undated."""
    usable = [each for each in search.fields if is_placed(each) and search.free(each) and is_unread_time(each)]
    if not usable:
        return None
    chosen = min(usable, key=lambda each: (len(each.path), field_names.TIME.index(each.name)))
    search.why = f"named {chosen.path[-1]!r}, but its values cannot be read, as {chosen.scalars[0]!r:.60}"
    return chosen


def _find_id(search: _Search) -> SampledField | None:
    return search.named(
        field_names.ID,
        lambda each: each.is_scalar and each.share >= MOSTLY and _is_unique(search, each),
        field_names.META,
    )


def _find_type(search: _Search) -> SampledField | None:
    def accept(each: SampledField) -> bool:
        texts = all(isinstance(value, str) and len(value) <= 200 for value in each.values.values())
        texts = texts and not all(re.fullmatch(r"-?\d+(\.\d+)?", str(value)) for value in each.values.values())
        few = each.distinct <= max(8, len(search.records) // 3)
        return texts and each.share >= MOSTLY and (few or each.name in ("type", "eventtype"))

    return search.named(field_names.TYPE, accept, field_names.META)


def _find_sequence(search: _Search) -> SampledField | None:
    def accept(each: SampledField) -> bool:
        return each.share == 1 and all_integers(each) and each.distinct == len(each.values)

    return search.named(field_names.SEQUENCE, accept, field_names.META)


def _find_data(search: _Search) -> SampledField | None:
    def accept(each: SampledField) -> bool:
        objects = sum(isinstance(value, dict) for value in each.values.values())
        return len(each.path) == 1 and each.share > 0.5 and objects >= MOSTLY * len(each.values)

    return search.named(field_names.DATA, accept)


def _find_entity(search: _Search) -> SampledField | None:
    def accept(each: SampledField) -> bool:
        # A vague name is no entity's where its values say that it is one word for all, or a number for each.
        telling = (
            each.name not in field_names.VAGUE or len(each.values) < ENOUGH or 1 < each.distinct < len(each.values)
        )
        return identifies(each) and each.share >= 0.5 and telling

    def repeats(each: SampledField) -> bool:
        return accept(each) and (each.distinct < len(each.values) or len(each.values) < 3)

    ids = [
        f"{thing}{tail}" for tail in ("id", "uuid", "no", "number", "key", "name", "") for thing in field_names.THINGS
    ]

    def settles(each: SampledField) -> bool:
        return accept(each) and (each.distinct < len(each.values) or len(each.values) < ENOUGH)

    by_rank = (
        search.named(field_names.ENTITY, settles, (*field_names.META, *field_names.DATA))
        or search.named(["id"], repeats)
        or search.named(ids, repeats)
        or search.named(field_names.ENTITY, accept, (*field_names.META, *field_names.DATA))
        or search.named(["id"], repeats)
        or search.named(ids, repeats)
    )
    if by_rank:
        return by_rank
    others = [
        each
        for each in search.fields
        if len(each.path) == 1 and search.free(each) and ends_in_id(each) and repeats(each)
    ]
    taken = {*field_names.ACTOR, *field_names.CORRELATION, *field_names.CAUSATION, *field_names.ID}
    others = [each for each in others if each.name not in taken]
    if len(others) == 1:
        search.why = f"the only id whose values repeat, {describe(others[0])}"
        return others[0]
    return None


def _find_actor(search: _Search) -> SampledField | None:
    plain = search.named(field_names.ACTOR, lambda each: each.is_scalar and not is_decimal(each), field_names.META)
    if plain and len(plain.path) == 1:
        return plain
    inside = field_names.INSIDE_ACTOR[1:] + field_names.INSIDE_ACTOR[:1]
    held = [
        (field_names.ACTOR.index(plain_name(each.path[0])), inside.index(each.name), each.path, each)
        for each in search.fields
        if len(each.path) == 2
        and plain_name(each.path[0]) in field_names.ACTOR
        and each.name in inside
        and each.is_scalar
    ]
    if held:
        *_, chosen = min(held, key=lambda found: found[:3])
        search.why = f"named {chosen.text!r}, {describe(chosen)}"
        return chosen
    return plain


def _find_link(wanted: Sequence[str]) -> Callable[[_Search], SampledField | None]:
    return lambda search: search.named(wanted, lambda each: each.is_scalar, field_names.META)


_FINDERS: tuple[tuple[str, Callable[[_Search], SampledField | None]], ...] = (
    ("id", _find_id),
    ("type", _find_type),
    ("time", _find_time),
    ("sequence", _find_sequence),
    ("data", _find_data),
    ("correlation", _find_link(field_names.CORRELATION)),
    ("causation", _find_link(field_names.CAUSATION)),
    ("entity", _find_entity),
    ("actor", _find_actor),
)


def _candidates(search: _Search) -> tuple[Candidate, ...]:
    """Name the fields that could be the entity, the likeliest first: called so, with many values that repeat."""
    times = {each.path for each in search.fields if is_time(each)}
    usable = [each for each in search.fields if identifies(each) and search.free(each) and each.path not in times]

    def likeness(each: SampledField) -> int:
        return field_names.likeness(each.name) + 3 * (1 < each.distinct < len(each.values)) + (each.distinct > 3)

    usable.sort(key=lambda each: (-likeness(each), all_integers(each), -each.share, len(each.path)))
    return tuple(
        Candidate(each.text, each.distinct, tuple(dict.fromkeys(str(value) for value in each.scalars))[:3])
        for each in usable[:8]
    )


def _is_unique(search: _Search, each: SampledField) -> bool:
    """Return whether a field is an id: a value comes again only in a duplicate, rare conflicts apart."""
    contents: dict[str, set[str]] = {}
    for number, value in each.values.items():
        record = json.dumps(search.records[number], sort_keys=True, default=str)
        contents.setdefault(str(value), set()).add(record)
    conflicts = sum(len(records) > 1 for records in contents.values())
    return conflicts <= (max(1, len(contents) // 20) if len(contents) >= 10 else 0)
