"""The states of one projection on a grid of points: each state with the range of points at which it holds."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence, Set
from functools import partial
from itertools import pairwise

from msgspec.structs import replace

from esctl.ask.scope.scope import Claim, Scope, event_rows
from esctl.ask.states.folding import folding_apart
from esctl.ask.states.history import history
from esctl.ask.states.replay import states, streamed_states
from esctl.ask.states.state_fields import States
from esctl.engine.duckdb import explained
from esctl.engine.quoting import literal
from esctl.model import AsOf
from esctl.projection.query_reads import Reads
from esctl.projection.trails.running import AFTER, ENDS


def scopes_apart(scope: Scope, points: Sequence[int]) -> dict[int, Scope]:
    """Return, by their numbers, the points at which other things became of rows than in the whole log, with a scope."""
    return folding_apart(scope, points, _bound_at)


def states_on_grid(
    scope: Scope, claim: Claim, points: Sequence[int], only: Set[str], apart: Mapping[int, Scope]
) -> list[States]:
    """Return the states of a claim's entities at points (microseconds since the epoch, ascending).

    `apart` are the points that have a scope of their own.

    The SQL has, besides the columns of `States`, key, `low` and `high`: the state holds at the points from number
    `low` up to but not including `high`; at none if both are equal.
    `only`: words that include all the fields that will be asked for.
    """
    found = [_with_ends(part, len(points)) for part in _parts(scope, claim, points, only)]
    if not apart:
        return found
    return [
        *(_leave_out(part, apart, len(points)) for part in found),
        *(_replay_at(own, claim, _bound_at(points[number]), number) for number, own in apart.items()),
    ]


def _parts(scope: Scope, claim: Claim, points: Sequence[int], only: Set[str]) -> list[States]:
    back = _entities_going_back(scope, claim, points)
    if not back:
        return [_history(scope, claim, points, only)]
    others = f"{claim.condition} AND (kind, entity) NOT IN (SELECT (kind, entity) FROM ({back}))"
    whole = _history(scope, Claim(claim.projection, others), points, only)
    return [whole, _replay_at_points(scope, claim, points, back, only)]


def _leave_out(part: States, apart: Collection[int], count: int) -> States:
    """Return states without those at some points: a range of points that has some of these is divided there."""
    edges = [-1, *sorted(apart), count]
    between = [(before + 1, after) for before, after in pairwise(edges) if before + 1 < after]
    lows, highs = ([edge[side] for edge in between] for side in (0, 1))
    spans = f"SELECT unnest({lows}::BIGINT[]) AS first, unnest({highs}::BIGINT[]) AS beyond"
    sql = f"""SELECT p.* REPLACE (greatest(p.low, s.first) AS low, least(p.high, s.beyond) AS high)
        FROM ({part.sql}) p JOIN ({spans}) s ON p.low < s.beyond AND p.high > s.first"""
    return replace(part, sql=sql, ordered=False)


def _replay_at(scope: Scope, claim: Claim, at: AsOf, number: int) -> States:
    part = states(scope, claim, at, calculating=True)
    return replace(part, sql=_write_rows(scope, f"SELECT *, {number} AS low, {number + 1} AS high FROM ({part.sql})"))


def _with_ends(part: States, count: int) -> States:
    if part.ordered:
        following = f"SELECT *, {AFTER}, lead(low) OVER () AS low_after FROM ({part.sql})"
        return replace(
            part, sql=f"SELECT *, CASE WHEN {ENDS} THEN {count} ELSE low_after END AS high FROM ({following})"
        )
    following = "OVER (PARTITION BY kind, entity ORDER BY key)"
    return replace(part, sql=f"SELECT *, lead(low, 1, {count}) {following} AS high FROM ({part.sql})")


def _history(scope: Scope, claim: Claim, points: Sequence[int], only: Set[str]) -> States:
    placed = partial(_with_first_points, points=points)
    return history(scope, claim, _bound_at(points[-1]), calculating=True, only=only, placed=placed)


def _bound_at(instant: int) -> AsOf:
    return AsOf("a point of the grid", "time", instant=instant)


def _with_first_points(rows: str, points: Sequence[int]) -> str:
    """Add `low` to rows: the number of the first point not before the row's time, or else the number of points.

    Time is divided into cells no wider than the shortest distance of two points, so that each has at most one point.
    """
    width = min((after - before for before, after in pairwise(points)), default=1)
    last = (points[-1] - points[0]) // width
    firsts = [bisect_left(points, points[0] + cell * width) for cell in range(last + 1)]
    edges = _listed(points, firsts)
    cells = f"SELECT unnest(range({last + 1})) AS cell, unnest({firsts}) AS first, unnest({edges}) AS edge"
    cell = f"least(greatest((epoch_us(r.time) - {points[0]}) // {width}, 0), {last})"
    low = "c.first + CASE WHEN epoch_us(r.time) > c.edge THEN 1 ELSE 0 END"
    return f"SELECT r.*, {low} AS low FROM ({rows}) r JOIN ({cells}) c ON c.cell = {cell}"


def _listed(points: Sequence[int], numbers: Sequence[int]) -> list[int]:
    return [points[number] for number in numbers]


def _entities_going_back(scope: Scope, claim: Claim, points: Sequence[int]) -> str:
    """Find the entities whose events, in fold order, go back past a point: those up to the point are not a prefix.

    Return a SELECT of kind, entity and the `low` of their events; empty if there are none.
    """
    if scope.view.orderings <= {"time"}:
        return ""
    events = _with_first_points(
        event_rows(scope, Reads(scope.view, {}), [claim.condition], _bound_at(points[-1])).sql, points
    )
    pairs = f"SELECT *, lead(low) OVER (PARTITION BY kind, entity ORDER BY key) < low AS goes_back FROM ({events})"
    marked = f"SELECT *, bool_or(goes_back) OVER (PARTITION BY kind, entity) AS returns FROM ({pairs})"
    kept = _write_rows(scope, f"SELECT DISTINCT kind, entity, low FROM ({marked}) WHERE returns")
    with explained():
        any_row = scope.connection.execute(f"SELECT 1 FROM ({kept}) LIMIT 1").fetchall()
    return kept if any_row else ""


def _replay_at_points(scope: Scope, claim: Claim, points: Sequence[int], apart: str, only: Set[str]) -> States:
    """Replay entities at each point that has events of theirs between the point before and itself."""
    with explained():
        found = scope.connection.execute(f"SELECT DISTINCT low FROM ({apart}) ORDER BY low").fetchall()
    parts = []
    for (low,) in found:
        changed = f"{claim.condition} AND (kind, entity) IN (SELECT (kind, entity) FROM ({apart}) WHERE low = {low})"
        part = states(scope, Claim(claim.projection, changed), _bound_at(points[low]), calculating=True)
        parts.append(
            replace(part, sql=_write_rows(scope, f"SELECT *, {low}::BIGINT AS low, {low} AS key FROM ({part.sql})"))
        )
    whole = " UNION ALL ".join(part.sql for part in parts)
    if parts[0].streamed:  # its fields are found from states: those of one point may be too narrow for another
        return streamed_states(scope, claim, whole, calculating=True, only=only)
    return replace(parts[0], sql=whole)


def _write_rows(scope: Scope, rows: str) -> str:
    """Write the rows of a SELECT to a temporary file, and return a SELECT that reads it."""
    path = scope.session.new_parquet()
    with explained():
        scope.connection.execute(f"COPY ({rows}) TO {literal(str(path))} (FORMAT parquet)")
    return f"SELECT * FROM read_parquet({literal(str(path))})"
