"""doctor and trace on the command line: what they print, say and exit with, over the sample logs."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest

from esctl.ask.health.doctor import CHECKS, OCCURRENCES, ROW_CHECKS, SUMMARY, TOPIC_CHECKS, examine
from esctl.ask.scope.filters import Filters
from esctl.cli.commands.doctor import LISTS
from esctl.log.commits import create_store
from esctl.log.writer import LogWriter, Part
from esctl.model import FileCursor
from tests.support.cli_harness import esctl, good, on_terminal, plain_event, refused, write_lines
from tests.support.real_log_helpers import json_lines, load

MESSY = {"duplicates": [5078, 5079], "conflicts": [5080], "invalid": [*range(5082, 5088)], "homeless": [5097]}
MESSY |= {"undated": [5098]}
NOTE = "note: 1 conflicting event in scope: esctl doctor --conflicts\n"


def test_the_messy_file_has_what_its_description_says(samples: Path) -> None:
    done = esctl("doctor", cwd=samples)
    assert (done.code, done.err) == (1, "")
    assert [list(row) for row in done.rows] == [[column.name for column in SUMMARY]] * len((*CHECKS, *ROW_CHECKS))
    found = {row["check"]: row for row in done.rows}
    for name, positions in MESSY.items():
        assert (found[name]["count"], found[name]["examples"]) == (len(positions), positions[:5])
        listed = esctl(*found[name]["list"].split()[1:], cwd=samples)
        assert listed.code == 1
        assert [row["position"] for row in listed.rows] == positions
        assert list(listed.rows[0]) == [column.name for column in OCCURRENCES]


def test_a_clean_scope_exits_with_0(samples: Path) -> None:
    done = good("doctor", "account-017", cwd=samples)
    assert {row["count"] for row in done.rows} == {0}
    assert good("doctor", "account-017", "--late", "--gaps", cwd=samples).out == b""
    assert good("replay", "account-017", cwd=samples).err == ""


def test_findings_are_noted_where_they_are_in_scope(samples: Path) -> None:
    assert good("replay", "sensor-1", cwd=samples).err == NOTE
    assert good("replay", "sensor-1", "-q", cwd=samples).err == ""
    assert NOTE not in good("replay", "sensor-1", "--at", "2024-01-02T00:30:00Z", cwd=samples).err


def test_a_limit_hides_no_finding(samples: Path) -> None:
    done = esctl("doctor", "--conflicts", "--limit", "0", cwd=samples)
    assert (done.code, done.out) == (1, b"")


@pytest.mark.parametrize("asked", [("diff", "@1", "@2000", "--exit-code"), ("doctor", "--homeless")])
def test_a_pager_that_is_left_early_hides_no_finding(tmp_path: Path, asked: tuple[str, ...]) -> None:
    events = [plain_event(number, f"thing-{number}") for number in range(2000)]
    homeless = [{**event, "stream": None} for event in events] if asked[0] == "doctor" else []
    write_lines(tmp_path / "a.jsonl", [*events, *homeless])
    good("ingest", "-q", "a.jsonl", cwd=tmp_path)
    for pager in ("true", "cat"):  # more is written than a pipe holds, so that one who reads nothing is noticed
        shown = on_terminal(*asked, "-f", "markdown", "-q", cwd=tmp_path, ESCTL_NO_PAGER="", ESCTL_PAGER=pager)
        assert shown[1] == 1, shown[0][-300:]


def test_findings_are_reported(samples: Path) -> None:
    run = json.loads(esctl("doctor", "--conflicts", "--clock", "-f", "sarif", cwd=samples).out)["runs"][0]
    assert {result["ruleId"] for result in run["results"]} == {"conflicts", "clock"}
    root = ET.fromstring(esctl("doctor", "-f", "junit", cwd=samples).out)
    assert (root.attrib["tests"], root.attrib["failures"]) == (str(len((*CHECKS, *ROW_CHECKS))), "7")
    message, hint = refused("entities", "-f", "sarif", "-q", code=2, cwd=samples)
    assert message == "entities has no findings to report as sarif"
    assert "doctor" in hint


def test_a_trace_shows_the_night_of_the_charge(samples: Path) -> None:
    rows = good("trace", "job-20240305-nightly", cwd=samples).rows
    assert [(row["position"], row["depth"], row["parent"]) for row in rows] == [
        (3492, 0, None),
        (3493, 1, 3492),
        (3494, 2, 3493),
        (3495, 3, 3494),
        (3496, 4, 3495),
        (3678, 3, 3494),
    ]
    assert good("trace", "@3494", cwd=samples).rows == rows
    message, hint = refused("trace", "job-20240305-nightle", "-q", code=4, cwd=samples)
    assert "job-20240305-nightle" in message
    assert hint == "did you mean job-20240305-nightly?"


GIT = '[mapping]\nid = "event_id"\ntype = "type"\ntime = "time"\nentity = "path"\nsequence = "seq"\n'


def test_the_clock_of_a_git_history_goes_back_as_often_as_it_does(real_logs: Path, tmp_path: Path) -> None:
    file = real_logs / "git_harlequin" / "events.jsonl.zst"
    if not file.is_file():
        pytest.skip("no git_harlequin among the real logs")
    times = [datetime.fromisoformat(str(event["time"])) for event in json_lines(file)]
    store, _ = load(tmp_path, [file], GIT)
    counts = {result.check.name: result.count for result in examine(store.scope(), Filters())}
    assert counts["clock"] == sum(later < earlier for earlier, later in pairwise(times))
    assert counts["clock"] > 0
    assert (counts["gaps"], counts["future"], counts["duplicates"], counts["invalid"]) == (0, 0, 0, 0)


@pytest.mark.parametrize("following", [False, True])
def test_a_clock_that_jumped_forward_is_told_and_dates_what_follows(tmp_path: Path, following: bool) -> None:
    good("ingest", write_lines(tmp_path / "a.jsonl", [plain_event(1)]), "-q", cwd=tmp_path)
    year_2500 = 16_725_225_600_000_000
    cursor = FileCursor(0, "", 0, "", format="jsonl", records=1)
    batch = pa.record_batch({"offset": pa.array([0], pa.int64()), "raw": [b'{"id":2,"stream":"thing-1"}']})
    with LogWriter(tmp_path / ".esctl", clock=lambda: year_2500) as writer:
        writer.append([Part("jumped.jsonl", [batch], cursor)])
    write_lines(tmp_path / "b.jsonl", [plain_event(3), plain_event(4)])
    if following:
        done = good("ingest", "-", "--follow", cwd=tmp_path, stdin=(tmp_path / "b.jsonl").read_bytes())
    else:
        done = good("ingest", "b.jsonl", cwd=tmp_path)
    assert "2500-01-01T00:00:00" in done.err
    assert "esctl doctor --recording" in done.err
    found = esctl("doctor", "--recording", "-f", "jsonl", cwd=tmp_path)
    assert (found.code, [row["position"] for row in found.rows]) == (1, [2, 3, 4])
    assert all("after what the clock says now" in row["detail"] for row in found.rows)


def test_records_that_a_clock_gone_back_did_not_date_are_told_for_good(tmp_path: Path) -> None:
    create_store(tmp_path / ".esctl", False)
    for number, at in enumerate((1_000, 5_000, 2_000, 6_000), 1):
        raw = b'{"id":%d,"stream":"thing-1"}' % number
        batch = pa.record_batch({"offset": pa.array([0], pa.int64()), "raw": [raw]})
        with LogWriter(tmp_path / ".esctl", clock=lambda at=at: at * 1_000_000) as writer:
            writer.append([Part(f"{number}.jsonl", [batch], FileCursor(0, "", 0, "", format="jsonl", records=1))])
    found = esctl("doctor", "--recording", "-f", "jsonl", cwd=tmp_path)
    assert [(row["position"], "dated by that" in row["detail"]) for row in found.rows] == [(3, True)]


def test_each_check_has_a_flag_that_lists_what_it_found() -> None:
    assert sorted(LISTS) == sorted(check.name for check in (*CHECKS, *ROW_CHECKS, *TOPIC_CHECKS))


def test_fields_of_several_types_are_found_however_many_fields_there_are(tmp_path: Path) -> None:
    values: list[object] = [1, "x", [1], {"a": 1}, None]
    few, many = {"n": 0, "ok": [1]}, [f"k{number}" for number in range(90)]
    events: list[dict[str, object]] = [few, few, few, {"n": "odd", "ok": [2]}]
    for number, name in enumerate(many):
        events += [{name: [name]}, {name: [name]}, {name: values[number % len(values)]}]
    lines = [{"id": n, "type": "T", "time": 1704067200 + n, "stream": "a-1", "data": d} for n, d in enumerate(events)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    good("ingest", "a.jsonl", cwd=tmp_path)
    found = {row["position"]: row["detail"] for row in esctl("doctor", "--mixed-types", cwd=tmp_path).rows}
    wanted = {4: '"n" is string; in events of this type: number 3, string 1'}
    for number, name in enumerate(many):
        kind = {0: "number", 1: "string", 3: "object"}.get(number % len(values))
        if kind is not None:
            wanted[7 + 3 * number] = f'"{name}" is {kind}; in events of this type: array 2, {kind} 1'
    assert found == wanted
