"""Compile an SQL scalar expression over an event's columns and payload to DuckDB SQL.

Only what is listed here is allowed: a statement, subquery, table, aggregate or unknown function is refused. A path
takes the type of its context; see `values.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from esctl.engine.exact_text import json_string
from esctl.engine.quoting import literal, may_fail
from esctl.errors import UsageError
from esctl.projection import arithmetic, wide
from esctl.projection.conversions import (
    TOO_LONG,
    choose_unified,
    compare,
    convert,
    nullable,
    number_literal,
    quotient,
    unify,
)
from esctl.projection.syntax import SMALL_NUMBER, Path, path_of
from esctl.projection.values import (
    NULL,
    Shape,
    Value,
    element_json,
    event_error,
    to_boolean,
    to_number,
    to_text,
)  # fmt: skip

if TYPE_CHECKING:
    from sqlglot import exp

Resolve = Callable[[Path], Value]
"""Gives the value of a name: `("data", "amount")`, `("type",)`. Raises UsageError for a name that does not exist."""

COMPARISONS = {"EQ": "=", "NEQ": "<>", "LT": "<", "LTE": "<=", "GT": ">", "GTE": ">="}
TEXT_FUNCTIONS = {"Lower": "lower", "Upper": "upper"}
TESTS = {"StartsWith": "starts_with", "EndsWith": "ends_with", "Contains": "contains"}
PARTS = ("this", "expression", "expressions")
"""The parts of a node that are read of every kind."""
MORE_PARTS = {
    "Between": ("low", "high"),
    "Case": ("ifs", "default"),
    "Cast": ("to",),
    "Replace": ("replacement",),
    "Round": ("decimals",),
    "Substring": ("start", "length"),
    "Trim": ("position",),
    "TryCast": ("to",),
}
"""Further parts that are read, by kind of node."""
MARKS = ("symmetric", "negate")
"""Parts that are true or nothing and change the meaning; the others tell dialects of SQL apart."""


class _Compiler:
    def __init__(self, resolve: Resolve, *, exact: bool = False, has_position: bool = True) -> None:
        self.resolve = resolve
        self.exact = exact
        self.has_position = has_position

    def value(self, node: exp.Expr | None) -> Value:
        if node is None:
            raise UsageError("a part of the expression is missing")
        path = path_of(node)
        if path is not None:
            return self.resolve(path)
        name = type(node).__name__
        handler = getattr(self, f"_{name.lower()}", None)
        if handler is None and name not in (*COMPARISONS, *TEXT_FUNCTIONS, *TESTS):
            raise UsageError(
                f"{node.sql()[:60]!r} is not allowed in an expression",
                "a scalar expression over the event: data.x, type, time, actor, ...",
            )
        _check_parts(node, name)
        if name in COMPARISONS:
            return self._compare(COMPARISONS[name], self.value(node.this), self.value(node.expression))
        if name in TEXT_FUNCTIONS:
            return Value(f"{TEXT_FUNCTIONS[name]}({to_text(self.value(node.this)).sql})", "text")
        if name in TESTS:
            sql = f"{TESTS[name]}({self._text(node.this)}, {self._text(node.expression)})"
            return Value(sql, "boolean")
        assert handler is not None
        result: Value = handler(node)
        return result

    def _text(self, node: exp.Expr) -> str:
        return to_text(self.value(node)).sql

    def _paren(self, node: exp.Paren) -> Value:
        return self.value(node.this)

    def _literal(self, node: exp.Literal) -> Value:
        if node.is_string:
            return Value(literal(node.name), "text")
        return number_literal(node.name)

    def _boolean(self, node: exp.Boolean) -> Value:
        return Value("true" if node.this else "false", "boolean")

    def _null(self, node: exp.Null) -> Value:
        return NULL

    def _neg(self, node: exp.Neg) -> Value:
        return arithmetic.negated(to_number(self.value(node.this)))

    def _and(self, node: exp.And) -> Value:
        return self._join_tests(node, "AND")

    def _or(self, node: exp.Or) -> Value:
        return self._join_tests(node, "OR")

    def _join_tests(self, node: exp.Connector, operator: str) -> Value:
        tests = [to_boolean(self.value(item)).sql for item in node.flatten()]
        sql = f" {operator} ".join(tests)
        if any(map(may_fail, tests[1:])):
            # DuckDB computes both sides: the right one must not raise an error where the left one settles the answer.
            settled = "NOT " if operator == "AND" else ""
            answer = "false" if operator == "AND" else "true"
            sql = "CASE " + " ".join(f"WHEN {settled}{test} THEN {answer}" for test in tests[:-1]) + f" ELSE {sql} END"
        return Value(f"({sql})", "boolean")

    def _not(self, node: exp.Not) -> Value:
        return Value(f"(NOT {to_boolean(self.value(node.this)).sql})", "boolean")

    def _is(self, node: exp.Is) -> Value:
        left, right = self.value(node.this), self.value(node.expression)
        if right.type == "boolean":
            return Value(f"({to_boolean(left).sql} IS NOT DISTINCT FROM {right.sql})", "boolean")
        if right.type != "null":
            raise UsageError("IS takes NULL, TRUE or FALSE")
        return Value(f"({nullable(left)} IS NULL)", "boolean")

    def _between(self, node: exp.Between) -> Value:
        value = self.value(node.this)
        low = self._compare(">=", value, self.value(node.args["low"]))
        high = self._compare("<=", value, self.value(node.args["high"]))
        return Value(f"({low.sql} AND {high.sql})", "boolean")

    def _in(self, node: exp.In) -> Value:
        if not node.expressions:
            raise UsageError("IN takes a list of values in parentheses")
        value = self.value(node.this)
        tests = [self._compare("=", value, self.value(item)).sql for item in node.expressions]
        return Value(f"({' OR '.join(tests)})", "boolean")

    def _like(self, node: exp.Like) -> Value:
        return Value(f"({self._text(node.this)} LIKE {self._text(node.expression)})", "boolean")

    def _compare(self, operator: str, left: Value, right: Value) -> Value:
        return Value(compare(operator, left, right), "boolean")

    def _add(self, node: exp.Add) -> Value:
        return self._calculate(node, "+")

    def _sub(self, node: exp.Sub) -> Value:
        return self._calculate(node, "-")

    def _mul(self, node: exp.Mul) -> Value:
        return self._calculate(node, "*")

    def _mod(self, node: exp.Mod) -> Value:
        return self._calculate(node, "%")

    def _div(self, node: exp.Div) -> Value:
        left, right = to_number(self.value(node.this)), to_number(self.value(node.expression))
        if self.exact:
            return quotient(left, right)
        return arithmetic.divided(left, right)

    def _calculate(self, node: exp.Binary, operator: str) -> Value:
        left, right = to_number(self.value(node.this)), to_number(self.value(node.expression))
        return arithmetic.calculated(operator, left, right, lambda: self._error_beyond(node))

    def _error_beyond(self, node: exp.Binary) -> str:
        """Write the error for a number with too many digits; it names the event if rows have one."""
        if not self.has_position:
            return TOO_LONG
        return event_error(f"{node.sql()[:60]} needs more than {wide.MOST_EXACT_DIGITS} digits")

    def _dpipe(self, node: exp.DPipe) -> Value:
        return Value(f"({self._text(node.this)} || {self._text(node.expression)})", "text")

    def _concat(self, node: exp.Concat) -> Value:
        return Value(f"concat({', '.join(self._text(item) for item in node.expressions)})", "text")

    def _trim(self, node: exp.Trim) -> Value:
        function = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position") or "").upper(), "trim")
        texts = [self._text(part) for part in (node.this, node.expression) if part is not None]
        return Value(f"{function}({', '.join(texts)})", "text")

    def _length(self, node: exp.Length) -> Value:
        return Value(f"CAST(length({self._text(node.this)}) AS DECIMAL(10,0))", "number", Shape(10, 0))

    def _substring(self, node: exp.Substring) -> Value:
        args = [self._text(node.this)]
        args += [
            f"CAST({convert(self.value(node.args[key]), 'BIGINT').sql} AS BIGINT)"
            for key in ("start", "length")
            if node.args.get(key)
        ]
        return Value(f"substr({', '.join(args)})", "text")

    def _replace(self, node: exp.Replace) -> Value:
        replacement = node.args.get("replacement")
        new = self._text(replacement) if replacement else literal("")
        return Value(f"replace({self._text(node.this)}, {self._text(node.expression)}, {new})", "text")

    def _abs(self, node: exp.Abs) -> Value:
        return arithmetic.absolute(to_number(self.value(node.this)))

    def _round(self, node: exp.Round) -> Value:
        number = to_number(self.value(node.this))
        decimals = node.args.get("decimals")
        if decimals is not None and not SMALL_NUMBER.fullmatch(decimals.name):
            raise UsageError(f"{node.sql()[:60]!r} rounds to no number of places", "write how many: round(data.x, 2)")
        return arithmetic.rounded(number, int(decimals.name) if decimals is not None else 0)

    def _floor(self, node: exp.Floor) -> Value:
        return arithmetic.to_whole("floor", to_number(self.value(node.this)))

    def _ceil(self, node: exp.Ceil) -> Value:
        return arithmetic.to_whole("ceil", to_number(self.value(node.this)))

    def _coalesce(self, node: exp.Coalesce) -> Value:
        values = unify([self.value(item) for item in (node.this, *node.expressions)])
        return choose_unified(values, lambda items: f"coalesce({', '.join(items)})")

    def _greatest(self, node: exp.Greatest) -> Value:
        return self._extreme("greatest", node)

    def _least(self, node: exp.Least) -> Value:
        return self._extreme("least", node)

    def _extreme(self, function: str, node: exp.Func) -> Value:
        values = unify([self.value(item) for item in (node.this, *node.expressions)], prefer="number")
        return choose_unified(values, lambda items: f"{function}({', '.join(items)})")

    def _nullif(self, node: exp.Nullif) -> Value:
        left, right = unify([self.value(node.this), self.value(node.expression)])
        return choose_unified(
            [left], lambda items: f"CASE WHEN {compare('=', left, right)} THEN NULL ELSE {items[0]} END"
        )

    def _case(self, node: exp.Case) -> Value:
        subject = self.value(node.this) if node.this is not None else None
        tests, values = [], []
        for branch in node.args["ifs"]:
            test = self.value(branch.this)
            tests.append(compare("=", subject, test) if subject is not None else to_boolean(test).sql)
            values.append(self.value(branch.args["true"]))
        default = node.args.get("default")
        values = unify([*values, self.value(default) if default is not None else NULL])

        def combine(items: Sequence[str]) -> str:
            branches = " ".join(f"WHEN {test} THEN {item}" for test, item in zip(tests, items[:-1], strict=True))
            return f"CASE {branches} ELSE {items[-1]} END"

        return choose_unified(values, combine)

    def _cast(self, node: exp.Cast) -> Value:
        return convert(self.value(node.this), node.to.sql("duckdb"))

    def _trycast(self, node: exp.TryCast) -> Value:
        return convert(self.value(node.this), node.to.sql("duckdb"), lenient=True)

    def _struct(self, node: exp.Struct) -> Value:
        members = []
        for item in node.expressions:
            key = getattr(item.this, "name", item.this)
            if not isinstance(key, str):
                raise UsageError("a struct is written {'name': value}")
            members.append((key, self.value(item.expression)))
        return object_value(members)

    def _array(self, node: exp.Array) -> Value:
        items = [element_json(self.value(item)) for item in node.expressions]
        return Value("('[' || " + (" || ',' || ".join(items) or "''") + " || ']')", "json")


def _check_parts(node: exp.Expr, name: str) -> None:
    """Raise UsageError if a node has a part that nothing reads, and that would be passed over in silence."""
    read = (*PARTS, *MORE_PARTS.get(name, ()))
    for part, value in node.args.items():
        if value and part not in read and (value is not True or part in MARKS):
            raise UsageError(
                f"{node.sql()[:60]!r} is not allowed in an expression", f"write it without its part {part!r}"
            )


def object_value(members: Iterable[tuple[str, Value]]) -> Value:
    """Return an object of these members as JSON text; of several with one name, the last counts."""
    items = [f"{literal(json_string(key) + ':')} || {element_json(value)}" for key, value in dict(members).items()]
    return Value("('{' || " + (" || ',' || ".join(items) or "''") + " || '}')", "json")


def compile_tree(node: exp.Expr, resolve: Resolve, *, exact: bool = False, has_position: bool = True) -> Value:
    """Compile a parsed node of an expression. `exact`: divisions give decimals (see `conversions.quotient`).

    `has_position`: rows have a position, which errors name.
    """
    return _Compiler(resolve, exact=exact, has_position=has_position).value(node)
