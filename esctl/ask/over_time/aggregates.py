"""Aggregate expressions over states, such as `sum(balance) / count(*) filter (status = 'open')`, and their parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from esctl.engine.exact_text import unmark_json_sql
from esctl.errors import UsageError
from esctl.projection.compiler import Resolve, compile_tree
from esctl.projection.conversions import addable_number, nullable, quotient, unify
from esctl.projection.syntax import Path, parse, words_of
from esctl.projection.values import (
    INTEGER,
    WIDE,
    Shape,
    Value,
    as_shape,
    event_error,
    json_text,
    to_boolean,
    to_number,
)
from esctl.projection.wide import MOST_EXACT_DIGITS, units_key, within_digits

if TYPE_CHECKING:
    from sqlglot import exp

Kind = Literal["count", "sum", "avg", "min", "max", "distinct"]
HINT = "count(*), count(x), count(distinct x), sum(x), avg(x), min(x), max(x), any of them with filter (...)"


class Aggregate(Struct, frozen=True):
    """One aggregate of an expression: of `argument` (None: of rows), where `condition` holds."""

    kind: Kind
    argument: exp.Expr | None
    condition: exp.Expr | None

    @property
    def additive(self) -> bool:
        """Return whether a state's contribution can be subtracted again."""
        return self.kind in ("count", "sum", "avg")


class AggregateExpression(Struct, frozen=True):
    """A parsed expression: its aggregates, and the tree over their names."""

    text: str
    aggregates: Mapping[str, Aggregate]  # by their text
    tree: exp.Expr

    def words(self) -> frozenset[str]:
        """Return words that include all the names that the aggregates mention."""
        parts = [part for one in self.aggregates.values() for part in (one.argument, one.condition)]
        return frozenset[str]().union(*(words_of(part) for part in parts if part is not None))

    @property
    def field_kept(self) -> str:
        """Return the field if the expression is just its sum, minimum or maximum; else an empty text."""
        from sqlglot import exp

        one = next(iter(self.aggregates.values()))
        is_whole = isinstance(self.tree, exp.Column) and len(self.aggregates) == 1
        if not is_whole or one.kind not in ("sum", "min", "max"):
            return ""
        return one.argument.name if isinstance(one.argument, exp.Column) and not one.argument.table else ""

    def inputs(self, resolve: Resolve) -> list[Value]:
        """Compile each aggregate's input from one state: NULL if the state contributes nothing."""
        with _naming_argument():
            return [_input(aggregate, resolve) for aggregate in self.aggregates.values()]

    def result(self, totals: Sequence[Value]) -> Value:
        """Compile the expression over the values of its aggregates."""

        def resolve(path: Path) -> Value:
            name = ".".join(str(part) for part in path)
            if name not in self.aggregates:
                raise UsageError(f"{name!r} stands outside an aggregate", f"aggregates are: {HINT}")
            return totals[list(self.aggregates).index(name)]

        with _naming_argument():
            return compile_tree(self.tree, resolve, exact=True, has_position=False)


@contextmanager
def _naming_argument() -> Iterator[None]:
    """Name the argument at fault in errors."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"EXPR: {error.message}", error.hint) from None


def parse_aggregates(text: str) -> AggregateExpression:
    """Parse an aggregate expression. Raises UsageError for anything else."""
    from sqlglot import exp

    found: dict[str, Aggregate] = {}

    def taken(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Filter | exp.AggFunc):
            return node
        found[node.sql()] = _aggregate(node)
        return exp.column(node.sql(), quoted=True)

    tree = parse(_spelled_out(text), "EXPR").transform(taken)
    if not found:
        raise UsageError(f"EXPR: {text!r} has no aggregate", f"aggregates are: {HINT}")
    return AggregateExpression(text, found, tree)


def _spelled_out(text: str) -> str:
    """Add the missing WHERE to a FILTER."""
    import sqlglot

    try:
        tokens = sqlglot.tokenize(text)
    except sqlglot.errors.SqlglotError:
        return text  # the parser says what is wrong
    for name, bracket, first in reversed(list(zip(tokens, tokens[1:], tokens[2:], strict=False))):
        if name.text.lower() == "filter" and bracket.text == "(" and first.text.lower() != "where":
            text = f"{text[: first.start]}where {text[first.start :]}"
    return text


def _aggregate(node: exp.Expr) -> Aggregate:
    from sqlglot import exp

    call, condition = (node.this, node.expression.this) if isinstance(node, exp.Filter) else (node, None)
    kinds: dict[type[exp.Expr], Kind] = {exp.Sum: "sum", exp.Avg: "avg", exp.Min: "min", exp.Max: "max"}
    argument = call.this
    if type(call) in kinds and argument is not None and not call.expressions:
        return Aggregate(kinds[type(call)], argument, condition)
    if isinstance(call, exp.Count) and argument is not None and not call.expressions:
        if isinstance(argument, exp.Star):
            return Aggregate("count", None, condition)
        if not isinstance(argument, exp.Distinct):
            return Aggregate("count", argument, condition)
        if len(argument.expressions) == 1:
            return Aggregate("distinct", argument.expressions[0], condition)
    raise UsageError(f"EXPR: {node.sql()[:60]!r} is not an aggregate that can be sampled", f"aggregates are: {HINT}")


def _input(aggregate: Aggregate, resolve: Resolve) -> Value:
    value = _of_kind(aggregate, resolve)
    if aggregate.condition is None:
        return value
    test = to_boolean(compile_tree(aggregate.condition, resolve, exact=True)).sql
    return Value(f"CASE WHEN {test} THEN {value.sql} END", value.type, value.shape)


def _of_kind(aggregate: Aggregate, resolve: Resolve) -> Value:
    if aggregate.argument is None:
        return Value("true", "boolean")
    value = compile_tree(aggregate.argument, resolve, exact=True)
    if aggregate.kind == "count":
        return Value(f"CASE WHEN {nullable(value)} IS NOT NULL THEN true END", "boolean")
    if aggregate.kind == "distinct":
        return Value(unmark_json_sql(nullable(value) if value.type == "dynamic" else json_text(value)), "text")
    if aggregate.kind in ("min", "max") and value.type in ("text", "time", "boolean"):
        return value
    number = addable_number(to_number(value))
    if aggregate.additive and number.shape == WIDE:
        half = MOST_EXACT_DIGITS // 2
        message = f"{aggregate.argument.sql()[:60]} has more than {half} digits before or after the point to add up"
        return Value(within_digits(number.sql, event_error(message)), "number", WIDE)
    return number


def unified(inputs: Sequence[Sequence[Value]]) -> list[list[Value]]:
    """Cast the inputs of several projections' states to the same types, aggregate by aggregate."""
    columns = [unify(column) for column in zip(*inputs, strict=True)]
    return [list(row) for row in zip(*columns, strict=True)]


def is_summed_wide(aggregate: Aggregate, value: Value) -> bool:
    """Return whether an aggregate adds up numbers that no DECIMAL holds, as BIGNUMs of units of 10^-`s<number>`."""
    return aggregate.kind in ("sum", "avg") and value.shape is not None and value.shape.is_wide


def total(aggregate: Aggregate, number: int, value: Value, states: int) -> Value:
    """Write an aggregate's value from columns `n<number>` (how many states take part) and `x<number>` (their total).

    `states`: the most states that are ever added up.
    """
    digits = len(str(max(states, 1)))
    amount = Value(f"CAST(coalesce(n{number}, 0) AS DECIMAL({digits},0))", "number", Shape(digits, 0))
    if aggregate.kind in ("count", "distinct"):
        return amount
    if aggregate.kind in ("min", "max"):
        return Value(f"x{number}", value.type, value.shape)
    own = value.shape or INTEGER
    shape = WIDE if own.is_wide else Shape(own.whole + digits, own.scale).or_wide
    if own.is_wide:
        sum_of = units_key(f"x{number}", f"s{number}")
    else:
        sum_of = as_shape(Value(f"x{number}", "number", own), shape)
    added = Value(f"CASE WHEN n{number} > 0 THEN {sum_of} END", "number", shape)
    return added if aggregate.kind == "sum" else quotient(added, amount)
