"""What SQL uses more than once is written once, whatever is within."""

import duckdb
import pytest

from esctl.engine.once import once
from esctl.projection import conversions
from esctl.projection.values import Value


def answer(sql: str) -> object:
    (row,) = duckdb.connect().execute(f"SELECT {sql} FROM (VALUES ('x', 'y', 7)) t(a, b, position)").fetchall()
    return row[0]


def test_names_are_used_as_they_are() -> None:
    for name in ("a", '"read1"', "w.d", '"r".c0'):
        assert once(name, lambda value: f"{value} || {value}") == f"{name} || {name}"


def test_what_is_within_names_its_own() -> None:
    def outer(x: str) -> str:
        def inner(y: str) -> str:
            return once(f"{y} || {x} || b", lambda z: f"{x} || {y} || {z} || {z}")

        return once(f"{x} || '2'", inner)

    sql = once("a || '1'", outer)
    assert sql == once("a || '1'", outer)  # so that equal SQL is found to be so
    assert answer(sql) == "x1" + "x12" + "x12x1y" * 2


def test_a_name_within_is_no_other_when_it_is_bound_later() -> None:
    inside = once("a || '1'", lambda x: f"{x} || {x}")
    assert answer(once(inside, lambda y: f"{y} || '-' || {inside}")) == "x1x1-x1x1"


@pytest.mark.parametrize("declared", ["decimal(10,2)", "bigint", "int", "double"])
def test_a_conversion_does_not_grow_by_the_square(declared: str) -> None:
    once_converted = conversions.convert(Value("a", "text"), declared)
    twice = conversions.convert(conversions.to_text(once_converted), declared)
    assert len(twice.sql) < 2.5 * len(once_converted.sql)
