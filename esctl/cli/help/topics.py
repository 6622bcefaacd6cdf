"""The concept pages of the documentation, which `esctl help TOPIC` prints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import esctl


def topics() -> Mapping[str, Path]:
    """Return the pages by name: those of the installed package, else of the checkout that esctl runs from."""
    package = Path(esctl.__file__).parent
    folders = (package / "concepts", package.parent / "docs" / "concepts")
    found = next((folder for folder in folders if folder.is_dir()), None)
    return {page.stem: page for page in sorted(found.glob("*.md"))} if found else {}


def title(page: Path) -> str:
    """Return the heading of a page."""
    with page.open(encoding="utf-8") as lines:
        return next(lines).removeprefix("# ").strip()
