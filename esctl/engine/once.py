"""Name a value within SQL: what is written once is planned and computed once."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextvars import ContextVar

_NAMED = re.compile(r'"?[A-Za-z_]\w*"?(?:\.\w+)?')
_depth = ContextVar("depth", default=0)


def once(value: str, written: Callable[[str], str]) -> str:
    """Write SQL that uses a value more than once; a name stays as it is, anything else is bound to one.

    DuckDB plans each copy of an expression anew, and copies within copies multiply. Names tell how deep they are bound:
    what is written within one binds others, and what was written before uses its own alone.
    """
    if _NAMED.fullmatch(value):
        return written(value)
    depth = _depth.get()
    token = _depth.set(depth + 1)
    try:
        return f"list_transform([{value}], lambda once{depth}: {written(f'once{depth}')})[1]"
    finally:
        _depth.reset(token)
