"""Pieces: ranges of the fold order into which the events of a span are cut if one entity has most of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from esctl.ask.scope.bounds import instant_literal
from esctl.cluster.spans import Span
from esctl.engine.duckdb import explained
from esctl.index.pruning import Predicate, Reach, Test
from esctl.index.scan import FOLDABLE, IndexView

_SAMPLED_FROM, _SAMPLED = 2_000_000, 64
"""If an index has more rows than this, only one event in 64 is looked at to find where pieces begin."""
_TIME_OF_KEY = 63
"""Bits of a fold key below those of its time."""


def pieces_of(view: IndexView, span: Span, connection: Any) -> list[Predicate]:
    """Return the conditions of the pieces of a span, in fold order; fewer than two if it cannot be cut.

    A cut is between two events. There is none if sequences are text, which no range of numbers holds, or missing.
    """
    files = view.manifest.files
    if view.has_struct_keys or any(file.unsequenced for file in files):
        return []
    tests: list[Test] = [span.condition, FOLDABLE]
    tests += [f"position % {_SAMPLED} = 0"] if sum(file.rows for file in files) > _SAMPLED_FROM else []
    rows = view.relation(["position"], where=tests, extra=f"{view.event_key()} AS key")
    shares = ", ".join(str(number / span.pieces) for number in range(1, span.pieces))
    with explained():
        row = connection.execute(f"SELECT quantile_disc(key, [{shares}]) FROM ({rows})").fetchone()
    cuts = sorted(set(row[0] or ())) if row else []
    return [_key_range(view, low, high) for low, high in pairwise([None, *cuts, None])] if cuts else []


def _key_range(view: IndexView, low: int | None, high: int | None) -> Predicate:
    """Return the condition that low <= fold key < high; None: no limit."""
    key = view.event_key()
    tests = [] if low is None else [f"{key} >= {low}::HUGEINT"]
    tests += [] if high is None else [f"{key} < {high}::HUGEINT"]
    if not view.orderings <= {"time"}:
        return Predicate(" AND ".join(tests))
    first, last = (None if bound is None else bound >> _TIME_OF_KEY for bound in (low, high))
    tests += [] if first is None else [f"time >= {instant_literal(first)}"]
    tests += [] if last is None else [f"time <= {instant_literal(last)}"]
    return Predicate(" AND ".join(tests), Reach(min_time=first, max_time=last))
