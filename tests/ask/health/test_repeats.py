"""Records without an id that are in two sources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.cases import case
from tests.support.cli_harness import esctl, good


def write(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def event(day: int, **more: Any) -> dict[str, Any]:
    return {"type": "Deposited", "time": f"2024-03-0{day}T00:00:00Z", "account": "a-1", "amount": day, **more}


def test_a_record_that_two_sources_have_is_listed_once(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [event(1), event(2), event(2)])
    write(tmp_path / "b.jsonl", [dict(reversed(event(2).items())), event(3), event(1, note=None)])
    good("ingest", "a.jsonl", "b.jsonl", cwd=tmp_path)
    (row,) = esctl("doctor", "--repeats", cwd=tmp_path).rows
    assert (row["position"], row["detail"]) == (4, "differs in nothing from @2 of a.jsonl; neither has an id")
    assert esctl("doctor", "--repeats", "a-2", cwd=tmp_path).rows == []


def test_records_of_one_source_or_with_ids_are_none(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [event(1), event(1), event(2, id="x")])
    write(tmp_path / "b.jsonl", [event(3), event(2, id="y")])
    good("ingest", "a.jsonl", "b.jsonl", "--map", "id=id", "--map", "entity=account", cwd=tmp_path)
    assert esctl("doctor", "--repeats", cwd=tmp_path).rows == []


def test_overlapping_exports(tmp_path: Path) -> None:
    good("ingest", *case("41", tmp_path), cwd=tmp_path)
    done = esctl("doctor", "--repeats", cwd=tmp_path)
    assert (done.code, [row["position"] for row in done.rows]) == (1, [3])
