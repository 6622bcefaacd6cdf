"""How much the tests try: what a change must pass, or everything.

`make test` draws the same examples in every run and leaves out what is marked `thorough`. `make test-all` sets
ESCTL_TESTS=all: nothing is left out, and to the fixed examples come fresh ones, of a seed that is printed;
ESCTL_SEED=N draws those of another run again. ESCTL_CAMPAIGN=N does all that with N times as many fresh ones.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from typing import TypeVar

import hypothesis.core
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.internal.conjecture import providers

T = TypeVar("T")
CAMPAIGN = int(os.environ.get("ESCTL_CAMPAIGN", "0"))
ALL = CAMPAIGN > 0 or os.environ.get("ESCTL_TESTS") == "all"
TIMES = max(CAMPAIGN, 1)
SEED = int(os.environ.setdefault("ESCTL_SEED", str(secrets.randbits(32)))) if ALL else 0
"""What fresh examples are drawn from; 0 where there are none. Processes started from here have the same."""

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example, HealthCheck.filter_too_much]
_SAME = settings(deadline=None, database=None, suppress_health_check=_SLOW)
settings.register_profile("fast", _SAME, derandomize=True, max_examples=12)
settings.register_profile("thorough", _SAME, derandomize=False)
PHASES = (Phase.generate, Phase.shrink) if ALL else (Phase.generate,)
"""For properties that are slow to try: what fails in every run need not be made small in each."""


def numbers(count: int) -> range:
    """Return the numbers of the sets of examples to try, of `count` that there are."""
    return range(count if ALL else 1)


def seeds(number: int) -> tuple[int, ...]:
    """Return what to seed a property with: its number, and where everything is tried, a fresh one."""
    return (number, number + SEED) if ALL else (number,)


def examples(count: int, few: int) -> int:
    """Return how many examples of a slow property to draw: a few, or as many as there are to be."""
    return count * TIMES if ALL else few


def share(count: int) -> int:
    """Return how many of so many examples of a property to draw: a quarter, or all."""
    return count if ALL else -(-count // 4)


def some(each: Sequence[T], most: int) -> Sequence[T]:
    """Return as many as there may be, from the first to the last in even steps; all, where everything is tried."""
    if ALL or len(each) <= most:
        return each
    return [each[at * (len(each) - 1) // max(most - 1, 1)] for at in range(most)]


EACH = (
    *("tests/ask/over_time/test_grid.py", "tests/ask/scope/test_carried.py", "tests/ask/states/test_patches.py"),
    *("tests/index/decode/", "tests/ledger/prove/", "tests/ledger/sign/test_notes.py", "tests/log/test_merkle.py"),
    *("tests/log/test_segment.py", "tests/oracles/test_told_changes.py", "tests/project/", "tests/reference/"),
    "tests/sources/postgres/test_pgoutput.py",
)
"""Folders and files of which the fast run tries each case: cases that cost next to nothing, or are a document each."""
OTHER_FOLD = "event by event"
"""In the names of cases in which states are folded in Python: these are not like those of the fold in SQL."""


def like_cases(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return the cases that the fast run leaves out: of a test's like cases all but one in eight, four at most.

    The same in every run: the first, and where more than one is tried the last, with even steps between.
    """
    tests: dict[tuple[str, bool], list[pytest.Item]] = {}
    for item in [] if ALL else items:
        test, bracket, case = item.nodeid.partition("[")
        if bracket and not test.startswith(EACH):
            tests.setdefault((test, OTHER_FOLD in case), []).append(item)
    left_out: list[pytest.Item] = []
    for cases in tests.values():
        tried = set(some(range(len(cases)), min(-(-len(cases) // 8), 4)))
        left_out += [item for at, item in enumerate(cases) if at not in tried]
    return left_out


def draw_fewer(items: Sequence[pytest.Item]) -> None:
    """Let properties that say how many examples they draw draw one in eight in the fast run, but five at least."""
    seen: set[int] = set()
    for item in [] if ALL else items:
        function = getattr(getattr(item, "obj", None), "__func__", getattr(item, "obj", None))
        own = getattr(function, _SETTINGS, None)
        if own is not None and id(function) not in seen:
            seen.add(id(function))
            setattr(
                function,
                _SETTINGS,
                settings(own, max_examples=max(own.max_examples // 8, min(own.max_examples, 5))),
            )


_SETTINGS = "_hypothesis_internal_use_settings"
"""Where Hypothesis keeps what a test's own @settings say."""


def load_profile() -> None:
    """Let Hypothesis do as much as this run is to try."""
    settings.load_profile("thorough" if ALL else "fast")
    # Hypothesis draws some values from constants of the modules that are loaded by then, so what a test draws hangs
    # on which ran before it in the same process. It has no setting for that.
    if not hasattr(providers, "is_local_module_file"):
        raise RuntimeError("Hypothesis looks for constants elsewhere now: mend load_profile()")
    providers.is_local_module_file = lambda _: False
    if ALL:
        hypothesis.core.global_force_seed = SEED  # as --hypothesis-seed does, for this process alone
