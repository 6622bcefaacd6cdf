"""What one event does to the cell of one field: its operations composed into one reset, base and acc."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from esctl.engine.quoting import may_fail
from esctl.index.pruning import NEVER, Predicate, any_of, negated
from esctl.projection.values import WIDE, Shape, Value, as_shape, is_number_type, to_text

TypeAndRole = tuple[str | None, str | None]
"""The type and the role that an event's row must have (None: any)."""


class FieldStep(Struct, frozen=True):
    """What one operation does to one field, if its guard holds for the event."""

    order: int
    guard: str
    only: TypeAndRole  # what the guard implies
    kind: Literal["set", "unset", "sum", "min", "max", "append", "remove"]
    value: Value | None = None
    json: str = ""  # of the value, for set, append and remove
    drops: bool = False  # a set whose value may be missing, which removes the field

    def excludes(self, other: FieldStep) -> bool:
        """Return whether no event can take both steps."""
        return any(
            one is not None and two is not None and one != two for one, two in zip(self.only, other.only, strict=True)
        )


class FieldPlan(Struct, frozen=True):
    """SQL over one event's row for one field's cell.

    `reset`: whether the event starts the cell anew; `base`: the JSON text it starts with (NULL: absent). `acc`: what it
    adds (NULL: nothing), of `family` sum, min, max or list; a list's acc is a LIST of {remove, json}.
    """

    name: str
    reset: Predicate
    base: str
    family: str = ""
    acc: str = ""
    shape: Shape | None = None  # of the numbers it is set to and accumulates
    numeric: bool = True  # min and max of texts or times are not
    declared: str = ""
    removes: bool = False  # a list from which elements are removed
    orders: tuple[int, ...] = ()  # the numbers, from 1 in the projection, of the operations on it
    touch: Predicate = NEVER  # whether the event has an operation on the field other than to remove it
    number: bool = False  # every value other than null is a number
    static: str = ""  # else the JSON type of all such values, if they share one: STRING, BOOLEAN, CONTAINER

    @property
    def resets(self) -> bool:
        """Return whether any event can reset the field."""
        return self.reset != NEVER


def any_guard(guards: Iterable[str]) -> Predicate:
    """Write whether any of the guards holds."""
    return any_of(Predicate(guard, may_fail=may_fail(guard)) for guard in guards)


def field_plan(name: str, steps: Sequence[FieldStep], declared: str) -> FieldPlan:
    """Return the plan of one field from the steps on it, in their order; `declared` is its type, if any."""
    resets = [step for step in steps if step.kind in ("set", "unset")]
    accs = [step for step in steps if step not in resets]
    shape = _joined_shape(steps)
    plain = FieldPlan(
        name,
        reset=any_guard(step.guard for step in resets),
        base=_base(resets),
        shape=shape,
        declared=declared,
        orders=tuple(step.order for step in steps),
        touch=any_guard(_touch_guard(step) for step in steps if step.kind != "unset"),
        number=_sets_numbers(resets, declared),
        static=_static_type(resets, declared),
    )
    if not accs:
        return plain
    active = [(_active_guard(step, resets), step) for step in accs]
    if accs[0].kind in ("append", "remove"):
        removes = any(step.kind == "remove" for step in accs)
        acc = _list_acc(active)
        return replace(plain, family="list", acc=acc, removes=removes, shape=None, number=False, static="CONTAINER")
    numeric = all(step.value is not None and step.value.type == "number" for step in accs)
    kind = accs[0].kind
    number = numeric and (plain.number or not any(step.kind == "set" for step in resets))
    acc = _number_acc(active, kind, shape, numeric)
    static = "" if numeric or any(step.kind == "set" for step in resets) else "STRING"
    return replace(plain, family=kind, acc=acc, numeric=numeric, number=number, static=static)


def _base(resets: Sequence[FieldStep]) -> str:
    """Write what a cell starts anew with: the value of the last reset whose guard holds."""
    branches = "".join(
        f" WHEN {any_guard(step.guard for step in steps).sql} THEN {json}"
        for json, steps in groupby(reversed(resets), lambda step: step.json if step.kind == "set" else "NULL")
    )
    return f"CASE{branches} END" if resets else "CAST(NULL AS VARCHAR)"


def _touch_guard(step: FieldStep) -> str:
    # `replace` removes the fields that its object lacks.
    return f"({step.guard} AND {step.json} IS NOT NULL)" if step.kind == "set" and step.drops else step.guard


def _sets_numbers(resets: Sequence[FieldStep], declared: str) -> bool:
    sets = [step.value for step in resets if step.kind == "set" and step.value is not None]
    if declared:
        return is_number_type(declared)
    # A quotient's text need not fit a DECIMAL.
    return bool(sets) and all(
        value.shape is not None
        and not value.shape.is_float
        and not value.shape.is_wide
        and (value.type == "number" or value.static == "NUMBER")
        for value in sets
    )


_STATIC = {"text": "STRING", "time": "STRING", "boolean": "BOOLEAN", "json": "CONTAINER"}


def _static_type(resets: Sequence[FieldStep], declared: str) -> str:
    if declared:
        return {"varchar": "STRING", "text": "STRING", "timestamp": "STRING", "boolean": "BOOLEAN"}.get(
            declared.lower(), ""
        )
    values = [step.value for step in resets if step.kind == "set" and step.value is not None]
    found = {_STATIC.get(value.type, value.static) for value in values if value.type != "null"}
    return next(iter(found)) if len(found) == 1 else ""


def _joined_shape(steps: Sequence[FieldStep]) -> Shape:
    shape = Shape(1, 0)
    for step in steps:
        own = step.value.shape if step.value is not None else None
        if own is not None:
            shape = shape.join(WIDE if own.is_float else own)  # a DOUBLE is set as its text, with all its digits
    return shape


def _active_guard(step: FieldStep, resets: Sequence[FieldStep]) -> str:
    """Write when a step counts: its guard holds and no later reset of the same event undoes it."""
    later = [reset.guard for reset in resets if reset.order > step.order and not step.excludes(reset)]
    return f"({step.guard} AND {negated(any_guard(later)).sql})" if later else step.guard


def _number_acc(active: Sequence[tuple[str, FieldStep]], kind: str, shape: Shape, numeric: bool) -> str:
    def cast(step: FieldStep) -> str:
        assert step.value is not None
        return as_shape(step.value, shape) if numeric else to_text(step.value).sql

    disjoint = all(a.excludes(b) for i, (_, a) in enumerate(active) for _, b in active[i + 1 :])
    if disjoint:
        return "CASE" + "".join(f" WHEN {guard} THEN {cast(step)}" for guard, step in active) + " END"
    items = [f"CASE WHEN {guard} THEN {cast(step)} END" for guard, step in active]
    if kind != "sum":
        return f"{'least' if kind == 'min' else 'greatest'}({', '.join(items)})"
    total = " + ".join(f"coalesce({item}, 0)" for item in items)
    return f"CASE WHEN {any_guard(guard for guard, _ in active).sql} THEN CAST({total} AS {shape.sql_type}) END"


def _list_acc(active: Sequence[tuple[str, FieldStep]]) -> str:
    items = []
    for guard, step in active:
        remove = "true" if step.kind == "remove" else "false"
        items.append(f"CASE WHEN {guard} THEN [{{'remove': {remove}, 'json': {step.json}}}] ELSE [] END")
    return items[0] if len(items) == 1 else f"list_concat({', '.join(items)})"
