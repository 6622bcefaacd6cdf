"""One question by two roads: `--where`, `when`, `series`, `sql`, `log --where` against Python over `replay`'s JSON.

Digits are spread as far as no one DECIMAL holds, and states are folded in each way there is. The examples are the same
in every run; ESCTL_CAMPAIGN=N draws others, N times as many (see `campaigns`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import strategies as st

from tests.support import effort
from tests.support.campaigns import hold
from tests.support.filters import Condition, aggregates, conditions
from tests.support.ground import Bounds, Ground, Refusal, ground
from tests.support.stepped import WAYS, rules_of, taken
from tests.support.two_roads import (
    asked_series,
    asked_when,
    daily,
    filtered,
    folded,
    logged,
    selected,
    states_of,
    trails,
)
from tests.support.wide_digits import DAY, JANUARY, Spread, spread

Example = tuple[Spread, Random]
BOUNDS: tuple[Bounds, ...] = ({"position": 3}, {"version": 2}, {"at": JANUARY + 4 * DAY}, {"before": JANUARY + 4 * DAY})


def drawn(log: Spread, random: Random, count: int) -> list[Condition]:
    """Draw conditions, most of them on the field that is always there."""
    found = [*conditions("n", "m", log.numbers, random.choice), *conditions("m", "n", log.numbers, random.choice)]
    return random.sample(found, count)


def is_plain(condition: Condition) -> bool:
    """Say whether a condition means in DuckDB what it means here: comparisons of numbers that it reads as DECIMAL."""
    numbers = re.findall(r"[0-9.e+-]*[0-9][0-9.e+-]*", condition.sql)
    decimal = not any("e" in number or len(re.sub("[^0-9]", "", number)) > 38 for number in numbers)
    return (
        decimal
        and re.match(r"\{\} (=|<|>|in|not in|between|is)", condition.template) is not None
        and "'" not in condition.sql
    )


def states(made: Ground, log: Spread, random: Random) -> Iterator[str]:
    for bounds in ({}, random.choice(BOUNDS)):
        found = states_of(made.states(bounds))
        for condition in drawn(log, random, 5):
            yield from filtered(made, bounds, found, condition)
    if made.shared:
        return  # a table in `sql` is one projection's
    plain = [condition for condition in drawn(log, random, 12) if is_plain(condition)]
    yield from selected(made, bounds, found, plain[0] if plain else Condition("{} is null", "n"))


def histories(made: Ground, log: Spread, random: Random) -> Iterator[str]:
    lives = trails(made)
    for number, condition in enumerate(drawn(log, random, 2)):
        yield from asked_when(made, lives, condition, each_event=number % 2 == 0)
    days = daily(made, lives)
    asked = aggregates(random.choice("nnm"), *drawn(log, random, 1))
    for number, aggregate in enumerate(random.sample(asked, 3)):
        yield from asked_series(made, days, aggregate, by_entity=number == 0)


def events(made: Ground, log: Spread, random: Random) -> Iterator[str]:
    listed = states_of(made.log())
    for condition in drawn(log, random, 3):
        yield from logged(made, listed, condition)


EXAMPLES = {"set": 9, "shared": 3, "patched": 4, "wide": 2, "keys": 3, "python": 4}


@pytest.mark.parametrize("way", WAYS)
def test_answers_are_what_python_makes_of_the_states(way: str, tmp_path: Path) -> None:
    seen: Counter[str] = Counter()

    def check(example: Example) -> None:
        log, random = example
        with ground(*taken(way, log, tmp_path)) as laid:
            made = replace(laid, shared=way == "shared")
            assert way not in ("set", "patched") or not list(folded(made, log, BOUNDS))
            if isinstance(made.states(), Refusal):
                seen["refused"] += 1
                return
            for road in (states, histories, events) if way == "set" else (states, histories):
                assert not list(road(made, log, random))
        seen[log.rules] += 1

    examples = st.tuples(spread(rules_of(way)), st.randoms(use_true_random=False))
    hold(f"two roads, {way}", check, EXAMPLES[way], examples)
    assert seen.total() - seen["refused"] > effort.share(EXAMPLES[way]) / 2
