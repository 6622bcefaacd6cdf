"""esctl snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from esctl.cli import diagnostics
from esctl.cli.arguments import Engine
from esctl.cli.opening import open_store, output_settings
from esctl.cli.options import Shared, command
from esctl.cli.render import check_showable, show
from esctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from esctl.api import Store
    from esctl.saved_states.files import StateSnapshot


@command
def run(
    shared: Shared,
    at: Annotated[
        str, typer.Option("--at", metavar="T", help="The states at T: a time, a date (its end) or @POSITION.")
    ] = "",
    every: Annotated[int, typer.Option("--every", metavar="N", help="Make one after every N events of the log.")] = 0,
    listing: Annotated[bool, typer.Option("--list", help="List the existing snapshots, and make none.")] = False,
    drop: Annotated[bool, typer.Option("--drop", help="Remove all snapshots; the answers stay the same.")] = False,
    engine: Engine = "",
) -> None:
    """Keep the states at a point, so that replays go on from there. Answers are the same with and without."""
    from esctl.ask.states.save import LISTING_COLUMNS
    from esctl.maintain import save_states

    if sum([bool(at), bool(every), listing, drop]) > 1 or every < 0:
        raise UsageError("give one of --at T, --every N (1 or more), --list and --drop", "without any: at the head")
    store = open_store(shared, engine)
    if drop:
        save_states.drop_all(store)
    elif listing:
        _show(store, shared)
    else:
        check_showable(shared, LISTING_COLUMNS, output_settings(store))
        made = save_states.take_every(store, every) if every else save_states.take(store, store.bound(at))
        if not made:
            diagnostics.note("note: nothing to save: no events there, or only projections that are not kept")
        _show(store, shared, made)


def _show(store: Store, shared: Shared, only: Sequence[StateSnapshot] | None = None) -> None:
    from esctl.ask.states.save import listing
    from esctl.maintain.save_states import list_snapshots

    found = list_snapshots(store)
    if only is not None:
        names = {made.name for made in only}
        found = [(path, kept) for path, kept in found if kept is not None and kept.name in names]
    show(listing(store.session, found), shared, store, ("projection", "position", "until", "events", "entities"))
