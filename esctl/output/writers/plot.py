"""A series as lines of braille in a terminal, drawn by plotille (the extra `plot`)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from esctl.errors import UsageError
from esctl.model import Answer
from esctl.output.frames import to_rows
from esctl.output.text import visible

MOST_LINES = 8
_COLORS = ("cyan", "yellow", "magenta", "green", "red", "blue", "white", "black")
_MARGIN = 24
"""Columns that plotille puts around the canvas."""


def plot(answer: Answer, label: str, width: int, height: int, tz: str, *, color: bool) -> str:
    """Draw the values of an answer with the columns time, value and perhaps group; times are those of the zone.

    Raises UsageError where plotille is not installed, and for values that are no numbers or too many groups.
    """
    try:
        import plotille
    except ImportError:
        raise UsageError(
            "--plot needs plotille, which is not installed", "pip install 'esctl-audit[plot]', or leave out --plot"
        ) from None
    lines = _lines(answer, tz)
    figure = plotille.Figure()
    figure.width, figure.height = max(width - _MARGIN, 20), max(height, 5)
    figure.with_colors, figure.color_mode = color, "names"
    figure.x_label, figure.y_label = "time", visible(label)
    figure.register_label_formatter(float, _number)
    for (name, values), shade in zip(lines.items(), _COLORS, strict=False):
        # Without colours the lines are told apart by the first letters of the alphabet.
        marker = chr(ord("a") + _COLORS.index(shade)) if len(lines) > 1 and not color else None
        figure.plot(list(values), list(values.values()), lc=shade if color else None, marker=marker, label=name)
    return f"{figure.show(legend=len(lines) > 1)}\n"


def _lines(answer: Answer, tz: str) -> Mapping[str, Mapping[datetime, float]]:
    lines: dict[str, dict[datetime, float]] = {}
    for row in to_rows(answer, tz):
        value = row["value"]
        line = lines.setdefault(_name(row), {})
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            line[datetime.fromisoformat(row["time"]).replace(tzinfo=None)] = float(value)
        elif value is not None:
            raise UsageError(f"--plot draws numbers, and a value is {value!r}", "leave out --plot")
    if len(lines) > MOST_LINES:
        raise UsageError(
            f"--plot draws at most {MOST_LINES} groups, and there are {len(lines)}", "name entities, or another --by"
        )
    return {name: line for name, line in lines.items() if line}


def _name(row: Mapping[str, Any]) -> str:
    group = row.get("group")
    return "(none)" if group is None else visible(group)


def _number(value: float, chars: int, delta: float, left: bool = False) -> str:
    text = f"{value:,.2f}".rstrip("0").rstrip(".")
    return text.ljust(chars) if left else text.rjust(chars)
