"""Small changes of a module's source that a test should notice: in its Python, and in the SQL that its strings hold.

Existing tools change Python and leave the inside of an f-string alone, but that is where most of the meaning is here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

COMPARISONS = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "is": "is not", "is not": "is",
    "in": "not in", "not in": "in",
}  # fmt: skip
OPERATORS = {
    "+": "-", "-": "+", "*": "+", "//": "*", "%": "//", "<<": ">>", ">>": "<<", "&": "|", "|": "&",
    "+=": "-=", "-=": "+=", "|=": "&=", "&=": "|=",
}  # fmt: skip
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
SQL = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r" <= ", " < "), (r" < ", " <= "), (r" >= ", " > "), (r" > ", " >= "), (r" = ", " <> "), (r" <> ", " = "),
        (r"\bAND\b", "OR"), (r"\bOR\b", "AND"), (r"\bIS NOT NULL\b", "IS NULL"), (r"\bIS NULL\b", "IS NOT NULL"),
        (r"\bIS NOT DISTINCT FROM\b", "="), (r"(?<!IS )\bNOT (?!NULL|EXISTS)", ""), (r"\bDISTINCT (?!FROM)", ""),
        (r"\bLEFT JOIN\b", "JOIN"), (r"\bFULL JOIN\b", "LEFT JOIN"), (r"\bUNION ALL\b", "UNION"), (r" DESC\b", ""),
        (r"\bmin\(", "max("), (r"\bmax\(", "min("), (r"\bleast\b", "greatest"), (r"\bgreatest\b", "least"),
        (r"\barg_min", "arg_max"), (r"\barg_max", "arg_min"), (r"\bbool_or\(", "bool_and("),
        (r"\bbool_and\(", "bool_or("), (r"(?<![\w'])true(?![\w'])", "false"), (r"(?<![\w'])false(?![\w'])", "true"),
        (r"(?<=[ (+-])\d+(?=[ ),:]|$)", "7"), (r" \+ ", " - "), (r" - ", " + "),
    )
]  # fmt: skip
TALKS = ("event_error", "Finding", "Check", "NotFoundError", "UsageError", "InputError", "notes", "warn")
"""Calls whose strings are for people."""


@dataclass(frozen=True)
class Mutant:
    """One change: `text` replaces the bytes from `start` to `end` of a module."""

    file: str
    line: int
    start: int
    end: int
    before: str
    text: str

    def applied(self, source: bytes) -> bytes:
        """Return the module's bytes with the change made."""
        return source[: self.start] + self.text.encode() + source[self.end :]

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.before.strip()!r} -> {self.text.strip()!r}"


def mutants_of(file: str, source: bytes) -> list[Mutant]:
    """List every change of a module after which it still compiles, in the order of its text."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def place(line: int, column: int) -> int:
        return starts[line - 1] + column

    found = []
    for start, end, text in _Changes(source, place).of(ast.parse(source)):
        before = source[start:end].decode()
        made = Mutant(file, source.count(b"\n", 0, start) + 1, start, end, before, text)
        if before != text and _compiles(made.applied(source)):
            found.append(made)
    return sorted(set(found), key=lambda one: (one.start, one.end, one.text))


def _compiles(source: bytes) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


Change = tuple[int, int, str]


class _Changes:
    def __init__(self, source: bytes, place: Callable[[int, int], int]) -> None:
        self.source = source
        self._place = place

    def of(self, node: ast.AST) -> Iterator[Change]:
        """Yield the changes of a node and of its children."""
        if _is_left_alone(node):
            return
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            yield from self._in_text(node)
            return
        yield from self._own(node)
        # Annotations are for the type checker; whether objects of a class may be changed shows nowhere.
        unseen = [getattr(node, "returns", None), getattr(node, "annotation", None)]
        unseen += node.keywords if isinstance(node, ast.ClassDef) else []
        for child in ast.iter_child_nodes(node):
            if child not in unseen:
                yield from self.of(child)

    def _span(self, node: ast.AST) -> tuple[int, int]:
        return self._place(node.lineno, node.col_offset), self._place(node.end_lineno, node.end_col_offset)

    def _own(self, node: ast.AST) -> Iterator[Change]:
        match node:
            case ast.UnaryOp(op=ast.Not()):
                yield self._span(node)[0], self._span(node.operand)[0], ""
            case ast.If() | ast.While() | ast.IfExp():
                yield from self._negated(node.test)
            case ast.comprehension():
                for test in node.ifs:
                    yield from self._negated(test)
            case ast.expr() | ast.stmt():
                for left, right, swaps in _pairs(node):
                    yield from self._between(left, right, swaps)
                text = _replaced(node)
                yield from [(*self._span(node), text)] if text else []

    def _negated(self, test: ast.expr) -> Iterator[Change]:
        start, end = self._span(test)
        if not isinstance(test, ast.Compare | ast.UnaryOp):  # else a change of its operator does the same
            yield start, end, f"not ({self.source[start:end].decode()})"

    def _between(self, left: ast.expr, right: ast.expr, swaps: dict[str, str]) -> Iterator[Change]:
        start, end = self._span(left)[1], self._span(right)[0]
        gap = self.source[start:end].decode()
        found = re.search("|".join(rf"{re.escape(op)}(?![\w=])" for op in sorted(swaps, key=len, reverse=True)), gap)
        if found:
            yield start + found.start(), start + found.end(), swaps[found[0]]

    def _in_text(self, node: ast.expr) -> Iterator[Change]:
        """Yield changes of the SQL in a string; in an f-string, only outside its replacement fields."""
        start, end = self._span(node)
        text = self.source[start:end].decode("latin-1")  # one character per byte, as places are in bytes
        fields = _fields(text) if isinstance(node, ast.JoinedStr) else []
        for pattern, replacement in SQL:
            for found in pattern.finditer(text):
                if not any(a < found.end() and found.start() < b for a, b in fields):
                    yield start + found.start(), start + found.end(), replacement


def _pairs(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr, dict[str, str]]]:
    """Yield pairs of operands, each with the table by which the operator between them can be replaced."""
    match node:
        case ast.Compare():
            yield from ((left, right, COMPARISONS) for left, right in pairwise([node.left, *node.comparators]))
        case ast.BoolOp():
            yield from ((left, right, {"and": "or", "or": "and"}) for left, right in pairwise(node.values))
        case ast.BinOp():
            yield node.left, node.right, OPERATORS
        case ast.AugAssign():
            yield node.target, node.value, OPERATORS


def _replaced(node: ast.AST) -> str:
    match node:
        case ast.Expr(value=ast.Call()):
            return "pass"
        case ast.Constant(value=bool(value)):
            return str(not value)
        case ast.Constant(value=int(value)):
            return str(value + 1)
        case ast.Name(id=name):
            return NAMES.get(name, "")
        case ast.Continue():
            return "break"
    return ""


def _fields(text: str) -> list[tuple[int, int]]:
    """Return the start and end of each replacement field of an f-string."""
    found, depth, opened, at = list[tuple[int, int]](), 0, 0, 0
    while at < len(text):
        pair = text[at : at + 2]
        if depth == 0 and pair in ("{{", "}}"):
            at += 2
            continue
        if text[at] == "{":
            opened = at if depth == 0 else opened
            depth += 1
        elif text[at] == "}" and depth:
            depth -= 1
            found += [(opened, at + 1)] if depth == 0 else []
        at += 1
    return found


def _is_left_alone(node: ast.AST) -> bool:
    """Return whether a node is left unchanged: its content is for people or the type checker, or repeated elsewhere."""
    match node:
        case ast.Assert() | ast.Raise() | ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.arg() | ast.AnnAssign(value=None):
            return True
        case ast.Call(func=ast.Name(id=name)):
            return name in TALKS
        case ast.Call(func=ast.Attribute(attr=name)):
            return name in TALKS
    return False
