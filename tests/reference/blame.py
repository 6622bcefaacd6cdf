"""Blame the slow and obvious way: apply operation by operation, and note for each field what made it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .evaluation import evaluate, truth
from .fold import Entity, Reference
from .mapping import Event
from .operations import apply
from .rules import Operation


@dataclass(frozen=True)
class Made:
    """A row of an event that had a part in a field's value, which `value` is after it; `anew`: the part was all."""

    value: Any
    row: Event
    anew: bool


@dataclass(frozen=True)
class Blame:
    """What made an entity's fields, row by row since each was last set, or the row that deleted it."""

    fields: dict[str, list[Made]]
    deleted: Event | None = None


def blame(reference: Reference, **bounds: Any) -> dict[Entity, Blame]:
    """Give the blame of each entity; bounds and errors are those of `Reference.replay`."""
    reference.replay(**bounds)
    chosen = reference._included(bounds)
    found: dict[Entity, Blame] = {}
    for entity, events in reference._histories():
        state: dict[str, Any] = {}
        made: dict[str, list[Made]] = {}
        for rows in events:
            if (entity, rows[0].position) not in chosen:
                continue
            deletion = None
            for row in rows:
                deletion = row if _take(reference, row, state, made) else deletion
            if deletion is not None:
                state, made = {}, {}
            found[entity] = Blame({name: list(parts) for name, parts in made.items() if parts}, deletion)
    return found


def _take(reference: Reference, row: Event, state: dict[str, Any], made: dict[str, list[Made]]) -> bool:
    """Apply one row's operations to the state and its making; give whether it deletes."""
    concerned: set[str] = set()
    anew: dict[str, bool] = {}
    deletes = False
    for rule in reference.projection.rules:
        if not rule.matches(row) or truth(rule.when, row) is not True:
            continue
        for operation in rule.operations:
            deletes |= operation.name == "delete"
            before = dict(state)
            for name in apply(operation, state, row, reference.projection.types):
                concerned.add(name)
                if not _builds_on(operation, row, before.get(name), name):
                    made[name], anew[name] = [], name in state
    for name in concerned & state.keys():
        made[name] = [*made.get(name, []), Made(state[name], row, anew.get(name, False))]
    return deletes


def _builds_on(operation: Operation, row: Event, before: Any, name: str) -> bool:
    """Say whether an operation makes a value of the one before."""
    if operation.name == "merge_patch":
        assert operation.value is not None
        return isinstance(before, dict) and isinstance(evaluate(operation.value, row)[name], dict)
    return operation.name not in ("set", "unset", "merge", "replace")
