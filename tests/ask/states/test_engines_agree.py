"""A rule that no event matches changes the way a fold goes, set-wise or event by event, and nothing else.

Texts that `min` and `max` choose from are held here beside fields that were set to all sorts of values, and conditions
that no value can meet beside values that have no order.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from tests.support.alike import sorted_rows
from tests.support.ground import Refusal, Told, ground, projection_of
from tests.support.stepped import UNMATCHED
from tests.support.wide_digits import Commits

VALUES: tuple[Any, ...] = (
    "m", "", "10", "9", "true", "null", "{}", "\x01m", "é", 5, -3, 0, Decimal("2.5"), Decimal("1E-40"), 10**50,
    10**21, Decimal("0.10"), True, False, None, {"a": 1, "b": "x"}, {"a": Decimal("1E-40")}, {}, [1, "x"], [],
    {"a": {"z": 10**40}}, "2024-01-01T00:00:00Z",
)  # fmt: skip
TEXTS = ("m", "5", "~", "", "{", "2.5", "f", "null", "t")
RULES: dict[str, dict[str, Any]] = {
    "text": {"Set": {"set": {"n": "data.n"}}, "Add": {"{}": {"n": "actor"}}},
    "declared": {"Set": {"merge": "data"}, "Add": {"{}": {"n": "data.t"}}},
    "event": {"Set": {"set": {"n": "data.n"}}, "Add": {"{}": {"n": "data.t || ''"}}},
    "both": {"Set": {"{}": {"n": "data.t || ''"}}, "Add": {"{}": {"n": "actor"}}},
}
TYPES = {"declared": {"n": "VARCHAR"}}


def record(number: int, kind: str, entity: str, data: Any, actor: str) -> dict[str, Any]:
    time = f"2024-01-01T00:{number // 60:02}:{number % 60:02}Z"
    return {"id": f"e{number}", "type": kind, "time": time, "stream": entity, "actor": actor, "data": data}


def arrivals() -> Commits:
    """Give entities that are set to a value and then told a text, each to others."""
    records = []
    for place, (value, text) in enumerate(product(VALUES, TEXTS)):
        data = {"n": value, "t": text}
        records.append(record(2 * place, "Set", f"a-{place}", data, text))
        records.append(record(2 * place + 1, "Add", f"a-{place}", data, text))
    return ((("log.jsonl", tuple(records)),),)


def table(rules: str, better: str, *, stepped: bool) -> dict[str, Any]:
    on = {
        kind: {better if name == "{}" else name: what for name, what in body.items()}
        for kind, body in RULES[rules].items()
    }
    return {"on": on | ({"Never": UNMATCHED["patched"]} if stepped else {}), "types": TYPES.get(rules, {})}


def alike(one: Told, other: Told) -> None:
    if isinstance(one, Refusal) or isinstance(other, Refusal):
        assert type(one) is type(other), (one, other)
        return
    assert sorted_rows(one) == sorted_rows(other)


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("better", ["min", "max"])
def test_the_least_and_the_greatest_text_beside_what_a_field_was_set_to(rules: str, better: str) -> None:
    told = []
    for stepped in (False, True):
        with ground(arrivals(), projection_of(table(rules, better, stepped=stepped))) as made:
            told.append(made.states())
    alike(*told)


CONDITIONS = (
    "n between 2 and 1", "n not between 2 and 1", "n between 'b' and 'a'", "n between 1 and 2", "n between 'a' and 'b'",
    "n > 1 and n < 0", "n in (1, 2)", "n = 1", "n <> 'a'", "not (n between 2 and 1)", "n between n and n",
    "n between m and 1",
)  # fmt: skip
ODD: tuple[Any, ...] = ({"a": 1}, [1], True, "x", 1, None)


@pytest.mark.parametrize("value", ODD, ids=repr)
@pytest.mark.parametrize("way", ["patched", pytest.param("wide", marks=pytest.mark.thorough)])
def test_a_condition_on_values_without_an_order_is_met_or_refused_both_ways(value: Any, way: str) -> None:
    records = (record(0, "Set", "a-1", {"n": value}, "x"), record(1, "Add", "a-1", {"n": value, "m": 2}, "x"))
    told = []
    for body in ("other", way):
        with ground(
            ((("log.jsonl", records),),), projection_of({"on": {"*": {"merge": "data"}, "Never": UNMATCHED[body]}})
        ) as made:
            told.append([answer for one in CONDITIONS for answer in (made.states(where=one), made.when(one))])
    for one, other in zip(*told, strict=True):
        alike(one, other)
