"""Check event logs in tests: conditions that must never have held, and states as they must have been."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from esctl.testing.event_log import EventLog

__all__ = ["EventLog"]


def __getattr__(name: str) -> Any:
    # pytest loads the plugin in every run wherever esctl is installed: the rest is loaded only if it is used.
    if name == "EventLog":
        from esctl.testing.event_log import EventLog

        return EventLog
    raise AttributeError(f"module 'esctl.testing' has no attribute {name!r}")
