"""Audit and replay event-sourced systems: what was the state, what changed, and who did it.

`Store` is loaded on first use, so that `import esctl` costs nothing: neither DuckDB nor Arrow is imported by it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from esctl.api import Store

__version__ = "0.1.0"
__all__ = ["Store", "__version__"]

_LAZY = {"Store": "esctl.api"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'esctl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
