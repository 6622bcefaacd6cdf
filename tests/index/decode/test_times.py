"""Times in every form that logs use, one meaning in SQL and in Python."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esctl.engine.duckdb import connect
from esctl.errors import UsageError
from esctl.index.decode.times import parse_instant, read_times
from tests.support import effort

CONNECTION = connect(threads=1)
ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns", "Australia/Lord_Howe")


def in_sql(texts: Sequence[str | None], tz: str = "UTC") -> list[int | None]:
    found = read_times(CONNECTION, pa.array(list(texts), pa.string()), tz).cast(pa.int64())
    return list(found.to_pylist())


def in_python(text: str, tz: str = "UTC") -> int | None:
    try:
        return parse_instant(text, tz)
    except UsageError:
        return None


def micros(text: str) -> int:
    """Read Python's own ISO text (with an offset)."""
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return (datetime.datetime.fromisoformat(text) - epoch) // datetime.timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-23T02:40:10Z", "2026-11-23T02:40:10+00:00"),
        ("2026-11-23t02:40:10.5z", "2026-11-23T02:40:10.5+00:00"),
        ("2026-11-23 02:40:10.33+00", "2026-11-23T02:40:10.33+00:00"),
        ("2026-11-23T02:40:10+0530", "2026-11-23T02:40:10+05:30"),
        ("2026-11-23T02:40:10-05", "2026-11-23T02:40:10-05:00"),
        ("2026-11-23 02:40:10 +02:00", "2026-11-23T02:40:10+02:00"),
        ("2026-11-23 02:40:10 UTC", "2026-11-23T02:40:10+00:00"),
        ("2026-11-23T02:40:10.1234567Z", "2026-11-23T02:40:10.123456+00:00"),
        ("2026-11-23T02:40:10.999999999Z", "2026-11-23T02:40:10.999999+00:00"),
        ("2026-11-23T02:40:10." + "9" * 40 + "Z", "2026-11-23T02:40:10.999999+00:00"),
        ("2026-11-23T02:40Z", "2026-11-23T02:40:00+00:00"),
        ("2026-11-23", "2026-11-23T00:00:00+00:00"),
        ("19970101", "1997-01-01T00:00:00+00:00"),
        ("20261123T024010Z", "2026-11-23T02:40:10+00:00"),
        ("20261123T024010.25+0100", "2026-11-23T02:40:10.25+01:00"),
        ("20261123024010", "2026-11-23T02:40:10+00:00"),
        ("1700000000", "2023-11-14T22:13:20+00:00"),
        ("1700000000.0", "2023-11-14T22:13:20+00:00"),
        ("1700000000.123456789", "2023-11-14T22:13:20.123456+00:00"),
        ("1700000000123", "2023-11-14T22:13:20.123+00:00"),
        ("1700000000123.75", "2023-11-14T22:13:20.123750+00:00"),
        ("1700000000123456", "2023-11-14T22:13:20.123456+00:00"),
        ("1700000000123456789", "2023-11-14T22:13:20.123456+00:00"),
        ("0", "1970-01-01T00:00:00+00:00"),
        ("-1.5", "1969-12-31T23:59:58.5+00:00"),
        ("Mon, 23 Nov 2026 02:40:10 GMT", "2026-11-23T02:40:10+00:00"),
        ("23 Nov 2026 02:40:10 +0200", "2026-11-23T02:40:10+02:00"),
        ("Mon, 3 Nov 2025 02:40:10 -0800 (PST)", "2025-11-03T02:40:10-08:00"),
        ("23/Nov/2026:02:40:10 +0000", "2026-11-23T02:40:10+00:00"),
        ("Mon Nov  2 02:40:10 2026 +0100", "2026-11-02T02:40:10+01:00"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:00"),
        ("0999-07-01T00:00:00+02:00", "0999-06-30T22:00:00+00:00"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999+00:00"),
    ],
)
def test_forms(text: str, instant: str) -> None:
    assert in_sql([text]) == [micros(instant)]
    assert in_python(text) == micros(instant)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "soon", "2026-02-30", "2026-11-23T24:00:00Z", "2026-11-23T02:40:10+25:00", "2026-13-01", "infinity",
        "epoch", "2026-11-23T02:40:10.Z", "123456789012345678901", "0000-01-01", "1e9", "NaN", "20260230", "12:30",
        "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "-99999999999",
        "'; drop table x; --", "2026-11-23T02:40:10Z\n", "23 Foo 2026 02:40:10 GMT",
    ],
)  # fmt: skip
def test_no_time(text: str) -> None:
    assert in_sql([text]) == [None]
    assert in_python(text) is None


def test_null_stays_null() -> None:
    assert in_sql([None]) == [None]


@pytest.mark.parametrize(
    ("text", "tz", "instant"),
    [
        ("2026-11-23 02:40:10", "Europe/Berlin", "2026-11-23T01:40:10+00:00"),
        ("2026-07-01", "Europe/Berlin", "2026-06-30T22:00:00+00:00"),
        ("20260701", "Asia/Kolkata", "2026-06-30T18:30:00+00:00"),
        ("2026-10-25 02:30:00", "Europe/Berlin", "2026-10-25T00:30:00+00:00"),
        ("2026-03-29 02:30:00", "Europe/Berlin", "2026-03-29T01:30:00+00:00"),
        ("2026-07-01T00:00:00Z", "Europe/Berlin", "2026-07-01T00:00:00+00:00"),
        ("1700000000", "Europe/Berlin", "2023-11-14T22:13:20+00:00"),
    ],
)
def test_zone_is_for_times_without_one(text: str, tz: str, instant: str) -> None:
    assert in_sql([text], tz) == [micros(instant)]
    assert in_python(text, tz) == micros(instant)


def test_unknown_zone_is_named() -> None:
    for zone in ("Mars/Olympus", "../etc", ""):
        with pytest.raises(UsageError, match="unknown time zone"):
            parse_instant("2026-01-01", zone)


moments = st.datetimes(datetime.datetime(1971, 1, 1), datetime.datetime(2036, 12, 31))  # noqa: DTZ001
offsets = st.sampled_from(["", "Z", "z", "+00", "+0530", "-05:00", " +02:00", "+14:00", " GMT"])
patterns = st.sampled_from(
    [
        "%Y-%m-%dT%H:%M:%S",
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%d %H:%M",
        "%Y%m%dT%H%M%S",
        "%d/%b/%Y:%H:%M:%S",
        "%a, %d %b %Y %H:%M:%S",
    ]
)
fractions = st.one_of(st.just(""), st.text("0123456789", min_size=1, max_size=12).map(".".__add__))
written = st.builds(
    lambda moment, pattern, fraction, offset: moment.strftime(pattern)
    + (fraction if "%S" in pattern else "")
    + offset,
    moments, patterns, fractions, offsets,
)  # fmt: skip
epochs = st.builds(
    lambda number, digits: f"{number}{digits}",
    st.one_of(st.integers(-(10**12), 10**12), st.integers(-(10**19), 10**19)),
    fractions,
)
odd = st.text("0123456789-:.TZ+ JanFeb", max_size=24)


@settings(max_examples=effort.share(300))
@given(st.lists(st.one_of(written, epochs, odd), min_size=1, max_size=20), st.sampled_from(ZONES))
def test_sql_and_python_agree(texts: list[str], tz: str) -> None:
    assert in_sql(texts, tz) == [in_python(text, tz) for text in texts]


@settings(max_examples=100)
@given(moments, st.sampled_from(ZONES))
def test_iso_text_means_what_python_says(moment: datetime.datetime, tz: str) -> None:
    aware = moment.replace(tzinfo=datetime.UTC)
    assert in_python(aware.isoformat(), tz) == micros(aware.isoformat())
    assert in_python(moment.isoformat(), "UTC") == micros(aware.isoformat())
