"""The fields of a sample of records, and what of an envelope was found among them so far."""

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
    sure: str = ""  # how sure it is, where it is not certain


LIKELY = "likely"


class Unsure(Struct, frozen=True):
    """An envelope field that any of several fields may be: why nothing speaks for one of them, and the fields."""

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
    kind: SampledField | None = None  # that names, together with the entity that was found, one thing
    space: SampledField | None = None  # in which the entity that was found has its name
    schema: SampledField | None = None  # that tells, behind the tenant that was found, whose a table is
    clock: SampledField | None = None  # that tells the time of the day that was found
    zone: SampledField | None = None  # that tells the offset of the time that was found
    doubts: dict[str, Unsure] = field(default_factory=dict)

    def __post_init__(self) -> None:
        found: dict[tuple[str | int, ...], SampledField] = {}
        for number, record in enumerate(self.records):
            for path, value in _walk(record):
                if value is not None and (path in found or len(found) < _MOST_SEEN):
                    found.setdefault(path, SampledField(path, len(self.records))).values[number] = value
        # In no order of columns: the same log has others in other formats.
        self.fields = sorted(found.values(), key=lambda each: (len(each.steps), each.steps))[:_MAX_PATHS]
        for each in self.fields:
            first = plain_name(each.steps[0])
            if len(each.steps) < _DEEPEST:
                self.by_name.setdefault(each.name, []).append((first if len(each.steps) > 1 else None, each))
            if len(each.steps) > 1:
                held = (None if len(each.steps) == 2 else first, each)
                self.by_name.setdefault(each.whole_name, []).append(held)

    def add(self, name: str, chosen: SampledField | None) -> None:
        """Take a field for an envelope field, for the reason in `why`."""
        if chosen:
            self.found[name] = chosen
            self.rows.append(Choice(name, " | ".join(self.paths_of(name)), self.why, self.sure))
        self.why = self.sure = ""

    def doubt(self, name: str, why: str, fields: Iterable[SampledField]) -> None:
        """Leave an envelope field open, and say so: any of some fields may be it."""
        found = tuple(fields)
        self.doubts[name] = Unsure(why, found)
        self.rows.append(Choice(name, "?", f"{why}: {', '.join(each.text for each in found)}", "unsure"))

    def paths_of(self, name: str) -> tuple[str, ...]:
        """Write where an envelope field is that was found: the first that is there counts."""
        path = self.path_of(name)
        if name != "entity" or not self.kind or not self.space:
            return (path,)
        kind, own = f"{{{self.kind.text}}}", f"{{{self.found[name].text}}}"
        return f"{kind}/{{{self.space.text}}}/{own}", path

    def path_of(self, name: str) -> str:
        """Write where an envelope field is that was found, without what it may stand in."""
        text = self.found[name].text
        if name == "time" and (self.clock or self.zone):
            clock = f" {{{self.clock.text}}}" if self.clock else ""
            return f"{{{text}}}{clock}" + (f"{{{self.zone.text}}}" if self.zone else "")
        if name == "tenant" and self.schema:
            return f"{{{text}}}.{{{self.schema.text}}}"
        return f"{{{self.kind.text}}}/{{{text}}}" if name == "entity" and self.kind else text

    def add_type_constant(self) -> None:
        """Say what stands in for a type and a payload that no field has."""
        if "type" not in self.found:
            self.rows.append(Choice("type", "=event", "no field names the kind of event"))
        if "data" not in self.found:
            self.rows.append(Choice("data", "record", "the record without the fields above"))

    def free(self, field_: SampledField) -> bool:
        """Return whether a field was taken for nothing yet."""
        taken = {chosen.path for chosen in self.found.values()}
        beside = [each.path for each in (self.clock, self.zone) if each is not None]
        return field_.path not in taken and field_.path not in beside

    def named(
        self, wanted: Iterable[str], accept: Callable[[SampledField], bool], inside: Iterable[str] = ()
    ) -> SampledField | None:
        """Return the first acceptable field by rank of its name: at the top, then inside objects of the names given.

        `why` says so, and which would have been the next.
        """
        found = self._by_rank(wanted, accept, inside)
        chosen = next(found, None)
        if chosen is None:
            return None
        second = next(found, None)
        after = f"; the next would be {second.text}" if second else ""
        self.why = f"named {chosen.path[-1]!r}, {describe(chosen)}{after}"
        return chosen

    def all_named(
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
                    if holder in holders and self.free(each) and accept(each):
                        yield each


def _walk(record: dict[str, Any], before: tuple[str | int, ...] = (), depth: int = 1) -> _Found:
    """Yield what is in a record, in objects in it and in these; a list of one object is looked into as that."""
    for key, value in record.items():
        yield (*before, key), _unmarked(value)
        if depth < _DEEPEST and isinstance(value, dict):
            yield from _walk(value, (*before, key), depth + 1)
        elif depth < _DEEPEST and isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
            yield from _walk(value[0], (*before, key, 0), depth + 1)


def _unmarked(value: Any) -> Any:
    """Samples come from judged text, where an exact number may stand as a string."""
    return value[1:] if isinstance(value, str) and value.startswith(MARK) else value
