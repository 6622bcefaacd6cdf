"""The fields of a sample of records, and the envelope fields that were found among them so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from msgspec import Struct, field

from esctl.index.envelope.finding.sampled_fields import SampledField, describe, plain_name
from esctl.model import MARK

_MAX_PATHS = 400
_MOST_SEEN = 4000
_DEEPEST = 3
_Found = Iterator[tuple[tuple[str | int, ...], Any]]


class Choice(Struct, frozen=True):
    """One line of the explanation: the envelope field, where it is, why."""

    field: str
    path: str
    why: str
    sure: str = ""  # how sure it is, if not certain


LIKELY = "likely"


class Unsure(Struct, frozen=True):
    """An envelope field that any of several fields may be: why it is open, and the fields."""

    why: str
    fields: tuple[SampledField, ...]


class Search(Struct):
    """The fields of a sample and what was chosen so far."""

    records: list[dict[str, Any]]
    opened: tuple[str, ...] = ()  # bare names of fields at the top whose texts were opened
    fields: list[SampledField] = field(default_factory=list)
    by_name: dict[str, list[tuple[str | None, SampledField]]] = field(default_factory=dict)  # with the object it is in
    found: dict[str, SampledField] = field(default_factory=dict)
    rows: list[Choice] = field(default_factory=list)
    why: str = ""
    sure: str = ""
    kind: SampledField | None = None  # the type of the thing whose id is the entity
    space: SampledField | None = None  # the namespace of the entity's name
    schema: SampledField | None = None  # the schema of a table, if the tenant is its database
    clock: SampledField | None = None  # the time of day, if the time has only days
    zone: SampledField | None = None  # the offset of the time
    doubts: dict[str, Unsure] = field(default_factory=dict)

    def __post_init__(self) -> None:
        found: dict[tuple[str | int, ...], SampledField] = {}
        for number, record in enumerate(self.records):
            for path, value in _walk(record):
                if value is not None and (path in found or len(found) < _MOST_SEEN):
                    found.setdefault(path, SampledField(path, len(self.records))).values[number] = value
        # Not in the order of columns, which is another in other formats of the same log.
        self.fields = sorted(found.values(), key=lambda each: (len(each.steps), each.steps))[:_MAX_PATHS]
        for each in self.fields:
            first = plain_name(each.steps[0])
            if len(each.steps) < _DEEPEST:
                self.by_name.setdefault(each.name, []).append((first if len(each.steps) > 1 else None, each))
            if len(each.steps) > 1:
                held = (None if len(each.steps) == 2 else first, each)
                self.by_name.setdefault(each.whole_name, []).append(held)

    def add(self, name: str, chosen: SampledField | None) -> None:
        """Record the field chosen for an envelope field, if any, with the reason in `why`; then reset that."""
        if chosen:
            self.found[name] = chosen
            self.rows.append(Choice(name, " | ".join(self.paths_of(name)), self.why, self.sure))
        self.why = self.sure = ""

    def leave_open(self, name: str, why: str, fields: Iterable[SampledField]) -> None:
        """Record that an envelope field is open, as any of some fields may be it."""
        found = tuple(fields)
        self.doubts[name] = Unsure(why, found)
        self.rows.append(Choice(name, "?", f"{why}: {', '.join(each.text for each in found)}", "unsure"))

    def paths_of(self, name: str) -> tuple[str, ...]:
        """Return the alternatives for an envelope field that was found."""
        path = self.path_of(name)
        if name != "entity" or not self.kind or not self.space:
            return (path,)
        kind, own = f"{{{self.kind.text}}}", f"{{{self.found[name].text}}}"
        return f"{kind}/{{{self.space.text}}}/{own}", path

    def path_of(self, name: str) -> str:
        """Return the alternative for an envelope field that was found, without its namespace."""
        text = self.found[name].text
        if name == "time" and (self.clock or self.zone):
            clock = f" {{{self.clock.text}}}" if self.clock else ""
            return f"{{{text}}}{clock}" + (f"{{{self.zone.text}}}" if self.zone else "")
        if name == "tenant" and self.schema:
            return f"{{{text}}}.{{{self.schema.text}}}"
        return f"{{{self.kind.text}}}/{{{text}}}" if name == "entity" and self.kind else text

    def add_defaults(self) -> None:
        """Add rows with the defaults for type and payload, if no fields were found for them."""
        if "type" not in self.found:
            self.rows.append(Choice("type", "=event", "no field names the kind of event"))
        if "data" not in self.found:
            self.rows.append(Choice("data", "record", "the record without the fields above"))

    def is_free(self, field_: SampledField) -> bool:
        """Return whether a field was not chosen for anything yet."""
        taken = {chosen.path for chosen in self.found.values()}
        beside = [each.path for each in (self.clock, self.zone) if each is not None]
        return field_.path not in taken and field_.path not in beside

    def find_named(
        self, wanted: Iterable[str], accept: Callable[[SampledField], bool], inside: Iterable[str] = ()
    ) -> SampledField | None:
        """Return the first acceptable field by rank of its name: at the top, then in objects so named; or None.

        `why` is set to the reason, with the next best field.
        """
        found = self._by_rank(wanted, accept, inside)
        chosen = next(found, None)
        if chosen is None:
            return None
        second = next(found, None)
        after = f"; the next would be {second.text}" if second else ""
        self.why = f"named {chosen.path[-1]!r}, {describe(chosen)}{after}"
        return chosen

    def find_all_named(
        self, wanted: Iterable[str], accept: Callable[[SampledField], bool], inside: Iterable[str] = ()
    ) -> list[SampledField]:
        """Return all acceptable fields, those with the best names first."""
        return list({each.path: each for each in self._by_rank(wanted, accept, inside)}.values())

    def _by_rank(
        self, wanted: Iterable[str], accept: Callable[[SampledField], bool], inside: Iterable[str]
    ) -> Iterator[SampledField]:
        names = list(wanted)
        for holders in ((None,), tuple(inside)):
            for name in names:
                for holder, each in self.by_name.get(name, ()):
                    if holder in holders and self.is_free(each) and accept(each):
                        yield each


def _walk(record: dict[str, Any], before: tuple[str | int, ...] = (), depth: int = 1) -> _Found:
    """Yield the paths and values of a record, three levels deep; a list of one object is looked into as the object."""
    for key, value in record.items():
        yield (*before, key), _unmarked(value)
        if depth < _DEEPEST and isinstance(value, dict):
            yield from _walk(value, (*before, key), depth + 1)
        elif depth < _DEEPEST and isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
            yield from _walk(value[0], (*before, key, 0), depth + 1)


def _unmarked(value: Any) -> Any:
    """Return a value without its mark: in judged text, an exact number may be a marked string."""
    return value[1:] if isinstance(value, str) and value.startswith(MARK) else value
