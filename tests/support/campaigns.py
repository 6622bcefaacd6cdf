"""Try a property on drawn examples: the same in every run, or others, many times as many, in a campaign.

ESCTL_CAMPAIGN=N draws N times as many examples from a fresh seed, which is told; ESCTL_SEED=S draws them from that one.
ESCTL_FIGURES names a file to which what was tried is written, a line of JSON each time.
"""

from __future__ import annotations

import json
import os
import secrets
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.support import effort

CAMPAIGN = int(os.environ.get("ESCTL_CAMPAIGN", "0"))
SEED = int(os.environ.get("ESCTL_SEED") or (secrets.randbits(32) if CAMPAIGN else 0))
T = TypeVar("T")
tally: Counter[str] = Counter()
"""How many questions of each kind were asked, and of examples tried, since the last figures were written."""


def hold(name: str, check: Callable[[T], None], examples: int, drawn: st.SearchStrategy[T]) -> None:
    """Try a property, whose name tells one set of examples from another. A failure tells the seed."""

    @seed(f"{name} {SEED}")
    @settings(
        max_examples=effort.share(examples) * max(CAMPAIGN, 1),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate] if not CAMPAIGN else [Phase.generate, Phase.shrink],
        print_blob=False,
    )
    @given(drawn)
    def run(example: T) -> None:
        tally["examples"] += 1
        check(example)

    held = False
    try:
        run()
        held = True
    except BaseException as error:
        error.add_note(f"again: ESCTL_CAMPAIGN={CAMPAIGN} ESCTL_SEED={SEED}")
        raise
    finally:
        _keep_figures(name, held)


def _keep_figures(name: str, held: bool) -> None:
    path = os.environ.get("ESCTL_FIGURES")
    if path:
        with Path(path).open("a", encoding="utf-8") as out:
            out.write(json.dumps({"name": name, "held": held, **tally}) + "\n")
    tally.clear()
