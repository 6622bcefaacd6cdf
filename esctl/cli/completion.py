"""Complete times and names of entities, types, actors, fields and projections on the command line.

A shell waits for these while the user types: they load a store only then, look no further than a few hundred names,
and stay silent whatever goes wrong.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import typer

from esctl.output.text import visible

_MOST = 200


def complete_entity(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of an entity."""
    return _names("entity", ctx, incomplete)


def complete_type(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete an event type."""
    return _names("type", ctx, incomplete)


def complete_actor(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete an actor."""
    return _names("actor", ctx, incomplete)


def complete_field(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete a field of states: those that rules name, then those of payloads."""
    return _names("field", ctx, incomplete)


def complete_time(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete a time: the words that stand for one, and the days of the first and the last event."""
    return [each for each in ("now", "yesterday", *_days(ctx)) if each.startswith(incomplete)]


def complete_projection(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a projection."""
    return _names("projection", ctx, incomplete)


def _days(context: typer.Context) -> list[str]:
    try:
        from esctl.api import Store

        state = Store.open(_given(context, "store"), _given(context, "config")).status().rows()[0]
        return [str(state[each])[:10] for each in ("first", "last") if state[each]]
    except Exception:
        return []


def _names(
    what: Literal["entity", "type", "actor", "field", "projection"], context: typer.Context, prefix: str
) -> list[str]:
    try:
        from esctl.api import Store

        store = Store.open(_given(context, "store"), _given(context, "config"))
        names = store.names(what, prefix, _MOST)
        # A shell splits candidates at line ends and shows them raw: only names that are harmless as they are.
        return [name for name in names if name.startswith(prefix) and visible(name) == name]
    except Exception:
        return []


def _given(context: typer.Context, name: str) -> Path | None:
    """Return a path option, given before or after the command's name, else its variable; None if neither is set."""
    level: Any = context
    while level is not None:
        if level.params.get(name):
            return Path(level.params[name])
        level = level.parent
    found = os.environ.get(f"ESCTL_{name.upper()}")
    return Path(found) if found else None
