"""`esctl presets`, and `ingest --preset`."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from esctl.index.envelope.presets import PRESETS
from tests.support.cli_harness import esctl, good, refused


def test_all_are_listed(tmp_path: Path) -> None:
    assert [row["preset"] for row in good("presets", cwd=tmp_path).rows] == list(PRESETS)
    assert not (tmp_path / ".esctl").exists()


@pytest.mark.parametrize("name", PRESETS)
def test_each_is_explained(name: str) -> None:
    from esctl.cli.commands.presets import _explain_preset

    rows = _explain_preset(PRESETS[name])
    assert rows.title == name
    assert f"esctl ingest --preset {name} FILE" in rows.sql


def test_one_is_explained(tmp_path: Path) -> None:
    rows = {row["field"]: row["where"] for row in good("presets", "okta", cwd=tmp_path).rows}
    assert rows["time"] == "published"
    assert rows["order"].startswith("by time, of one instant by arrival")
    assert rows["source"].startswith("https://developer.okta.com/")
    assert json.loads(rows["example"])["target"][0] == {"type": "<target>", "alternateId": "<target>"}


def test_one_that_is_not_known_is_told(tmp_path: Path) -> None:
    assert refused("presets", "octa", code=4, cwd=tmp_path) == ("no preset 'octa'", "did you mean okta?")


def test_one_is_forced(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        json.dumps({"Id": "1", "Operation": "Read", "ObjectId": "d", "UserId": "u"}) + "\n"
    )
    good("ingest", "a.jsonl", "--preset", "m365_ual", cwd=tmp_path)
    (row,) = good("log", "--columns", "id,type,entity,actor", cwd=tmp_path).rows
    assert row == {"id": "1", "type": "Read", "entity": "d", "actor": "u"}
    refused("ingest", "a.jsonl", "--preset", "nothing", code=2, cwd=tmp_path)


def test_init_writes_the_one_that_is_named(tmp_path: Path) -> None:
    records = [
        {"Id": f"{n}", "Operation": "Read", "CreationTime": f"2024-03-0{n}T10:00:00", "ObjectId": "d", "UserId": "u"}
        for n in (1, 2)
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    esctl("ingest", "a.jsonl", cwd=tmp_path)
    good("init", "--preset", "m365_ual", cwd=tmp_path)
    written = tomllib.loads((tmp_path / "esctl.toml").read_text())
    assert written["mapping"] == {"preset": "m365_ual"}
    rows = good("log", "--columns", "type,entity,actor", cwd=tmp_path).rows
    assert rows == [{"type": "Read", "entity": "d", "actor": "u"}] * 2
    assert "Read" in str(written["projections"])
    refused("init", "--preset", "nothing", "--force", code=2, cwd=tmp_path)


@pytest.mark.parametrize("name", ["evtx", "google_workspace", "m365_ual.csv", "okta.flat", "prooph", "opentelemetry"])
def test_what_init_writes_of_a_preset_is_read_alike(name: str, tmp_path: Path) -> None:
    sample = json.loads((Path(__file__).parents[1] / "index/envelope/samples" / f"{name}.json").read_text())
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in sample["records"]))
    columns = ("--columns", "time,type,entity,actor,id,data")
    good("ingest", "a.jsonl", cwd=tmp_path)
    recognised = good("log", *columns, cwd=tmp_path).rows
    good("init", cwd=tmp_path)
    assert good("log", *columns, cwd=tmp_path).rows == recognised
    good("init", "--preset", name.partition(".")[0], "--force", cwd=tmp_path)
    assert good("log", *columns, cwd=tmp_path).rows == recognised
