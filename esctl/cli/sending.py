"""The options that say where emit sends messages, and the sending itself."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from esctl.cli import diagnostics
from esctl.cli.consent import require_consent
from esctl.cli.groups import Group
from esctl.cli.growth import new_commits
from esctl.cli.intake.live_sources import Properties, Property, properties_of
from esctl.errors import UsageError

if TYPE_CHECKING:
    from esctl.api import Store
    from esctl.cli.options import Shared
    from esctl.emission.topics import Emitted
    from esctl.sinks.kafka.destination import Destination
    from esctl.sinks.protocol import Channel, Message

_HINT = "write - for stdout, jsonl:FILE, or kafka://HOST:PORT/TOPIC"
To = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="TARGET",
        help="Where it is sent: - (stdout, as by default), jsonl:FILE or kafka://HOST:PORT/TOPIC.",
    ),
]
Again = Annotated[
    bool, typer.Option("--again", help="Send it to the topic from the beginning, whatever was sent before.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Write on stdout what would be sent, and send nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


class Send(Protocol):
    """A function that sends messages to a topic, or shows what it would send."""

    def __call__(self, shown: Channel | None, *, again: bool) -> Emitted:
        """Send the messages, or write them to `shown` if it is given."""


class Sending(Group, frozen=True):
    """Where messages go, and whether they are sent at all."""

    to: To = "-"
    property_: Property = None
    properties: Properties = ""
    again: Again = False
    dry_run: DryRun = False
    yes: Yes = False

    def topic(self, key: str, *, follow: bool = False) -> Destination | None:
        """Return the topic that `--to` names, or None. Raises UsageError for options of topics without a topic."""
        own = {"-X": self.property_, "-F": self.properties, "--again": self.again, "--follow": follow, "--key": key}
        if not self.to.startswith("kafka://"):
            for name, value in own.items():
                if value:
                    raise UsageError(f"{name} is for topics, and --to names none", "as in --to kafka://host:9092/topic")
            return None
        from esctl.sinks.kafka.destination import Destination, topic_of

        topic_of(Destination(self.to))
        return Destination(self.to, self.properties, properties_of(self.property_))

    def send(self, shared: Shared, messages: Iterable[Message]) -> None:
        """Send messages to a target that is no topic, or show them."""
        shown = _output_path(shared)
        asks = self.to != "-" and not self.dry_run
        channel = self._channel(shown)
        if asks:
            self._require_consent(shown)
        count = channel.send(islice(messages, shared.limit))
        verb = "sent" if asks else "to be sent" if self.dry_run else "written"
        diagnostics.note(f"{count} message{'s' * (count != 1)} {verb}", shared.quiet)

    def send_to_topic(self, shared: Shared, store: Store, send: Send, *, follow: bool = False) -> None:
        """Send messages to a topic, with `follow` also those of later commits; or show them."""
        from esctl.sinks.jsonl import JsonLines

        shown = _output_path(shared)
        if self.dry_run:
            if follow:
                raise UsageError("--dry-run cannot be combined with --follow", "leave one of them out")
            _note_sent(send(JsonLines(shown), again=self.again), "to be sent", shared)
            return
        self._require_consent(shown)
        _note_sent(send(None, again=self.again), "sent", shared)
        if follow:
            _follow(shared, store, send)

    def _channel(self, shown: Path | None) -> Channel:
        from esctl.sinks.jsonl import JsonLines

        kind, _, path = self.to.partition(":")
        if self.to != "-" and (kind != "jsonl" or not path or "\0" in path):
            raise UsageError(f"--to {self.to[:200]} is not a target", _HINT)
        return JsonLines(shown if self.to == "-" or self.dry_run else Path(path))

    def _require_consent(self, shown: Path | None) -> None:
        """Ask the user to confirm the sending. Raises UsageError if there is no terminal, or for --output."""
        if shown is not None:
            raise UsageError("--output and --to are both given", "give one of them")
        if self.yes:
            return
        hint = "confirm that with --yes, or look with --dry-run"
        question, consequence = f"Send messages to {self.to}?", f"messages would be sent to {self.to}"
        require_consent(question, consequence, "nothing was sent", hint)


def _follow(shared: Shared, store: Store, send: Send) -> None:
    for _ in new_commits(store):
        done = send(None, again=False)
        if done.count:
            _note_sent(done, "sent", shared)


def _note_sent(done: Emitted, verb: str, shared: Shared) -> None:
    for text in done.notes:
        diagnostics.note(f"note: {text}", shared.quiet)
    after = f"; what is up to position {done.after} was sent before" if done.after else ""
    diagnostics.note(f"{done.count} message{'s' * (done.count != 1)} {verb}{after}", shared.quiet)


def _output_path(shared: Shared) -> Path | None:
    if shared.format not in (None, "jsonl") or shared.columns:
        raise UsageError("messages are sent whole, and shown as JSON Lines", "leave --format and --columns out")
    return None if shared.output is None or str(shared.output) == "-" else shared.output
