"""Complete names of entities, event types and projections on the command line.

A shell waits for these while the user types: they load a store only then, look no further than a few hundred names,
and stay silent whatever goes wrong.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import typer

from esctl.cli.options import Shared
from esctl.output.text import visible

_MOST = 200


def complete_entity(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of an entity."""
    return _names("entity", ctx, incomplete)


def complete_type(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete an event type."""
    return _names("type", ctx, incomplete)


def complete_projection(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a projection."""
    return _names("projection", ctx, incomplete)


def _names(what: Literal["entity", "type", "projection"], context: typer.Context, prefix: str) -> list[str]:
    try:
        from esctl.store import Store

        names = Store.open(_store_path(context)).names(what, prefix, _MOST)
        # A shell splits candidates at line ends and shows them raw: only names that are harmless as they are.
        return [name for name in names if name.startswith(prefix) and visible(name) == name]
    except Exception:
        return []


def _store_path(context: typer.Context) -> Path | None:
    given = context.params.get("store")
    outer = context.find_object(Shared)
    found = given or (outer.store if outer else None) or os.environ.get("ESCTL_STORE")
    return Path(found) if found else None
