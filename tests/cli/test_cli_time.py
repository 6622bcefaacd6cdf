"""Points in time and order: what each form means, and what is said about it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from esctl.errors import UsageError
from esctl.timespec import format_instant, parse_as_of
from tests.support.cli_harness import good, refused, write_lines

NOW = datetime(2024, 3, 10, 12, 30, tzinfo=UTC)


def instant(text: str, *, inclusive: bool = True, tz: str = "UTC") -> str:
    point = parse_as_of(text, inclusive=inclusive, tz=tz, now=lambda: NOW)
    assert point.kind == "time"
    assert point.instant is not None
    return format_instant(point.instant)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-02-01T14:03:00Z", "2024-02-01T14:03:00Z"),
        ("2024-02-01T14:03:00+05:45", "2024-02-01T08:18:00Z"),
        ("2024-02-01 14:03:00.5", "2024-02-01T14:03:00.500000Z"),
        ("2024-02-01", "2024-02-01T23:59:59.999999Z"),
        ("20240201", "2024-02-01T23:59:59.999999Z"),
        ("now", "2024-03-10T12:30:00Z"),
        ("NOW", "2024-03-10T12:30:00Z"),
        ("2h ago", "2024-03-10T10:30:00Z"),
        ("90 minutes ago", "2024-03-10T11:00:00Z"),
        ("45s ago", "2024-03-10T12:29:15Z"),
        ("3 days ago", "2024-03-07T12:30:00Z"),
        ("1w ago", "2024-03-03T12:30:00Z"),
        ("yesterday", "2024-03-09T23:59:59.999999Z"),
        ("today", "2024-03-10T23:59:59.999999Z"),
    ],
)
def test_a_time_is_read_in_every_form(text: str, expected: str) -> None:
    assert instant(text) == expected


@pytest.mark.parametrize(
    ("text", "zone", "end", "start"),
    [
        ("2024-02-01", "Asia/Kathmandu", "2024-02-01T18:14:59.999999Z", "2024-01-31T18:15:00Z"),
        ("2024-02-01", "+05:45", "2024-02-01T18:14:59.999999Z", "2024-01-31T18:15:00Z"),
        ("2024-03-10", "America/New_York", "2024-03-11T03:59:59.999999Z", "2024-03-10T05:00:00Z"),  # 23 hours
        ("yesterday", "Asia/Kathmandu", "2024-03-09T18:14:59.999999Z", "2024-03-08T18:15:00Z"),
        ("yesterday", "Pacific/Kiritimati", "2024-03-10T09:59:59.999999Z", "2024-03-09T10:00:00Z"),
        ("2024-02-01T14:03:00", "Asia/Kathmandu", "2024-02-01T08:18:00Z", "2024-02-01T08:18:00Z"),
        ("2024-02-01T14:03:00Z", "Asia/Kathmandu", "2024-02-01T14:03:00Z", "2024-02-01T14:03:00Z"),
    ],
)
def test_a_date_is_a_day_of_the_zone(text: str, zone: str, end: str, start: str) -> None:
    assert instant(text, tz=zone) == end
    assert instant(text, tz=zone, inclusive=False) == start


@pytest.mark.parametrize(
    "text",
    ["[2024,2,1]", "[2024, 2, 1]", "[2024-02-01]", '"2024-02-01"', "ISODate('2024-02-01')", '{"$date": "2024-02-01"}',
     "Thu, 1 Feb 2024", "2024/2/1", "01.02.2024", "2024-W05-4", "2024-032"],
)  # fmt: skip
def test_a_date_is_a_whole_day_however_it_is_written(text: str) -> None:
    for zone in ("UTC", "Asia/Kathmandu"):
        for inclusive in (True, False):
            wanted = instant("2024-02-01", tz=zone, inclusive=inclusive)
            assert instant(text, tz=zone, inclusive=inclusive) == wanted


@pytest.mark.parametrize(
    "text",
    ["[2024,2,1,14,3]", "[2024-02-01 14:03]", '"2024-02-01T14:03Z"', "1 Feb 2024, 2:03 PM", "01.02.2024 14:03",
     "2024-02-01T14:03:00Z[UTC]", "202402011403", "1706796180", "/Date(1706796180000)/", "2024-032T14:03"],
)  # fmt: skip
def test_a_time_of_day_is_one_however_it_is_written(text: str) -> None:
    assert instant(text) == instant(text, inclusive=False) == "2024-02-01T14:03:00Z"


@pytest.mark.parametrize(
    "text", ["2024-02-01[Europe/Vienna]", "2024-02-01[+01:00]", "01-Feb-2023[Europe/Vienna]", "2024-02-01T14:03[UTC]"]
)
def test_a_zone_in_brackets_is_not_left_out(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--at .* is not a point in time$") as caught:
        parse_as_of(text)
    assert caught.value.hint == "name the zone with --tz, or write its offset: 2024-02-01T14:03:00+01:00"


@pytest.mark.parametrize(
    "text",
    ["", "soon", "@", "@-1", "@1.5", "@١", "seq:", "version:x", "id:", "2024-13-01", "2024-02-30", "-2h ago",
     "99999999999999 days ago", "\x1b[31m", "2024-02-01T25:00:00Z", "@1_0", "@+1", "@ 1", "version:1_0", "１h ago"],
)  # fmt: skip
def test_what_is_no_point_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--before .* is not a point in time$") as caught:
        parse_as_of(text, "--before", now=lambda: NOW)
    assert "@123" in caught.value.hint


def test_a_duration_alone_may_be_meant_as_so_long_ago() -> None:
    with pytest.raises(UsageError, match=r"^--before '2h' is not a point in time$") as caught:
        parse_as_of("2h", "--before", now=lambda: NOW)
    assert caught.value.hint == "did you mean '2h ago'?"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a store of one thing that counts: n at position n, two at one instant, days apart."""
    folder = tmp_path_factory.mktemp("times")
    times = ["2024-01-01T00:00:00Z", "2024-01-01T23:59:59.999999Z", "2024-01-02T00:00:00Z", "2024-01-02T00:00:00Z",
             "2024-01-03T18:14:59.999999Z", "2024-01-03T18:15:00Z"]  # fmt: skip
    events = [
        {"id": f"evt-{n}", "type": "Counted", "time": time, "stream": "thing-1", "lsn": n * 10, "data": {"n": n}}
        for n, time in enumerate(times, 1)
    ]
    write_lines(folder / "a.jsonl", events)
    (folder / "esctl.toml").write_text(
        '[mapping]\nid = "id"\ntype = "type"\ntime = "time"\nentity = "stream"\nsequence = "lsn"\norder = "time"\n'
        'data = "data"\n'
    )
    good("ingest", "a.jsonl", "-q", cwd=folder)
    return folder


def last(folder: Path, *arguments: str) -> int | None:
    rows = good("replay", *arguments, "-q", cwd=folder).rows
    return rows[0]["state"]["n"] if rows else None


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--at", "2024-01-01"], 2),
        (["--before", "2024-01-02"], 2),
        (["--at", "2024-01-02T00:00:00Z"], 4),
        (["--before", "2024-01-02T00:00:00Z"], 2),
        (["--at", "2024-01-03", "--tz", "Asia/Kathmandu"], 5),
        (["--at", "2024-01-03T23:59:59.999999", "--tz", "Asia/Kathmandu"], 5),
        (["--before", "2024-01-04", "--tz", "Asia/Kathmandu"], 5),
        (["--at", "2023-12-31"], None),
        (["--at", "@3"], 3),
        (["--before", "@3"], 2),
        (["--at", "@0"], None),
        (["--at", "@99"], 6),
        (["--at", "seq:30"], 3),
        (["--at", "seq:39"], 3),
        (["--before", "seq:30"], 2),
        (["--at", "version:4"], 4),
        (["--before", "version:4"], 3),
        (["--at", "id:evt-5"], 5),
        (["--before", "id:evt-5"], 4),
        (["--at", "now"], 6),
        (["--at", "yesterday"], 6),
        (["--before", "1d ago"], 6),
        (["--known-at", "now"], 6),
        (["--known-at", "2024-06-01"], None),
        (["--known-at", "@4"], 4),
        (["--known-at", "now", "--at", "@2"], 2),
    ],
)
def test_every_form_bounds_what_it_names(log: Path, arguments: list[str], expected: int | None) -> None:
    assert last(log, *arguments) == expected


def test_audit_and_log_take_a_span_of_days(log: Path) -> None:
    def positions(command: str, *arguments: str) -> list[int]:
        return [row["position"] for row in good(command, *arguments, "-q", cwd=log).rows]

    for command in ("audit", "log"):
        assert positions(command, "--from", "2024-01-02", "--to", "2024-01-02") == [3, 4]
        assert positions(command, "--from", "2024-01-02T00:00:00Z", "--to", "2024-01-02T00:00:00Z") == [3, 4]
        assert positions(command, "--to", "2024-01-01") == [1, 2]
        assert positions(command, "--from", "2024-01-04", "--tz", "Asia/Kathmandu") == [6]
        assert positions(command, "--from", "@3", "--to", "@5") == [3, 4, 5]


def test_diff_covers_what_is_after_a_and_not_after_b(log: Path) -> None:
    def changes(*arguments: str) -> list[dict[str, Any]]:
        return good("diff", *arguments, "-q", cwd=log).rows

    (forth,) = changes("2024-01-01", "2024-01-02")
    assert (forth["before"], forth["after"], forth["positions"]) == (2, 4, [3, 4])
    (back,) = changes("2024-01-02", "2024-01-01")
    assert (back["before"], back["after"], back["positions"]) == (4, 2, [3, 4])
    assert changes("2024-01-02", "2024-01-02") == []


def test_the_resolved_point_is_said_on_stderr(log: Path) -> None:
    done = good("replay", "--at", "2024-01-02", "--tz", "Asia/Kathmandu", cwd=log)
    assert done.err == "at 2024-01-02T18:14:59.999999Z, position 6\n"
    assert good("replay", "--before", "2024-01-02", cwd=log).err == "before 2024-01-02T00:00:00Z, position 6\n"
    assert good("replay", cwd=log).err == ""


def test_a_time_after_the_last_event_is_answered_with_a_note(log: Path) -> None:
    done = good("replay", "--at", "2099-01-01", cwd=log)
    assert done.row["state"] == {"n": 6}
    assert done.err.splitlines() == [
        "at 2099-01-01T23:59:59.999999Z, position 6",
        "note: the last event is of 2024-01-03T18:15:00Z",
    ]
    assert good("replay", "--at", "2099-01-01", "-q", cwd=log).err == ""


def test_a_position_or_event_is_told_with_its_instant(log: Path) -> None:
    assert good("replay", "--at", "@3", cwd=log).err == "at 2024-01-02T00:00:00Z, position 3\n"
    assert good("replay", "--at", "id:evt-5", cwd=log).err == "at 2024-01-03T18:14:59.999999Z, position 5\n"
    assert good("replay", "--before", "id:evt-5", cwd=log).err == "before 2024-01-03T18:14:59.999999Z, position 5\n"


@pytest.mark.parametrize("text", ["1_0", "+1", " 1", "١", "１", "0x1", "1.0"])
def test_a_sequence_is_plain_digits(log: Path, text: str) -> None:
    message, hint = refused("replay", "--at", f"seq:{text}", code=2, cwd=log)
    assert message == f"seq:{text}: the sequences of this store are whole numbers"
    assert hint == "write it like seq:9"
    assert good("replay", "--at", "seq:-1", cwd=log).rows == []


@pytest.mark.parametrize("text", ["1_0", "+1", " 1", "١", "１"])
def test_numbers_of_options_are_plain_digits(log: Path, text: str) -> None:
    for call, name in ((("log", "--limit"), "--limit"), (("sql", "select 1", "--timeout"), "--timeout")):
        message, _ = refused(*call, text, code=2, cwd=log)
        assert message == f"invalid value for '{name}': {text!r} is not a number in plain digits"
    assert "is not a number in plain digits" in refused("log", code=2, cwd=log, ESCTL_LIMIT=text)[0]
    assert len(good("log", "--limit", "1", cwd=log).rows) == 1
    assert good("sql", "select 1 as n", "--timeout", "7.5", cwd=log).rows == [{"n": 1}]


def test_a_sequence_must_be_one(log: Path) -> None:
    message, hint = refused("replay", "--at", "seq:x", code=2, cwd=log)
    assert "seq:x" in message
    assert "seq:9" in hint


def test_a_naive_time_is_read_in_the_zone_that_ingest_was_told(tmp_path: Path) -> None:
    event = {"id": 1, "type": "Made", "time": "2024-01-02 05:45:00", "stream": "thing-1", "data": {"n": 1}}
    write_lines(tmp_path / "a.jsonl", [event])
    good("ingest", "a.jsonl", "--tz", "Asia/Kathmandu", "-q", cwd=tmp_path)
    assert good("log", cwd=tmp_path).row["time"] == "2024-01-02T00:00:00Z"
    good("reindex", "-q", cwd=tmp_path)
    assert good("log", cwd=tmp_path).row["time"] == "2024-01-02T00:00:00Z"
    shown = good("log", "--tz", "Asia/Kathmandu", cwd=tmp_path).row["time"]
    assert shown == "2024-01-02T05:45:00+05:45"


def test_a_zone_for_what_is_known_already_applies_with_the_next_record_and_says_so(tmp_path: Path) -> None:
    event = {"id": 1, "type": "Made", "time": "2024-01-02 05:45:00", "stream": "thing-1", "data": {"n": 1}}
    write_lines(tmp_path / "a.jsonl", [event])
    write_lines(tmp_path / "b.jsonl", [event | {"id": 2}])
    good("ingest", "a.jsonl", "b.jsonl", "-q", cwd=tmp_path)
    said = good("ingest", "a.jsonl", "b.jsonl", "--tz", "Asia/Kathmandu", cwd=tmp_path).err
    assert "note: --tz Asia/Kathmandu does not apply to a.jsonl and 1 more: no new record, and what is known" in said
    assert "was read in UTC" in said
    write_lines(tmp_path / "a.jsonl", [event, event | {"id": 3}])
    said = good("ingest", "a.jsonl", "--tz", "Asia/Kathmandu", cwd=tmp_path).err
    assert "does not apply" not in said
    times = {row["id"]: row["time"] for row in good("log", cwd=tmp_path).rows}
    assert (times["1"], times["2"]) == ("2024-01-02T00:00:00Z", "2024-01-02T05:45:00Z")
    assert "does not apply" not in good("ingest", "a.jsonl", "--tz", "Asia/Kathmandu", cwd=tmp_path).err
    assert "does not apply" not in good("ingest", "b.jsonl", "--tz", "UTC", cwd=tmp_path).err


def test_an_offset_is_a_zone(tmp_path: Path) -> None:
    event = {"id": 1, "type": "Made", "time": "2024-01-02 05:45:00", "stream": "thing-1", "data": {"n": 1}}
    write_lines(tmp_path / "a.jsonl", [event])
    good("ingest", "a.jsonl", "--tz", "+05:45", "-q", cwd=tmp_path)
    assert good("log", cwd=tmp_path).row["time"] == "2024-01-02T00:00:00Z"
    shown = good("log", "--to", "2024-01-02", "--tz", "-01:00", cwd=tmp_path).row["time"]
    assert shown == "2024-01-01T23:00:00-01:00"


@pytest.mark.parametrize("zone", ["Asia/Katmandoo", "Mars", "+99:00", "../../etc/passwd", "\x1b[31m"])
def test_what_is_no_zone_is_refused_before_anything_is_kept(log: Path, tmp_path: Path, zone: str) -> None:
    write_lines(tmp_path / "a.jsonl", [{"id": 1, "stream": "thing-1"}])
    message, hint = refused("ingest", "a.jsonl", "--tz", zone, code=2, cwd=tmp_path)
    assert message.startswith("unknown time zone ")
    assert ("did you mean" in hint) or ("Europe/Vienna" in hint)
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]
    assert refused("replay", "--at", "2024-01-02", "--tz", zone, code=2, cwd=log) == (message, hint)


def test_the_zone_of_the_configuration_is_that_of_typed_times(log: Path, tmp_path: Path) -> None:
    config = tmp_path / "esctl.toml"
    config.write_text('[output]\ntz = "Asia/Kathmandu"\n' + (log / "esctl.toml").read_text())
    done = good("--config", config, "replay", "--at", "2024-01-03", cwd=log)
    assert done.row["state"] == {"n": 5}
    assert done.row["time"] == "2024-01-03T23:59:59.999999+05:45"
