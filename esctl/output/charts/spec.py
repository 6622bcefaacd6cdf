"""A series as a chart in Vega-Lite, which notebooks show and vl-convert draws."""

from __future__ import annotations

from calendar import timegm
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from esctl.output.charts.points import Lines
from esctl.output.text import visible

SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
"""The identifier of the language; nothing is fetched from it."""
WIDTH, HEIGHT = 720, 320
_DOTTED = 400
"""The most points that are shown as dots too; for more, only the line is drawn."""
_DIGITS = ",.12~g"
"""The d3 format of the numbers at the axis, which does not round them to whole ones."""
_GREY = "#555"
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#8c564b")
"""Okabe and Ito's palette, whose colours most eyes can tell apart."""


class Words(Struct, frozen=True):
    """The texts of a chart. `caption`: the basis of the answer."""

    title: str
    value: str
    group: str = ""
    zone: str = "UTC"
    caption: tuple[str, ...] = ()


def chart(lines: Lines, words: Words) -> dict[str, Any]:
    """Return the chart as Vega-Lite. Each point has a text with its time and all digits of its value.

    Heights are drawn as doubles, and times as the zone's clocks show them.
    """
    encoding: dict[str, Any] = {
        "x": {
            "field": "time", "type": "temporal", "scale": {"type": "utc"},
            "axis": {"title": _time_title(lines, words.zone)},
        },
        "y": {
            "field": "height", "type": "quantitative", "scale": {"zero": False}, "title": visible(words.value),
            "axis": {"format": _DIGITS, **({"tickMinStep": 1} if lines.whole else {})},
        },
    }  # fmt: skip
    names = [name for name, _ in lines.groups]
    if words.group:
        scale = {"domain": names, "range": list(_COLORS)}
        legend = {"title": visible(words.group), "symbolOpacity": 1}
        encoding["color"] = {"field": "group", "type": "nominal", "scale": scale, "legend": legend}
    labels = {"description": {"field": "told"}, "tooltip": {"field": "told"}}
    few = len(lines.times) <= _DOTTED
    dots = {"type": "point", "filled": True, "size": 16 if few else 100, "opacity": int(few)}
    line = {"type": "line", "aria": False, "strokeJoin": "round"}  # a mitre would stick out beyond the values
    color = {} if words.group else {"color": _COLORS[0]}
    drawn = {
        "width": WIDTH, "height": HEIGHT, "data": {"values": list(_point_values(lines))}, "encoding": encoding,
        "layer": [{"mark": {**line, **color}}, {"mark": {**dots, **color}, "encoding": labels}],
        "title": _caption_title(words.caption),
    }  # fmt: skip
    title = {"text": visible(words.title), "anchor": "start", "limit": WIDTH}
    return {"$schema": SCHEMA, "background": "white", "padding": 12, "title": title, "vconcat": [drawn]}


def _time_title(lines: Lines, zone: str) -> str:
    days = sorted({time.date().isoformat() for time in lines.times})
    between = f", {days[0]} to {days[-1]}" if len(days) > 1 else f", {days[0]}" if days else ""
    return f"time ({visible(zone)}){between}"


def _point_values(lines: Lines) -> Iterator[dict[str, Any]]:
    for name, points in lines.groups:
        for point in points:
            time = timegm(point.time.timetuple()) * 1000 + point.time.microsecond // 1000
            label = ", ".join(filter(None, (point.time_text, name, point.value)))
            yield {"time": time, "height": point.height, "group": name, "told": label}


def _caption_title(lines: tuple[str, ...]) -> dict[str, Any]:
    return {
        "text": [visible(line) for line in lines], "orient": "bottom", "anchor": "start", "offset": 10, "fontSize": 10,
        "fontWeight": "normal", "color": _GREY, "lineHeight": 13,
    }  # fmt: skip
