"""Records that are not what they look like: lines of bulk requests, people with dates, things called actors."""

from __future__ import annotations

from typing import Any

import pytest

from esctl.index.envelope.detect import detect
from tests.support.cli_harness import esctl, write_lines

Record = dict[str, Any]


def commit(n: int) -> Record:
    people = {
        who: {"name": f"U{n % 3}", "email": f"u{n % 3}@x.io", "date": f"2024-03-{n + 1:02d}"}
        for who in ("author", "committer")
    }
    return {"commit": f"{n * 7919:040x}", **people, "subject": f"fix number {n}"}


def container(n: int) -> Record:
    told = {"ID": f"c-{n % 4}-id", "Attributes": {"image": "nginx", "name": f"web{n % 4}"}}
    return {"status": "start", "id": f"c-{n % 4}-id", "Type": "container", "Action": ("start", "die")[n % 2],
            "Actor": told, "time": 1_709_280_000 + n}  # fmt: skip


def test_who_did_it_is_no_event(tmp_path: Any) -> None:
    write_lines(tmp_path / "a.jsonl", map(commit, range(14)))
    done = esctl("ingest", "a.jsonl", cwd=tmp_path)
    assert done.code == 2
    assert "no field was recognised as the entity" in done.err
    assert detect([commit(n) for n in range(14)]).stanza.unwrap == ""


def test_a_thing_that_is_called_an_actor_did_nothing() -> None:
    found = detect([container(n) for n in range(16)]).stanza
    assert (found.entity, found.actor) == (("id",), ())


@pytest.mark.parametrize("action", ["index", "create"])
def test_lines_of_a_bulk_request_are_no_events(action: str, tmp_path: Any) -> None:
    lines: list[Record] = []
    for n in range(12):
        lines.append({action: {"_index": "audit", "_id": f"x{n}"}})
        event = {"action": ("login", "logout")[n % 2], "id": f"ev{n}"}
        lines.append({"@timestamp": f"2024-03-{n + 1:02d}T10:00:00Z", "event": event, "order": {"id": f"o-{n % 3}"}})
    write_lines(tmp_path / "a.ndjson", lines)
    done = esctl("ingest", "a.ndjson", cwd=tmp_path)
    assert done.code == 0
    assert "12 events of no entity are ignored" in done.err
    assert "note:" not in done.err
    events = esctl("log", "o-0", "--columns", "type,time", cwd=tmp_path).rows
    assert events[0] == {"type": "login", "time": "2024-03-01T10:00:00Z"}
    assert [row["count"] for row in esctl("doctor", cwd=tmp_path).rows if row["count"]] == []


@pytest.mark.parametrize(
    ("databases", "schemas", "expected"),
    [(1, 1, ()), (2, 1, ("database_name",)), (1, 2, ("schema_name",)), (2, 3, ("{database_name}.{schema_name}",))],
)
def test_tables_of_one_name_are_of_their_databases(databases: int, schemas: int, expected: tuple[str, ...]) -> None:
    found = detect([
        {"event_time": f"2024-03-{n + 1:02d} 10:00:00", "action_id": ("UP", "DL")[n % 2], "object_name": f"t{n % 4}",
         "database_name": f"db{n % databases}", "schema_name": f"s{n % schemas}"}
        for n in range(16)
    ]).stanza  # fmt: skip
    assert (found.entity, found.tenant) == (("object_name",), expected)
