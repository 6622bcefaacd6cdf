"""Name a value within SQL: what is written once is planned and computed once."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import count

_NAMED = re.compile(r'"?[A-Za-z_]\w*"?(?:\.\w+)?|\x01[0-9]+\x01')
_GIVEN = re.compile(r"\bonce([0-9]+)\b")
_places = count()


def once(value: str, written: Callable[[str], str]) -> str:
    """Write SQL that uses a value more than once; a name stays as it is, anything else is bound to one.

    DuckDB plans each copy of an expression anew, and copies within copies multiply.
    """
    if _NAMED.fullmatch(value):
        return written(value)
    place = f"\x01{next(_places)}\x01"  # of the name, until all that is within is written
    body = written(place)
    name = f"once{1 + max(map(int, _GIVEN.findall(body)), default=-1)}"
    return f"list_transform([{value}], lambda {name}: {body.replace(place, name)})[1]"
