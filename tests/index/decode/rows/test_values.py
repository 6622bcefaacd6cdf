"""Values of change logs against other ways to compute them."""

from __future__ import annotations

import base64
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esctl.index.decode.rows.change import number
from esctl.index.decode.rows.debezium.connect_types import converter
from esctl.index.decode.rows.times import date_text, instant_text, time_text
from esctl.model import MARK

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def encoded(unscaled: int) -> str:
    """Write a number as Java's BigInteger does, in base64."""
    return base64.b64encode(unscaled.to_bytes(unscaled.bit_length() // 8 + 1, "big", signed=True)).decode()


def told(value: Any) -> Decimal:
    return Decimal(value[1:] if isinstance(value, str) else value)


@given(st.integers(-(10**40), 10**40), st.integers(0, 30))
def test_decimals_keep_every_digit(unscaled: int, scale: int) -> None:
    schema = {"name": "org.apache.kafka.connect.data.Decimal", "parameters": {"scale": str(scale)}}
    convert = converter(schema)
    assert convert is not None
    assert told(convert(encoded(unscaled))) == Decimal((unscaled < 0, tuple(map(int, str(abs(unscaled)))), -scale))


@given(st.dates())
def test_days_are_dates(day: date) -> None:
    assert date_text((day - EPOCH.date()).days) == day.isoformat()


@given(st.datetimes())
def test_micros_are_instants(moment: datetime) -> None:
    micros = (moment.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
    expected = moment.isoformat()
    assert instant_text(micros, 10**6) == (expected.rstrip("0") if "." in expected else expected)


@pytest.mark.parametrize(
    ("days", "text"), [(-719_528, "0000-01-01"), (-719_529, "-0001-12-31"), (2_932_897, "+10000-01-01")]
)
def test_years_beyond_four_digits_have_a_sign(days: int, text: str) -> None:
    assert date_text(days) == text


def test_times_of_day() -> None:
    assert time_text(86_400_000, 10**3) == "24:00:00"
    assert time_text(1, 10**9) == "00:00:00.000000001"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("49.50", Decimal("49.5")),
        ("0.000", 0),
        ("-0", 0),
        ("100", 100),
        ("0.00001", MARK + "0.00001"),
        ("1234567890123456", MARK + "1234567890123456"),
        ("1E+20", MARK + "1" + "0" * 20),
        ("NaN", "NaN"),
    ],
)
def test_a_number_is_marked_where_a_double_would_not_keep_it(text: str, expected: object) -> None:
    assert number(Decimal(text)) == expected


def test_what_does_not_follow_its_schema_stays() -> None:
    convert = converter({"name": "org.apache.kafka.connect.data.Decimal", "parameters": {"scale": "2"}})
    assert convert is not None
    assert [convert(value) for value in ("?", 5, None, [1])] == ["?", 5, None, [1]]
    days = converter({"name": "io.debezium.time.Date"})
    assert days is not None
    assert [days(value) for value in (0, True, "x", MARK + "19783")] == ["1970-01-01", True, "x", "2024-03-01"]


def test_values_inside_arrays_structs_and_maps_are_converted() -> None:
    inner = {"type": "int32", "name": "io.debezium.time.Date"}
    schema = {
        "type": "struct",
        "fields": [
            {"field": "days", "type": "array", "items": inner},
            {"field": "by", "type": "map", "values": inner},
            {"field": "n", "type": "int32"},
        ],
    }
    convert = converter(schema)
    assert convert is not None
    expected = {"days": ["1970-01-02", None], "by": {"a": "1970-01-03"}, "n": 5}
    assert convert({"days": [1, None], "by": {"a": 2}, "n": 5}) == expected


DEBEZIUM_TIME, DEBEZIUM_DATA = "io.debezium.time.", "io.debezium.data."
CONNECT = "org.apache.kafka.connect.data."
WKB = {"x": 1.0, "y": 2.0, "wkb": "AQEAAAAAAAAAAADwPwAAAAAAAABA", "srid": 4326}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (DEBEZIUM_TIME + "Date", 19783, "2024-03-01"),
        (DEBEZIUM_TIME + "Date", -141_427, "1582-10-15"),
        (DEBEZIUM_TIME + "Time", 32_400_001, "09:00:00.001"),
        (DEBEZIUM_TIME + "MicroTime", 32_400_000_001, "09:00:00.000001"),
        (DEBEZIUM_TIME + "NanoTime", 32_400_000_000_001, "09:00:00.000000001"),
        (DEBEZIUM_TIME + "Timestamp", 1_709_283_600_120, "2024-03-01T09:00:00.12"),
        (DEBEZIUM_TIME + "MicroTimestamp", -1, "1969-12-31T23:59:59.999999"),
        (DEBEZIUM_TIME + "NanoTimestamp", 1_709_283_600_000_000_007, "2024-03-01T09:00:00.000000007"),
        (DEBEZIUM_TIME + "ZonedTimestamp", "2024-03-01T09:00:00.123456Z", "2024-03-01T09:00:00.123456Z"),
        (DEBEZIUM_TIME + "ZonedTime", "09:00:00+02:00", "09:00:00+02:00"),
        (DEBEZIUM_TIME + "IsoDate", "2024-03-01Z", "2024-03-01Z"),
        (DEBEZIUM_TIME + "Year", 2024, 2024),
        (DEBEZIUM_TIME + "Interval", "P1Y2M3DT4H5M6.78S", "P1Y2M3DT4H5M6.78S"),
        (DEBEZIUM_TIME + "MicroDuration", 37_091_106_780_000, 37_091_106_780_000),
        (DEBEZIUM_TIME + "NanoDuration", 1, 1),
        (CONNECT + "Date", 0, "1970-01-01"),
        (CONNECT + "Time", 1, "00:00:00.001"),
        (CONNECT + "Timestamp", 0, "1970-01-01T00:00:00"),
        (DEBEZIUM_DATA + "Enum", "paid", "paid"),
        (DEBEZIUM_DATA + "EnumSet", "a,c", "a,c"),
        (DEBEZIUM_DATA + "Json", '{"a": 1.50}', '{"a": 1.50}'),
        (DEBEZIUM_DATA + "Xml", "<a/>", "<a/>"),
        (DEBEZIUM_DATA + "Uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        (DEBEZIUM_DATA + "Ltree", "a.b", "a.b"),
        (DEBEZIUM_DATA + "Bits", "Fw==", "Fw=="),
        (DEBEZIUM_DATA + "geometry.Point", WKB, WKB),
        (DEBEZIUM_DATA + "geometry.Geometry", {"wkb": "AA==", "srid": None}, {"wkb": "AA==", "srid": None}),
        (DEBEZIUM_DATA + "VariableScaleDecimal", {"scale": 3, "value": "AeJA"}, Decimal("123.456")),
        (DEBEZIUM_DATA + "VariableScaleDecimal", {"scale": 0, "value": "/w=="}, -1),
        (DEBEZIUM_DATA + "VariableScaleDecimal", {"scale": -2, "value": "DA=="}, 1200),
    ],
)
def test_semantic_types_are_read_as_they_are_documented(name: str, value: Any, expected: Any) -> None:
    """The types that the connectors' pages list under data type mappings; what has no other form stays as it is."""
    convert = converter({"name": name, "type": "struct"})
    assert (value if convert is None else convert(value)) == expected


def test_numbers_that_are_written_as_numbers_stay() -> None:
    convert = converter({"name": CONNECT + "Decimal", "parameters": {"scale": "2"}})
    assert convert is not None
    assert [convert(value) for value in (49.5, 49, MARK + "1234567890123456789.01")] == [
        49.5,
        49,
        MARK + "1234567890123456789.01",
    ]


def test_scales_of_decimals_may_be_below_zero() -> None:
    convert = converter({"name": CONNECT + "Decimal", "parameters": {"scale": "-2"}})
    assert convert is not None
    assert convert("DA==") == 1200
