"""Ask a question of a store: at once, or in parts by an engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from esctl.model import Answer
from esctl.store import OpenStore


class Asking(OpenStore):
    """The choice between answering questions at once and in parts."""

    def in_parts(self, engine: str) -> Self:
        """Return this store reopened, to answer questions in parts by an engine named as for `--engine` (`off`: none).

        >>> store.in_parts("local:1").replay("account-013").rows() == store.replay("account-013").rows()
        True
        """
        from esctl.cluster.engines import engine_of

        store = self.reopened()
        store.basis, store.store_state = self.basis, self.store_state
        store.engine = engine_of(engine, self.memory_limit, "engine")
        return store


def ask(store: OpenStore, question: Callable[..., Answer], *arguments: Any, **named: Any) -> Answer:
    """Return the answer to a question; it is answered in parts if the store has an engine."""
    if store.engine is None:
        return question(*arguments, **named)
    from esctl.cluster.question import ask_in_parts

    return ask_in_parts(question, *arguments, **named)
