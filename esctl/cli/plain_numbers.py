"""Numbers on the command line are plain digits: Python would read `1_0`, `+10` and digits of any script as 10."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy
from functools import partial
from typing import Any

_NUMBERS = ("int", "float")
"""What the names of the types of numbers begin with, in any release of Typer."""


def take_plain_numbers(parameters: Iterable[Any]) -> None:
    """Have parameters that are numbers refuse what is not written plainly."""
    for each in parameters:
        if each.type.name.startswith(_NUMBERS):
            # A copy, as one type serves many parameters.
            each.type, convert = copy(each.type), each.type.convert
            each.type.convert = partial(_convert, each.type.fail, convert)


def _convert(fail: Callable[..., Any], convert: Callable[..., Any], value: Any, parameter: Any, context: Any) -> Any:
    if isinstance(value, str) and not is_plain(value):
        fail(f"{value!r} is not a number in plain digits.", parameter, context)
    return convert(value, parameter, context)


def is_plain(text: str) -> bool:
    """Return whether a text has only such characters as plain numbers have, and no sign but a minus before it."""
    return text.isascii() and text == text.strip() and not text.startswith("+") and "_" not in text
