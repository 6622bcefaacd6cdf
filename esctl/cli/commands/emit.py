"""esctl emit."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from esctl.cli import diagnostics
from esctl.cli.arguments import Before, Entities, ProjectionName
from esctl.cli.growth import grown
from esctl.cli.intake.live_sources import Key, Properties, Property, properties_of
from esctl.cli.opening import open_store
from esctl.cli.options import Shared, command, subcommands
from esctl.errors import UsageError

if TYPE_CHECKING:
    from esctl.api import Store
    from esctl.emission.topics import Emitted
    from esctl.sinks.kafka.destination import Destination
    from esctl.sinks.protocol import Channel, Message


class Send(Protocol):
    """What sends, or shows what it would send."""

    def __call__(self, shown: Channel | None, *, again: bool) -> Emitted:
        """Send, or write to `shown`."""


app = subcommands("Send events, states or compensations to others, each with its place in the log.")

_HINT = "write - for stdout, jsonl:FILE, or kafka://HOST:PORT/TOPIC"
To = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="TARGET",
        help="Where it is sent: - (stdout, as by default), jsonl:FILE or kafka://HOST:PORT/TOPIC.",
    ),
]
KeyOfEvents = Annotated[str, typer.Option("--key", metavar="KEY", help="The key of records in Kafka: entity.")]
Again = Annotated[
    bool, typer.Option("--again", help="Send it to the topic from the beginning, whatever was sent before.")
]
Follow = Annotated[bool, typer.Option("--follow", help="Go on sending to the topic what the log gets, until Ctrl-C.")]
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
    key: Key = "",
    property: Property = None,  # noqa: A002  # as the option
    properties: Properties = "",
    again: Again = False,
    follow: Follow = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Send the state of each entity, with the entity as its key; to a topic, what it does not have so yet."""
    store = open_store(shared)
    if topic := _topic(to, property, properties, again=again, follow=follow, key=key):
        if shared.limit is not None:
            raise UsageError("--limit is not for states in a topic, which has all of them", "leave it out")

        def send(shown: Channel | None, *, again: bool) -> Emitted:
            return store.send_states(
                topic, *(entities or ()), at=at, before=before, projection=projection, key=key,
                again=again, shown=shown,
            )  # fmt: skip

        _send_to_topic(shared, store, to, send, again=again, follow=follow, dry_run=dry_run, yes=yes)
        return
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
    key: KeyOfEvents = "",
    property: Property = None,  # noqa: A002  # as the option
    properties: Properties = "",
    again: Again = False,
    follow: Follow = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Send events by position: the bytes of their records, with the entity as their key; to a topic, each once."""
    store = open_store(shared)
    if topic := _topic(to, property, properties, again=again, follow=follow, key=_of_events(key)):

        def send(shown: Channel | None, *, again: bool) -> Emitted:
            return store.send_events(
                topic, *(entities or ()), type=type or (), from_=from_, until=until, limit=shared.limit,
                again=again, shown=shown,
            )  # fmt: skip

        _send_to_topic(shared, store, to, send, again=again, follow=follow, dry_run=dry_run, yes=yes)
        return
    messages = store.emit_events(*(entities or ()), type=type or (), from_=from_, until=until)
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
    key: KeyOfEvents = "",
    property: Property = None,  # noqa: A002  # as the option
    properties: Properties = "",
    again: Again = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Send the changes that take entities back to their state at T; headers name the events that each undoes."""
    store = open_store(shared)
    if topic := _topic(to, property, properties, again=again, key=_of_events(key)):
        if shared.limit is not None:
            raise UsageError("--limit is not for compensations in a topic, which are one change", "leave it out")

        def send(shown: Channel | None, *, again: bool) -> Emitted:
            return store.send_revert(
                topic, *entities, back_to=back_to, projection=projection, as_events=as_events,
                again=again, shown=shown,
            )  # fmt: skip

        _send_to_topic(shared, store, to, send, again=again, follow=False, dry_run=dry_run, yes=yes)
        return
    messages = store.emit_revert(*entities, back_to=back_to, projection=projection, as_events=as_events)
    _send(shared, messages, to, dry_run=dry_run, yes=yes)


def _of_events(key: str) -> str:
    if key not in ("", "entity"):
        raise UsageError(f"--key {key[:80]!r} is no key of events", "it may be entity, which is the default")
    return key


def _topic(
    to: str,
    given: list[str] | None,
    properties: str,
    *,
    again: bool,
    follow: bool = False,
    key: str = "",
) -> Destination | None:
    """Return the topic that `--to` names; None where it names none. Raises UsageError for options of topics then."""
    own = {"-X": given, "-F": properties, "--again": again, "--follow": follow, "--key": key}
    if not to.startswith("kafka://"):
        for name, value in own.items():
            if value:
                raise UsageError(f"{name} is for topics, and --to names none", "as in --to kafka://host:9092/topic")
        return None
    from esctl.sinks.kafka.destination import Destination, topic_of

    topic_of(Destination(to))
    return Destination(to, properties, properties_of(given))


def _send_to_topic(
    shared: Shared, store: Store, to: str, send: Send, *, again: bool, follow: bool, dry_run: bool, yes: bool
) -> None:
    from esctl.sinks.jsonl import JsonLines

    shown = _shown(shared)
    if dry_run:
        if follow:
            raise UsageError("--dry-run cannot be combined with --follow", "leave one of them out")
        _tell(send(JsonLines(shown), again=again), "to be sent", shared)
        return
    if shown is not None:
        raise UsageError("--output and --to are both given", "give one of them")
    if not yes:
        _confirm(to)
    _tell(send(None, again=again), "sent", shared)
    if follow:
        _follow(shared, store, send)


def _follow(shared: Shared, store: Store, send: Send) -> None:
    for _ in grown(store):
        done = send(None, again=False)
        if done.count:
            _tell(done, "sent", shared)


def _tell(done: Emitted, verb: str, shared: Shared) -> None:
    for text in done.notes:
        diagnostics.note(f"note: {text}", shared.quiet)
    after = f"; what is up to position {done.after} was sent before" if done.after else ""
    diagnostics.note(f"{done.count} message{'s' * (done.count != 1)} {verb}{after}", shared.quiet)


def _shown(shared: Shared) -> Path | None:
    if shared.format not in (None, "jsonl") or shared.columns:
        raise UsageError("messages are sent whole, and shown as JSON Lines", "leave --format and --columns out")
    return None if shared.output is None or str(shared.output) == "-" else shared.output


def _send(shared: Shared, messages: Iterable[Message], to: str, *, dry_run: bool, yes: bool) -> None:
    shown = _shown(shared)
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
