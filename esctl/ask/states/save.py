"""Make snapshots of states, from which replay can continue."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import to_builtins
from msgspec.structs import replace

from esctl.ask.scope.bounds import bound
from esctl.ask.scope.fold_order import check_order
from esctl.ask.scope.plans import plan_for
from esctl.ask.scope.scope import Claim, Scope, claims, event_rows
from esctl.ask.states.entity_in_pieces import cells_of_pieces
from esctl.ask.states.replay import COLUMNS, state_fields, state_row
from esctl.ask.states.resume import resume, snapshot_folder, whole_claim
from esctl.ask.states.state_fields import States
from esctl.engine.duckdb import Session, explained, relational, single_row
from esctl.engine.quoting import literal
from esctl.errors import UsageError
from esctl.index.scan import FOLDABLE
from esctl.log.commits import open_log
from esctl.model import Answer, AsOf, Column
from esctl.projection.fold import NotSetwiseError, Plan
from esctl.projection.partial import columns, composed_sql, meaning, partial_sql
from esctl.projection.query_reads import measured_shapes
from esctl.saved_states.files import Draft, Extent, SnapshotFile, StateSnapshot, drop, sweep

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from esctl.saved_states.files import Shelf

Render = Callable[[Answer, Path], None]
"""Writes an answer to a file as JSON Lines, times in UTC."""
_BATCH = 65_536
Ask = Callable[..., Answer]
"""Asks a question (a function) with its arguments."""


def at_once(question: Callable[..., Answer], *arguments: object) -> Answer:
    """Ask a question at once, not in parts."""
    return question(*arguments)


LISTING_COLUMNS = (
    Column("projection", "text"), Column("position", "integer"), Column("until", "time"), Column("events", "integer"),
    Column("entities", "integer"), Column("bytes", "integer"), Column("origin", "text"), Column("file", "text"),
)  # fmt: skip


def listing(session: Session, found: Sequence[tuple[Path, StateSnapshot | None]]) -> Answer:
    """Return a row per snapshot, given its manifest's path; a damaged one has only that and the origin `damaged`."""
    rows = ["(0, '', 0, 0, 0, 0, 0, '', '')"]
    for number, (path, kept) in enumerate(found, 1):
        file = literal("/".join(path.parts[-2:]))
        if kept is None:
            rows.append(f"({number}, NULL, NULL, NULL, NULL, NULL, NULL, 'damaged', {file})")
            continue
        extent = kept.extent
        numbers = (extent.events, kept.entities, kept.cells.bytes + kept.lines.bytes)
        until = "NULL" if extent.until is None else extent.until
        rows.append(
            f"({number}, {literal(kept.projection)}, {extent.position}, {until}, {', '.join(map(str, numbers))}, "
            f"{literal(kept.origin)}, {file})"
        )
    names = ", ".join(f'"{column.name}"' for column in LISTING_COLUMNS)
    items = names.replace('"until"', 'make_timestamp("until"::BIGINT) AS "until"')
    sql = f"SELECT {items} FROM (VALUES {', '.join(rows)}) t(n, {names}) WHERE n > 0 ORDER BY n"
    return Answer(session, sql, LISTING_COLUMNS, title="snapshots")


def can_keep(claim: Claim) -> bool:
    """Return whether a claim's projection is of a kind whose states can be saved and continued from."""
    return not claim.projection.sql and not claim.projection.python


def save_snapshots(
    scope: Scope,
    at: AsOf | None,
    origin: str,
    render: Render,
    wanted: Sequence[Claim] | None = None,
    ask: Ask = at_once,
) -> list[StateSnapshot]:
    """Make a snapshot of each of the scope's projections (or of those `wanted`) that can have one and has any event.

    `at`: a time or a position; `ask` has the events folded. Raises UsageError for another bound, and what the fold
    raises.
    """
    if at is not None and at.kind not in ("time", "position"):
        raise UsageError(f"--at {at.text!r} is not a place for a snapshot", "give a time or @POSITION")
    check_order(scope)
    shared = claims(scope) if wanted is None else wanted
    made = [_save_snapshot(scope, whole_claim(claim), at, origin, render, ask) for claim in shared if can_keep(claim)]
    return [snapshot for snapshot in made if snapshot is not None]


def _save_snapshot(
    scope: Scope, claim: Claim, at: AsOf | None, origin: str, render: Render, ask: Ask
) -> StateSnapshot | None:
    shelf = scope.shelf
    assert shelf is not None
    extent = _extent(scope, shelf, claim, at)
    if extent is None:
        return None
    try:
        plan, events, cells = _cells(scope, claim, at, ask)
    except NotSetwiseError:
        return None
    folder = snapshot_folder(shelf, claim)
    sweep(folder)
    table = f"kept_{secrets.token_hex(4)}"
    with explained():
        scope.connection.execute(f"CREATE TEMP TABLE {table} AS SELECT * FROM ({cells}) ORDER BY kind, entity")
        counts = single_row(
            scope.connection, f"SELECT count(*), count(*) FILTER (NOT deleted), sum(version) FROM {table}"
        )
    assert counts is not None
    extent = replace(extent, events=int(counts[2]))

    shapes = [(path, shape.whole, shape.scale) for path, shape in measured_shapes(plan.reads).items()]

    def about(name: str, cells: SnapshotFile, lines: SnapshotFile) -> StateSnapshot:
        return StateSnapshot(
            name, claim.projection.name, origin, extent, counts[0], counts[1], shelf.log.seq, shelf.log.commit_sha256,
            len(shelf.log.redactions), scope.view.has_struct_keys, {**to_builtins(meaning(plan)), "shapes": shapes},
            cells, lines,
        )  # fmt: skip

    with Draft(folder, extent) as draft:
        render(_answer(scope, plan, table, events), draft.raw)
        made = draft.keep(_batches(scope, plan, table), about)
    scope.connection.execute(f"DROP TABLE {table}")
    if len(open_log(shelf.store).read().redactions) != made.redactions:
        drop([folder / f"{made.name}.json"])  # it was made from records that have been erased meanwhile
        return None
    return made


def _cells(scope: Scope, claim: Claim, at: AsOf | None, ask: Ask) -> tuple[Plan, int, str]:
    """Fold the partial states, from an earlier snapshot if there is one."""
    found = resume(scope, claim, at)
    if found is not None:
        names = ", ".join(columns(found.plan))
        return found.plan, found.events, f"SELECT {names} FROM ({found.cells})"
    plan = plan_for(scope, claim.projection)
    answer = ask(partial_states, scope, claim, at)
    high = "{'s': key_s, 'n': key_n}" if scope.view.has_struct_keys else "key_n"
    names = ", ".join(f"{high} AS high" if name == "high" else name for name in columns(plan))
    return plan, scope.view.manifest.rows, f"SELECT {names} FROM ({answer.prepare(answer.sql)})"


def partial_states(scope: Scope, claim: Claim, at: AsOf | None) -> Answer:
    """Return the partial states of a projection's entities as they are saved, the last fold key in its parts.

    Raises NotSetwiseError if the projection is not a set-wise fold.
    """
    plan = plan_for(scope, claim.projection)
    rows = event_rows(scope, plan.reads, [claim.condition], at)
    names = [name for name in columns(plan) if name != "high"]
    keys = scope.view.key_parts("high")
    items = ", ".join([*names, *(f"{part} AS {name}" for name, part in keys.items())])
    answer_columns = tuple(Column(name, "value") for name in (*names, *keys))
    cells = cells_of_pieces(scope, plan, rows, at) or partial_sql(plan, rows)
    return Answer(scope.session, f"SELECT {items} FROM ({cells})", answer_columns, order=("kind", "entity"))


def _extent(scope: Scope, shelf: Shelf, claim: Claim, at: AsOf | None) -> Extent | None:
    """Find which events a snapshot is of; None if there are none."""
    limit = bound(scope.connection, scope.view, at)
    rows = scope.view.relation(["position", "time", "recorded_at"], None, [FOLDABLE, claim.condition, limit.condition])
    with explained():
        found = single_row(
            scope.connection,
            f"SELECT max(position), epoch_us(max(time)), epoch_us(max(recorded_at)) FROM ({rows})",
        )
    if found is None or found[0] is None:
        return None
    position, until = shelf.log.head, None
    if at is not None and at.kind == "position":
        position = min(position, (at.number or 0) - (not at.inclusive))
    elif at is not None:
        until = (at.instant or 0) - (not at.inclusive)
    last, latest, known = found
    return Extent(position, until, last, latest, known, events=0)


def _answer(scope: Scope, plan: Plan, table: str, events: int) -> Answer:
    part = States(composed_sql(plan, f"SELECT * FROM {table} WHERE NOT deleted", events), state_fields(plan, events))
    sql = f"SELECT {state_row(part)} FROM ({part.sql}) ORDER BY kind, entity"
    return Answer(scope.session, sql, COLUMNS, title="states")


def _batches(scope: Scope, plan: Plan, table: str) -> Iterator[pa.RecordBatch]:
    """Read partial states as they are saved: fold keys as decimals, which Parquet has."""
    names = [name for name in columns(plan) if name not in ("high", "settled")]
    names.append("CAST(settled AS DECIMAL(38,0)) AS settled")
    if scope.view.has_struct_keys:
        names += ["high.s AS high_text", "CAST(high.n AS DECIMAL(38,0)) AS high"]
    else:
        names.append("CAST(high AS DECIMAL(38,0)) AS high")
    with explained():
        relation = relational(scope.connection).sql(f"SELECT {', '.join(names)} FROM {table} ORDER BY kind, entity")
        yield from relation.to_arrow_reader(_BATCH)
