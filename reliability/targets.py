"""All readers that are fuzzed."""

from __future__ import annotations

from pathlib import Path

from reliability.fuzz_sources import source_targets
from reliability.fuzz_stores import store_targets
from reliability.fuzz_texts import text_targets
from reliability.target import Target


def all_targets(folder: Path) -> list[Target]:
    """Return all targets, with their files in `folder`."""
    return [*text_targets(folder), *store_targets(folder), *source_targets(folder)]
