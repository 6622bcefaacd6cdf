"""One reader that is fuzzed: good inputs to start from, and what must hold of any other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """One reader. `check` takes a batch of inputs; it may raise EsctlError, while any other exception is a bug.

    `weight` is the target's share of a campaign. `is_json`: inputs are also changed by the structure of their JSON.
    """

    name: str
    weight: float
    seeds: tuple[bytes, ...]
    check: Callable[[Sequence[bytes]], None]
    batch: int = 1
    is_json: bool = False


def each(check: Callable[[bytes], None]) -> Callable[[Sequence[bytes]], None]:
    """Return a check that takes a batch and checks its inputs one by one."""

    def run(batch: Sequence[bytes]) -> None:
        for data in batch:
            check(data)

    return run
