"""A chart as SVG, PNG or HTML, drawn by vl-convert (the extra `plot`)."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from html import escape
from typing import Any

from esctl.errors import UsageError
from esctl.output.charts.points import Lines
from esctl.output.charts.spec import Words, chart
from esctl.output.text import visible

_POINT = re.compile(r'<path aria-label="([^"]*)" role="graphics-symbol" aria-roledescription="point"([^>]*)/>')
_STYLE = (
    "body{font:14px sans-serif;margin:1em auto;max-width:62em}svg{max-width:100%;height:auto}"
    "table{border-collapse:collapse}th,td{text-align:left;padding:0 1em 0 0}.n{text-align:right}"
)


def draw(lines: Lines, words: Words, suffix: str) -> bytes:
    """Draw a chart in the format of a suffix. The same lines and words give the same bytes of SVG and HTML.

    Raises UsageError if vl-convert is not installed.
    """
    try:
        import vl_convert
    except ImportError:
        raise UsageError(
            "a chart needs vl-convert, which is not installed",
            "pip install 'esctl-audit[plot]', or write the series to a file: -o series.csv",
        ) from None
    # As text, in which no character of a log is raw: the library would read a dict in another way.
    text = json.dumps(chart(lines, words))
    if suffix == ".png":
        return bytes(vl_convert.vegalite_to_png(text, scale=2))
    svg = _POINT.sub(
        r'<path role="graphics-symbol" aria-roledescription="point"\2><title>\1</title></path>',
        vl_convert.vegalite_to_svg(text),
    )
    return (svg if suffix == ".svg" else _html_page(svg, lines, words)).encode()


def _html_page(svg: str, lines: Lines, words: Words) -> str:
    """Return an HTML page with a chart and its numbers, without a script or any request to elsewhere."""
    digest = base64.b64encode(sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = "".join(f"<th>{_escape_text(name)}</th>" for name in ("time", words.group, words.value) if name)
    rows = "\n".join(_table_rows(lines, bool(words.group)))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"<title>{_escape_text(words.title)}</title><style>{_STYLE}</style></head><body>\n{svg}\n"
        f"<details><summary>{len(lines.times):,} points</summary>\n<table><thead><tr>{head}</tr></thead><tbody>\n"
        f"{rows}\n</tbody></table></details>\n</body></html>\n"
    )


def _table_rows(lines: Lines, grouped: bool) -> Iterator[str]:
    for name, points in lines.groups:
        group = f"<td>{_escape_text(name)}</td>" if grouped else ""
        for point in points:
            time, value = _escape_text(point.time_text), _escape_text(point.value)
            yield f'<tr><td>{time}</td>{group}<td class="n">{value}</td></tr>'


def _escape_text(text: str) -> str:
    return escape(visible(text))


def notebook(lines: Lines, words: Words) -> dict[str, Any]:
    """Return a chart for notebooks, by MIME type: as Vega-Lite, and as SVG if vl-convert is installed."""
    found: dict[str, Any] = {"application/vnd.vegalite.v5+json": chart(lines, words)}
    with suppress(UsageError):
        found["image/svg+xml"] = draw(lines, words, ".svg").decode()
    return found
