"""Sending events, states and compensations to topics of Kafka, each once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from esctl.api.emission import Emission
from esctl.errors import UsageError
from esctl.given import as_tuple

if TYPE_CHECKING:
    from esctl.emission.topics import Emitted
    from esctl.sinks.kafka.destination import Destination
    from esctl.sinks.kafka.topic import KafkaTopic
    from esctl.sinks.protocol import Channel, Message


class Sending(Emission):
    """Sends messages to topics. The methods take the arguments of `esctl emit ... --to kafka://...`.

    With `shown`, nothing is sent to the topic: the messages are written to that channel.
    """

    def send_events(
        self,
        destination: Destination,
        *entities: str,
        type: str | Sequence[str] = (),  # noqa: A002  # as the option
        from_: str = "",
        until: str = "",
        limit: int | None = None,
        again: bool = False,
        shown: Channel | None = None,
    ) -> Emitted:
        """Send the events that earlier calls with the same arguments have not sent."""
        from esctl.emission.topics import send_events
        from esctl.index.envelope.mapping import mapping_hash

        def events(after: int) -> Iterator[Message]:
            return self.emit_events(*entities, type=type, from_=from_, until=until, after=after)

        selection = {"entities": entities, "type": as_tuple(type), "from": from_, "until": until}
        return send_events(
            self.store_state, destination, selection, events,
            mapping=mapping_hash(self.mapping), renumbered=lambda: self.scope().view.manifest.judged,
            limit=limit, again=again, shown=shown,
        )  # fmt: skip

    def send_states(
        self,
        destination: Destination,
        *entities: str,
        at: str = "",
        before: str = "",
        projection: str = "",
        key: str = "",
        again: bool = False,
        shown: Channel | None = None,
    ) -> Emitted:
        """Send the states that differ from those in the topic; for some entities, or another time, send all of them."""
        from esctl.emission.topics import Emitted, send_states

        if entities or at or before:
            if key not in ("", "entity"):
                raise UsageError(f"--key {key} is for all states of now", "leave entities, --at and --before out")
            messages = self.emit_states(*entities, at=at, before=before, projection=projection, deleted=True)
            selection = {"entities": entities, "at": at, "before": before, "projection": projection}
            return send_states(self.store_state, destination, selection, messages, shown=shown)
        from esctl.sinks.kafka.keys import check_key
        from esctl.views.definitions import Definition
        from esctl.views.targets import Options
        from esctl.views.view import View

        check_key(key or "entity")
        into = self._topic(destination, key or "entity", shown)
        options = Options(key, destination.file, destination.properties)
        definition = Definition(destination.topic, projection, destination.url, Path(), "--to", options)
        view = View(self, definition)
        there = None if again else view.progress()
        if there is not None and there.projection != projection:
            raise UsageError(
                f"the topic {destination.topic} holds the states of another projection ({there.projection or 'all'})",
                "name another topic; or to put these in their place: --again",
            )
        done = view.refresh(anew=again, into=into)
        return Emitted(into.count, done.before)

    def _topic(self, destination: Destination, key: str, shown: Channel | None) -> KafkaTopic:
        from esctl.sinks.kafka.topic import KafkaTopic, ShownTopic

        if shown is None:
            return KafkaTopic(self.session, destination, key=key, writing=True)
        return ShownTopic(self.session, destination, key=key, shown=shown)

    def send_revert(
        self,
        destination: Destination,
        *entities: str,
        back_to: str,
        projection: str = "",
        as_events: str = "",
        again: bool = False,
        shown: Channel | None = None,
    ) -> Emitted:
        """Send the changes of a revert, unless an earlier call with the same arguments has sent them."""
        from esctl.emission.topics import send_once

        messages = self.emit_revert(*entities, back_to=back_to, projection=projection, as_events=as_events)
        selection = {"entities": entities, "back_to": back_to, "projection": projection, "as": as_events}
        return send_once(self.store_state, destination, selection, messages, again=again, shown=shown)
