"""esctl view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from esctl.cli import diagnostics
from esctl.cli.arguments import ProjectionName
from esctl.cli.consent import require_consent
from esctl.cli.growth import new_commits
from esctl.cli.intake.live_sources import Key, Properties, Property, properties_of
from esctl.cli.opening import open_store
from esctl.cli.options import Shared, command, subcommands
from esctl.cli.render import show
from esctl.errors import UsageError

if TYPE_CHECKING:
    from esctl.api import Store
    from esctl.views.view import Refreshed, View

app = subcommands("Keep the states of a projection in a database or in files, refreshed and checked.")

CHECKED = ("entity", "difference", "field", "view", "log")
Name = Annotated[str, typer.Argument(metavar="NAME", help="The view's name.")]
Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Names of views; by default all.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command("create")
@command
def create(
    shared: Shared,
    name: Name,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="TARGET",
            help="Where it is kept: duckdb:FILE/TABLE, sqlite:FILE/TABLE, parquet:FOLDER, "
            "postgres://HOST/DATABASE/SCHEMA.TABLE, kafka://HOST:PORT/TOPIC.",
        ),
    ],
    projection: ProjectionName = "",
    key: Key = "",
    property: Property = None,  # noqa: A002  # as the option
    properties: Properties = "",
) -> None:
    """Make a view of the states of a projection, and fill it."""
    store = open_store(shared)
    given = properties_of(property)
    view = store.create_view(name, to=to, projection=projection, key=key, properties=properties, property=given)
    before = view.progress()
    position = before.basis.position if before is not None else 0
    diagnostics.note(f"view {name} is at position {position}, in {to}", shared.quiet)


@app.command("refresh")
@command
def refresh(
    shared: Shared,
    names: Names = None,
    follow: Annotated[bool, typer.Option("--follow", help="Refresh them whenever the log has grown, until Ctrl-C.")] = (
        False
    ),
) -> None:
    """Bring views to the head of the log: only what changed is computed, and each changes at once."""
    store = open_store(shared)
    _refresh(store, names, shared)
    if follow:
        _follow(store, names, shared)


@app.command("rebuild")
@command
def rebuild(shared: Shared, names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names.")]) -> None:
    """Make views anew from nothing, in one change."""
    store = open_store(shared)
    for view in [store.find_view(name) for name in names]:
        _note_refreshed(view.refresh(anew=True), shared)


@app.command("list")
@command
def list_views(shared: Shared) -> None:
    """List the views, and where each is defined."""
    store = open_store(shared)
    show(store.view_list().answer, shared, store)


@app.command("status")
@command
def status(shared: Shared, names: Names = None) -> None:
    """Show where views are, and how they stand to the log."""
    store = open_store(shared)
    show(store.view_list(*(names or ()), look=True).answer, shared, store)


@app.command("check")
@command
def check(
    shared: Shared,
    name: Name,
    exit_code: Annotated[
        bool, typer.Option("--exit-code/--no-exit-code", help="Exit with 1 when anything differs, as is the default.")
    ] = True,
) -> None:
    """Fold the log to the view's basis, and list the rows of the view that are otherwise."""
    store = open_store(shared)
    found = store.check_view(name)
    show(found.answer, shared, store, CHECKED)
    rows = "1 row differs" if found.differing == 1 else f"{found.differing} rows differ"
    diagnostics.note(f"view {name}: {rows} from the log", shared.quiet)
    if found.differing and exit_code:
        raise typer.Exit(1)


@app.command("drop")
@command
def drop(shared: Shared, name: Name, yes: Yes = False) -> None:
    """Remove a view and what it holds in its target. The log stays as it is."""
    store = open_store(shared)
    view = store.find_view(name)
    if view.definition.source != "store":
        raise UsageError(f"view {name} is defined in {view.definition.source}", "take it out there first")
    if not yes:
        _confirm(view)
    store.drop_view(name)
    diagnostics.note(f"view {name} is gone", shared.quiet)


def _confirm(view: View) -> None:
    to = view.definition.to
    require_consent(f"Remove all rows of {to}?", f"all rows of {to} would be removed", "nothing was removed")


def _refresh(store: Store, names: list[str] | None, shared: Shared, *, changed_only: bool = False) -> None:
    views = [store.find_view(name) for name in names] if names else store.views()
    for view in views:
        done = view.refresh()
        if not changed_only or done.how != "nothing":
            _note_refreshed(done, shared)


def _note_refreshed(done: Refreshed, shared: Shared) -> None:
    phrases = {
        "nothing": "is at position {now} already",
        "changes": "went from position {before} to {now}",
        "difference": "was compared as a whole and is at position {now}",
        "whole": "was made anew, at position {now}",
    }
    phrase = phrases[done.how].format(before=done.before, now=done.position)
    diagnostics.note(f"view {done.name} {phrase}", shared.quiet)


def _follow(store: Store, names: list[str] | None, shared: Shared) -> None:
    for _ in new_commits(store):
        _refresh(store, names, shared, changed_only=True)
