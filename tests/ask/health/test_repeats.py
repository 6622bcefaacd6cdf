"""Records without an id that are in two sources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from esctl.api import Store
from esctl.ask.health import repeats
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


def test_a_source_that_is_read_twice_is_said_at_once(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [event(day) for day in range(1, 9)])
    write(tmp_path / "b.jsonl", [dict(reversed(event(day).items())) for day in range(3, 9)])
    assert "count twice" not in good("ingest", "a.jsonl", cwd=tmp_path).err
    done = good("ingest", "b.jsonl", cwd=tmp_path)
    told = "without an id and in the same words, and count twice: esctl doctor --repeats\n"
    assert f"note: 6 events of b.jsonl are in a.jsonl too, {told}" in done.err
    write(tmp_path / "c.jsonl", [event(9), *(event(1, note=number) for number in range(9)), event(1)])
    assert "count twice" not in good("ingest", "c.jsonl", cwd=tmp_path).err  # one of many may be by chance
    assert "note: 6 events of b.jsonl are in a.jsonl too" in good("reindex", cwd=tmp_path).err


def test_of_many_events_some_moments_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "_COMPARED", 50)
    moments = [f"2024-03-01T00:{number // 60:02d}:{number % 60:02d}Z" for number in range(300)]
    write(tmp_path / "a.jsonl", [event(1, time=moment) for moment in moments])
    write(tmp_path / "b.jsonl", [dict(reversed(event(1, time=moment).items())) for moment in moments])
    with Store.create(tmp_path / ".esctl", None, erasable=False) as store:
        store.ingest(tmp_path / "a.jsonl", tmp_path / "b.jsonl")
        count, source, other = repeats.count_repeats(store.scope(), 0)  # type: ignore[misc]
    assert 0 < count < 600
    assert (Path(source).name, Path(other).name) == ("b.jsonl", "a.jsonl")


def test_records_of_one_source_or_with_ids_are_none(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [event(1), event(1), event(2, id="x")])
    write(tmp_path / "b.jsonl", [event(3), event(2, id="y")])
    good("ingest", "a.jsonl", "b.jsonl", "--map", "id=id", "--map", "entity=account", cwd=tmp_path)
    assert esctl("doctor", "--repeats", cwd=tmp_path).rows == []


def test_overlapping_exports(tmp_path: Path) -> None:
    good("ingest", *case("41", tmp_path), cwd=tmp_path)
    done = esctl("doctor", "--repeats", cwd=tmp_path)
    assert (done.code, [row["position"] for row in done.rows]) == (1, [3])


def states(folder: Path) -> list[tuple[str, Any, int]]:
    return [(row["entity"], row["state"], row["version"]) for row in esctl("replay", cwd=folder).rows]


BY = ("--dedupe-by", "time,account,amount")


def test_events_of_the_same_content_are_one(tmp_path: Path) -> None:
    done = good("ingest", *case("41", tmp_path), *BY, cwd=tmp_path)
    assert (done.rows[0]["records"], done.rows[0]["duplicates"]) == (4, 1)
    assert states(tmp_path) == [("a-1", {"amount": 3}, 3)]
    assert "count twice" not in done.err
    assert esctl("doctor", "--repeats", cwd=tmp_path).rows == []
    good("reindex", "--dedupe-by", "", cwd=tmp_path)
    assert states(tmp_path) == [("a-1", {"amount": 3}, 4)]


def test_what_makes_events_one_stays_content_and_tells_conflicts(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [event(1), event(2), event(2, note="again"), event(3), {**event(4), "amount": None}])
    write(tmp_path / "esctl.toml", [])
    (tmp_path / "esctl.toml").write_text('[mapping]\ndedupe_by = ["time", "amount"]\n')
    done = good("ingest", "a.jsonl", cwd=tmp_path)
    assert (done.rows[0]["duplicates"], done.rows[0]["conflicts"]) == (0, 1)
    assert states(tmp_path) == [("a-1", {"amount": None}, 4)]
    ids = [row["id"] for row in esctl("log", "--columns", "id", cwd=tmp_path).rows]
    assert ids == [*(f"2024-03-0{day}T00:00:00Z {day}" for day in (1, 2, 2, 3)), None]


def test_a_path_of_it_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [event(1), event(1)])
    told = good("ingest", "a.jsonl", "--dedupe-by", "time,konto", cwd=tmp_path).err
    assert "the dedupe_by is said to be konto, which none of its first records has" in told
    told = good("reindex", "--dedupe-by", "", "--map", "id=time", "--map", "id=konto", cwd=tmp_path).err
    assert "the id is said to be konto, which none of its first records has" in told


def test_id_and_content_are_not_both(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [event(1)])
    done = esctl("ingest", "a.jsonl", *BY, "--map", "id=account", cwd=tmp_path)
    assert (done.code, "--map has id and dedupe_by" in done.err) == (2, True)
    assert not (tmp_path / ".esctl" / "commits").exists()


def test_in_python(tmp_path: Path) -> None:
    files = case("41", tmp_path)
    with Store.create(tmp_path / ".esctl", None, erasable=False) as store:
        outcome = store.ingest(*(tmp_path / file for file in files), dedupe_by=["time", "account", "amount"])
        assert (outcome.summary.duplicates, len(store.replay())) == (1, 1)
