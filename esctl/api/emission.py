"""What is sent to others, as messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from esctl.errors import UsageError
from esctl.store import OpenStore

if TYPE_CHECKING:
    from esctl.sinks.protocol import Message


class Emission(OpenStore):
    """The messages that `esctl emit` sends; they are computed as they are asked for."""

    def emit_states(
        self, *entities: str, at: str = "", before: str = "", projection: str = "", deleted: bool = False
    ) -> Iterator[Message]:
        """Return the states of entities as messages. Arguments as those of `esctl emit states`."""
        from esctl.ask.states.folding import folding
        from esctl.ask.states.replay import replay
        from esctl.emission.messages import state_messages

        answer = replay(folding(self.scope(entities, projection)), self.bound(at, before), deleted=deleted)
        return state_messages(self.snapshot, answer)

    def emit_events(
        self,
        *entities: str,
        type: str | Sequence[str] = (),  # noqa: A002  # as the option
        from_: str = "",
        to: str = "",
        after: int = 0,
    ) -> Iterator[Message]:
        """Return events as messages, each with the bytes of its record. Arguments as those of `esctl emit events`.

        `after`: only those of later positions.
        """
        from esctl.ask.events.log import EventFilters, log
        from esctl.emission.messages import event_messages

        answer = log(self.scope(entities), EventFilters(self.filters(type=type, from_=from_, to=to)))
        return event_messages(self.snapshot, answer, after)

    def emit_revert(self, *entities: str, back_to: str, projection: str = "", as_events: str = "") -> Iterator[Message]:
        """Return the changes of a revert as messages. Arguments as those of `esctl emit revert`."""
        from esctl.ask.changes.event_template import read_template
        from esctl.ask.changes.revert import revert
        from esctl.ask.states.folding import folding
        from esctl.emission.messages import compensation_messages

        point = self.given(back_to, "--back-to")
        if point is None:
            raise UsageError("missing option '--back-to'", "say back to when: --back-to 2024-03-04")
        answer = revert(folding(self.scope(entities, projection)), point)
        template = read_template(as_events, "--as-events") if as_events else None
        return compensation_messages(self.snapshot, answer, template, "--as-events")
