"""esctl emit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from esctl.cli.arguments import Before, Entities, ProjectionName
from esctl.cli.intake.live_sources import Key
from esctl.cli.opening import open_store
from esctl.cli.options import Shared, command, subcommands
from esctl.cli.sending import Sending
from esctl.errors import UsageError

if TYPE_CHECKING:
    from esctl.emission.topics import Emitted
    from esctl.sinks.protocol import Channel

app = subcommands("Send events, states or compensations to others, each with its place in the log.")

KeyOfEvents = Annotated[str, typer.Option("--key", metavar="KEY", help="The key of records in Kafka: entity.")]
Follow = Annotated[bool, typer.Option("--follow", help="Go on sending to the topic what the log gets, until Ctrl-C.")]


@app.command("states")
@command
def states(
    shared: Shared,
    entities: Entities = None,
    projection: ProjectionName = "",
    at: Annotated[str, typer.Option("--at", metavar="T", help="The states at T: a time, a date or @POSITION.")] = "",
    before: Before = "",
    deleted: Annotated[bool, typer.Option("--deleted", help="Deleted entities too, without a value.")] = False,
    *,
    sending: Sending,
    key: Key = "",
    follow: Follow = False,
) -> None:
    """Send the state of each entity, with the entity as its key; to a topic, what it does not have so yet."""
    store = open_store(shared)
    if topic := sending.topic(key, follow=follow):
        if shared.limit is not None:
            raise UsageError("--limit is not for states in a topic, which has all of them", "leave it out")

        def send(shown: Channel | None, *, again: bool) -> Emitted:
            return store.send_states(
                topic, *(entities or ()), at=at, before=before, projection=projection, key=key,
                again=again, shown=shown,
            )  # fmt: skip

        sending.send_to_topic(shared, store, send, follow=follow)
        return
    messages = store.emit_states(*(entities or ()), at=at, before=before, projection=projection, deleted=deleted)
    sending.send(shared, messages)


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
    *,
    sending: Sending,
    key: KeyOfEvents = "",
    follow: Follow = False,
) -> None:
    """Send events by position: the bytes of their records, with the entity as their key; to a topic, each once."""
    store = open_store(shared)
    if topic := sending.topic(_of_events(key), follow=follow):

        def send(shown: Channel | None, *, again: bool) -> Emitted:
            return store.send_events(
                topic, *(entities or ()), type=type or (), from_=from_, until=until, limit=shared.limit,
                again=again, shown=shown,
            )  # fmt: skip

        sending.send_to_topic(shared, store, send, follow=follow)
        return
    messages = store.emit_events(*(entities or ()), type=type or (), from_=from_, until=until)
    sending.send(shared, messages)


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
    *,
    sending: Sending,
    key: KeyOfEvents = "",
) -> None:
    """Send the changes that take entities back to their state at T; headers name the events that each undoes."""
    store = open_store(shared)
    if topic := sending.topic(_of_events(key)):
        if shared.limit is not None:
            raise UsageError("--limit is not for compensations in a topic, which are one change", "leave it out")

        def send(shown: Channel | None, *, again: bool) -> Emitted:
            return store.send_revert(
                topic, *entities, back_to=back_to, projection=projection, as_events=as_events,
                again=again, shown=shown,
            )  # fmt: skip

        sending.send_to_topic(shared, store, send)
        return
    messages = store.emit_revert(*entities, back_to=back_to, projection=projection, as_events=as_events)
    sending.send(shared, messages)


def _of_events(key: str) -> str:
    if key not in ("", "entity"):
        raise UsageError(f"--key {key[:80]!r} is no key of events", "it may be entity, which is the default")
    return key
