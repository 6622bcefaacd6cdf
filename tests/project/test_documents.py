"""The documents can be read in an editor: their prose is wrapped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "sample_logs" / "README.md"])
WIDTH = 100


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines that can be broken: no code, no table, not one long word."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        fenced ^= line.lstrip().startswith("```")
        if not fenced and not line.lstrip().startswith(("|", "```", "<!--")) and not line.lstrip().startswith("`"):
            yield number, line


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_prose_is_wrapped(path: Path) -> None:
    assert [number for number, line in prose(path.read_text(encoding="utf-8")) if len(line) > WIDTH] == []
