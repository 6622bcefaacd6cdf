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
from esctl.index.decode.times.columns import read_nanos, read_times
from esctl.index.decode.times.epochs import BEYOND, FIRST
from esctl.index.decode.times.python import parse_instant
from esctl.index.decode.times.reading import Reading
from esctl.index.decode.times.sql import time_sql, times_sql
from tests.support import effort

CONNECTION = connect(threads=1)
ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns", "Australia/Lord_Howe")


def in_sql(texts: Sequence[str | None], tz: str = "UTC") -> list[int | None]:
    found = read_times(CONNECTION, pa.array(list(texts), pa.string()), tz).cast(pa.int64())
    return list(found.to_pylist())


def nanos_in_sql(texts: Sequence[str | None], reading: Reading | None = None) -> list[int | None]:
    reading = reading or Reading()
    column = pa.array(list(texts), pa.string())
    times = read_times(CONNECTION, column, "UTC", reading)
    return list(read_nanos(CONNECTION, column, times, reading).to_pylist())


def in_whole_sql(texts: Sequence[str | None], tz: str = "UTC", reading: Reading | None = None) -> list[int | None]:
    """Read with one expression that knows all forms, as conversions do."""
    CONNECTION.register("texts", pa.table({"i": range(len(texts)), "t": pa.array(list(texts), pa.string())}))
    sql = times_sql("SELECT i, t FROM texts", tz, time_sql("t", "CLOCK", reading))
    rows = CONNECTION.sql(f"SELECT epoch_us(instant) FROM ({sql}) ORDER BY i").fetchall()
    return [found if found is not None and FIRST <= found < BEYOND else None for (found,) in rows]


def in_python(text: str, tz: str = "UTC", reading: Reading | None = None) -> int | None:
    try:
        return parse_instant(text, tz, reading)
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
        ("[23/Nov/2026:02:40:10 +0000]", "2026-11-23T02:40:10+00:00"),
        ('ISODate("2026-11-23T02:40:10Z")', "2026-11-23T02:40:10+00:00"),
        ("'2026-11-23 02:40:10'", "2026-11-23T02:40:10+00:00"),
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
        ("2024-03-05 02:14:42,123", "2024-03-05T02:14:42.123+00:00"),
        ("2024-03-05T02:14:42,123456789+01:00", "2024-03-05T01:14:42.123456+00:00"),
        ("2024-03-05T02:14:42+01:00[Europe/Vienna]", "2024-03-05T01:14:42+00:00"),
        ("2024-03-05 02:14:42 +0000 UTC", "2024-03-05T02:14:42+00:00"),
        ("2024-03-05 02:14:42.5 +0100 CET m=+0.000012", "2024-03-05T01:14:42.500000+00:00"),
        ("2024-03-05T02:14:42Z[UTC][u-ca=gregory]", "2024-03-05T02:14:42+00:00"),
        ("2024/03/05 02:14:42", "2024-03-05T02:14:42+00:00"),
        ("2024.03.05 02:14:42", "2024-03-05T02:14:42+00:00"),
        ("2024-3-5 2:14", "2024-03-05T02:14:00+00:00"),
        ("2024-03-05 02:14:42 PM", "2024-03-05T14:14:42+00:00"),
        ("2024-03-05 12:14:42 AM", "2024-03-05T00:14:42+00:00"),
        ("2024-03-05, 2:14:42\u202fp.m.", "2024-03-05T14:14:42+00:00"),
        ("01-MAR-24 09.00.00.123456 AM", "2024-03-01T09:00:00.123456+00:00"),
        ("05-MAR-24 02.14.42.123456789 PM +02:00", "2024-03-05T12:14:42.123456+00:00"),
        ("05-Mar-2024", "2024-03-05T00:00:00+00:00"),
        ("Mar  5 2024  2:14AM", "2024-03-05T02:14:00+00:00"),
        ("Mar 13 2024  2:14:42:123PM", "2024-03-13T14:14:42.123+00:00"),
        ("March 5, 2024 2:14 PM", "2024-03-05T14:14:00+00:00"),
        ("5th March 2024 at 14:14", "2024-03-05T14:14:00+00:00"),
        ("Tue Mar 05 2024 02:14:42 GMT+0100 (Central European Standard Time)", "2024-03-05T01:14:42+00:00"),
        ("Tue Mar  5 02:14:42 UTC 2024", "2024-03-05T02:14:42+00:00"),
        ("2024-Mar-05 02:14:42", "2024-03-05T02:14:42+00:00"),
        ("2024-03-05-02.14.42.123456", "2024-03-05T02:14:42.123456+00:00"),
        ("/Date(1709604882123)/", "2024-03-05T02:14:42.123+00:00"),
        ("\\/Date(1709604882123+0100)\\/", "2024-03-05T02:14:42.123+00:00"),
        ("/Date(-1)/", "1969-12-31T23:59:59.999+00:00"),
        ('{"$date":"2024-03-01T09:00:00Z"}', "2024-03-01T09:00:00+00:00"),
        ('{"$date":1709283600000}', "2024-03-01T09:00:00+00:00"),
        ('{"$date": {"$numberLong": "1000"}}', "1970-01-01T00:00:01+00:00"),
        ('{"$timestamp":{"t":1709283600,"i":1}}', "2024-03-01T09:00:00+00:00"),
        ("[2024,3,5]", "2024-03-05T00:00:00+00:00"),
        ("[2024,3,5,2,14]", "2024-03-05T02:14:00+00:00"),
        ("[2024, 3, 5, 2, 14, 42, 123456789]", "2024-03-05T02:14:42.123456+00:00"),
        ('{"seconds":1709604882,"nanos":123456789}', "2024-03-05T02:14:42.123456+00:00"),
        ('{"nanos":5000,"seconds":"1709604882"}', "2024-03-05T02:14:42.000005+00:00"),
        ('{"_seconds":1709604882,"_nanoseconds":0}', "2024-03-05T02:14:42+00:00"),
        ('{"seconds":1709604882}', "2024-03-05T02:14:42+00:00"),
        ("2024-W10-2T02:14:42Z", "2024-03-05T02:14:42+00:00"),
        ("2024W102", "2024-03-05T00:00:00+00:00"),
        ("2020-W53-5", "2021-01-01T00:00:00+00:00"),
        ("2024-065T02:14:42", "2024-03-05T02:14:42+00:00"),
        ("2024065T021442Z", "2024-03-05T02:14:42+00:00"),
        ("2024-03-05T24:00:00Z", "2024-03-06T00:00:00+00:00"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00+00:00"),
        ("2016-12-31T23:59:60.7Z", "2017-01-01T00:00:00+00:00"),
        ("2017-01-01T00:59:60+01:00", "2017-01-01T00:00:00+00:00"),
        ("133540784821234567", "2024-03-05T02:14:42.123456+00:00"),
        ("638452016821234567", "2024-03-05T02:14:42.123456+00:00"),
        ("13354078482123456", "2024-03-05T02:14:42.123456+00:00"),
        ("20240305021442123", "2024-03-05T02:14:42.123+00:00"),
        ("202403050214", "2024-03-05T02:14:00+00:00"),
        ("05/Mar/2024:02:14:42 +0000", "2024-03-05T02:14:42+00:00"),
        ("2024-03-05 02:14:42 GMT", "2024-03-05T02:14:42+00:00"),
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
        "", " ", "soon", "2026-02-30", "2026-11-23T24:00:01Z", "2026-11-23T02:40:61Z",
        "2026-11-23T02:40:10+25:00", "2026-13-01", "infinity",
        "epoch", "2026-11-23T02:40:10.Z", "123456789012345678901", "0000-01-01", "1e9", "NaN", "20260230", "12:30",
        "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "-99999999999",
        "'; drop table x; --", "2026-11-23T02:40:10Z\n", "23 Foo 2026 02:40:10 GMT",
        "05/03/2024 02:14:42", "13/03/2024", "05.03.2024 02:14", "2024-03-05 02:14:42 CET", "2024-03-05 13:14 PM",
        "Mar  5 02:14:42", "2024-W54-1", "2023-366", "[2024,13,5,2,14]", "[2024,3]", "2024-03-05-05:00", "0000-W01-1",
        "2024-03-05 02:14:42 PM PM", "{\"seconds\":\"x\"}", "20\u0664\u0662-03-05", "10.1.2.3", "2024-02-30 02:14:42,5",
    ],
)  # fmt: skip
def test_no_time(text: str) -> None:
    assert in_sql([text]) == [None]
    assert in_python(text) is None


@pytest.mark.parametrize(
    ("text", "nanos"),
    [
        ("2026-11-23T02:40:10.123456Z", None),
        ("2026-11-23T02:40:10.123456000Z", None),
        ("2026-11-23T02:40:10.1234567Z", 700),
        ("2026-11-23T02:40:10.123456789Z", 789),
        ("2026-11-23 02:40:10,123456789012+01:00", 789),
        ("[2026, 11, 23, 2, 40, 10, 123456789]", 789),
        ("[2026,11,23,2,40,10,12345]", 345),
        ("[2026,1,2,3,4,5,6]", 6),
        ("[2026,11,23,2,40,10]", None),
        ("[23/Nov/2026:02:40:10.123456789 +0000]", 789),
        ('ISODate("2026-11-23T02:40:10.123456789Z")', 789),
        ('{"$date":"2026-11-23T02:40:10.123456789Z"}', 789),
        ('{"seconds":1709604882,"nanos":123456789}', 789),
        ('{"secs":1709604882,"nsecs":123456789}', 789),
        ('{ "Nsec": "45", "T": "1709604882" }', 45),
        ("1700000000123456789", 789),
        ("638452016821234567", 700),
        ("133540784821234567", 700),
        ("1700000000.123456789", 789),
        ("-1.123456789", 211),
        ("1700000000123.7512345", 234),
        ("1700000000123456.25", 250),
        ("20240305021442123", None),
    ],
)
def test_parts_below_a_microsecond(text: str, nanos: int | None) -> None:
    assert nanos_in_sql([text, None, "soon"]) == [nanos, None, None]


def test_numbers_of_one_format_have_the_parts_of_its_unit() -> None:
    assert nanos_in_sql(["1700000000123.7512345"], Reading(("milliseconds",))) == [234]
    assert nanos_in_sql(["-1700000000123456789"], Reading(("nanoseconds",))) == [211]
    assert nanos_in_sql(["202403050214421234"], Reading(("%Y%m%d%H%M%S%f",))) == [None]


@given(st.lists(st.integers(-(10**18), 10**18), min_size=1, max_size=20))
def test_a_time_and_its_nanoseconds_are_the_whole_number(numbers: list[int]) -> None:
    texts, reading = [str(number) for number in numbers], Reading(("nanoseconds",))
    times = read_times(CONNECTION, pa.array(texts), "UTC", reading).cast(pa.int64()).to_pylist()
    nanos = nanos_in_sql(texts, reading)
    assert [micro * 1000 + (nano or 0) for micro, nano in zip(times, nanos, strict=True)] == numbers


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


_HOURS = st.integers(0, 25).map(str) | st.integers(0, 9).map("0{}".format)
_TWO = st.integers(0, 62).map("{:02d}".format)
_MARKS = st.sampled_from(["-", "/", ".", " "])
clocks = st.builds(
    lambda between, hour, colon, minute, second, half, zone: f"{between}{hour}{colon}{minute}{second}{half}{zone}",
    st.sampled_from([" ", "T", ", ", " at ", "_", ":"]),
    _HOURS,
    st.sampled_from([":", ".", ""]),
    _TWO,
    st.one_of(st.just(""), _TWO.map(":{}".format), st.builds(":{},{}".format, _TWO, st.integers(0, 10**9))),
    st.sampled_from(["", "", "", " AM", "pm", " p.m."]),
    st.sampled_from(["", "Z", " +0100", "-5", " CET", " GMT", "+01:00[Europe/Vienna]", " GMT+2 (CEST)", " +0100 CET"]),
)
days = st.one_of(
    st.builds(lambda a, m, b, c: f"{a}{m}{b}{m}{c}", _TWO, _MARKS, _TWO, st.sampled_from(["2024", "24", "69", "1968"])),
    st.builds(lambda y, m, a, b: f"{y}{m}{a}{m}{b}", st.integers(0, 2100).map("{:04d}".format), _MARKS, _TWO, _TWO),
    st.builds("{}-W{}-{}".format, st.integers(1990, 2030), _TWO, st.integers(0, 8)),
    st.builds("{}-{:03d}".format, st.integers(1990, 2030), st.integers(0, 370)),
    st.builds("{} {} {}".format, st.sampled_from(["Mar", "sept.", "May"]), _TWO, st.sampled_from(["2024", "24"])),
    st.builds("{1}-{0}-{2}".format, st.sampled_from(["Mar", "SEP", "May"]), _TWO, st.sampled_from(["2024", "24"])),
)
forms = st.one_of(
    st.builds(str.__add__, days, clocks),
    days,
    st.builds("[{},{},{},{},{}]".format, st.integers(1, 2030), *[st.integers(0, 62)] * 4),
    st.builds("/Date({}{})/".format, st.integers(-(10**15), 10**15), st.sampled_from(["", "+0100"])),
    st.builds('{{"seconds":{},"nanos":{}}}'.format, st.integers(-(10**12), 10**12), st.integers(0, 10**9)),
    st.builds('{{"$date":{}}}'.format, st.integers(-(10**15), 10**15)),
)


@settings(max_examples=effort.examples(300, 60))
@given(st.lists(st.one_of(written, epochs, odd, forms), min_size=1, max_size=20), st.sampled_from(ZONES))
def test_sql_and_python_agree(texts: list[str], tz: str) -> None:
    assert in_sql(texts, tz) == [in_python(text, tz) for text in texts]


@settings(max_examples=40)
@given(st.lists(st.one_of(written, odd, forms), min_size=400, max_size=500), st.sampled_from(ZONES))
@pytest.mark.thorough
def test_all_forms_in_one_expression_agree(texts: list[str], tz: str) -> None:
    reading = Reading(("month-first",), (("CET", 60),))
    assert in_whole_sql(texts, tz, reading) == [in_python(text, tz, reading) for text in texts]


@settings(max_examples=100)
@given(moments, st.sampled_from(ZONES))
def test_iso_text_means_what_python_says(moment: datetime.datetime, tz: str) -> None:
    aware = moment.replace(tzinfo=datetime.UTC)
    assert in_python(aware.isoformat(), tz) == micros(aware.isoformat())
    assert in_python(moment.isoformat(), "UTC") == micros(aware.isoformat())
