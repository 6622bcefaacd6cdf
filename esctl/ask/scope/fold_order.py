"""Whether the events of each entity have one order to be folded in."""

from __future__ import annotations

from esctl.ask.scope.scope import Scope
from esctl.engine.duckdb import explained, single_row
from esctl.errors import UsageError
from esctl.index.envelope.toml_text import toml_string
from esctl.index.scan import FOLDABLE
from esctl.model import Stanza


def check_order(scope: Scope) -> None:
    """Check that each entity has one fold order. Raises UsageError, naming `order =`, otherwise."""
    scope.lookups.once(lambda: _check_order(scope))


def _check_order(scope: Scope) -> None:
    if any(file.unsequenced for file in scope.view.manifest.files):
        _check_sequences(scope)
    if len(scope.view.orderings) < 2:
        return
    orders = scope.view.relation(["kind", "entity", "ordering", "source", "position"], None, [FOLDABLE])
    mixed = f"""SELECT entity, arg_min(source, {{'o': ordering, 'p': position}}),
            arg_max(source, {{'o': ordering, 'p': position}})
        FROM ({orders}) GROUP BY kind, entity HAVING count(DISTINCT ordering) > 1 ORDER BY 1 LIMIT 1"""
    with explained():
        row = single_row(scope.connection, mixed)
    if not row:
        return
    entity, *sources = row
    manifest = scope.view.manifest
    stanzas = [manifest.stanzas[manifest.sources[source]] for source in sources]
    orders = " and ".join(f"{source} ({_order(stanza)})" for source, stanza in zip(sources, stanzas, strict=True))
    raise UsageError(f"entity {entity!r} is fed by sources with different orders: {orders}", _hint(sources, stanzas))


def _check_sequences(scope: Scope) -> None:
    lacking = scope.view.relation(["position", "entity"], None, ["ordering = 'sequence'", "sequence IS NULL", FOLDABLE])
    with explained():
        row = single_row(scope.connection, f"SELECT position, entity FROM ({lacking}) ORDER BY position LIMIT 1")
    if row:
        raise UsageError(
            f"event @{row[0]} of {row[1]!r} has no sequence, and events are folded by sequence",
            'set order = "time" or order = "position" in [mapping] of esctl.toml',
        )


def _order(stanza: Stanza) -> str:
    if stanza.order == "time":
        return f"by time, {' | '.join(stanza.time) or 'which is not mapped'}"
    if stanza.order == "sequence":
        return f"by sequence, {', '.join(stanza.sequence)}"
    return "by position, no time was recognised" if not stanza.time else "by position"


def _hint(sources: list[str], stanzas: list[Stanza]) -> str:
    """Return a hint on what to write: the time of the source in which none was recognised, else one order for both."""
    import glob

    timeless = [number for number, stanza in enumerate(stanzas) if stanza.order == "position" and not stanza.time]
    if len(timeless) == 1 and stanzas[1 - timeless[0]].order == "time":
        name = toml_string(glob.escape(sources[timeless[0]]))
        return f"say where its time is, time = PATH in [mapping.sources.{name}], or set the same order = for both"
    tables = " and ".join(f"[mapping.sources.{toml_string(glob.escape(source))}]" for source in sources)
    return f"set the same order = in {tables} of esctl.toml"
