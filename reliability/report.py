"""Keep the figures of campaigns, and write them into docs/reliability.md: `python -m reliability.report`."""

from __future__ import annotations

import json
import os
import platform
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reliability.md"
FOLDER = ROOT / "build" / "reliability"

Table = Mapping[str, Sequence[object]]
"""The rows of a Markdown table: by the first cell, the other cells."""


def keep(name: str, command: str, seconds: float, lines: Sequence[str], heads: Sequence[str], rows: Table) -> None:
    """Keep what a campaign found, in a file, until the page is written."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    day, machine = time.strftime("%Y-%m-%d", time.gmtime()), _describe_machine()
    page = [f"`{command}`, {day}, {machine}, {seconds:,.0f} s:", "", *lines]
    if rows:
        page += ["", _row(heads), _row("-" * len(heads))]
        page += [_row([name, *(_number(cell) for cell in cells)]) for name, cells in rows.items()]
    (FOLDER / f"{name}.json").write_text(json.dumps(page), encoding="utf-8")


def write() -> None:
    """Put everything that was kept between the marks of the page; figures that were not measured stay."""
    text = PAGE.read_text(encoding="utf-8")
    for path in sorted(FOLDER.glob("*.json")):
        body = "\n".join(json.loads(path.read_text(encoding="utf-8")))
        pattern = rf"(<!-- figures: {re.escape(path.stem)} -->\n).*?(<!-- end -->)"
        text = re.sub(pattern, lambda found, body=body: f"{found[1]}{body}\n{found[2]}", text, flags=re.DOTALL)
    PAGE.write_text(text, encoding="utf-8")


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _number(cell: object) -> str:
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def _describe_machine() -> str:
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


if __name__ == "__main__":
    write()
