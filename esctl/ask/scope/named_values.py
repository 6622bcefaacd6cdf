"""Checks that the names in a question are in the log, and hints on what was meant by those that are not."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from esctl.ask.scope.bounds import entity_conditions, is_glob, matches
from esctl.engine.duckdb import explained, single_row
from esctl.engine.quoting import literal
from esctl.errors import NotFoundError, UsageError, did_you_mean, shell_word
from esctl.index.scan import FOLDABLE

if TYPE_CHECKING:
    from esctl.ask.scope.scope import Scope

_LONGEST = 80
"""The most characters of a name that a hint shows."""
_LIKE = 0.65
"""The least Jaro-Winkler similarity at which one name may be meant by another."""
_MOST_LISTED = 50
"""The most fields that a hint lists."""


def check_named(scope: Scope, column: str, names: Sequence[str]) -> tuple[str, ...]:
    """Check that each name is a value that a column has in some record, inside the bounds or not.

    Return a note for each glob that matches nothing. Raises NotFoundError, with the nearest value, for another name.
    """
    notes = []
    for name in names:
        found = scope.view.relation([column], None, [matches(column, name)])
        with explained():
            if single_row(scope.connection, f"SELECT 1 FROM ({found}) LIMIT 1"):
                continue
        hint = nearest(scope, column, name) or "no event has one; see how it is read: esctl log --limit 3"
        if not is_glob(name):
            raise NotFoundError(f"no {column} {name!r} in the log", hint)
        notes.append(f"note: no {column} in the log matches {name!r}; {hint}")
    return tuple(notes)


def nearest(scope: Scope, column: str, name: str, unlike: str = "") -> str:
    """Return a hint that proposes the nearest value of a column, or a glob if a longer value contains the name.

    `unlike`, if given, is returned instead of a value that is not much like the name. Empty if the column has no value.
    """
    bare = name.replace("*", "").replace("?", "") if is_glob(name) else name
    values = scope.view.relation([column], None, [f"{column} IS NOT NULL"])
    low, asked = f"lower({column})", f"lower({literal(bare)})"
    similar = f"jaro_winkler_similarity({low}, {asked})"
    alike = f"{_letters(asked)} <> '' AND ends_with({_letters(low)}, {_letters(asked)})"
    sql = f"""SELECT {column}, CASE WHEN {alike} THEN 1 ELSE {similar} END
        FROM (SELECT DISTINCT {column} FROM ({values}))
        ORDER BY {low} = {asked} DESC, {literal(bare)} <> '' AND contains({low}, {asked}) DESC,
            {alike} DESC,
            {similar} DESC, {column} LIMIT 1"""
    with explained():
        row = single_row(scope.connection, sql)
    if row is None:
        return ""
    part = _matching_part(row[0], bare)
    if part and part != row[0]:
        return f"did you mean {shell_word(f'*{part}*')}, as in {_shorten(row[0])}?"
    if unlike and row[1] < _LIKE and not part:
        return unlike
    return did_you_mean(row[:1])


def _letters(text: str) -> str:
    """Write only the letters and digits of a text, so that ORD1003 finds `ord-1003`."""
    return f"regexp_replace({text}, '[^\\pL\\pN]', '', 'g')"


def unmatched_notes(scope: Scope, projection: str, claimed: str) -> tuple[str, ...]:
    """Return a note if no entity in the log matches the names and globs asked for, or none that a projection claims.

    `claimed`: the condition for the entities of the projection asked for; empty if it claims all, or none is asked for.
    """

    def is_any(*conditions: str) -> bool:
        found = scope.view.relation(["entity"], None, [*conditions, entity_conditions(scope.entities)])
        with explained():
            return single_row(scope.connection, f"SELECT 1 FROM ({found}) LIMIT 1") is not None

    is_sure = not claimed and not any(map(is_glob, scope.entities))  # names are checked before
    if not scope.entities or is_sure or is_any(FOLDABLE, *([claimed] if claimed else [])):
        return ()
    named = ", ".join(map(repr, scope.entities[:3])) + (", ..." if len(scope.entities) > 3 else "")
    if claimed and is_any(FOLDABLE):
        return (f"note: {named} names none of the entities that projection {projection} is for: leave out -p",)
    hint = nearest(scope, "entity", scope.entities[0])
    return (f"note: no entity in the log matches {named}" + (f"; {hint}" if hint else ""),)


def check_fields(asked: Sequence[str], known: Collection[str]) -> None:
    """Check that each field asked for is one that a state has. Raises NotFoundError, with the nearest."""
    for name in asked:
        if name not in known:
            near = difflib.get_close_matches(name.removeprefix("state."), sorted(known), 1)
            listed = ", ".join(sorted(known)[:20]) + (", ..." if len(known) > 20 else "")
            raise NotFoundError(
                f"the state has no field {name!r}", did_you_mean(near, f"fields are: {listed or 'none'}")
            )


def no_field(name: str, known: Collection[str]) -> UsageError:
    """Return the error for a name in an expression that no state has: a field misspelled, or a text without quotes."""
    near = difflib.get_close_matches(name, sorted(known), 1)
    listed = ", ".join(sorted(known)[:_MOST_LISTED]) + (", ..." if len(known) > _MOST_LISTED else "")
    hint = f"fields are: {listed or 'none'}; a text is written in single quotes: {literal(name)}"
    return UsageError(f"the state has no field {name!r}", f"did you mean {near[0]}?" if near else hint)


def check_sources(asked: Sequence[str], known: Collection[str]) -> None:
    """Check that each name or glob is that of a source. Raises NotFoundError, with the nearest."""
    for name in asked:
        pattern = re.compile("".join({"*": ".*", "?": "."}.get(c) or re.escape(c) for c in name), re.DOTALL)
        if name not in known and not any(is_glob(name) and pattern.fullmatch(source) for source in known):
            near = difflib.get_close_matches(name, sorted(known), 1)
            longer = [source for source in sorted(known) if name in source]
            hint = "list sources with: esctl status"
            if longer and not near:
                hint = f"did you mean {shell_word(f'*{name}*')}, as in {_shorten(longer[0])}?"
            raise NotFoundError(f"no source {name!r}", did_you_mean(near, hint))


def _matching_part(value: str, asked: str) -> str:
    """Return the part of a value that is the text asked for, in any case, as spelled there; empty if it has none."""
    at = value.lower().find(asked.lower())
    part = value[at : at + len(asked)] if at >= 0 else ""
    return part if part.lower() == asked.lower() else ""


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
