"""Partial states put together from pieces: ranges of the fold order in which one entity's events are folded."""

from __future__ import annotations

from esctl.ask.scope.scope import Scope, run_fieldless_checks
from esctl.model import AsOf
from esctl.projection.fold import Plan
from esctl.projection.partial import chained_sql, partial_sql
from esctl.projection.sql import EventRows


def cells_of_pieces(scope: Scope, plan: Plan, rows: EventRows, at: AsOf | None) -> str:
    """Write the partial states put together from pieces; empty if the events are folded at once.

    Versions are counted from the first event, so a bound by version cannot be applied to a piece.
    """
    if at is not None and at.kind not in ("time", "position"):
        return ""

    def partial() -> str:
        run_fieldless_checks(scope, plan, rows)
        return partial_sql(plan, rows)

    parts = scope.lookups.pieces(scope.view, scope.connection, partial)
    return chained_sql(plan, parts, rows.most_rows) if parts else ""
