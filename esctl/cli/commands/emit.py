"""esctl emit."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from esctl.cli import diagnostics
from esctl.cli.arguments import Before, Entities, ProjectionName
from esctl.cli.opening import open_store
from esctl.cli.options import Shared, command, subcommands
from esctl.errors import UsageError

if TYPE_CHECKING:
    from esctl.sinks.protocol import Channel, Message

app = subcommands("Send events, states or compensations to others, each with its place in the log.")

_HINT = "write - for stdout, or jsonl:FILE"
To = Annotated[
    str, typer.Option("--to", metavar="TARGET", help="Where it is sent: - (stdout, as by default) or jsonl:FILE.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Write on stdout what would be sent, and send nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command("states")
@command
def states(
    shared: Shared,
    entities: Entities = None,
    projection: ProjectionName = "",
    at: Annotated[str, typer.Option("--at", metavar="T", help="The states at T: a time, a date or @POSITION.")] = "",
    before: Before = "",
    deleted: Annotated[bool, typer.Option("--deleted", help="Deleted entities too, without a value.")] = False,
    to: To = "-",
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Send the state of each entity, with the entity as its key."""
    store = open_store(shared)
    messages = store.emit_states(*(entities or ()), at=at, before=before, projection=projection, deleted=deleted)
    _send(shared, messages, to, dry_run=dry_run, yes=yes)


@app.command("events")
@command
def events(
    shared: Shared,
    entities: Entities = None,
    type: Annotated[  # noqa: A002  # as the option
        list[str] | None, typer.Option("--type", metavar="TYPE", help="Only events of this type or glob (repeat).")
    ] = None,
    from_: Annotated[str, typer.Option("--from", metavar="T", help="Only events from T on.")] = "",
    until: Annotated[str, typer.Option("--until", metavar="T", help="Only events up to T.")] = "",
    to: To = "-",
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Send events by position: the bytes of their records, with the entity as their key."""
    store = open_store(shared)
    messages = store.emit_events(*(entities or ()), type=type or (), from_=from_, to=until)
    _send(shared, messages, to, dry_run=dry_run, yes=yes)


@app.command("revert")
@command
def revert(
    shared: Shared,
    entities: Annotated[list[str], typer.Argument(metavar="ENTITY...", help="Names or globs: '*' for all.")],
    back_to: Annotated[
        str, typer.Option("--back-to", metavar="T", help="Back to the state at T: a time, a date or @POSITION.")
    ] = "",
    projection: ProjectionName = "",
    as_events: Annotated[
        str,
        typer.Option("--as-events", metavar="TEMPLATE", help="Each change as an event of your own, as for revert."),
    ] = "",
    to: To = "-",
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Send the changes that take entities back to their state at T; headers name the events that each undoes."""
    store = open_store(shared)
    messages = store.emit_revert(*entities, back_to=back_to, projection=projection, as_events=as_events)
    _send(shared, messages, to, dry_run=dry_run, yes=yes)


def _send(shared: Shared, messages: Iterable[Message], to: str, *, dry_run: bool, yes: bool) -> None:
    if shared.format not in (None, "jsonl") or shared.columns:
        raise UsageError("messages are sent whole, and shown as JSON Lines", "leave --format and --columns out")
    shown = None if shared.output is None or str(shared.output) == "-" else shared.output
    asks = to != "-" and not dry_run
    channel = _channel(to, shown if to == "-" or dry_run else None, dry_run=dry_run)
    if asks and shown is not None:
        raise UsageError("--output and --to are both given", "give one of them")
    if asks and not yes:
        _confirm(to)
    count = channel.send(islice(messages, shared.limit))
    verb = "sent" if asks else "to be sent" if dry_run else "written"
    diagnostics.note(f"{count} message{'s' * (count != 1)} {verb}", shared.quiet)


def _channel(to: str, shown: Path | None, *, dry_run: bool) -> Channel:
    from esctl.sinks.jsonl import JsonLines

    kind, _, path = to.partition(":")
    if to != "-" and (kind != "jsonl" or not path or "\0" in path):
        raise UsageError(f"--to {to[:200]} is not a target", _HINT)
    return JsonLines(shown if to == "-" or dry_run else Path(path))


def _confirm(to: str) -> None:
    if not diagnostics.is_terminal(sys.stdin):
        raise UsageError(f"messages would be sent to {to}", "confirm that with --yes, or look with --dry-run")
    if not typer.confirm(f"Send messages to {to}?", err=True):
        diagnostics.note("nothing was sent")
        raise typer.Exit(1)
