"""Expressions of rules and conditions: parsed once, asked which names they mention, compiled against these."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from esctl.engine.quoting import literal
from esctl.errors import UsageError
from esctl.projection.compiler import Resolve, compile_tree
from esctl.projection.conversions import number_literal
from esctl.projection.syntax import Path, members_of, parse, path_of, plain_path, words_of
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
        if self._plain is None and self._constant is None:
            self._tree = parse(text, where)

    def __reduce__(self) -> tuple[type[Expression], tuple[str, str]]:
        """Pickle what was written, not how it was parsed."""
        return Expression, (self.text, self.where)

    @property
    def tree(self) -> exp.Expr:
        """Return the parsed tree."""
        if not hasattr(self, "_tree"):
            self._tree = parse(self.text, self.where)
        return self._tree

    def compile(self, resolve: Resolve) -> Value:
        """Compile to SQL. Raises UsageError naming where the expression stands."""
        if self._constant is not None:
            return self._constant
        try:
            return resolve(self._plain) if self._plain else compile_tree(self.tree, resolve)
        except UsageError as error:
            raise UsageError(f"{self.where}: {error.message}", error.hint) from None

    def condition(self, resolve: Resolve) -> Value:
        """Compile to SQL that is true or false. Raises UsageError naming where the expression stands."""
        value = self.compile(resolve)
        try:
            return to_boolean(value)
        except UsageError as error:
            raise UsageError(f"{self.where}: {self.text!r}: {error.message}", "write a comparison") from None

    @property
    def path(self) -> Path | None:
        """Return the path if the expression is nothing else."""
        return self._plain or (path_of(self.tree) if self._constant is None else None)

    def words(self) -> frozenset[str]:
        """List words among which are all the names that the expression mentions."""
        if self._plain is not None or self._constant is not None:
            return frozenset(str(part) for part in self._plain or ())
        return words_of(self.tree)

    def paths(self) -> list[Path]:
        """List the names that the expression mentions."""
        if self._plain is not None or self._constant is not None:
            return [self._plain] if self._plain is not None else []
        return _named_in(self.tree)

    def carried(self) -> dict[Path, set[str]]:
        """Return the names that are only put into an object or list, each with the outermost members it comes to.

        Of an expression that is nothing but a name, the member is empty.
        """
        if self._constant is not None:
            return {}
        if self._plain is not None:
            return {self._plain: {""}}
        found: dict[Path, set[str]] = {}
        reckoned: set[Path] = set()
        for member, node in members_of(self.tree):
            if (path := path_of(node)) is None:
                reckoned.update(_named_in(node))
            else:
                found.setdefault(path, set()).add(member)
        return {path: members for path, members in found.items() if path not in reckoned}


def _named_in(node: exp.Expr) -> list[Path]:
    """List the names that a node mentions."""
    found: list[Path] = []

    def resolve(path: Path) -> Value:
        found.append(path)
        return NULL

    with suppress(UsageError):
        compile_tree(node, resolve)
    return found


def _plain_constant(text: str) -> Value | None:
    """Read a whole or decimal number, a text without quotes in it, true or false, as `plain_path` does a path."""
    word = text.strip()
    if word.lower() in ("true", "false"):
        return Value(word.lower(), "boolean")
    if re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,18})?", word):
        return number_literal(word)
    return Value(literal(word[1:-1]), "text") if re.fullmatch(r"'[\w .,:;/@+-]*'", word) else None
