"""Checks of event logs in tests: what must never have held, and what a state must have been."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from esctl.testing.event_log import EventLog

__all__ = ["EventLog"]


def __getattr__(name: str) -> Any:
    # pytest loads the plugin in every run of whoever has esctl installed: the rest is loaded by who uses it.
    if name == "EventLog":
        from esctl.testing.event_log import EventLog

        return EventLog
    raise AttributeError(f"module 'esctl.testing' has no attribute {name!r}")
