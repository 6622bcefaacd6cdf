"""How a mapping says how times are read, and what the records say of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from esctl.errors import UsageError
from esctl.index.decode.times.python import parse_instant
from esctl.index.decode.times.reading import Reading
from esctl.index.envelope.detect import detect
from esctl.index.envelope.mapping import override, parse_mapping
from esctl.index.envelope.stanza_toml import to_toml
from esctl.index.envelope.times.of_sample import TimesShown, find_times_shown
from esctl.model import Stanza

STANZA = Stanza("custom", time=("t",))


def told(*texts: object, more: tuple[object, ...] = ()) -> TimesShown:
    sample: list[Any] = [{"t": text} for text in texts]
    return find_times_shown(STANZA, sample, lambda: [sample, [{"t": text} for text in more]])


def test_a_day_above_twelve_decides() -> None:
    assert told("05/03/2024 02:14", "13/03/2024").order == "day-first"
    assert told("3/5/2024 2:14:42 AM", "3/13/2024 2:14 PM").order == "month-first"
    assert told("24/03/05 02:14:42", "24/03/31 02:14:42", "69/02/28").order == "year-first"
    assert told("05.03.24", "12.03.24", more=("30.03.99",)).order == "day-first"


def test_a_day_above_twelve_decides_wherever_it_stands() -> None:
    found = told("05/03/2024", "06/03/2024", more=("07/03/2024", "13/03/2024"))
    assert (found.order, found.by, found.doubt) == ("day-first", "13/03/2024", None)


def test_what_cannot_be_told_is_in_doubt() -> None:
    found = told("05/03/2024 02:14:42", "06/03/2024 02:14:43")
    assert not found.order
    assert found.doubt is not None
    assert found.doubt.why == (
        "day and month cannot be told apart: "
        "'05/03/2024 02:14:42' is 2024-03-05 (day-first) or 2024-05-03 (month-first)"
    )
    assert found.doubt.line == 'time_format = "%d/%m/%Y"'


def test_dates_that_are_one_in_any_order_are_no_doubt() -> None:
    assert told("05/05/2024", "06/06/2024").doubt is None


def test_both_orders_in_one_source_are_in_doubt() -> None:
    found = told("13/03/2024", "03/14/2024", more=("03/15/2024",))
    assert found.doubt is None or found.doubt.mixed


def test_other_times_are_in_no_doubt() -> None:
    assert told("2024-03-05", "hello", None, {"a": 1}, "10.1.2.3") == TimesShown()


def test_times_that_run_backwards() -> None:
    assert told("2024-03-05T00:00:02Z", "2024-03-05T00:00:02Z", "2024-03-05T00:00:01Z").newest_first
    assert not told("2024-03-05T00:00:02Z", "2024-03-05T00:00:02Z").newest_first
    assert not told("2024-03-05T00:00:02Z", "2024-03-05T00:00:01Z", "2024-03-05T00:00:03Z").newest_first
    assert told("05/03/2024", "04/03/2024", "28/02/2024").newest_first


def test_keys_of_a_mapping() -> None:
    table = {"time": "t", "time_format": "%d/%m/%Y", "zone_names": {"CET": "+01:00"}, "newest_first": True}
    stanza = parse_mapping(table).default
    assert stanza is not None
    assert stanza.time_format == ("%d/%m/%Y",)
    assert stanza.zone_names == (("CET", "+01:00"),)
    assert stanza.newest_first
    for line in ('time_format = "%d/%m/%Y"', 'zone_names = { CET = "+01:00" }', "newest_first = true"):
        assert line in to_toml(stanza)
    assert override(None, ["day_first=true"]).time_format == ("day-first",)
    assert override(None, ["time_format=%d.%m.%Y", "time_format=usual"]).time_format == ("%d.%m.%Y", "usual")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"time_format": "dd/MM/yyyy"}, "has no letters such as %Y"),
        ({"time_format": "%d/%m"}, "makes no whole date"),
        ({"time_format": "%Y-%m-%d %Y"}, "says one thing twice"),
        ({"time_format": "%Y-%m-%d %Q"}, "has the letter %Q"),
        ({"time_format": []}, "is not a time format"),
        ({"zone_names": {"CET": "one"}}, "is not a name of a zone"),
        ({"zone_names": "CET"}, "is not a table"),
        ({"day_first": "perhaps"}, "neither true nor false"),
    ],
)
def test_wrong_keys_are_named(table: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match="mapping") as raised:
        parse_mapping({"time": "t", **table})
    assert message in raised.value.message


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("%d/%m/%Y", "05/03/2024"),
        ("%d/%m/%Y", "05/03/2024 02:14:42"),
        ("%d.%m.%y %H.%M.%S", "05.03.24 02.14.42"),
        ("%Y%j%H%M%S", "2024065021442"),
        ("[%d-%b-%Y %I:%M:%S %p]", "[05-Mar-2024 02:14:42 am]"),
        ("%F %T,%f", "2024-03-05 02:14:42,000"),
        ("%b %e %H:%M:%S %Y", "Mar  5 02:14:42 2024"),
        ("%G-W%V-%u %H:%M:%S", "2024-W10-2 02:14:42"),
        ("%Y-%m-%d %H:%M:%S %Z", "2024-03-05 03:14:42 CET"),
        ("seconds", "1709604882"),
        ("milliseconds", "1709604882000"),
    ],
)
def test_written_formats(form: str, text: str) -> None:
    wanted = parse_instant("2024-03-05T02:14:42Z" if "4" in text[10:] or len(text) < 12 else text, "UTC")
    found = parse_instant(text, "UTC", Reading((form,), (("CET", 60),)))
    assert found == (wanted if text != "05/03/2024" else parse_instant("2024-03-05", "UTC"))


def test_nothing_else_is_read_beside_a_format() -> None:
    with pytest.raises(UsageError):
        parse_instant("2024-03-05", "UTC", Reading(("%d/%m/%Y",)))
    assert parse_instant("2024-03-05", "UTC", Reading(("%d/%m/%Y", "usual")))


def test_a_date_beside_decides() -> None:
    def records(*pairs: tuple[str, str]) -> list[Any]:
        return [{"t": text, "audit": json.dumps({"CreationTime": beside})} for text, beside in pairs]

    sample = records(("6/2/2024 5:40:02 AM", "2024-06-02T05:40:02"), ("6/11/2024 12:15:00 AM", "2024-06-11T00:15:00"))
    assert find_times_shown(STANZA, sample, lambda: [sample]).order == "month-first"
    sample = records(("6/2/2024", "2024-06-02T05:40:02"), ("6/11/2024", "2024-11-06"))
    assert find_times_shown(STANZA, sample, lambda: [sample]).doubt is not None
    sample = records(("6/2/2024", "2024-06-02T05:40:02"), ("6/11/2024", "2024-12-06"))
    assert find_times_shown(STANZA, sample, lambda: [sample]).doubt is not None


def logins(**more: str) -> list[dict[str, str]]:
    return [{"action": "login", "user": f"u{n % 2}", "time": f"2024-03-05 10:00:{n:02d}", **more} for n in range(6)]


@pytest.mark.parametrize(("name", "offset"), [("utc_offset", "+01:00"), ("TZ Offset", "-0500"), ("timezone", "Z")])
def test_an_offset_beside_a_time_is_a_part_of_it(name: str, offset: str) -> None:
    path = name if " " not in name else f'"{name}"'
    assert detect(logins(**{name: offset})).stanza.time == (f"{{time}}{{{path}}}",)
    zoned = [{**record, "time": record["time"] + "Z"} for record in logins(**{name: offset})]
    assert detect(zoned).stanza.time == ("time",)


def test_a_zone_by_its_name_beside_a_time_without_one_is_told() -> None:
    def why(zone: str) -> tuple[str, str]:
        (row,) = [row for row in detect(logins(timezone=zone)).rows if row.field == "time"]
        return row.sure, row.why

    sure, told = why("Europe/Vienna")
    assert sure == "zone unsure"
    assert "'timezone' says Europe/Vienna, but it is read in the zone of --tz" in told
    assert "--tz" not in why("UTC")[1]


def test_of_two_times_the_one_with_a_zone_is_the_first_to_choose() -> None:
    records = [
        {"user": f"u{n % 2}", "localTime": f"2024-03-05T10:00:{n:02d}", "utcTime": f"2024-03-05T09:00:{n:02d}Z"}
        for n in range(24)
    ]
    assert [each.path for each in detect(records).times] == ["utcTime", "localTime"]
