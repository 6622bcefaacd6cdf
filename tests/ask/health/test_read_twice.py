"""One log in two forms: the events that both tell are said, and counted once where the mapping says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli_harness import esctl, good, write_lines

MINUTES = range(1, 31)


def moment(minute: int) -> str:
    return f"2024-01-02T00:{minute:02d}:00Z"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    events = [
        {"id": n, "type": "T", "time": moment(n), "stream": f"a-{n % 3}", "data": {"n": n}} for n in MINUTES
    ]  # fmt: skip
    write_lines(tmp_path / "a.jsonl", events)
    rows = [f"{n},{'T' if n > 5 else 'U'},{moment(n)},a-{n % 3},{n}\n" for n in MINUTES if n > 2]
    (tmp_path / "a.csv").write_text("id,type,time,stream,n\n" + "".join(rows))
    return tmp_path


@pytest.mark.parametrize("at_once", [True, False])
def test_events_of_two_readings_are_said(folder: Path, at_once: bool) -> None:
    calls = [("a.jsonl", "a.csv")] if at_once else [("a.jsonl",), ("a.csv",)]
    for names in calls:
        done = good("ingest", *names, cwd=folder)
    assert "note: 25 events of a.csv are in a.jsonl too, which is read differently, and count twice" in done.err
    assert "count twice" not in good("ingest", "a.csv", cwd=folder).err  # nothing is new
    assert "count twice" in good("reindex", cwd=folder).err
    told = esctl("doctor", "--read-twice", cwd=folder)
    assert told.code == 1
    assert [row["position"] for row in told.rows] == list(range(30 + 4, 30 + 29))
    assert told.rows[0]["detail"] == "is also @6 of a.jsonl, which is read differently"
    assert esctl("doctor", "--read-twice", "a-0", cwd=folder).rows == [r for r in told.rows if r["entity"] == "a-0"]


def test_nothing_is_said_of_one_reading_or_of_shared_ids(folder: Path) -> None:
    (folder / "b.jsonl").write_bytes((folder / "a.jsonl").read_bytes())
    assert "count twice" not in good("ingest", "a.jsonl", "b.jsonl", cwd=folder).err
    stanzas = [f'[mapping.sources."{name}"]\nscope = "store"\n' for name in ("a.jsonl", "a.csv", "b.jsonl")]
    (folder / "esctl.toml").write_text("".join(stanzas))
    good("reindex", cwd=folder)
    done = good("ingest", "a.csv", cwd=folder)
    assert "count twice" not in done.err
    assert esctl("doctor", "--read-twice", cwd=folder).rows == []
    assert {row["version"] for row in good("replay", cwd=folder).rows} == {10}
