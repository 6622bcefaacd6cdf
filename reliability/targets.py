"""What is fuzzed: each reader with good inputs to start from, and what must hold of any other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Target:
    """One reader. `check` takes a batch of inputs; it may raise EsctlError, any other exception is a bug.

    `weight` is its share of a campaign. `is_json`: inputs are changed by the structure of their JSON too.
    """

    name: str
    weight: float
    seeds: tuple[bytes, ...]
    check: Callable[[Sequence[bytes]], None]
    batch: int = 1
    is_json: bool = False


def each(check: Callable[[bytes], None]) -> Callable[[Sequence[bytes]], None]:
    """Check inputs one by one."""

    def run(batch: Sequence[bytes]) -> None:
        for data in batch:
            check(data)

    return run


def all_targets(folder: Path) -> list[Target]:
    """Make all targets; their files are in `folder`."""
    from reliability.fuzz_sources import source_targets
    from reliability.fuzz_stores import store_targets
    from reliability.fuzz_texts import text_targets

    return [*text_targets(folder), *store_targets(folder), *source_targets(folder)]
