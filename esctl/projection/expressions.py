"""Expressions of rules and conditions: parsed, searched for the names they mention, compiled to SQL."""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import suppress
from typing import TYPE_CHECKING

from esctl.engine.quoting import literal
from esctl.errors import UsageError
from esctl.projection.compiler import Resolve, compile_tree, object_value
from esctl.projection.conversions import number_literal
from esctl.projection.syntax import Path, members_of, object_items, parse, path_of, plain_path, words_of
from esctl.projection.values import NULL, Value, to_boolean

if TYPE_CHECKING:
    from sqlglot import exp


class Expression:
    """A parsed expression, ready to be compiled against names."""

    def __init__(self, text: str, where: str) -> None:
        self.text = text
        self.where = where
        self._plain = plain_path(text)
        self._constant = _plain_constant(text) if self._plain is None else None
        self._object = None if self._is_simple else _plain_object(text, where)
        if not self._is_simple and self._object is None:
            self._tree = parse(text, where)

    def __reduce__(self) -> tuple[type[Expression], tuple[str, str]]:
        """Pickle the text, not the parsed tree."""
        return Expression, (self.text, self.where)

    @property
    def _is_simple(self) -> bool:
        return self._plain is not None or self._constant is not None

    @property
    def tree(self) -> exp.Expr:
        """Return the parsed tree."""
        if not hasattr(self, "_tree"):
            self._tree = parse(self.text, self.where)
        return self._tree

    def compile(self, resolve: Resolve) -> Value:
        """Compile to SQL. Raises UsageError naming the place of the expression."""
        if self._constant is not None:
            return self._constant
        if self._object is not None:
            return object_value((name, member.compile(resolve)) for name, member in self._object.items())
        try:
            return resolve(self._plain) if self._plain else compile_tree(self.tree, resolve)
        except UsageError as error:
            raise UsageError(f"{self.where}: {error.message}", error.hint) from None

    def condition(self, resolve: Resolve) -> Value:
        """Compile to SQL that is true or false. Raises UsageError naming the place of the expression."""
        value = self.compile(resolve)
        try:
            return to_boolean(value)
        except UsageError as error:
            raise UsageError(f"{self.where}: {self.text!r}: {error.message}", "write a comparison") from None

    @property
    def path(self) -> Path | None:
        """Return the path that the expression consists of; None if it is anything else."""
        return self._plain or (path_of(self.tree) if self._constant is None and self._object is None else None)

    def members(self, resolve: Resolve, only: Collection[str] | None = None) -> dict[str, Value] | None:
        """Compile the members, or `only` some, of an object that is written out; None for any other expression."""
        if self._object is not None:
            chosen = {name: each for name, each in self._object.items() if only is None or name in only}
            return {name: member.compile(resolve) for name, member in chosen.items()}
        if self._is_simple or (items := object_items(self.tree)) is None:
            return None
        return {name: compile_tree(node, resolve) for name, node in items if only is None or name in only}

    def words(self) -> frozenset[str]:
        """Return words that include all parts of the names that the expression mentions."""
        if self._plain is not None or self._constant is not None:
            return frozenset(str(part) for part in self._plain or ())
        if self._object is not None:
            return frozenset(self._object).union(*(member.words() for member in self._object.values()))
        return words_of(self.tree)

    def paths(self) -> list[Path]:
        """List the names that the expression mentions."""
        if self._plain is not None or self._constant is not None:
            return [self._plain] if self._plain is not None else []
        if self._object is not None:
            return [path for member in self._object.values() for path in member.paths()]
        return _paths_in(self.tree)

    def copied_paths(self) -> dict[Path, set[str]]:
        """Return the names that are only copied into an object or list, each with the outermost members it is part of.

        For an expression that is just a name, the member is empty.
        """
        if self._constant is not None:
            return {}
        if self._plain is not None:
            return {self._plain: {""}}
        found: dict[Path, set[str]] = {}
        calculated: set[Path] = set()
        for name, each in (self._object or {}).items():
            for own in each.paths():
                found.setdefault(own, set()).add(name)
        for member, node in members_of(self.tree) if self._object is None else ():
            if (path := path_of(node)) is None:
                calculated.update(_paths_in(node))
            else:
                found.setdefault(path, set()).add(member)
        return {path: members for path, members in found.items() if path not in calculated}


def _paths_in(node: exp.Expr) -> list[Path]:
    """List the names that a node mentions."""
    found: list[Path] = []

    def resolve(path: Path) -> Value:
        found.append(path)
        return NULL

    with suppress(UsageError):
        compile_tree(node, resolve)
    return found


_SIMPLE = r"data(?:\.[A-Za-z_]\w*)+|[0-9][0-9.]*|'[\w .,:;/@+-]*'|true|false"
_MEMBER = re.compile(rf"\s*'(?P<name>[\w .-]+)'\s*:\s*(?P<value>{_SIMPLE})\s*(?P<end>[,}}])")


def _plain_object(text: str, where: str) -> dict[str, Expression] | None:
    """Read an object of payload fields and constants without the SQL parser; None for any other text."""
    words = text.strip()
    found: dict[str, Expression] = {}
    at, end = 1, ","
    while end == "," and words.startswith("{") and (match := _MEMBER.match(words, at)):
        if match["name"] in found or (plain_path(match["value"]) is None and _plain_constant(match["value"]) is None):
            return None
        found[match["name"]] = Expression(match["value"], where)
        at, end = match.end(), match["end"]
    return found if found and end == "}" and at == len(words) else None


def _plain_constant(text: str) -> Value | None:
    """Read a number, a text without quotes in it, true or false without the SQL parser; None for any other text."""
    word = text.strip()
    if word.lower() in ("true", "false"):
        return Value(word.lower(), "boolean")
    if re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,18})?", word):
        return number_literal(word)
    return Value(literal(word[1:-1]), "text") if re.fullmatch(r"'[\w .,:;/@+-]*'", word) else None
