"""`esctl presets`, and `ingest --preset`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from esctl.index.envelope.presets import PRESETS
from tests.support.cli_harness import good, refused


def test_all_are_listed(tmp_path: Path) -> None:
    assert [row["preset"] for row in good("presets", cwd=tmp_path).rows] == list(PRESETS)
    assert not (tmp_path / ".esctl").exists()


@pytest.mark.parametrize("name", PRESETS)
def test_each_is_explained(name: str) -> None:
    from esctl.cli.commands.presets import _explained

    rows = _explained(PRESETS[name])
    assert rows.title == name
    assert f"esctl ingest --preset {name} FILE" in rows.sql


def test_one_is_explained(tmp_path: Path) -> None:
    rows = {row["field"]: row["where"] for row in good("presets", "okta", cwd=tmp_path).rows}
    assert (rows["time"], rows["order"]) == ("published", "by time")


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
