"""The fields of a sample of records, and what of an envelope was found among them so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from msgspec import Struct, field

from esctl.index.envelope.sampled_fields import SampledField, describe, plain_name
from esctl.model import MARK

_MAX_PATHS = 400
_MOST_SEEN = 4000


class Choice(Struct, frozen=True):
    """One line of the explanation: the envelope field, where it is, why."""

    field: str
    path: str
    why: str


class Search(Struct):
    """The fields of a sample and what was chosen so far."""

    records: list[dict[str, Any]]
    opened: tuple[str, ...] = ()  # bare names of fields at the top whose texts were opened
    fields: list[SampledField] = field(default_factory=list)
    by_name: dict[str, list[tuple[str | None, SampledField]]] = field(default_factory=dict)  # with the object it is in
    found: dict[str, SampledField] = field(default_factory=dict)
    rows: list[Choice] = field(default_factory=list)
    why: str = ""
    kind: SampledField | None = None  # that names, together with the entity that was found, one thing

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
        """Take a field for an envelope field, for the reason in `why`."""
        if chosen:
            self.found[name] = chosen
            self.rows.append(Choice(name, self.path_of(name), self.why))

    def path_of(self, name: str) -> str:
        """Write where an envelope field is that was found."""
        text = self.found[name].text
        return f"{{{self.kind.text}}}/{{{text}}}" if name == "entity" and self.kind else text

    def add_type_constant(self) -> None:
        """Say what stands in for a type and a payload that no field has."""
        if "type" not in self.found:
            self.rows.append(Choice("type", "=event", "no field names the kind of event"))
        if "data" not in self.found:
            self.rows.append(Choice("data", "record", "the record without the fields above"))

    def free(self, field_: SampledField) -> bool:
        """Return whether a field was taken for nothing yet."""
        return field_.path not in {chosen.path for chosen in self.found.values()}

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

    def _by_rank(
        self, wanted: Iterable[str], accept: Callable[[SampledField], bool], inside: Iterable[str]
    ) -> Iterator[SampledField]:
        names = list(wanted)
        for holders in ((None,), tuple(inside)):
            for name in names:
                for holder, each in self.by_name.get(name, ()):
                    if holder in holders and self.free(each) and accept(each):
                        yield each


def _walk(record: dict[str, Any]) -> Iterable[tuple[tuple[str, ...], Any]]:
    for key, value in record.items():
        yield (key,), _unmarked(value)
        if isinstance(value, dict):
            for inner, deep in value.items():
                yield (key, inner), _unmarked(deep)


def _unmarked(value: Any) -> Any:
    """Samples come from judged text, where an exact number may stand as a string."""
    return value[1:] if isinstance(value, str) and value.startswith(MARK) else value
