"""Events, states and compensations as messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from esctl.errors import UsageError
from esctl.store import OpenStore

if TYPE_CHECKING:
    from esctl.sinks.protocol import Message


class Emission(OpenStore):
    """The messages that `esctl emit` sends, computed as they are asked for."""

    def emit_states(
        self, *entities: str, at: str = "", before: str = "", projection: str = "", deleted: bool = False
    ) -> Iterator[Message]:
        """Return the states of entities as messages. Takes the arguments of `esctl emit states`.

        >>> [message.key for message in store.emit_states("sensor-*")]
        [b'sensor-1', b'sensor-2', b'sensor-3', b'sensor-4']
        """
        from esctl.ask.states.folding import folding
        from esctl.ask.states.replay import replay
        from esctl.emission.messages import state_messages

        bound = self.bound(at, before)
        answer = replay(folding(self.scope(entities, projection), bound), bound, deleted=deleted)
        return state_messages(self.store_state, answer)

    def emit_events(
        self,
        *entities: str,
        type: str | Sequence[str] = (),  # noqa: A002  # as the option
        from_: str = "",
        until: str = "",
        after: int = 0,
    ) -> Iterator[Message]:
        """Return events as messages, each with the bytes of its record. Takes the arguments of `esctl emit events`.

        `after`: only events at later positions.

        >>> len([*store.emit_events("account-017", type="CardCharged", from_="2024-03-05", until="2024-03-05")])
        1
        """
        from esctl.ask.events.log import EventFilters, log
        from esctl.emission.messages import event_messages

        answer = log(self.scope(entities), EventFilters(self.filters(type=type, from_=from_, to=until)))
        return event_messages(self.store_state, answer, after)

    def emit_revert(self, *entities: str, back_to: str, projection: str = "", as_events: str = "") -> Iterator[Message]:
        """Return the changes of a revert as messages. Takes the arguments of `esctl emit revert`.

        >>> [message.key for message in store.emit_revert("account-017", back_to="2024-03-05")]
        [b'account-017', b'account-017', b'account-017']
        """
        from esctl.ask.changes.event_template import read_template
        from esctl.ask.changes.revert import revert
        from esctl.ask.states.folding import folding_each
        from esctl.emission.messages import compensation_messages

        point = self.given(back_to, "--back-to")
        if point is None:
            raise UsageError("missing option '--back-to'", "say back to when: --back-to 2024-03-04")
        scope, past = folding_each(self.scope(entities, projection), None, point)
        answer = revert(scope, point, past)
        template = read_template(as_events, "--as-events") if as_events else None
        return compensation_messages(self.store_state, answer, template, "--as-events")
