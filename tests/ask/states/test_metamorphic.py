"""Changes that change nothing but the way the engine takes change no answer and no error.

The examples are the same in every run; ESCTL_CAMPAIGN=N draws others, N times as many (see `campaigns`).
"""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import strategies as st

from tests.support.alike import Asked, differing, error_of, questions
from tests.support.campaigns import hold
from tests.support.ground import ground, projection_of
from tests.support.unchanged import CHANGES, KINDS, changed
from tests.support.wide_digits import RULES, Spread, spread

Example = tuple[Spread, Random]
EXAMPLES = {"rules": 6, "arrivals": 6, "store": 5}


@pytest.mark.thorough
@pytest.mark.parametrize("kind", KINDS)
def test_what_changes_nothing_changes_no_answer(kind: str) -> None:
    seen: Counter[str] = Counter()

    def check(example: Example) -> None:
        log, random = example
        error = error_of(log)
        if error is not None and error.shadowed:
            return  # a fold that looks only at what survives need not see it
        every = [*questions(log, random)]
        asked = every[:1] if error else random.sample(every, 5)
        possible = [name for name in KINDS[kind] if log.rules in CHANGES[name].rules]
        with ground(log.commits, projection_of(RULES[log.rules])) as made:
            plain = Asked(made, asked)
            for name in random.sample(possible, 3):
                with changed(log, CHANGES[name], random) as other:
                    assert not list(differing(log, plain, other, named=CHANGES[name].named)), name
                seen[name] += 1

    examples = st.tuples(spread(), st.randoms(use_true_random=False))
    hold(f"what changes nothing, {kind}", check, EXAMPLES[kind], examples)
    assert len(seen) > len(KINDS[kind]) / 2
