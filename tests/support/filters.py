"""Conditions and aggregates on states, as SQL and as what they mean in plain Python over the JSON of `replay`.

The meaning is that of the reference's evaluator, which shares no code with esctl: a value beside a number is read as an
exact number (text that spells one too, null and missing are NULL, anything else is an error), beside text as text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from types import SimpleNamespace
from typing import Any

from tests.reference.evaluation import truth
from tests.reference.expressions import parse_expression
from tests.reference.values import canonical_json, to_number
from tests.support.wide_digits import near, written

_EXACT = Context(prec=500)
State = dict[str, Any]
"""A row of `replay`: entity, kind, state, version, position, time."""


@dataclass(frozen=True)
class Condition:
    """A predicate with `{}` where a field of the state is named, and `[]` for another one."""

    template: str
    field: str
    other: str = ""

    def _named(self, before: str) -> str:
        return self.template.replace("{}", before + quoted(self.field)).replace("[]", before + quoted(self.other))

    @property
    def sql(self) -> str:
        return self._named("")

    @property
    def event_sql(self) -> str:
        return self._named("data.")

    def holds(self, state: State) -> bool:
        """Say whether a state is kept; UnreadableError where a value cannot be read as the predicate needs."""
        event: Any = SimpleNamespace(data=state["state"], kind=state["kind"], entity=state["entity"])
        return truth(parse_expression(self.event_sql), event) is True


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def conditions(
    field: str, other: str, numbers: Sequence[Decimal], pick: Callable[[Sequence[Any]], Any]
) -> Iterator[Condition]:
    """Give predicates on a field; their literals lie at, or just beside, numbers that it has had."""
    around = [value for number in [*numbers, Decimal(1)] for value in near(number)]
    first, second = pick(around), pick(around)
    x, y = written(first, pick([0, 0, 1])), written(second)
    low, high = (
        (x, y) if first <= second else (y, x)
    )  # an empty range is known to hold nothing, whatever it is asked of
    for template in (
        f"{{}} {pick(['>', '>=', '<', '<='])} {x}",
        f"{{}} {pick(['=', '<>'])} {x}",
        f"{{}} = {written(pick(numbers or [Decimal(1)]))}",
        f"{{}} in ({x}, {y}, 2.5)",
        f"{{}} not in ({x}, 0)",
        f"{{}} between {low} and {high}",
        f"not {{}} > {x}",
        f"{{}} = '{pick(['a', '2.5', '1', '10000000000000000000000000000000000000000', '0'])}'",
        "{} is not null",
        "{} is null",
        "coalesce({}, 0) > " + x,
        f"greatest({{}}, {x}) = {{}}",
        f"-{{}} < {y}",
        f"abs({{}}) >= {x}",
        f"case when {{}} > {x} then true else false end",
        f"nullif({{}}, {x}) is null",
        "{} " + pick(["=", "<>", "<", ">="]) + " []",
        f"{{}} + [] > {x}",
        f"{{}} - {x} < {y}",
        f"{{}} * 2 >= {x}",
        f"round({{}}, 2) = {x}",
        f"floor({{}}) <= {x}",
    ):
        yield Condition(template, field, other)


@dataclass(frozen=True)
class Aggregate:
    """An aggregate over the states at one moment."""

    sql: str
    value: Callable[[Sequence[State]], Any]


def numbers_of(field: str, states: Sequence[State]) -> list[Decimal]:
    found = (to_number(state["state"].get(field)) for state in states)
    return [Decimal(value) for value in found if value is not None]  # type: ignore[arg-type]


def added(values: Sequence[Decimal]) -> Decimal | None:
    with localcontext(prec=500):
        return sum(values, Decimal()) if values else None


def mean(values: Sequence[Decimal]) -> Decimal | None:
    with localcontext(prec=500):
        total = added(values)
        return None if total is None else (total / len(values)).quantize(Decimal("1e-12"), ROUND_HALF_UP)


def aggregates(field: str, condition: Condition) -> list[Aggregate]:
    """Give aggregates of a field, the last of them of states for which a condition holds."""
    q = quoted(field)

    def kept(states: Sequence[State]) -> list[State]:
        return [state for state in states if condition.holds(state)]

    def of(states: Sequence[State]) -> list[Decimal]:
        return numbers_of(field, states)

    def distinct(states: Sequence[State]) -> int:
        return len({canonical_json(v) for s in states if (v := s["state"].get(field)) is not None})

    return [
        Aggregate(f"sum({q})", lambda s: added(of(s))),
        Aggregate(f"min({q})", lambda s: min(of(s), default=None)),
        Aggregate(f"max({q})", lambda s: max(of(s), default=None)),
        Aggregate(f"count(distinct {q})", distinct),
        Aggregate(f"count({q})", lambda s: sum(x["state"].get(field) is not None for x in s)),
        Aggregate(f"avg({q})", lambda s: mean(of(s))),
        Aggregate(f"sum({q} * 3)", lambda s: added([_EXACT.multiply(value, Decimal(3)) for value in of(s)])),
        Aggregate(f"max(-{q})", lambda s: max((value.copy_negate() for value in of(s)), default=None)),
        Aggregate(f"count(*) filter ({condition.sql})", lambda s: len(kept(s))),
        Aggregate(f"sum({q}) filter (where {condition.sql})", lambda s: added(of(kept(s)))),
    ]
