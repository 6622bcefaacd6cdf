"""The fields of states as columns of the relations that a query reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from esctl.ask.states.field_types import field_value
from esctl.ask.states.state_fields import WHOLE, StateField
from esctl.engine.quoting import identifier


def state_columns(fields: Sequence[StateField], taken: Sequence[str]) -> dict[str, StateField]:
    """Return the fields by the names of their columns: one whose name is taken, in any case, is `state.<name>`."""
    names = {name.lower() for name in taken}
    found = {}
    for field in fields:
        name, number = "state" if field in WHOLE else field.name, 1
        while name.lower() in names or not name:
            name = f"state.{field.name}" if number == 1 else f"state.{field.name}_{number}"
            number += 1
        names.add(name.lower())
        found[name] = field
    return found


def column_items(columns: Mapping[str, StateField]) -> list[str]:
    """Write the fields as typed columns, in a select list."""
    return [
        f"CASE WHEN NOT deleted THEN {field_value(field)} END AS {identifier(name)}" for name, field in columns.items()
    ]
