"""Records to events: the envelope as a [mapping] table finds it, roles, duplicates, conflicts."""

from __future__ import annotations

import json as _json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from .times import read_time
from .values import BLANK, MISSING, NUMBER, ConfigError, canonical_number, is_number, parse, to_text

Path = tuple[str | int, ...]
Record = Mapping[str, Any] | str | bytes


@dataclass(frozen=True)
class Event:
    """One record as one entity sees it: role rows of an event share its position; `entity` None concerns nobody."""

    position: int
    recorded_at: int
    time: int
    type: str | None = None
    kind: str = "entity"
    entity: str | None = None
    role: str = ""
    actor: str | None = None
    id: str | None = None
    sequence: tuple[Any, ...] | None = None
    correlation: str | None = None
    causation: str | None = None
    data: Any = MISSING
    duplicate_of: int | None = None  # the first position with this id, for conflicts too
    conflict: bool = False  # it does not say what the first says
    invalid: str | None = None
    undated: bool = False  # `time` is then that of the record before it

    @property
    def folded(self) -> bool:
        return self.invalid is None and self.duplicate_of is None and self.entity is not None


def dump(record: Record) -> bytes:
    """Give a record's bytes, no line terminator: texts and bytes as they are, dicts as JSON with exact decimals."""
    if isinstance(record, bytes):
        return record
    return (record if isinstance(record, str) else _dumps(record)).encode()


def _dumps(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_dumps(key)}: {_dumps(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_dumps, value)) + "]"
    if isinstance(value, Decimal):
        return str(value)  # as written: 1.50 and 1E+3 are the JSON texts wanted
    return _json.dumps(value, ensure_ascii=False)


_SEGMENT = re.compile(r'"(?P<quoted>(?:[^"\\]|\\.)*)"|\[(?P<index>\d+)\]|(?P<plain>[^."\[\]]+)')


def parse_path(text: str) -> Path:
    """Read a dotted path: `data."odd name"`, `items[0].price`."""
    parts: list[str | int] = []
    at = 0
    while at < len(text):
        if parts and text[at] == ".":
            at += 1
        match = _SEGMENT.match(text, at)
        if match is None:
            raise ConfigError(f"{text!r} is not a path")
        at = match.end()
        if match["index"] is not None:
            parts.append(int(match["index"]))
        else:
            quoted = match["quoted"]
            parts.append(match["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
    return tuple(parts)


def follow(value: Any, path: Path) -> Any:
    """Give what a path leads to, MISSING where it leads nowhere."""
    for part in path:
        if isinstance(part, int):
            found = isinstance(value, list) and part < len(value)
        else:
            found = isinstance(value, dict) and part in value
        if not found:
            return MISSING
        value = value[part]
    return value


class Envelope:
    """A [mapping] table: finds each envelope field of a record."""

    def __init__(self, mapping: Mapping[str, Any]) -> None:
        self.mapping = mapping
        self.roles: dict[str, Any] = {"": mapping["entity"]} if "entity" in mapping else {}
        self.roles |= mapping.get("entities", {})
        self.order: str = mapping.get("order") or ("sequence" if "sequence" in mapping else "time")
        if self.order not in ("time", "position", "sequence"):
            raise ConfigError(f"unknown order {self.order!r}")

    def rows(self, position: int, recorded_at: int, raw: bytes) -> list[Event]:
        """Read one record: one row per role whose path is there, else one row without an entity."""
        bare = Event(position, recorded_at, recorded_at)
        try:
            record = parse(raw.decode("utf-8").removeprefix("\ufeff"))
            event = self._timed(bare, record)
        except (ValueError, OverflowError, RecursionError) as problem:
            return [replace(bare, invalid=str(problem) or "not JSON")]
        event = replace(
            event,
            type="(tombstone)" if self._is_tombstone(record) else to_text(self._value(record, "type")),
            actor=to_text(self._value(record, "actor")),
            correlation=to_text(self._value(record, "correlation")),
            causation=to_text(self._value(record, "causation")),
            id=self._id(record),
            sequence=self._sequence(record),
            data=self._data(record),
        )
        concerned = [(role, found) for role, value in self.roles.items() for found in find_each(record, value)]
        rows = [self._concerning(event, record, role, entity) for role, entity in concerned if entity is not None]
        return rows or [event]

    def _is_tombstone(self, record: Any) -> bool:
        paths = self.mapping.get("tombstone", [])
        return any(follow(record, parse_path(path)) is None for path in ([paths] if isinstance(paths, str) else paths))

    def _timed(self, bare: Event, record: Any) -> Event:
        time = self._value(record, "time")
        try:
            return replace(bare, undated=True) if time in (None, "") else replace(bare, time=read_time(time))
        except (ValueError, OverflowError):
            return replace(bare, undated=True)

    def _concerning(self, event: Event, record: Any, role: str, entity: str) -> Event:
        kind = to_text(self._value(record, "kind"))
        return replace(event, entity=entity, role=role, kind=kind if kind is not None else kind_of(entity))

    def _value(self, record: Any, key: str) -> Any:
        return find(record, self.mapping[key]) if key in self.mapping else None

    def _id(self, record: Any) -> str | None:
        mapped = self.mapping.get("id", [])
        parts = [to_text(find(record, part)) for part in (mapped if isinstance(mapped, list) else [mapped])]
        return " ".join(part for part in parts if part is not None) if parts and None not in parts else None

    def _sequence(self, record: Any) -> tuple[Any, ...] | None:
        mapped = self.mapping.get("sequence", [])
        parts = tuple(find(record, part) for part in (mapped if isinstance(mapped, list) else [mapped]))
        return parts if parts and None not in parts else None

    def _data(self, record: Any) -> Any:
        if "data" in self.mapping:
            mapped = self.mapping["data"]
            found = [follow(record, _record_path(path)) for path in (mapped if isinstance(mapped, list) else [mapped])]
            return next((value for value in found if value is not MISSING), MISSING)
        if not isinstance(record, dict):
            return record
        mapped = {path[0] for path in self._paths() if len(path) == 1}
        return {key: value for key, value in record.items() if key not in mapped}

    def _paths(self) -> list[Path]:
        keys = ("id", "type", "time", "entity", "kind", "actor", "correlation", "causation", "sequence")
        values = [self.mapping[key] for key in keys if key in self.mapping] + list(self.roles.values())
        flat = [item for value in values for item in (value if isinstance(value, list) else [value])]
        return [path for item in flat for path in _paths_of(item) if "[*]" not in str(item)]


def _record_path(text: str) -> Path:
    path = parse_path(text)
    return path[1:] if path[0] == "record" else path


def _paths_of(value: Any) -> list[Path]:
    if not isinstance(value, str):
        return []
    return [_record_path(name) for name in re.findall(r"\{([^}]+)\}", value) or [value]]


def find_each(record: Any, value: Any) -> list[str | None]:
    """Give the texts that a mapping value finds, of each element of an array where it names one, each text once."""
    items = value if isinstance(value, list) else [value]
    for i, item in enumerate(items):
        if "[*]" not in str(item):
            found = [to_text(find(record, item))]
        else:
            array = re.search(r"[^{}]*\[\*\]", item)[0].removesuffix("[*]")  # type: ignore[index]
            alike = [other for other in items[i:] if isinstance(other, str) and f"{array}[*]" in other]
            numbers = _numbers(record, array)
            texts = [to_text(find(record, [other.replace(f"{array}[*]", n) for other in alike])) for n in numbers]
            found = list(dict.fromkeys(text for text in texts if text not in (None, "")))
        if found and found != [None]:
            return found
    return []


def _numbers(record: Any, array: str) -> list[str]:
    """Write the path of each element of an array, which may be one of each element of another."""
    outer, each, inner = array.rpartition("[*]")
    paths = [f"{path}{inner}" for path in _numbers(record, outer)] if each else [array]
    found = [(path, follow(record, _record_path(path))) for path in paths]
    return [f"{path}[{n}]" for path, value in found if isinstance(value, list) for n in range(len(value))]


def find(record: Any, value: Any) -> Any:
    """Give what a mapping value finds, None for absent or JSON null.

    A value is a path, a template with paths in braces, a list of these (the first present) or {const = text}.
    """
    if isinstance(value, Mapping):
        return value["const"]
    if isinstance(value, list):
        return next((found for item in value if (found := find(record, item)) is not None), None)
    if "{" in value:
        names = re.findall(r"\{([^}]+)\}", value)
        texts = [to_text(follow(record, _record_path(name))) for name in names]
        if None in texts or "" in texts:
            return None
        filled = iter(texts)
        return re.sub(r"\{[^}]+\}", lambda _: next(filled) or "", value)
    found = follow(record, _record_path(value))
    return None if found is MISSING else found


_KIND = re.compile(r"([A-Za-z][A-Za-z0-9_]*)[-/:](\d+|[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12})")


def kind_of(entity: str) -> str:
    """Give the word before the separator where a number or UUID follows, else "entity"."""
    match = _KIND.fullmatch(entity)
    return match[1] if match else "entity"


def sequence_key(parts: tuple[Any, ...]) -> tuple[tuple[int, Any], ...]:
    """Order sequences left to right: numbers (also those written as text) by value, then texts by code point."""
    return tuple(_part_key(part) for part in parts)


def _part_key(part: Any) -> tuple[int, Any]:
    text = canonical_number(part) if is_number(part) else to_text(part)
    assert text is not None
    if re.fullmatch("[0-9A-F]{1,8}/[0-9A-F]{1,8}", text):
        high, low = text.split("/")
        return (0, Decimal(int(high, 16) * 2**32 + int(low, 16)))
    return (0, Decimal(text)) if NUMBER.fullmatch(text) else (1, text)


FIRST = -62_135_596_800 * 10**6
"""The beginning of the year 1, where what has no time before the first that has one is folded."""


def content(raw: bytes) -> object:
    """Return what a record says: neither blanks nor the order of keys count."""

    def ordered(value: Any) -> Any:
        if isinstance(value, dict):
            return {"object": [(key, ordered(value[key])) for key in sorted(value)]}
        return [ordered(item) for item in value] if isinstance(value, list) else value

    trimmed = raw.removeprefix(b"\xef\xbb\xbf").strip(BLANK.encode())
    try:
        return repr(ordered(_json.loads(trimmed, parse_float=Decimal)))
    except ValueError:
        return trimmed


def read_events(
    envelope: Envelope,
    records: Sequence[Record],
    recorded_at: Sequence[int],
    numberings: Sequence[object] | None = None,
) -> list[Event]:
    """Read records in order of arrival (positions from 1); an id seen before makes a duplicate or a conflict.

    `numberings` tells for each record whose ids it has, where several give the same: of the same content under one id,
    events are one in all of them; of other content, only within one.
    """
    first: dict[str, dict[object, tuple[int, object]]] = {}
    rows: list[Event] = []
    last: dict[object, int] = {}
    numbers = numberings or [None] * len(records)
    for position, (record, at, number) in enumerate(zip(records, recorded_at, numbers, strict=True), start=1):
        raw = dump(record)
        said = content(raw)
        made = envelope.rows(position, at, raw)
        key = made[0].id
        if key is not None and made[0].invalid is None:
            known = first.setdefault(key, {})
            own = known.get(number)
            same = sorted(seen for seen in known.values() if seen[1] == said)
            found = own if own in same else same[0] if same else own
            if found is None:
                known[number] = (position, said)
            else:
                made = [replace(row, duplicate_of=found[0], conflict=not same) for row in made]
        rows += made
        if made[0].invalid is None:
            before = last.get(number, FIRST) if "time" in envelope.mapping else at
            last[number] = before if made[0].undated else made[0].time
            rows[-len(made) :] = [replace(row, time=last[number]) for row in made]
    return rows
