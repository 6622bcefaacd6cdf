"""How texts and times look on the screen: inert, of a width in cells, with an ellipsis if they are cut."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo

from rich.cells import cell_len, chop_cells, set_cell_size

from esctl.output.text import visible

Part = tuple[str, str]
"""Text and its style. It is inert already: made by `plain`, or of our own words."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST = 4000
"""The most characters of a text that are looked at: no line of a screen has more."""


def plain(text: str) -> str:
    """Return text from a log as one line in which no character acts on the terminal."""
    return visible(text[:_LONGEST])


def width_of(text: str) -> int:
    """Return the number of cells that a text takes."""
    return cell_len(text)


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Return a text in exactly `width` cells: padded, or cut with an ellipsis."""
    if width <= 0:
        return ""
    size = cell_len(text)
    if size <= width:
        fill = " " * (width - size)
        return fill + text if right else text + fill
    return set_cell_size(text, width - 1) + "…"


def shorten(text: str, width: int) -> str:
    """Return a name in at most `width` cells, cut in the middle: names often differ at their end."""
    if cell_len(text) <= width:
        return text
    end = chop_cells(text[::-1], max(width // 2, 1))[0][::-1] if width > 3 else ""
    return set_cell_size(text, max(width - 1 - cell_len(end), 0)) + "…" + end


def clip(parts: Iterable[Part], width: int) -> list[Part]:
    """Return the parts that fit into `width` cells; the last is cut with an ellipsis."""
    fitting: list[Part] = []
    for text, style in parts:
        size = cell_len(text)
        if size > width:
            return [*fitting, (fit(text, width), style)] if width > 0 else fitting
        fitting.append((text, style))
        width -= size
    return fitting


def wrap(text: str, width: int) -> list[str]:
    """Return inert text in lines of at most `width` cells, broken at a blank near their end, if there is one."""
    lines: list[str] = []
    at, width = 0, max(width, 2)
    while at < len(text):
        ahead = text[at : at + width + 1]
        line = ahead if cell_len(ahead) <= width else chop_cells(ahead, width)[0]
        blank = line.rfind(" ", len(line) * 2 // 3) if at + len(line) < len(text) else -1
        line = line[: blank + 1] if blank > 0 else line
        lines.append(line)
        at += len(line)
    return lines or [""]


def moment(instant: int | None, zone: tzinfo, *, short: bool = False) -> str:
    """Return microseconds since the epoch as local time, without a zero fraction; `short`: to the second."""
    if instant is None:
        return "undated"
    try:
        local = (_EPOCH + timedelta(microseconds=instant)).astimezone(zone).replace(tzinfo=None)
    except (OverflowError, ValueError):
        return f"{instant} µs"
    text = local.isoformat(" ", "seconds")
    if short or not local.microsecond:
        return text
    return f"{text}.{local.microsecond:06d}".removesuffix("000")
