"""Follow the rows of tables where a change alone does not say what becomes of a row.

That is so if a row has no key or another key than its changes name, if a new key inherits values that were not
changed, and if a known row is read again. Pure: takes changes, and yields the rows that replace those of an event.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from esctl.index.decode.rows import MORE, ROWS
from esctl.projection.json_values import loads
from esctl.projection.row_changes.patches import apply_update
from esctl.projection.row_changes.rules import COPIES

COUNT = "_copies"
"""The field of a state that says how many copies of the row there are."""
MATCH = "?{"
"""Follows a table's name in an entity that is named by values instead of its key."""

Row = dict[str, Any]


class StepPart(Struct, frozen=True):
    """One row of an event: an entity, its role and its payload (`data`).

    `made`: the payload has values that the log does not have in these fields. `time`: in microseconds since the epoch,
    if it is not the event's.
    """

    entity: str
    role: str | None
    role_order: int
    kind: str
    data: Row | None = None
    made: bool = False
    time: int | None = None


class Change(Struct, frozen=True):
    """One event: its type and its rows."""

    position: int
    type: str
    parts: tuple[StepPart, ...]


class Edit(Struct, frozen=True):
    """What replaces rows of an event: the rows that go, by `role_order`, and those that come."""

    position: int
    gone: tuple[int, ...]
    come: tuple[StepPart, ...]


def table_of(entity: str) -> str:
    """Return the table of a row's name, or of a table's own."""
    cut = min((at for at in (entity.find("/"), entity.find(MATCH)) if at >= 0), default=len(entity))
    return entity[:cut]


class _Table(Struct):
    """What is known of the rows of a table up to some change."""

    live: dict[str, Row] = field(default_factory=dict)
    ended: dict[str, Row] = field(default_factory=dict)
    last_ended: Row | None = None
    just_ended: Row | None = None
    copies: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    identity: tuple[str, ...] = ()
    by_identity: dict[str, str] = field(default_factory=dict)

    def begin(self, entity: str, row: Row) -> None:
        before = self.live.get(entity)
        self.live[entity] = row
        if self.identity:
            if before is not None and self.by_identity.get(self.identity_of(before)) == entity:
                del self.by_identity[self.identity_of(before)]
            self.by_identity[self.identity_of(row)] = entity

    def end(self, entity: str) -> Row | None:
        row = self.live.pop(entity, None)
        if row is not None:
            self.ended[entity] = self.last_ended = row
            if self.identity and self.by_identity.get(self.identity_of(row)) == entity:
                del self.by_identity[self.identity_of(row)]
        return row

    def identity_of(self, row: Row) -> str:
        return repr([row.get(name) for name in self.identity])


def follow(changes: Iterable[Change], identities: dict[str, tuple[str, ...]], truncates: set[str]) -> Iterator[Edit]:
    """Follow changes in fold order and yield an edit for each change whose rows must be replaced.

    `identities`: the columns that name rows in tables whose changes do not name them by their keys. `truncates`: the
    tables for which a truncation gets a row for each entity that it ended.
    """
    tables: dict[str, _Table] = {}
    for change in changes:
        name = table_of(change.parts[0].entity)
        table = tables.get(name)
        if table is None:
            table = tables[name] = _Table(identity=identities.get(name, ()))
        edit = _step(table, change, name in truncates)
        if edit.gone or edit.come:
            yield edit


def _step(table: _Table, change: Change, lists_ended: bool) -> Edit:
    if change.type == "truncate":
        return _truncate(table, change, lists_ended)
    parts = {part.role or "": part for part in change.parts}
    if "each" in parts:
        return _change_several(table, change)
    if "copy" in parts:
        return _count_copy(table, change, parts["copy"], parts.get("old"))
    main = parts.get("partial") or parts.get("patch") or parts.get("")
    if change.type == "delete":
        return _delete(table, change, main, parts.get("match"))
    return Edit(change.position, (), ()) if main is None else _change(table, change, main, parts)


def _change_several(table: _Table, change: Change) -> Edit:
    """Give each of several rows that change at once the values that the event has for it."""
    more = (change.parts[0].data or {}).get(MORE)
    if isinstance(more, dict):
        return _count_several(table, change, more)
    gone: list[int] = []
    come: list[StepPart] = []
    for part in change.parts:
        if change.type == "delete" or part.role == "ended":
            table.end(part.entity)
            continue
        rows = (part.data or {}).get(ROWS)
        row = rows.get(part.entity) if isinstance(rows, dict) else None
        if isinstance(row, dict):
            table.begin(part.entity, row)
            gone.append(part.role_order)
            come.append(StepPart(part.entity, None, part.role_order, part.kind, row, made=True))
    return Edit(change.position, tuple(gone), tuple(come))


def _count_several(table: _Table, change: Change, more: dict[str, Any]) -> Edit:
    """Count the copies of several rows without a key that change at once; `more`: how many were added, by entity."""
    gone: list[int] = []
    come: list[StepPart] = []
    for part in change.parts:
        rows = (part.data or {}).get(ROWS)
        row = rows.get(part.entity) if isinstance(rows, dict) and part.role != "ended" else None
        row = row if isinstance(row, dict) else table.live.get(part.entity, {})
        count = table.copies.get(part.entity, 0) + int(more.get(part.entity, 0))
        if part.role == "each" and change.type != "delete":
            count = max(count, 1)  # of rows that were never seen before
        if count > 0:
            table.copies[part.entity], table.live[part.entity] = count, row
            gone.append(part.role_order)
            come.append(StepPart(part.entity, COPIES, part.role_order, part.kind, _with_count(row, count), made=True))
        else:
            table.copies.pop(part.entity, None)
            table.live.pop(part.entity, None)
    return Edit(change.position, tuple(gone), tuple(come))


def _truncate(table: _Table, change: Change, lists_ended: bool) -> Edit:
    come = tuple(
        StepPart(entity, "table", 0, table.kinds.get(entity, change.parts[0].kind))
        for entity in (*table.live,)
        if lists_ended
    )
    for entity in tuple(table.live):
        table.end(entity)
    table.copies.clear()
    return Edit(change.position, (), come)


def _delete(table: _Table, change: Change, main: StepPart | None, match: StepPart | None) -> Edit:
    entity = main.entity if main is not None else None
    if match is not None and not (main is not None and _agrees(table.live.get(main.entity), match)):
        entity = _find_match(table, match)
    if entity is None:
        return Edit(change.position, (), ())  # a row that was never seen
    table.just_ended = table.end(entity)
    gone = [match.role_order] if match is not None else []
    if main is not None and entity == main.entity:
        return Edit(change.position, tuple(gone), ())
    kind = change.parts[0].kind
    gone += [main.role_order] if main is not None else []
    return Edit(change.position, tuple(gone), (StepPart(entity, None, 0, kind, change.parts[0].data),))


def _match_values(match: StepPart) -> Row:
    found = loads(match.entity[match.entity.index(MATCH) + 1 :])
    return found if isinstance(found, dict) else {}


def _agrees(row: Row | None, match: StepPart) -> bool:
    return row is not None and all(row.get(name) == value for name, value in _match_values(match).items())


def _find_match(table: _Table, match: StepPart) -> str | None:
    """Return the entity of the live row that has some values; None if there is none."""
    return table.by_identity.get(table.identity_of(_match_values(match))) if table.identity else None


def _change(table: _Table, change: Change, main: StepPart, parts: dict[str, StepPart]) -> Edit:
    data, entity, old, match = main.data or {}, main.entity, parts.get("old"), parts.get("match")
    gone: list[int] = [] if match is None else [match.role_order]
    come: list[StepPart] = []
    before, heir, table.just_ended = table.live.get(entity), _inherited_row(table, match), None
    moved = None if heir is not None else _find_moved(table, data, old, match)
    if moved is not None and moved != entity:
        before = table.end(moved)
        if old is None or moved != old.entity:
            come.append(StepPart(moved, "old", 1, main.kind))
            gone += [old.role_order] if old is not None else []
    elif old is not None:
        gone.append(old.role_order)  # it has ended before, or is this very row
        before = before or (table.last_ended if table.identity else table.ended.get(old.entity)) or {}
    before = before or heir
    row = _row_after(before or {}, main.role, data)
    if change.type == "read" and table.live.get(entity) == row:
        return Edit(change.position, (*gone, main.role_order), tuple(come))
    if main.role == "patch":
        gone.append(main.role_order)
        come.append(_patch_part(main, before or {}, row))
    elif main.role == "partial" and (old is not None or moved is not None or heir) and entity not in table.live:
        gone.append(main.role_order)
        come.append(StepPart(entity, None, 0, main.kind, row))
    table.begin(entity, row)
    return Edit(change.position, tuple(gone), tuple(come))


def _inherited_row(table: _Table, match: StepPart | None) -> Row | None:
    """Return the row that a partial new row continues: the one that ended right before under another key, or None."""
    return table.just_ended if match is not None and not _match_values(match) else None


def _patch_part(main: StepPart, before: Row, row: Row) -> StepPart:
    """Return the row that replaces a partial update: the columns that it changed, or all if it removed some."""
    if before.keys() - row.keys():
        return StepPart(main.entity, None, 0, main.kind, row, made=True)
    changed = {name: value for name, value in row.items() if name not in before or before[name] != value}
    return StepPart(main.entity, "partial", 1, main.kind, changed, made=True)


def _row_after(before: Row, role: str | None, data: Row) -> Row:
    if role == "patch":
        return apply_update(before, data)
    return {**before, **data} if role == "partial" else data


def _find_moved(table: _Table, data: Row, old: StepPart | None, match: StepPart | None) -> str | None:
    """Return the entity of the live row that becomes this one, by the change or its identity columns; or None."""
    if match is not None and (named := _find_match(table, match)) is not None:
        return named
    # Where values name rows, the old key that the log gives is made up.
    if old is not None and not table.identity and old.entity in table.live:
        return old.entity
    if table.identity and all(name in data for name in table.identity):
        return table.by_identity.get(table.identity_of(data))
    return None


def _count_copy(table: _Table, change: Change, main: StepPart, old: StepPart | None) -> Edit:
    gone: list[int] = []
    come: list[StepPart] = []
    ended = main if change.type == "delete" else old
    if ended is not None and ended.entity not in table.copies and (like := _find_like(table, ended)) is not None:
        gone.append(ended.role_order)
        ended = replace(ended, entity=like)
        come.append(replace(ended, role=None if ended is main else ended.role))
    if ended is not None:
        left = table.copies.get(ended.entity, 0) - 1
        row = table.live.get(ended.entity)
        if left > 0 and row is not None:
            table.copies[ended.entity] = left
            gone.append(ended.role_order)
            come.clear()
            come.append(StepPart(ended.entity, COPIES, ended.role_order, ended.kind, _with_count(row, left)))
        else:
            table.copies.pop(ended.entity, None)
            table.live.pop(ended.entity, None)
    if change.type == "delete":
        return Edit(change.position, tuple(gone), tuple(come))
    if change.type == "update" and old is None and main.entity in table.live:  # to a row that equals the one before
        if (count := table.copies.get(main.entity, 1)) > 1:
            gone.append(main.role_order)
            come.append(StepPart(main.entity, COPIES, main.role_order, main.kind, _with_count(main.data or {}, count)))
        return Edit(change.position, tuple(gone), tuple(come))
    count = table.copies.get(main.entity, 0) + 1
    table.copies[main.entity], table.live[main.entity] = count, main.data or {}
    if count > 1:
        gone.append(main.role_order)
        come.append(StepPart(main.entity, COPIES, main.role_order, main.kind, _with_count(main.data or {}, count)))
    return Edit(change.position, tuple(gone), tuple(come))


def _find_like(table: _Table, ended: StepPart) -> str | None:
    """Return the entity of a live row that equals an ended one but for nulls, which the log leaves out; or None."""
    if ended.data is None or None in ended.data.values():
        return None
    values = ended.data.items()
    rows = table.live.items()
    return next((e for e, row in rows if values == {n: v for n, v in row.items() if v is not None}.items()), None)


def _with_count(row: Row, count: int) -> Row:
    return {**row, COUNT: count} if count > 1 else row
