"""revert: the changes that would take entities back to an earlier state."""

from __future__ import annotations

from esctl.ask.changes.diff import Side, apart_conditions, differences
from esctl.ask.scope.fold_order import check_order
from esctl.ask.scope.plans import plan_for
from esctl.ask.scope.scope import Claim, Scope, check_entities, claims, counted, projection_notes
from esctl.engine.exact_text import json_string_sql, unmark_json_sql
from esctl.engine.quoting import literal
from esctl.model import Answer, AsOf, Column
from esctl.projection.composed import total_shape
from esctl.projection.conversions import declared_scale
from esctl.projection.fold import NotSetwiseError
from esctl.projection.values import Shape, number_text, scaled_text

COLUMNS = (
    Column("entity", "text"),
    Column("kind", "text"),
    Column("op", "text"),
    Column("field", "text"),
    Column("value", "json"),
    Column("from", "json"),
    Column("to", "json"),
    Column("undoes", "json"),
    Column("undoes_ids", "json"),
)


def revert(scope: Scope, to: AsOf, past: Scope | None = None) -> Answer:
    """Return the changes that take the present states back to those at `to`, in the order to apply them.

    `op` is `set` or `unset` of a field, or `add` of `value` to a sum that has only been added to since. `create`, which
    comes before the fields, is for an entity that existed at `to` and does not now; `delete` is for the opposite.
    `past`: the scope at `to`, if it is another.
    """
    check_entities(scope)
    check_order(scope)
    now, then = Side(scope), Side(past or scope, to)
    rows = " UNION ALL ".join(_changes(now, then, claim) for claim in claims(scope))
    undone = scope.view.relation(
        ["kind", "entity", "position", "id"], None, [*counted(scope), *apart_conditions(now, then)]
    )
    known = "FILTER (u.position IS NOT NULL)"
    listed = ", ".join(
        f"'[' || coalesce(string_agg({item}, ',' ORDER BY u.position) {known}, '') || ']' AS {name}"
        for name, item in (
            ("undoes", "CAST(u.position AS VARCHAR)"),
            ("undoes_ids", f"coalesce({json_string_sql('u.id')}, 'null')"),
        )
    )
    sql = f"""WITH undone AS (SELECT DISTINCT * FROM ({undone})), changes AS ({rows}), lives AS ({_LIVES}),
        named AS (SELECT entity, kind, op, field, value, "from", "to", unnest(list_append(positions, NULL)) AS position
            FROM (SELECT * FROM changes WHERE op IS NOT NULL UNION ALL SELECT * FROM lives))
        SELECT n.entity, n.kind, n.op, n.field, n.value, n."from", n."to", {listed} FROM named n
        LEFT JOIN undone u ON u.kind = n.kind AND u.entity = n.entity AND u.position = n.position
        GROUP BY ALL ORDER BY n.kind, n.entity, n.field NULLS FIRST"""
    return Answer(scope.session, sql, COLUMNS, notes=projection_notes(scope), title="revert")


_LIVES = """SELECT c.entity, c.kind, CASE c.change WHEN 'created' THEN 'create' ELSE 'delete' END AS op,
    CAST(NULL AS VARCHAR) AS field, CAST(NULL AS VARCHAR) AS value, CAST(NULL AS VARCHAR) AS "from",
    CAST(NULL AS VARCHAR) AS "to", list(u.position) AS positions, c.change
    FROM (SELECT DISTINCT entity, kind, change FROM changes WHERE change <> 'changed') c
    LEFT JOIN undone u USING (kind, entity) GROUP BY c.entity, c.kind, c.change"""
"""The rows that create or delete an entity; each undoes all of its events since, of which it may have none."""


def _changes(now: Side, then: Side, claim: Claim) -> str:
    """Select the fields that differ: entity, kind, op, field, value, from, to, positions, change.

    `op` is NULL if nothing has to be done for the field by itself.
    """
    added = _added_amount(now.scope, claim)
    return f"""SELECT entity, kind,
        CASE WHEN change = 'deleted' OR field IS NULL THEN NULL WHEN after IS NULL THEN 'unset'
            WHEN amount IS NOT NULL THEN 'add' ELSE 'set' END AS op,
        field, coalesce(amount, after) AS value, before AS "from", after AS "to", positions, change
        FROM (SELECT *, CASE WHEN change = 'changed' AND NOT resets THEN {added} END AS amount
            FROM ({differences(now, then, claim)}))"""


def _added_amount(scope: Scope, claim: Claim) -> str:
    """Write what to add to a field that is a sum, as JSON text; NULL for other fields and other values."""
    try:
        if claim.projection.python or claim.projection.sql:
            raise NotSetwiseError
        sums = [field for field in plan_for(scope, claim.projection).fields if field.family == "sum"]
        shapes = {field.name: (total_shape(field, scope.view.manifest.rows), field.declared) for field in sums}
    except NotSetwiseError:
        return "CAST(NULL AS VARCHAR)"
    amounts = "".join(f" WHEN field = {literal(name)} THEN {_amount(*typed)}" for name, typed in shapes.items())
    return f"CASE{amounts} END" if amounts else "CAST(NULL AS VARCHAR)"


def _amount(shape: Shape, declared: str) -> str:
    before, after = unmark_json_sql("before"), unmark_json_sql("after")
    wider = Shape(shape.whole + 1, shape.scale)
    if wider.or_wide.is_wide:
        return "CAST(NULL AS VARCHAR)"
    difference = f"TRY_CAST({after} AS {wider.sql_type}) - TRY_CAST({before} AS {wider.sql_type})"
    number, scale = f"CAST({difference} AS {wider.sql_type})", declared_scale(declared)
    return number_text(number, wider) if scale is None else scaled_text(number, Shape(wider.whole, scale.scale).or_wide)
