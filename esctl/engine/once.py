"""Bind a value to a name within SQL, so that it is planned and computed once."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextvars import ContextVar

_COLUMN_NAME = re.compile(r'"?[A-Za-z_]\w*"?(?:\.\w+)?')
_depth = ContextVar("depth", default=0)


def once(value: str, write: Callable[[str], str]) -> str:
    """Write SQL that uses a value more than once; a column is used by its name, anything else is bound to a name.

    DuckDB plans each copy of an expression again, and nested copies multiply. A name contains the depth at which it is
    bound, so nested bindings have other names, and SQL that was written before uses only its own.
    """
    if _COLUMN_NAME.fullmatch(value):
        return write(value)
    depth = _depth.get()
    token = _depth.set(depth + 1)
    try:
        return f"list_transform([{value}], lambda once{depth}: {write(f'once{depth}')})[1]"
    finally:
        _depth.reset(token)
