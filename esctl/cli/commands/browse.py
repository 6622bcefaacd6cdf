"""esctl browse."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from esctl.cli import diagnostics
from esctl.cli.arguments import Entities, KnownAt, ProjectionName
from esctl.cli.opening import open_store, output_settings
from esctl.cli.options import Shared, command
from esctl.errors import UsageError


@command
def run(
    shared: Shared,
    entities: Entities = None,
    at: Annotated[
        str, typer.Option("--at", metavar="T", help="Begin at T: a time, a date (its end), @POSITION, id:EVENT, ...")
    ] = "",
    known_at: KnownAt = "",
    projection: ProjectionName = "",
) -> None:
    """Walk through time in the terminal: entities, states, events. The key ? lists what the keys do."""
    from esctl.cli.failures import asked_to_stop
    from esctl.engine.duckdb import open_ahead
    from esctl.tui.run import browse, require_textual

    require_textual()
    if not all(map(diagnostics.is_terminal, (sys.stdin, sys.stdout, sys.stderr))) or os.environ.get("TERM") == "dumb":
        raise UsageError("browse needs a terminal", "in scripts: esctl replay, esctl audit, esctl diff")
    if shared.format is not None or shared.output is not None or shared.columns:
        raise UsageError("browse writes nothing", "leave out -f, -o and --columns; the key y gives commands that do")
    open_ahead()
    store = open_store(shared)
    from esctl.ask.scope.scope import check_entities, find_projection
    from esctl.tui.session import Session
    from esctl.tui.values import Ground

    for text, option in ((at, "--at"), (known_at, "--known-at")):
        if text:
            store.point(text, option)
    check_entities(store.scope(entities or ()))
    if projection:
        find_projection(store.projections, projection)
    color = diagnostics.color_wanted(shared.color_choice(output_settings(store)), os.environ, True)
    session = Session(store, Ground(tuple(entities or ()), projection, known_at), tuple(_store_options(shared)), at)
    # Without this, each resizing of the terminal (SIGWINCH) would stop queries, as Ctrl-C does.
    with asked_to_stop() as stop:
        browse(session, color=color, is_asked_to_stop=stop)


def _store_options(shared: Shared) -> Iterator[str]:
    """Yield the options that make other commands ask the same store in the same way."""
    for name, value in (("--store", shared.store), ("--config", shared.config), ("--tz", shared.tz)):
        if value is not None:
            yield from (name, str(value))
