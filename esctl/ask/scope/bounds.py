"""Bounds on events as SQL conditions on what each names: time, position, sequence, version or event."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from esctl.ask.scope.event_names import NamedEvent, events_of, no_event, require_one
from esctl.engine.duckdb import explained
from esctl.engine.quoting import like_pattern, literal
from esctl.errors import NotFoundError, UsageError
from esctl.index.decode.log_positions import position_number
from esctl.index.envelope.envelope_sql import sequence_text_key
from esctl.index.pruning import ALWAYS, Predicate, Reach
from esctl.index.scan import FOLDABLE, IndexView
from esctl.model import AsOf

if TYPE_CHECKING:
    import duckdb


COUNT_ENTITIES = "count(DISTINCT CASE WHEN entity IS NOT NULL THEN {'k': kind, 'e': entity} END)"


class ExactName(str):
    """A name that is no glob, whatever characters are in it: one that was found in a log, not asked for."""

    __slots__ = ()


class Bound(Struct, frozen=True):
    """A condition over stored envelope columns, and how many events of each entity count (None: all)."""

    condition: Predicate = ALWAYS
    first_versions: int | None = None


def instant_literal(microseconds: int) -> str:
    """Write an instant as a TIMESTAMPTZ."""
    return f"make_timestamptz({int(microseconds)})"


def bound(connection: duckdb.DuckDBPyConnection, view: IndexView, at: AsOf | None) -> Bound:
    """Turn an as-of into a condition. Raises NotFoundError if it names an event that does not exist."""
    if at is None:
        return Bound()
    less = "<=" if at.inclusive else "<"
    if at.kind == "time":
        instant = at.instant or 0
        within, beyond = Reach(max_time=instant), Reach(min_time=instant)
        return Bound(Predicate(f"time {less} {instant_literal(instant)}", within, outside=beyond))
    if at.kind == "position":
        return Bound(_position_condition(at, less))
    if at.kind == "version":
        return Bound(first_versions=max((at.number or 0) - (not at.inclusive), 0))
    if at.kind == "sequence":
        return Bound(Predicate(_sequence_condition(view, at, less)))
    return Bound(Predicate(_event_condition(connection, view, at, less)))


def known_conditions(connection: duckdb.DuckDBPyConnection, view: IndexView, at: AsOf | None) -> tuple[Predicate, ...]:
    """Turn an as-of into conditions on what the log held then, whenever it happened.

    Raises NotFoundError if it names an event that does not exist, UsageError if it names no place in the log.
    """
    if at is None:
        return ()
    less = "<=" if at.inclusive else "<"
    if at.kind == "time":
        return (Predicate(f"recorded_at {less} {instant_literal(at.instant or 0)}"),)
    if at.kind == "position":
        return (_position_condition(at, less),)
    if at.kind != "event":
        raise UsageError(f"--known-at {at.text!r} is not a place in the log", "give a time, @POSITION or id:EVENT")
    found = events_of(connection, view, [at.value], FOLDABLE)
    require_one(at.value, found, at.option)
    if not found:
        raise _no_event(connection, view, at)
    return (Predicate(f"position {less} {found[0].position}"),)


def _position_condition(at: AsOf, less: str) -> Predicate:
    number = int(at.number or 0)
    return Predicate(f"position {less} {number}", Reach(max_position=number))


def _no_event(connection: duckdb.DuckDBPyConnection, view: IndexView, at: AsOf) -> NotFoundError:
    return no_event(connection, view, at.value, at.option, "list ids with: esctl log --columns id,type,entity")


def _sequence_condition(view: IndexView, at: AsOf, less: str) -> str:
    if not any(file.sequence_key != "none" for file in view.manifest.files):
        raise UsageError(f"{at.text}: no event has a sequence", 'map it in esctl.toml: sequence = "<path>"')
    if not view.has_text_sequences:
        try:
            return f"sequence_key {less} {sequence_number(at.value)}"
        except ValueError:
            raise UsageError(
                f"{at.text}: the sequences of this store are whole numbers", "write it like seq:9"
            ) from None
    parts = [literal(part.strip()) for part in at.value.split(",")]
    key = sequence_text_key(parts)
    if not at.inclusive:
        return f"sequence_key < {key}"
    # A bound on the first parts of a sequence includes all sequences that begin with them.
    return f"(sequence_key <= {key} OR starts_with(sequence_key, {key} || chr(1)))"


def sequence_number(text: str) -> int:
    """Return a sequence as a number. Raises ValueError if it is not one."""
    position = position_number(text)
    if position is None and not re.fullmatch(r"-?[0-9]+", text):  # int() also takes 1_0, +10 and digits of any script
        raise ValueError(text)
    return int(text) if position is None else position


def _event_condition(connection: duckdb.DuckDBPyConnection, view: IndexView, at: AsOf, less: str) -> str:
    named = [f"id = {literal(at.value)}", FOLDABLE]
    columns = ["kind", "entity", "time", "position", "source"]
    found = view.relation(columns, None, named, f"{view.event_key()} AS event_key")
    with explained():
        rows = connection.execute(f"SELECT DISTINCT * EXCLUDE (time), epoch_us(time) FROM ({found})").fetchall()
    require_one(at.value, sorted({NamedEvent(position, source) for _, _, position, source, *_ in rows}), at.option)
    if not rows:
        raise _no_event(connection, view, at)
    last = max(instant for *_, instant in rows)
    own = " ".join(
        f"""WHEN entity = {literal(entity)} AND kind = {literal(kind)}
            THEN {view.event_key()} {less} {_key_literal(key)}"""
        for kind, entity, _, _, key, _ in rows
    )
    return f"CASE {own} ELSE time {less} {instant_literal(last)} END"


def _key_literal(key: int | Mapping[str, Any]) -> str:
    """Write a fold key that was fetched as an SQL literal."""
    if isinstance(key, int):
        return f"{key}::HUGEINT"
    return f"{{'s': {literal(key['s'])}, 'n': {key['n']}::HUGEINT}}"


def entity_conditions(names: Sequence[str]) -> Predicate:
    """Write the condition that an entity is one of these names or matches one of these globs."""
    exact = [name for name in names if not is_glob(name)]
    tests = [f"entity IN ({', '.join(literal(name) for name in exact)})"] if exact else []
    globs = [f"entity LIKE {like_pattern(name)}" for name in names if is_glob(name)]
    if not tests and not globs:
        return ALWAYS
    sql = "(" + " OR ".join([*tests, *globs]) + ")"
    return Predicate(sql) if globs else Predicate(sql, Reach(entities=tuple(sorted(exact))))


def is_glob(name: str) -> bool:
    """Return whether a name has wildcards, and is not known to be a whole name."""
    return ("*" in name or "?" in name) and not isinstance(name, ExactName)


def matches(column: str, name: str) -> str:
    """Write the condition that a column is a name, or matches it if it is a glob."""
    return f"{column} LIKE {like_pattern(name)}" if is_glob(name) else f"{column} = {literal(name)}"
