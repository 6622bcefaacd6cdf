"""Parse SQL scalar expressions into trees, and read nodes of a tree as dotted paths."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from esctl.engine.quoting import is_text
from esctl.errors import UsageError

if TYPE_CHECKING:
    from sqlglot import exp

Path = tuple[str | int, ...]

_DEEPEST = 100
SMALL_NUMBER = re.compile(r"[0-9]{1,9}")
"""Matches the index of an element, or a number of digits."""


def plain_path(text: str) -> Path | None:
    """Read a dotted path of plain words without the SQL parser, whose import costs a tenth of a second.

    Returns None for any other text.
    """
    words = text.strip()
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", words) or words.lower() in ("true", "false", "null"):
        return None
    return tuple(words.split("."))


def parse(text: str, where: str) -> exp.Expr:
    """Parse one scalar expression. Raises UsageError for any other text."""
    import logging

    import sqlglot

    if not is_text(text):
        raise UsageError(f"{where}: {text!r} is not UTF-8")

    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)  # else it warns on stderr, in its own words
    try:
        trees = sqlglot.parse(_quote_members(text))
    except RecursionError:
        raise _nested_too_deeply(where) from None
    except (sqlglot.errors.SqlglotError, AttributeError, LookupError, TypeError, ValueError) as error:
        # For some texts that are not SQL, the parser fails with an error that is not its own.
        raise UsageError(f"{where}: {text!r} is not an SQL expression", _parse_hint(error, text)) from None
    if len(trees) != 1 or trees[0] is None:
        raise UsageError(f"{where}: {text!r} is not one SQL expression", "write text in single quotes: \"'open'\"")
    if _is_too_deep(trees[0]):
        raise _nested_too_deeply(where)
    return trees[0]


def _nested_too_deeply(where: str) -> UsageError:
    return UsageError(f"{where}: the expression is nested too deeply", f"it may have {_DEEPEST} levels")


def _is_too_deep(tree: exp.Expr) -> bool:
    """Return whether a tree is too deep for recursion. A chain of ANDs or ORs is one level."""
    from sqlglot import exp

    waiting: list[tuple[exp.Expr, int]] = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > _DEEPEST:
            return True
        for child in node.iter_expressions():
            chained = isinstance(node, exp.And | exp.Or) and type(child) is type(node)
            waiting.append((child, depth + (not chained)))
    return False


def _parse_hint(error: Exception, text: str) -> str:
    """Return what is wrong with an expression, in esctl's own words."""
    found = next(iter(getattr(error, "errors", ())), None)
    if found is None:
        return "a quote is not closed" if text.count("'") % 2 else "write one condition or value, as: status = 'open'"
    at, why = found["highlight"], str(found["description"])
    if why.startswith("Required keyword"):
        return f"something is missing beside {at!r}"
    if why.startswith("Expecting "):
        return f"{why.removeprefix('Expecting ')!r} is missing behind {at!r}"
    return f"{at!r} is not expected there; texts are written 'open', numbers 1234.50, conditions joined by AND, OR"


def _quote_members(text: str) -> str:
    """Quote every bare word after a dot, so that a field may be called `list`, `order` or `case`."""
    import sqlglot
    from sqlglot import TokenType

    out, last, after_dot = [], 0, False
    for token in sqlglot.tokenize(text):
        word = token.text.replace("_", "a").isalnum() and token.token_type not in (TokenType.NUMBER, TokenType.STRING)
        if after_dot and word and token.token_type != TokenType.IDENTIFIER:
            out += [text[last : token.start], f'"{token.text}"']
            last = token.end + 1
        after_dot = token.token_type == TokenType.DOT
    return "".join([*out, text[last:]])


def path_of(node: exp.Expr) -> Path | None:
    """Read a node as a dotted path; None if it is something else."""
    from sqlglot import exp

    if isinstance(node, exp.Column):
        parts = [part.name for part in node.parts]
        return tuple(parts) if all(isinstance(part, exp.Identifier) for part in node.parts) else None
    if isinstance(node, exp.Dot):
        head = path_of(node.this)
        return (*head, node.expression.name) if head and isinstance(node.expression, exp.Identifier) else None
    if isinstance(node, exp.Bracket) and len(node.expressions) == 1:
        head, key = path_of(node.this), node.expressions[0]
        if head and isinstance(key, exp.Literal) and (key.is_string or SMALL_NUMBER.fullmatch(key.name)):
            return (*head, key.name if key.is_string else int(key.name))
    return None


def object_items(tree: exp.Expr) -> list[tuple[str, exp.Expr]] | None:
    """List the members of an object that is written out; None for another tree."""
    from sqlglot import exp

    return [(item.this.name, item.expression) for item in tree.expressions] if isinstance(tree, exp.Struct) else None


def members_of(tree: exp.Expr) -> Iterator[tuple[str, exp.Expr]]:
    """Yield the values in an object or list that is written out, at any depth, each with its outermost member's name.

    Any other tree is itself the only value, with an empty name.
    """
    from sqlglot import exp

    if isinstance(tree, exp.Struct):
        for item in tree.expressions:
            for _, node in members_of(item.expression):
                yield getattr(item.this, "name", ""), node
    elif isinstance(tree, exp.Array):
        for item in tree.expressions:
            yield from members_of(item)
    else:
        yield "", tree


def words_of(tree: exp.Expr) -> frozenset[str]:
    """Return every word of a tree that may be a part of a path."""
    from sqlglot import exp

    words = {node.name for node in tree.find_all(exp.Identifier)}
    return frozenset(words | {node.name for node in tree.find_all(exp.Literal) if node.is_string})
