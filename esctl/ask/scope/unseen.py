"""Rows that a change log has only in parts: no record has them whole, so neither has a state."""

from __future__ import annotations

from collections.abc import Sequence

from esctl.ask.scope.bounds import bound, entity_conditions, known_conditions
from esctl.ask.scope.scope import Scope
from esctl.engine.duckdb import explained, single_row
from esctl.engine.quoting import literal
from esctl.index.decode.rows import DELETE, TRUNCATE
from esctl.index.pruning import Test
from esctl.index.scan import FOLDABLE
from esctl.model import AsOf

_PARTLY = "role IN ('partial', 'patch')"
_OF_KEYS = ("dynamodb",)
"""Presets whose inserts may have only a key; in other presets, inserts in parts have all that there is of a row."""


def unseen_firsts(scope: Scope, known: Sequence[Test] = ()) -> str:
    """Select position and entity of the first changes of rows that begin in parts; empty if none does."""
    from esctl.projection.row_changes.rules import row_stanzas

    stanzas = scope.view.manifest.stanzas
    ours = row_stanzas(stanzas)
    if not ours or not scope.view.manifest.files:
        return ""
    tests: list[Test] = [FOLDABLE, f"stanza IN ({', '.join(map(str, ours))})", *known]
    keys = ", ".join(str(number) for number in ours if stanzas[number].name in _OF_KEYS) or "NULL"
    partly = f"coalesce({_PARTLY} AND (type <> 'insert' OR stanza IN ({keys})), false)"
    any_partly = scope.view.relation(["position", "stanza", "role", "type"], None, [*tests, partly])
    with explained():
        if not scope.connection.execute(f"SELECT 1 FROM ({any_partly}) LIMIT 1").fetchall():
            return ""
    ends = ", ".join(map(literal, (DELETE, TRUNCATE)))
    columns = ["position", "entity", "kind", "stanza", "role", "role_order", "type"]
    rows = scope.view.relation(columns, None, tests, f"{scope.view.key()} AS key")
    begins = f"{partly} AND NOT coalesce(type IN ({ends}), false)"
    return f"""SELECT min(position) FILTER ({begins}) AS position, entity FROM ({rows})
        GROUP BY kind, entity HAVING min(key) = min(key) FILTER ({begins})"""


def unseen_note(scope: Scope, at: AsOf | None = None) -> str:
    """Return one line on the rows in an answer's scope that no record has whole; empty for none."""
    tests: list[Test] = [entity_conditions(scope.entities)] if scope.entities else []
    tests += known_conditions(scope.connection, scope.view, scope.known_at)
    tests.append(bound(scope.connection, scope.view, at).condition)
    firsts = unseen_firsts(scope, tests)
    if not firsts:
        return ""
    with explained():
        found = single_row(scope.connection, f"SELECT count(*) FROM ({firsts})")
    count = found[0] if found else 0
    if not count:
        return ""
    what = "1 row was" if count == 1 else f"{count} rows were"
    return f"note: {what} never told whole; what was not changed is missing in states: esctl doctor --unseen"
