"""Partial states of pieces of the fold order, where the events of an entity are folded in such, put together."""

from __future__ import annotations

from esctl.ask.scope.scope import Scope, hold_checks
from esctl.model import AsOf
from esctl.projection.fold import Plan
from esctl.projection.partial import chained_sql, partial_sql
from esctl.projection.sql import EventRows


def cells_of_pieces(scope: Scope, plan: Plan, rows: EventRows, at: AsOf | None) -> str:
    """Write the partial states that pieces come to; empty where the events are folded at once.

    Versions are counted from the first event, so a bound by them cannot be told in a piece.
    """
    if at is not None and at.kind not in ("time", "position"):
        return ""

    def partial() -> str:
        hold_checks(scope, plan, rows)
        return partial_sql(plan, rows)

    parts = scope.lookups.pieces(scope.view, scope.connection, partial)
    return chained_sql(plan, parts, rows.count) if parts else ""
