"""Find the mapping of a source from a sample of its records: a known format, else a plain one by its names."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from esctl.errors import UsageError
from esctl.index.decode.times import parse_instant
from esctl.index.envelope import field_names
from esctl.index.envelope.mapping import CUSTOM, format_path
from esctl.index.envelope.presets import Recognised, recognise
from esctl.model import MARK, Stanza

PLAIN = CUSTOM
"""Name of the stanza of a plain envelope."""

_MOSTLY = 0.9
_ENOUGH = 20
"""Records that show whether the values of a field repeat."""
_MAX_PATHS = 400


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


class _Field(Struct):
    """A path of the sampled records: its values (neither missing nor null) by record number."""

    path: tuple[str, ...]
    total: int
    values: dict[int, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return _plain(self.path[-1])

    @property
    def scalars(self) -> list[Any]:
        return [value for value in self.values.values() if isinstance(value, str) or _is_number(value)]

    @property
    def is_scalar(self) -> bool:
        return bool(self.values) and len(self.scalars) == len(self.values)

    @property
    def share(self) -> float:
        return len(self.values) / self.total

    @property
    def distinct(self) -> int:
        return len({str(value) for value in self.scalars})

    @property
    def text(self) -> str:
        return format_path(self.path)


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
    shared = [key for key in (records[0] if records else {}) if all(isinstance(r.get(key), dict) for r in records)]
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
    fields: list[_Field] = field(default_factory=list)
    found: dict[str, _Field] = field(default_factory=dict)
    rows: list[Choice] = field(default_factory=list)
    why: str = ""

    def __post_init__(self) -> None:
        found: dict[tuple[str, ...], _Field] = {}
        for number, record in enumerate(self.records):
            for path, value in _walk(record):
                if value is not None and (path in found or len(found) < _MAX_PATHS):
                    found.setdefault(path, _Field(path, len(self.records))).values[number] = value
        self.fields = list(found.values())

    def add(self, name: str, chosen: _Field | None) -> None:
        if chosen:
            self.found[name] = chosen
            self.rows.append(Choice(name, chosen.text, self.why))

    def add_type_constant(self) -> None:
        if "type" not in self.found:
            self.rows.append(Choice("type", "=event", "no field names the kind of event"))
        if "data" not in self.found:
            self.rows.append(Choice("data", "record", "the record without the fields above"))

    def free(self, field_: _Field) -> bool:
        return field_.path not in {chosen.path for chosen in self.found.values()}

    def named(
        self, wanted: Iterable[str], accept: Callable[[_Field], bool], inside: Iterable[str] = ()
    ) -> _Field | None:
        """Give the first acceptable field by rank of its name: at the top, then inside objects of the names given."""
        inside = tuple(inside)
        for holders in ((), inside):
            for name in wanted:
                for each in self.fields:
                    there = (
                        len(each.path) == 1 if not holders else len(each.path) == 2 and _plain(each.path[0]) in holders
                    )
                    if there and each.name == name and self.free(each) and accept(each):
                        self.why = f"named {each.path[-1]!r}, {_describe(each)}"
                        return each
            if not inside:
                break
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


def _find_time(search: _Search) -> _Field | None:
    found = search.named(field_names.TIME, _is_time, field_names.META)
    if found:
        return found
    for each in search.fields:
        if (
            len(each.path) == 1
            and _is_time(each)
            and all(isinstance(value, str) and "-" in value for value in each.scalars)
        ):
            search.why = f"its values are times, {_describe(each)}"
            return each
    return None


def _find_id(search: _Search) -> _Field | None:
    return search.named(
        field_names.ID,
        lambda each: each.is_scalar and each.share >= _MOSTLY and _is_unique(search, each),
        field_names.META,
    )


def _find_type(search: _Search) -> _Field | None:
    def accept(each: _Field) -> bool:
        texts = all(isinstance(value, str) and len(value) <= 200 for value in each.values.values())
        few = each.distinct <= max(8, len(search.records) // 3)
        return texts and each.share >= _MOSTLY and (few or each.name in ("type", "eventtype"))

    return search.named(field_names.TYPE, accept, field_names.META)


def _find_sequence(search: _Search) -> _Field | None:
    def accept(each: _Field) -> bool:
        return each.share == 1 and _all_integers(each) and each.distinct == len(each.values)

    return search.named(field_names.SEQUENCE, accept, field_names.META)


def _find_data(search: _Search) -> _Field | None:
    def accept(each: _Field) -> bool:
        objects = sum(isinstance(value, dict) for value in each.values.values())
        return len(each.path) == 1 and each.share > 0.5 and objects >= _MOSTLY * len(each.values)

    return search.named(field_names.DATA, accept)


def _find_entity(search: _Search) -> _Field | None:
    def accept(each: _Field) -> bool:
        # A vague name is no entity's where its values say that it is one word for all, or a number for each.
        telling = (
            each.name not in field_names.VAGUE or len(each.values) < _ENOUGH or 1 < each.distinct < len(each.values)
        )
        return _identifies(each) and each.share >= 0.5 and telling

    def repeats(each: _Field) -> bool:
        return accept(each) and (each.distinct < len(each.values) or len(each.values) < 3)

    ids = [
        f"{thing}{tail}" for tail in ("id", "uuid", "no", "number", "key", "name", "") for thing in field_names.THINGS
    ]
    by_rank = (
        search.named(field_names.ENTITY, accept, (*field_names.META, *field_names.DATA))
        or search.named(["id"], repeats)
        or search.named(ids, repeats)
    )
    if by_rank:
        return by_rank
    others = [
        each
        for each in search.fields
        if len(each.path) == 1 and search.free(each) and _ends_in_id(each) and repeats(each)
    ]
    taken = {*field_names.ACTOR, *field_names.CORRELATION, *field_names.CAUSATION, *field_names.ID}
    others = [each for each in others if each.name not in taken]
    if len(others) == 1:
        search.why = f"the only id whose values repeat, {_describe(others[0])}"
        return others[0]
    return None


def _find_actor(search: _Search) -> _Field | None:
    plain = search.named(field_names.ACTOR, lambda each: each.is_scalar and not _is_decimal(each), field_names.META)
    if plain and len(plain.path) == 1:
        return plain
    for name in field_names.INSIDE_ACTOR[1:] + field_names.INSIDE_ACTOR[:1]:
        for each in search.fields:
            if (
                len(each.path) == 2
                and _plain(each.path[0]) in field_names.ACTOR
                and each.name == name
                and each.is_scalar
            ):
                search.why = f"named {each.text!r}, {_describe(each)}"
                return each
    return plain


def _find_link(wanted: Sequence[str]) -> Callable[[_Search], _Field | None]:
    return lambda search: search.named(wanted, lambda each: each.is_scalar, field_names.META)


_FINDERS: tuple[tuple[str, Callable[[_Search], _Field | None]], ...] = (
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
    """Name the fields that could be the entity: those whose values repeat first, then the others, each by place."""
    times = {each.path for each in search.fields if _is_time(each)}
    usable = [each for each in search.fields if _identifies(each) and search.free(each) and each.path not in times]
    usable.sort(
        key=lambda each: (not 1 < each.distinct < len(each.values), not _ends_in_id(each), -each.share, len(each.path))
    )
    return tuple(
        Candidate(each.text, each.distinct, tuple(dict.fromkeys(str(value) for value in each.scalars))[:3])
        for each in usable[:8]
    )


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()


def _ends_in_id(each: _Field) -> bool:
    return bool(re.search(r"(?:[_\-.]|\b)(?:id|key|uuid|no|number)$|[a-z](?:Id|ID|Key|No|Number)$", each.path[-1]))


def _describe(each: _Field) -> str:
    share = "in every record" if each.share == 1 else f"in {each.share:.0%} of the sampled records"
    return f"{share}, {each.distinct} different" if each.is_scalar else share


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal)


def _all_integers(each: _Field) -> bool:
    return all(
        (isinstance(value, int) and not isinstance(value, bool))
        or (isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value))
        for value in each.values.values()
    )


def _is_decimal(each: _Field) -> bool:
    return any(isinstance(value, bool) or _has_fraction(value) for value in each.scalars)


def _has_fraction(value: object) -> bool:
    if isinstance(value, float):
        return not value.is_integer()
    return isinstance(value, Decimal) and value != value.to_integral_value()


def _identifies(each: _Field) -> bool:
    return each.is_scalar and not _is_decimal(each) and all(0 < len(str(value)) <= 1000 for value in each.scalars)


def _is_time(each: _Field) -> bool:
    if not each.is_scalar or each.share < 0.5:
        return False
    readable = sum(_reads_as_time(value) for value in each.scalars)
    return readable >= _MOSTLY * len(each.values)


def _reads_as_time(value: Any) -> bool:
    try:
        instant = parse_instant(str(value), "UTC")
    except UsageError:
        return False
    # A number is only a time where it falls into the years that logs come from, 1980 to 2100.
    numeric = not isinstance(value, str) or re.fullmatch(r"-?[0-9.]+", value)
    return not numeric or 315_532_800_000_000 <= instant < 4_102_444_800_000_000


def _is_unique(search: _Search, each: _Field) -> bool:
    """Say whether a field is an id: a value comes again only in a duplicate, rare conflicts apart."""
    contents: dict[str, set[str]] = {}
    for number, value in each.values.items():
        record = json.dumps(search.records[number], sort_keys=True, default=str)
        contents.setdefault(str(value), set()).add(record)
    conflicts = sum(len(records) > 1 for records in contents.values())
    return conflicts <= (max(1, len(contents) // 20) if len(contents) >= 10 else 0)
