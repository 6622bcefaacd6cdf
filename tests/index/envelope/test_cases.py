"""Small inputs of the kinds that people reported, each with what is expected of it, and others of its kind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.cases import case
from tests.support.cli_harness import Done, esctl, good, plain_event, refused, write_lines


def ids(folder: Path) -> list[str]:
    return [row["id"] for row in good("log", "--columns", "id", "-q", cwd=folder).rows]


def test_an_event_list_of_kubernetes_is_its_events(tmp_path: Path) -> None:
    done = good("ingest", *case("14", tmp_path), cwd=tmp_path)
    assert "kubernetes_audit" in done.err
    rows = good("log", "--columns", "type,entity,actor", cwd=tmp_path).rows
    assert [row["type"] for row in rows] == ["create.configmaps", "delete.configmaps"]
    assert {(row["entity"], row["actor"]) for row in rows} == {("configmaps/x/cm", "dev")}


def test_an_audit_id_is_found_with_all_its_stages(tmp_path: Path) -> None:
    good("ingest", *case("15", tmp_path), "-q", cwd=tmp_path)
    assert ids(tmp_path) == [f"aa-{n}/{stage}" for n in (1, 2) for stage in ("RequestReceived", "ResponseComplete")]
    assert [row["position"] for row in good("show", "aa-1", "-q", cwd=tmp_path).rows] == [1, 2]
    assert refused("show", "aa-3", code=4, cwd=tmp_path)[0] == "no event 'aa-3'"


def test_wrapped_arrays_are_opened_on_one_line_and_on_many(tmp_path: Path) -> None:
    counts = {}
    for number, name in enumerate(case("16", tmp_path)):
        counts[name] = good("ingest", name, "-q", "--store", f"s{number}", cwd=tmp_path).row["records"]
    assert counts == {"items.json": 3, "items.pretty.json": 3, "old.json": 2}


def test_each_line_may_be_an_array(tmp_path: Path) -> None:
    assert good("ingest", *case("19", tmp_path), cwd=tmp_path).row["records"] == 3
    assert ids(tmp_path) == ["e1", "e2", "e3"]


def test_arrays_on_lines_may_be_empty_or_of_one(tmp_path: Path) -> None:
    pages = [[plain_event(1), plain_event(2)], [], [plain_event(3)]]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(page) + "\n" for page in pages))
    good("ingest", "a.jsonl", "-q", cwd=tmp_path)
    assert ids(tmp_path) == ["evt-1", "evt-2", "evt-3"]


def test_an_event_without_a_time_is_never_now(tmp_path: Path) -> None:
    done = good("ingest", *case("36", tmp_path), cwd=tmp_path)
    assert "note: 1 event has no time that can be read; @9 of t_null.jsonl: no time" in done.err
    assert good("log", "--columns", "time", "-q", cwd=tmp_path).rows[-1] == {"time": None}
    assert good("status", "-q", cwd=tmp_path).row["last"] == "2024-03-01T00:00:07Z"
    found = esctl("doctor", "--undated", "-q", cwd=tmp_path)
    assert (found.code, found.row["position"]) == (1, 9)


@pytest.mark.parametrize("value", ['""', '"-"', '"soon"', "true", "{}", '"0000-00-00 00:00:00"', None])
def test_nor_is_one_whose_time_is_no_time(value: str | None, tmp_path: Path) -> None:
    lines = [json.dumps(plain_event(n)) for n in range(1, 10)]
    odd = json.loads(lines[4]) | {"time": json.loads(value) if value is not None else None}
    if value is None:
        del odd["time"]
    (tmp_path / "a.jsonl").write_text("\n".join([*lines[:4], json.dumps(odd), *lines[5:]]) + "\n")
    good("ingest", "a.jsonl", "-q", cwd=tmp_path)
    times = [row["time"] for row in good("log", "--columns", "time", "-q", cwd=tmp_path).rows]
    assert [at is None for at in times] == [n == 4 for n in range(9)]
    assert good("replay", "-q", "--columns", "state", cwd=tmp_path).row["state"] == {"n": 9}
    assert "undated" in good("replay", cwd=tmp_path).err


def test_undated_events_are_moments_of_their_own(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [{**plain_event(n), "time": None, "data": {"n": n % 2}} for n in range(6)])
    esctl("ingest", "a.jsonl", "-q", cwd=tmp_path)
    rows = good("when", "n = 1", "--every", "-q", "--columns", "position,start,end_position", cwd=tmp_path).rows
    assert rows == [{"position": at, "start": None, "end_position": at + 1 if at < 6 else None} for at in (2, 4, 6)]


def local(folder: Path, *times: str) -> Done:
    events = [{"id": f"b{n}", "type": "D", "time": at, "entity": "x-1", "data": {"n": n}} for n, at in enumerate(times)]
    write_lines(folder / "local.jsonl", events)
    return good("ingest", "local.jsonl", "--tz", "Europe/Vienna", cwd=folder)


def test_the_night_the_clocks_go_back_is_told_of_and_in_order(tmp_path: Path) -> None:
    case("45", tmp_path)
    done = good("ingest", "naive.jsonl", "--tz", "Europe/Vienna", cwd=tmp_path)
    assert "4 that its clocks show twice: the first pass is taken" in done.err
    times = [row["time"][11:16] for row in good("log", "--columns", "time", cwd=tmp_path).rows]
    assert times == ["23:30", "00:10", "00:50", "01:05", "01:40", "02:10"]


def test_the_hour_that_clocks_skip_is_told_of(tmp_path: Path) -> None:
    case("45", tmp_path)
    done = good("ingest", "gap.jsonl", "--tz", "Europe/Vienna", cwd=tmp_path)
    assert "1 that they never show: read with the offset before the gap" in done.err
    found = esctl("doctor", "--clock-change", cwd=tmp_path)
    assert (found.code, found.row["id"]) == (1, "c1")


def test_a_night_without_a_change_is_not(tmp_path: Path) -> None:
    done = local(tmp_path, "2024-03-30T02:30:00", "2024-03-31T01:59:59", "2024-03-31T03:00:00")
    assert "--clock-change" not in done.err
    assert good("replay", "--columns", "state", cwd=tmp_path).row["state"] == {"n": 2}


def test_what_is_no_json_is_kept_and_told(tmp_path: Path) -> None:
    case("51", tmp_path)
    done = good("ingest", "nan.jsonl", cwd=tmp_path)
    assert "note: 1 invalid record: esctl log --invalid" in done.err
    assert '"a":NaN' in good("log", "--invalid", "-q", cwd=tmp_path).row["raw"]
    assert "1 invalid record" in good("replay", cwd=tmp_path).err
    alone = esctl("ingest", "sur.jsonl", "-q", "--store", "s", cwd=tmp_path)
    assert alone.code == 3
    assert "none of its 1 records could be read: a string has half of a surrogate pair" in alone.err


def test_a_leap_second_is_read_in_its_place(tmp_path: Path) -> None:
    good("ingest", *case("56", tmp_path), "-q", cwd=tmp_path)
    assert ids(tmp_path) == [f"e{n}" for n in range(12)]
    rows = good("log", "--columns", "time,invalid", "-q", "--tail", "2", cwd=tmp_path).rows
    assert rows == [{"time": "2017-01-01T00:00:00Z", "invalid": None}] * 2
    assert good("replay", "--columns", "state", "-q", cwd=tmp_path).row["state"] == {"n": 11}
