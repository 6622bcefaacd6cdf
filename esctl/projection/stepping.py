"""Fold event by event in Python: for `python =` projections and for rules that cannot be folded set-wise."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, Inexact
from itertools import groupby
from typing import Any

from msgspec import Struct

from esctl.engine.exact_text import unmark
from esctl.errors import UsageError
from esctl.index.decode.merge_patch import merge_patch
from esctl.projection.conversions import declared_scale
from esctl.projection.json_values import (
    EXACT,
    Total,
    are_equal,
    differences,
    dumps,
    loads,
    to_scale,
    without_scale,
)
from esctl.projection.values import INTEGER_BITS, NUMBER_TEXT, decimal_digits, is_number_type, limits_totals
from esctl.projection.wide import MOST_EXACT_DIGITS

Row = tuple[Any, ...]
State = dict[str, Any]


class StepOperation(Struct, frozen=True):
    """One operation: its name and field, and the columns of a row with its guard and its value's JSON text.

    `label` names the value in errors. `members` are members of an object that have a declared type, each with the
    column of its converted JSON text. `lenient`: a value that should be an object and is not is skipped. `without`:
    members of an object that are left out.
    """

    name: str
    field: str
    guard: int
    value: int
    label: str = ""
    members: tuple[tuple[str, int], ...] = ()
    lenient: bool = False
    without: frozenset[str] = frozenset()


def with_checked_totals(state: State) -> State:
    """Return a state after checking its totals against their types. Raises UsageError, naming a total's first event."""
    for name, value in state.items():
        if isinstance(value, Total):
            try:
                to_declared(value, value.kind)
            except ValueError:
                text = f"{name} is {unmark(dumps(without_scale(value)))}, which does not fit {value.kind}"
                raise UsageError(f"event @{value.first}: {text}") from None
    return state


class Applied(Struct, frozen=True):
    """What one row of an event did: the fields that its operations concerned, and the values of those after it.

    `resets`: the fields that were set (True) or removed (False), whatever their value was, by the last such operation.
    `deletes`: whether the row deletes the entity.
    """

    touched: frozenset[str]
    values: State
    resets: Mapping[str, bool]
    deletes: bool


class Changing:
    """A state that an event changes in place, with the former values of the fields that were written."""

    __slots__ = ("_before", "state")

    def __init__(self, state: State) -> None:
        self.state = state
        self._before: State = {}

    def write(self, writes: Iterable[tuple[str, Any]]) -> None:
        """Set fields to their values, or remove those whose value is ABSENT."""
        state, before = self.state, self._before
        for name, value in writes:
            if name not in before:
                before[name] = state.get(name, ABSENT)
            if value is ABSENT:
                state.pop(name, None)
            else:
                state[name] = value

    def become(self, after: State) -> list[str]:
        """Replace the whole state, and return the names of the fields that differ."""
        changed = differences(self.state, after)
        for change in changed:
            self._before.setdefault(change["field"], change.get("before", ABSENT))
        self.state = after
        return [change["field"] for change in changed]

    def before(self) -> State:
        """Return the former values of the fields that were written."""
        return {name: value for name, value in self._before.items() if value is not ABSENT}

    def after(self) -> State:
        """Return the present values of the fields that were written."""
        return {name: self.state[name] for name in self._before if name in self.state}

    def whole_before(self) -> State:
        """Return the state as it was before."""
        return {name: value for name, value in (self.state | self._before).items() if value is not ABSENT}


ABSENT: Any = object()
"""The value of a field that does not exist."""

Step = Callable[[Changing, Row], Applied]


def rule_step(operations: Sequence[StepOperation], types: Mapping[str, str], position: int) -> Step:
    """Return the step of a rule projection; `position` is the column with the event's position."""

    scales = {field: shape.scale for field, kind in types.items() if (shape := declared_scale(kind)) is not None}

    def step(changing: Changing, row: Row) -> Applied:
        state = changing.state
        touched: set[str] = set()
        resets: dict[str, bool] = {}
        deletes = False
        for operation in operations:
            if not row[operation.guard]:
                continue
            if operation.name == "delete":
                deletes = True
            elif operation.name == "unset":
                touched |= {operation.field} & state.keys()
                resets[operation.field] = False
                changing.write([(operation.field, ABSENT)])
            elif row[operation.value] is not None:
                try:
                    value = _without_members(loads(row[operation.value]), operation.without)
                    resets |= _resets(state, operation, value)
                    members = {name: loads(row[at]) for name, at in operation.members if row[at] is not None}
                    writes = _writes(state, operation, value, Typed(types, members), row[position])
                except ValueError as error:
                    raise UsageError(f"event @{row[position]}: {error}") from None
                touched |= {name for name, value in writes if value is not ABSENT or name in state}
                changing.write(_scale_writes(writes, scales) if scales else writes)
        values = {name: state[name] for name in touched if name in state}
        return Applied(frozenset(touched), values, resets, deletes)

    return step


def _without_members(value: Any, without: frozenset[str]) -> Any:
    """Return an object without some members; any other value as it is."""
    if not without or not isinstance(value, dict):
        return value
    return {name: item for name, item in value.items() if name not in without}


def _resets(state: State, operation: StepOperation, value: Any) -> dict[str, bool]:
    """Return the fields an operation sets (True) or removes (False); a patch of an object in an object does neither."""
    if operation.name == "set":
        return {operation.field: True}
    if operation.name not in ("merge", "merge_patch", "replace") or not isinstance(value, dict):
        return {}
    if operation.name == "merge_patch":
        deep = {key for key, item in value.items() if isinstance(item, dict) and isinstance(state.get(key), dict)}
        return {key: item is not None for key, item in value.items() if key not in deep}
    gone = dict.fromkeys(state, False) if operation.name == "replace" else {}
    return gone | dict.fromkeys(value, True)


class Typed(Struct, frozen=True):
    """Declared types of fields, and members of an object that have been converted to theirs."""

    types: Mapping[str, str]
    members: Mapping[str, Any]


def _writes(state: State, operation: StepOperation, value: Any, typed: Typed, position: int) -> list[tuple[str, Any]]:
    """Return the fields that an operation writes, in their order, each with its new value or ABSENT."""
    name, field = operation.name, operation.field
    if name in ("merge", "merge_patch", "replace"):
        return _object_writes(operation, state, value, typed)
    if name == "set":
        return [(field, value)]
    if name in ("append", "remove"):
        old = state.get(field, [])
        if not isinstance(old, list):
            raise ValueError(f"{field} is not a list to append to: {show_value(old)}")
        return [(field, [*old, value] if name == "append" else [item for item in old if not are_equal(item, value)])]
    if value is None:
        return []
    after = _accumulate(state, name, field, value)
    return [(field, _as_total(state, after, field, typed.types.get(field, ""), position))]


def _scale_writes(writes: list[tuple[str, Any]], scales: Mapping[str, int]) -> list[tuple[str, Any]]:
    """Give numbers the scale that is declared for their field."""
    return [(name, to_scale(value, scales[name]) if name in scales else value) for name, value in writes]


def _as_total(state: State, value: Any, field: str, kind: str, position: int) -> Any:
    """Return an accumulated number with its first event and its type, which `with_checked_totals` checks."""
    old = state.get(field)
    if not limits_totals(kind) or not isinstance(value, int | Decimal) or value is old:
        return value
    total = Total(value)
    total.first = min(old.first, position) if isinstance(old, Total) else position
    total.kind = kind
    return total


def show_value(value: Any) -> str:
    """Write the beginning of a value's JSON text as an error shows it."""
    return unmark(dumps(without_scale(value)))[:60]


def _object_writes(operation: StepOperation, state: State, value: Any, typed: Typed) -> list[tuple[str, Any]]:
    if value is None or (operation.lenient and not isinstance(value, dict)):
        return []
    name, types = operation.name, typed.types
    if not isinstance(value, dict):
        raise ValueError(f"{name} takes an object, and {operation.label} is {show_value(value)}")
    gone = [(field, ABSENT) for field in state] if name == "replace" else []
    after = _patch_fields(state, value) if name == "merge_patch" else dict(value)
    for field in types.keys() & after.keys():
        if after[field] is ABSENT:
            continue
        patched = name == "merge_patch" and isinstance(value.get(field), dict)
        known = field in typed.members and not patched
        after[field] = typed.members[field] if known else to_declared(after[field], types[field])
    return [*gone, *after.items()]


def _patch_fields(state: State, patch: State) -> State:
    """Return what a merge patch makes of the fields that it names."""
    return {field: ABSENT if value is None else merge_patch(state.get(field), value) for field, value in patch.items()}


def to_declared(value: Any, kind: str) -> Any:
    """Convert a value to a declared type. Raises ValueError for lost digits, overflow or another kind of value."""
    name = kind.lower()
    if value is None or isinstance(value, list):
        return value
    if name in ("varchar", "text"):
        return value if isinstance(value, str) else unmark(dumps(value))
    if name == "boolean":
        if not isinstance(value, bool):
            raise ValueError(f"{show_value(value)} is neither true nor false")
        return value
    if not is_number_type(name):
        return value
    number = _read_number(value)
    if number is None:
        raise ValueError(f"{show_value(value)} is not a number")
    if not _holds(name, Decimal(number)):
        raise ValueError(f"{show_value(value)} does not fit {name}")
    return number


def _holds(name: str, number: Decimal) -> bool:
    """Return whether a type, which `is_number_type`, holds all digits of a number."""
    if digits := decimal_digits(name):
        scaled = number.scaleb(digits[1], EXACT)
        return scaled == scaled.to_integral_value() and scaled.copy_abs() < 10 ** digits[0]
    limit = 2 ** INTEGER_BITS[name]
    return number == number.to_integral_value() and -limit <= number < limit


def _accumulate(state: State, name: str, field: str, value: Any) -> Any:
    """Return the value of a field after a number, or for min and max a text, is accumulated."""
    better = min if name == "min" else max
    if isinstance(value, str):
        old = state.get(field)
        held = value if old is None else old if isinstance(old, str) else unmark(dumps(old))
        return better(held, value)
    number = _negate(value) if name == "subtract" else value
    if field not in state:
        return number
    old = state[field]
    if isinstance(old, bool) or not isinstance(old, int | Decimal):
        raise ValueError(f"{field} is not a number to add to: {show_value(old)}")
    if name in ("min", "max"):
        return better(old, number)
    try:
        return _sum(old, number)
    except Inexact:
        raise ValueError(f"{field} needs more than {MOST_EXACT_DIGITS} digits") from None


def _negate(number: int | Decimal) -> int | Decimal:
    # Unary minus would round to the 28 digits of Python's default context.
    return number.copy_negate() if isinstance(number, Decimal) else -number


def _sum(a: int | Decimal, b: int | Decimal) -> int | Decimal:
    return a + b if isinstance(a, int) and isinstance(b, int) else EXACT.add(Decimal(a), Decimal(b))


def _read_number(value: Any) -> int | Decimal | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | Decimal):
        return value
    if isinstance(value, str) and re.fullmatch(NUMBER_TEXT.strip("^$"), value):
        return Decimal(value)
    return None


class Stepped(Struct, frozen=True):
    """One event of an entity: what it changed, and the state that it left.

    `before` and `after` have the fields that it wrote, as they were (empty at the start of an incarnation) and as they
    are (empty if it deletes the entity). `state` is the whole state, None if deleted; it changes when the next event is
    taken. `row` is the event's first row, that of its first role; `parts` are all its rows, with what each did.
    """

    row: Row
    version: int
    before: State
    after: State
    state: State | None
    touched: frozenset[str]
    parts: tuple[tuple[Row, Applied], ...]


def steps(
    rows: Iterator[Row], step: Step, entity: Callable[[Row], Any], event: Callable[[Row], Any]
) -> Iterator[Stepped]:
    """Fold rows that are sorted by entity and fold key; a deletion takes effect at the end of its event."""
    for _, life in groupby(rows, key=entity):
        state: State = {}
        for version, (_, group) in enumerate(groupby(life, key=event), start=1):
            changing = Changing(state)
            parts = tuple((row, step(changing, row)) for row in group)
            state = changing.state
            touched = frozenset[str]().union(*(applied.touched for _, applied in parts))
            if any(applied.deletes for _, applied in parts):
                before = changing.whole_before()
                yield Stepped(parts[0][0], version, before, {}, None, touched.union(state), parts)
                state = {}
            else:
                yield Stepped(parts[0][0], version, changing.before(), changing.after(), state, touched, parts)
