"""Ask a question of a store as it is to be asked: at once, or in parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from esctl.model import Answer
from esctl.store import OpenStore


def ask(store: OpenStore, question: Callable[..., Answer], *arguments: Any, **named: Any) -> Answer:
    """Ask a question of scopes of a store: in parts, where the store has an engine for that."""
    if store.engine is None:
        return question(*arguments, **named)
    from esctl.cluster.question import spread

    return spread(question, *arguments, **named)
