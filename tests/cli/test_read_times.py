"""Logs whose times are written in other ways than RFC 3339, or are none."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli_harness import esctl, good, write_lines

QUIET = ("-q", "-f", "jsonl")


def times(folder: Path, *sources: object, options: tuple[str, ...] = ()) -> list[str | None]:
    good("ingest", "-q", *sources, *options, cwd=folder)
    return shown(folder)


def shown(folder: Path) -> list[str | None]:
    return [row["time"] for row in rows("log", "--columns", "time", cwd=folder)]


def rows(*arguments: object, cwd: Path) -> list[dict[str, Any]]:
    done = esctl(*arguments, *QUIET, cwd=cwd)
    assert done.code in (0, 1), done.err
    return [json.loads(line) for line in done.text.splitlines()]


def event(number: int, time: object, **more: object) -> dict[str, object]:
    return {"id": f"e{number}", "type": "T", "time": time, "entity": "x-1", "data": {"n": number}, **more}


def write(folder: Path, *texts: object, name: str = "a.jsonl") -> Path:
    return write_lines(folder / name, [event(number, text) for number, text in enumerate(texts)])


def test_what_cannot_be_told_is_refused_with_a_line_that_works(tmp_path: Path) -> None:
    write(tmp_path, "05/03/2024 02:14:42", "06/03/2024 02:14:43")
    done = esctl("ingest", "a.jsonl", cwd=tmp_path)
    assert done.code == 2
    assert "'05/03/2024 02:14:42' is 2024-03-05 (day-first) or 2024-05-03 (month-first)" in done.err
    assert "esctl reindex --time-format %d/%m/%Y" in done.err
    assert shown(tmp_path) == [None, None]
    good("reindex", "-q", "--time-format", "%d/%m/%Y", cwd=tmp_path)
    assert shown(tmp_path) == ["2024-03-05T02:14:42Z", "2024-03-06T02:14:43Z"]
    (tmp_path / "esctl.toml").write_text("[mapping]\nday_first = false\n", encoding="utf-8")
    good("reindex", "-q", "--time-format", "", cwd=tmp_path)
    assert shown(tmp_path) == ["2024-05-03T02:14:42Z", "2024-06-03T02:14:43Z"]


def test_the_line_that_works_is_of_that_source_alone(tmp_path: Path) -> None:
    write(tmp_path, "2024-03-05T02:14:42Z")
    write_lines(tmp_path / "b.jsonl", [event(7, "05.03.2024 02:14", entity="y-1")])
    done = esctl("ingest", "a.jsonl", "b.jsonl", cwd=tmp_path)
    assert done.code == 2
    (line,) = re.findall("say which it is: esctl (reindex [^;]*);", done.err)
    good(*shlex.split(line), "-q", cwd=tmp_path)
    assert shown(tmp_path) == ["2024-03-05T02:14:42Z", "2024-03-05T02:14:00Z"]


def test_a_format_keeps_what_map_said(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [{**event(1, "2024.03.05 02h14"), "other": "y-1"}])
    esctl("ingest", "a.jsonl", "--map", "entity=other", "--time-format", "%Y.%m.%d %Hh%M", cwd=tmp_path)
    assert rows("log", "--columns", "time,entity", cwd=tmp_path) == [{"time": "2024-03-05T02:14:00Z", "entity": "y-1"}]
    good("reindex", "-q", "--time-format", "%Y.%d.%m %Hh%M", cwd=tmp_path)
    assert rows("log", "--columns", "time,entity", cwd=tmp_path) == [{"time": "2024-05-03T02:14:00Z", "entity": "y-1"}]


def test_names_of_zones_need_a_table(tmp_path: Path) -> None:
    write(tmp_path, "2024-03-05 02:14:42 CET", "2024-03-05 02:14:43 CET")
    done = good("ingest", "a.jsonl", cwd=tmp_path)
    assert (
        '2 events have no time that can be read, which is all of them; @1 of a.jsonl: unreadable time "2024' in done.err
    )
    assert shown(tmp_path) == [None, None]
    (tmp_path / "esctl.toml").write_text('[mapping]\nzone_names = { CET = "+01:00" }\n', encoding="utf-8")
    good("reindex", "-q", cwd=tmp_path)
    assert shown(tmp_path) == ["2024-03-05T01:14:42Z", "2024-03-05T01:14:43Z"]


@pytest.mark.parametrize("count", [5, 9, 40])
@pytest.mark.parametrize("place", [0, 2, -1])
def test_an_event_without_a_time_keeps_its_place(count: int, place: int, tmp_path: Path) -> None:
    texts: list[object] = [f"2024-03-01T00:00:{second:02d}Z" for second in range(count)]
    texts[place] = None
    write(tmp_path, *texts)
    done = good("ingest", "a.jsonl", cwd=tmp_path)
    assert "1 event has no time that can be read" in done.err
    assert [row is None for row in shown(tmp_path)] == [text is None for text in texts]
    state = good("replay", "-f", "jsonl", cwd=tmp_path)
    assert json.loads(state.text)["state"] == {"n": count - 1}
    assert "note: 1 undated event in scope: esctl doctor --undated" in state.err
    assert rows("doctor", "--undated", cwd=tmp_path)[0]["detail"] == "no time"
    last = next(text for text in reversed(texts) if text)
    assert rows("status", cwd=tmp_path)[0]["last"] == last
    assert rows("replay", "--at", "2024-03-01T00:00:02Z", "--columns", "state", cwd=tmp_path)[0]["state"]["n"] in (2, 3)


def test_undated_events_stand_where_they_do_however_the_index_was_made(tmp_path: Path) -> None:
    write(tmp_path, "2024-03-01T00:00:05Z", name="a.jsonl")
    good("ingest", "-q", "a.jsonl", cwd=tmp_path)
    write(tmp_path, "2024-03-01T00:00:05Z", "someday", None, "2024-03-01T00:00:06Z", name="a.jsonl")
    good("ingest", "-q", "a.jsonl", cwd=tmp_path)
    positions = rows("replay", "--at", "2024-03-01T00:00:05Z", "--columns", "state,position", cwd=tmp_path)
    assert positions == [{"state": {"n": 2}, "position": 3}]
    good("reindex", "-q", cwd=tmp_path)
    assert rows("replay", "--at", "2024-03-01T00:00:05Z", "--columns", "state,position", cwd=tmp_path) == positions
    good("verify", "--full", cwd=tmp_path)


def test_a_log_without_times_says_so(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [{"id": n, "type": "T", "entity": "x-1", "data": {"n": n}} for n in range(3)])
    done = good("ingest", "a.jsonl", cwd=tmp_path)
    assert "3 events have no time that can be read, which is all of them" in done.err
    assert shown(tmp_path) == [None] * 3
    assert rows("status", cwd=tmp_path)[0]["last"] is None


def test_of_one_instant_the_first_of_a_newest_first_export_is_the_last(tmp_path: Path) -> None:
    late, early = "2024-03-01T10:00:05Z", "2024-03-01T10:00:00Z"
    write(tmp_path, late, late, None, early)
    done = good("ingest", "a.jsonl", cwd=tmp_path)
    assert "newest_first" in done.err
    assert rows("replay", "--columns", "state,position", cwd=tmp_path) == [{"state": {"n": 0}, "position": 1}]
    audit = [row["position"] for row in rows("audit", "x-1", cwd=tmp_path)]
    assert audit == [4, 3, 2, 1]


def test_nanoseconds_order_events(tmp_path: Path) -> None:
    second = "2024-03-01T10:00:05.123456"
    write(tmp_path, f"{second}900Z", f"{second}100Z", f"{second}Z", "2024-03-01T10:00:00Z")
    good("ingest", "-q", "a.jsonl", cwd=tmp_path)
    assert [row["position"] for row in rows("audit", "x-1", cwd=tmp_path)] == [4, 3, 2, 1]
    write(tmp_path, 638452016821234568, 638452016821234567, 638452016821234569, name="b.jsonl")
    good("ingest", "-q", "b.jsonl", "--store", "b", cwd=tmp_path)
    assert [row["position"] for row in rows("audit", "x-1", "--store", "b", cwd=tmp_path)] == [2, 1, 3]


@pytest.mark.parametrize("core", ["0", "1"])
def test_nanoseconds_of_arrays_and_pairs_order_events(tmp_path: Path, core: str) -> None:
    write(tmp_path, *[[2026, 11, 23, 2, 40, 10, nano] for nano in (123456900, 123456100, 123456000)])
    good("ingest", "-q", "a.jsonl", cwd=tmp_path, ESCTL_NATIVE=core)
    assert [row["position"] for row in rows("audit", "x-1", cwd=tmp_path)] == [3, 2, 1]
    times = [{"secs": 1709604882, "nsecs": nano} for nano in (123456900, 123456100, 123456000)]
    write(tmp_path, *times, name="b.jsonl")
    good("ingest", "-q", "b.jsonl", "--store", "b", cwd=tmp_path, ESCTL_NATIVE=core)
    assert [row["position"] for row in rows("audit", "x-1", "--store", "b", cwd=tmp_path)] == [3, 2, 1]


def test_hours_that_clocks_show_twice_or_never(tmp_path: Path) -> None:
    texts = ["01:30:00", "02:10:00", "02:50:00", "02:05:00", "02:40:00", "03:10:00"]
    write(tmp_path, *[f"2024-10-27T{text}" for text in texts])
    done = good("ingest", "a.jsonl", "--tz", "Europe/Vienna", cwd=tmp_path)
    assert "4 that its clocks show twice" in done.err
    utc = [
        "2024-10-26T23:30:00Z",
        *[f"2024-10-27T{text}:00Z" for text in ("00:10", "00:50", "01:05", "01:40", "02:10")],
    ]
    assert shown(tmp_path) == utc
    good("verify", "--full", cwd=tmp_path)
    assert len(rows("doctor", "--clock-change", cwd=tmp_path)) == 4
    write(tmp_path, "2024-03-31T01:30:00", "2024-03-31T02:30:00", "2024-03-31T03:10:00", name="c.jsonl")
    gap = good("ingest", "c.jsonl", "--tz", "Europe/Vienna", "--store", "c", cwd=tmp_path)
    assert "1 that they never show" in gap.err


def test_an_hour_shown_twice_is_told_by_dated_records_alone_and_in_the_order_of_times(tmp_path: Path) -> None:
    def told(name: str, *texts: str | None) -> list[str]:
        (tmp_path / name).mkdir()
        write(tmp_path / name, *(text and f"2024-10-27 {text}:00" for text in texts))
        found = times(tmp_path / name, "a.jsonl", options=("--tz", "Europe/Vienna"))
        return [text and text[11:16] for text in found]

    assert told("gap", "01:50", "02:50", None, "02:10", "03:30") == ["23:50", "00:50", None, "01:10", "02:30"]
    newest_first = ("03:30", "02:50", "02:10", "01:50", "01:20")
    assert told("back", *newest_first) == ["02:30", "00:50", "00:10", "23:50", "23:20"]


def test_one_log_whose_time_format_changed(tmp_path: Path) -> None:
    write(tmp_path, "2024-03-01T00:00:00Z", "2024-03-01T00:00:01Z", name="m1.jsonl")
    late = [{**event(n, f"2024-04-01 00:00:0{n},000"), "id": f"f{n}"} for n in range(2, 4)]
    write_lines(tmp_path / "m2.jsonl", late)
    good("ingest", "-q", "m1.jsonl", "m2.jsonl", cwd=tmp_path)
    assert rows("replay", "--at", "2024-03-15", "--columns", "state", cwd=tmp_path) == [{"state": {"n": 1}}]
    assert rows("replay", "--columns", "state", cwd=tmp_path) == [{"state": {"n": 3}}]


def test_a_leap_second_is_in_order(tmp_path: Path) -> None:
    write(tmp_path, "2016-12-31T23:59:59Z", "2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z")
    assert times(tmp_path, "a.jsonl") == ["2016-12-31T23:59:59Z", "2017-01-01T00:00:00Z", "2017-01-01T00:00:00Z"]
    assert rows("replay", "--columns", "state", cwd=tmp_path) == [{"state": {"n": 2}}]


def test_sources_of_different_orders_are_named_with_the_line_to_write(tmp_path: Path) -> None:
    write(tmp_path, "2024-03-01T00:00:00Z", name="m1.jsonl")
    write_lines(tmp_path / "m2.jsonl", [{"id": "f1", "type": "T", "entity": "x-1", "data": {"n": 2}}])
    good("ingest", "-q", "m1.jsonl", "m2.jsonl", cwd=tmp_path)
    done = esctl("replay", cwd=tmp_path)
    assert done.code == 2
    assert "m2.jsonl (by position, no time was recognised)" in done.err
    assert "m1.jsonl (by time, time)" in done.err
    assert 'time = PATH in [mapping.sources."m2.jsonl"]' in done.err


def test_a_state_has_no_time_that_its_last_event_has_not(tmp_path: Path) -> None:
    write(tmp_path, "2024-03-01T00:00:00Z", "soon")
    write_lines(tmp_path / "b.jsonl", [{"id": "b", "type": "T", "entity": "y-1", "data": {"n": 1}}])
    good("ingest", "-q", "a.jsonl", "b.jsonl", cwd=tmp_path)
    found = rows("replay", "--columns", "entity,time,position", cwd=tmp_path)
    assert found == [
        {"entity": "x-1", "time": None, "position": 2},
        {"entity": "y-1", "time": None, "position": 3},
    ]
    assert [row["time"] for row in rows("audit", "x-1", cwd=tmp_path)] == ["2024-03-01T00:00:00Z", None]
    assert [row["time"] for row in rows("blame", "x-1", cwd=tmp_path)] == [None]
    good("snapshot", cwd=tmp_path)
    assert rows("replay", "--columns", "entity,time,position", cwd=tmp_path) == found
    csv = good("replay", "-q", "-f", "csv", cwd=tmp_path).text.splitlines()
    assert csv[1].endswith(",2,")


def test_undated_events_are_moments_of_their_own(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [{"id": n, "type": "T", "entity": "x-1", "data": {"n": n}} for n in range(1, 5)])
    good("ingest", "-q", "a.jsonl", cwd=tmp_path)
    found = rows("when", "n = 2", cwd=tmp_path)
    assert [(row["start"], row["end"], row["position"]) for row in found] == [(None, None, 2)]


def test_a_bundle_of_undated_events_is_borne_out(tmp_path: Path) -> None:
    events = [event(1, "2024-03-05T00:00:00Z"), {**event(2, "2024-03-06T00:00:00Z"), "entity": "y-1"}]
    events += [event(3, None), event(4, "2024-03-05T12:00:00Z")]
    write_lines(tmp_path / "a.jsonl", events)
    good("ingest", "-q", "a.jsonl", cwd=tmp_path)
    keys = {"XDG_CONFIG_HOME": str(tmp_path / "keys"), "XDG_STATE_HOME": str(tmp_path / "keys")}
    good("key", "new", "of-times", cwd=tmp_path, **keys)
    good("checkpoint", "-q", "--key", "of-times", cwd=tmp_path, **keys)
    for number, at in enumerate([(), ("--at", "2024-03-05")]):
        good("bundle", "x-1", "-o", f"{number}.zip", *at, cwd=tmp_path, **keys)
        good("verify-bundle", f"{number}.zip", cwd=tmp_path, **keys)


def test_an_abbreviation_of_a_zone_is_told_how_to_be_said(tmp_path: Path) -> None:
    lines = [json.dumps({"id": n, "type": "T", "time": f"2024-03-0{n} 10:00:00 PST", "entity": "x"}) for n in (1, 2)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n")
    assert 'zone_names = { PST = "-08:00" }' in esctl("ingest", "a.jsonl", cwd=tmp_path).err
    (tmp_path / "esctl.toml").write_text('[mapping]\nzone_names = { PST = "-08:00" }\n')
    assert good("log", "--columns", "time", cwd=tmp_path).rows[0] == {"time": "2024-03-01T18:00:00Z"}


def test_years_of_two_digits_are_told_by_dates_that_lie_close_together(tmp_path: Path) -> None:
    for name, days in (("a", ("14/03/24", "21/03/24", "02/04/24")), ("b", ("24/03/14", "24/03/21", "24/04/02"))):
        records = [{"id": day, "type": "T", "time": f"{day} 10:00", "entity": "x"} for day in days]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
        assert esctl("ingest", f"{name}.jsonl", "--store", name, cwd=tmp_path).code == 0
        rows = good("log", "--columns", "time", "--store", name, cwd=tmp_path).rows
        assert [row["time"][:10] for row in rows] == ["2024-03-14", "2024-03-21", "2024-04-02"]


def test_one_date_with_a_year_of_two_digits_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": 1, "type": "T", "time": "14/03/24 10:00", "entity": "x"}\n')
    assert esctl("ingest", "a.jsonl", cwd=tmp_path).code == 2


def test_undated_events_before_the_first_dated_one_have_one_place_however_they_come(tmp_path: Path) -> None:
    write(tmp_path, None, None)
    esctl("ingest", "-q", "a.jsonl", "--map", "time=time", "--map", "newest_first=true", cwd=tmp_path)
    write(tmp_path, None, None, None, "2024-03-01T10:00:00Z", None)
    good("ingest", "-q", "a.jsonl", cwd=tmp_path)
    grown = [row["position"] for row in rows("audit", "x-1", cwd=tmp_path)]
    assert grown == [5, 4, 3, 2, 1]
    good("reindex", "-q", cwd=tmp_path)
    assert [row["position"] for row in rows("audit", "x-1", cwd=tmp_path)] == grown
