"""The times of events in answers: the instant that an undated event is folded at is not its time."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from esctl.ask.scope.scope import Scope
from esctl.engine.quoting import identifier
from esctl.model import Answer, Column


def undated_positions(scope: Scope) -> str:
    """Select the positions of undated events; empty if there are none."""
    if not scope.view.manifest.undated:
        return ""
    return f"SELECT position FROM ({scope.view.relation(['position'], None, ['undated IS NOT NULL'])})"


def own_time(scope: Scope, time: str, position: str) -> str:
    """Write a time as it is, or NULL if the event at the position is undated."""
    undated = undated_positions(scope)
    return f"CASE WHEN {position} NOT IN ({undated}) THEN {time} END" if undated else time


def with_own_times(scope: Scope, answer: Answer) -> Answer:
    """Return an answer whose `time` is NULL if the event at its `position` is undated."""
    if not scope.view.manifest.undated:
        return answer
    undated = scope.view.relation(["position"], None, ["undated IS NOT NULL"])

    def own(sql: str, columns: Sequence[Column]) -> str:
        names = [column.name for column in columns]
        if not sql or not {"time", "position"} <= set(names):
            return sql
        items = ["CASE WHEN undated IS NULL THEN time END AS time" if n == "time" else identifier(n) for n in names]
        numbered = f"SELECT *, row_number() OVER () AS esctl_row FROM ({sql})"
        joined = f"""SELECT a.*, u.position AS undated FROM ({numbered}) a
            LEFT JOIN (SELECT DISTINCT position FROM ({undated})) u ON a.position = u.position"""
        return f"SELECT {', '.join(items)} FROM ({joined}) ORDER BY esctl_row"

    flat = own(answer.flat_sql, (*answer.flat_columns, *answer.beside))
    return replace(answer, sql=own(answer.sql, answer.columns), flat_sql=flat, ready=None)
