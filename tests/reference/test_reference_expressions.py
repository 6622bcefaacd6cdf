"""The reference's own evaluator, by cases written out by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.reference import MISSING, ConfigError, same
from tests.reference.evaluation import evaluate, truth
from tests.reference.expressions import parse_expression
from tests.reference.mapping import Event
from tests.reference.values import UnreadableError, canonical_json, canonical_number, convert, parse

DATA = parse(
    """{"amount": 12.50, "text": "12.50", "word": "abc", "flag": true, "off": false, "none": null, "n": 7,
        "big": 1234567890123456789.123456789, "odd \\"name\\"": 1, "a.b": 2, "from": 3, "Amount": 99,
        "list": [1, {"x": "y"}], "nested": {"x": {"y": -1.0}}, "one": 1.0}"""
)
EVENT = Event(
    5, 1_700_000_000_000_000, 1_704_067_200_000_000, "Deposited", "account", "account-1", "from", "ann", data=DATA
)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1 + 2 * 3", 7),
        ("-(1 + 2) * 3", -9),
        ("data.amount + 0.1", Decimal("12.6")),
        ("data.text * 2", 25),
        ("data.big + 1", Decimal("1234567890123456790.123456789")),
        ("-7 % 3", -1),
        ("7 / 2", Decimal("3.5")),
        ("7 / 0", None),
        ("7 % 0", None),
        ("data.none + 1", None),
        ("data.nowhere", MISSING),
        ("(data.nowhere)", MISSING),
        ("data.nowhere.deeper[0]", MISSING),
        ("data.none", None),
        ("coalesce(data.nowhere, data.none)", None),
        ("data.amount", Decimal("12.50")),
        ("data.text", "12.50"),
        ("data", DATA),
        ('data."odd ""name""" + data."a.b" + data.from', 6),
        ("data.Amount", 99),
        ("data.list[1].x", "y"),
        ("data.list[9]", MISSING),
        ("data.nested.x.y", -1),
        ("abs(data.nested.x.y)", 1),
        ("round(2.5)", 3),
        ("round(-2.5)", -3),
        ("round(12.345, 2)", Decimal("12.35")),
        ("round(155, -1)", 160),
        ("floor(-1.5)", -2),
        ("ceil(1.2)", 2),
        ("greatest(1, data.none, data.n)", 7),
        ("least(3, data.amount)", 3),
        ("nullif(data.n, 7)", None),
        ("nullif(data.n, 8)", 7),
        ("coalesce(data.none, data.word)", "abc"),
        ("coalesce(data.none, data.list)", [1, {"x": "y"}]),
        ("coalesce(data.text, 0)", Decimal("12.5")),
        ("lower('ÀB') || upper('é')", "àbÉ"),
        ("'it''s' || data.amount", "it's12.5"),
        ("concat('a', data.none, 1.0, data.flag)", "a1true"),
        ("'a' || data.none", None),
        ("length('añ')", 2),
        ("substr('hello', 2, 3)", "ell"),
        ("substr('hello', 4)", "lo"),
        ("trim('  a ')", "a"),
        ("replace('aXbX', 'X', '-')", "a-b-"),
        ("cast(data.amount as varchar)", "12.5"),
        ("cast('2.50' as decimal(10, 2))", Decimal("2.5")),
        ("try_cast(data.word as bigint)", None),
        ("case when data.flag then 'yes' else 'no' end", "yes"),
        ("case when data.none then 1 end", None),
        ("{'id': actor, 'n': data.n, 'gone': data.nowhere}", {"id": "ann", "n": 7, "gone": None}),
        ("[data.n, data.word]", [7, "abc"]),
        ("[]", []),
        ("{}", {}),
        ("kind || '/' || entity || '/' || role || '/' || position", "account/account-1/from/5"),
        ("time", "2024-01-01T00:00:00Z"),
        ("correlation", None),
        (0, 0),
        (True, True),
        (1.1, Decimal("1.1")),
    ],
)
def test_value(expression: Any, expected: Any) -> None:
    assert same(evaluate(parse_expression(expression), EVENT), expected)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("data.flag", True),
        ("data.off", False),
        ("data.none", None),
        ("data.nowhere", None),
        ("not data.none", None),
        ("data.none and data.off", False),
        ("data.none or data.flag", True),
        ("data.none or data.off", None),
        ("data.one = data.n", False),
        ("data.one = 1", True),
        ("data.one = '1'", True),
        ("data.amount = data.text", False),
        ("data.amount = 12.5", True),
        ("data.text = 12.5", True),
        ("data.text = '12.5'", False),
        ("data.n > 10", False),
        ("'9' > '10'", True),
        ("data.word <> 'abd'", True),
        ("data.word != data.none", None),
        ("data.none is null", True),
        ("data.nowhere is not null", False),
        ("data.off is null", False),
        ("data.n in (1, 7)", True),
        ("data.n in (1, null)", None),
        ("data.n not in (1, 2)", True),
        ("data.n between 7 and 8", True),
        ("data.n not between 1 and 6", True),
        ("data.n between 8 and data.none", False),
        ("type like 'Dep%'", True),
        ("type like '_eposited' and not type like 'dep%'", True),
        ("starts_with(type, 'Dep') and ends_with(type, 'ed') and contains(type, 'pos')", True),
        ("data.flag = true", True),
        ("time < '2024-01-01T01:00:00+00:30'", True),
        ("time = '2024-01-01'", True),
        ("data.n / 2 > 3.4", True),
        ("1 = 1 or 2 = 3 and 1 = 2", True),
        ("not 1 = 2", True),
    ],
)
def test_condition(condition: str, expected: bool | None) -> None:
    assert truth(parse_expression(condition), EVENT) is expected


@pytest.mark.parametrize(
    "expression",
    [
        "data.word + 1",
        "data.flag + 1",
        "data.list * 2",
        "data.word > 3",
        "cast(1.5 as bigint)",
        "coalesce(data.word, 0)",
    ],
)
def test_unreadable_value(expression: str) -> None:
    with pytest.raises(UnreadableError):
        evaluate(parse_expression(expression), EVENT)


@pytest.mark.parametrize("condition", ["data.n", "data.word", "data.list", "data.word and data.flag"])
def test_unreadable_condition(condition: str) -> None:
    with pytest.raises(UnreadableError):
        truth(parse_expression(condition), EVENT)


@pytest.mark.parametrize(
    "expression",
    ["", "1 +", "data..x", "nosuch", "nosuch(1)", "lower()", "1 2", "(1", "case end", "'open", "select 1", ["x"], None],
)
def test_no_expression(expression: Any) -> None:
    with pytest.raises(ConfigError):
        parse_expression(expression)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("1.500", "1.5"), ("-0.0", "0"), ("1e2", "100"), ("1.5E-3", "0.0015"), ("100", "100"), ("1e99", "1" + "0" * 99),
        ("1e100", "1e+100"), ("-12e200", "-1.2e+201"), ("1e-99", "0." + "0" * 98 + "1"), ("1e-100", "1e-100"),
        ("1234567890123456789012345678.0", "1234567890123456789012345678"),
    ],
)  # fmt: skip
def test_number_text(text: str, written: str) -> None:
    assert canonical_number(parse(text)) == written


def test_json_text() -> None:
    assert canonical_json(parse('{"b": [1.0, null, true], "a": "é\\"\\n"}')) == '{"b":[1,null,true],"a":"é\\"\\n"}'


@pytest.mark.parametrize(
    ("value", "declared", "expected"),
    [
        ("12.50", "decimal(18,2)", Decimal("12.5")), (Decimal("1E+3"), "decimal(4,0)", 1000), (1, "varchar", "1"),
        (Decimal("3.0"), "bigint", 3), (None, "bigint", None), (True, "boolean", True),
        (Decimal("0.1"), "double", Decimal("0.1")),
    ],
)  # fmt: skip
def test_conversion(value: Any, declared: str, expected: Any) -> None:
    assert same(convert(value, declared), expected)


@pytest.mark.parametrize(
    ("value", "declared"),
    [
        (Decimal("1.005"), "decimal(18,2)"), (100, "decimal(4,2)"), (2**63, "bigint"), (Decimal("1.5"), "bigint"),
        (True, "decimal(18,2)"), ("x", "bigint"), (1, "boolean"), (2**53 + 1, "double"), ({}, "decimal(9,0)"),
    ],
)  # fmt: skip
def test_conversion_refused(value: Any, declared: str) -> None:
    with pytest.raises(UnreadableError):
        convert(value, declared)


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (1, Decimal("1.0"), True), (True, 1, False), (0, False, False), ("1", 1, False), (None, MISSING, False),
        ({"a": 1, "b": [2]}, {"b": [Decimal(2)], "a": Decimal("1.00")}, True), ([1, 2], [2, 1], False), ({}, [], False),
        ({"a": None}, {}, False), ([True], [1], False),
    ],
)  # fmt: skip
def test_equality(a: Any, b: Any, equal: bool) -> None:
    assert same(a, b) is equal
