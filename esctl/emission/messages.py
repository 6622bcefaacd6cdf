"""Events, states and compensations as messages: a key, a value, and headers that say where in the log they come from.

Headers are `esctl-store`, `esctl-head` and `esctl-root` (the log that it was taken from: its id, length and root),
`esctl-entity`, `esctl-position` (of the event, or of the state's last one), `esctl-version` of states, and
`esctl-undoes` of compensations. `esctl-erased` marks a message without a value, for an event that was erased after it
was sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from esctl.engine.duckdb import explained
from esctl.engine.exact_text import printable_json_sql
from esctl.index.scan import FIRST_DELIVERY
from esctl.log.reader import raw_of
from esctl.log.store_state import StoreState
from esctl.model import Answer
from esctl.output.cells import object_sql
from esctl.output.rows import pieces
from esctl.output.selection import Selection
from esctl.output.zone import UTC
from esctl.sinks.protocol import Message

Headers = tuple[tuple[str, bytes], ...]
_KEY_COLUMN, _UNDOES_COLUMN = "\0entity", "\0undoes"
_ROWS = 1000


def state_messages(store_state: StoreState, answer: Answer) -> Iterator[Message]:
    """Yield a message for each state of a replay, by kind and entity.

    The key is the entity; a deleted entity has no value.
    """
    listed = f"entity, {printable_json_sql('state')}, CAST(version AS VARCHAR), CAST(position AS VARCHAR)"
    about = _log_headers(store_state)
    with pieces(answer.session.connection, f"SELECT {listed} FROM ({answer.sql}) ORDER BY kind, entity") as found:
        for piece in found:
            for entity, state, version, position in piece:
                own = _headers(entity=entity, position=position, version=version)
                yield Message(_encode(entity), _encode(state), (*about, *own))


def event_messages(store_state: StoreState, answer: Answer, after: int = 0) -> Iterator[Message]:
    """Yield a message for each event of a listing after a position, by position; the value is the record's bytes.

    Events that are not folded are left out: duplicates, conflicts, invalid and erased records. An event that concerns
    several entities is sent once, with the first as its key.
    """
    about = _log_headers(store_state)
    folded = f"{FIRST_DELIVERY} AND position > {int(after)}"
    sql = f"""SELECT position, min_by(entity, (role IS NOT NULL, role)) AS entity FROM ({answer.sql})
        WHERE {folded} GROUP BY position ORDER BY position"""
    with explained():
        rows = answer.session.connection.execute(sql).fetchall()
    for start in range(0, len(rows), _ROWS):
        some = rows[start : start + _ROWS]
        raws = raw_of(store_state, [position for position, _ in some])
        for position, entity in some:
            own = _headers(entity=entity, position=str(position))
            yield Message(_encode(entity), raws.get(position), (*about, *own))


def erased_messages(store_state: StoreState, known: int, until: int) -> Iterator[Message]:
    """Yield a message without key and value for each record up to position `until` that was erased since.

    `known` is the number of redactions when events were last sent.
    """
    about = _log_headers(store_state)
    for redaction in store_state.redactions[known:]:
        for first, last in redaction.positions:
            for position in range(first, min(last, until) + 1):
                yield Message(None, None, (*about, *_headers(position=str(position), erased="true")))


def compensation_messages(
    store_state: StoreState, answer: Answer, template: Mapping[str, Any] | None, option: str
) -> Iterator[Message]:
    """Yield a message for each change of a revert, in the order to apply them, shaped by a template if one is given."""
    from esctl.ask.changes.event_template import shape_answer

    written = template or {column.name: f"{{{column.name}}}" for column in answer.columns}
    whole = shape_answer(answer, {**written, _KEY_COLUMN: "{entity}", _UNDOES_COLUMN: "{undoes}"}, option)
    value = replace(whole, columns=whole.columns[:-2])
    selection = Selection(whole.sql, len(whole.columns), tuple(enumerate(value.columns)))
    key, undoes = (f"r.c{len(whole.columns) - back}" for back in (2, 1))
    sql = selection.select([f"{key}::VARCHAR", f"{undoes}::VARCHAR", object_sql(selection.cells, UTC)], None)
    about = _log_headers(store_state)
    with pieces(answer.session.connection, sql) as found:
        for piece in found:
            for entity, positions, text in piece:
                yield Message(_encode(entity), _encode(text), (*about, *_headers(entity=entity, undoes=positions)))


def _log_headers(store_state: StoreState) -> Headers:
    return _headers(store=store_state.store_id, head=str(store_state.head), root=store_state.root)


def _headers(**values: str | None) -> Headers:
    return tuple((f"esctl-{name}", value.encode()) for name, value in values.items() if value is not None)


def _encode(text: str | None) -> bytes | None:
    return text.encode() if text is not None else None
