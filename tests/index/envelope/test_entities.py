"""What the events of an unknown log are about: things of a type, of tenants, done to by actors."""

from __future__ import annotations

import csv
import io
import json
import random
from pathlib import Path
from typing import Any

import pytest

from esctl.index.envelope.detect import detect
from tests.support.cases import case
from tests.support.cli_harness import good

PAIRS = {
    "paper trail": ("item_type", "item_id"),
    "gitlab": ("entity_type", "entity_id"),
    "django": ("content_type", "object_pk"),
    "trigger": ("table_name", "record_id"),
    "rails": ("auditable_type", "auditable_id"),
    "camel": ("resourceType", "resourceId"),
}


def things(kind: str, name: str, count: int) -> list[dict[str, Any]]:
    """Make changes of posts and users that share their numbers."""
    return [
        {
            "id": 1000 + i,
            "action": ["create", "update", "delete"][i % 3],
            kind: ["Post", "User"][i % 2],
            name: str(i // 2 % 4 + 1),
            "user_id": str(i % 3 + 1),
            "created_at": f"2024-03-01T10:{i // 60 % 60:02d}:{i % 60:02d}Z",
            "title": f"title {i}",
        }
        for i in range(count)
    ]


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize("count", [12, 2000])
def test_a_type_and_an_id_side_by_side_name_one_thing(pair: tuple[str, str], count: int) -> None:
    found = detect(things(*pair, count)).stanza
    assert (found.entity, found.kind) == ((f"{{{pair[0]}}}/{{{pair[1]}}}",), (pair[0],))
    assert (found.actor, found.id, found.type, found.time) == (("user_id",), ("id",), ("action",), ("created_at",))


def test_a_type_and_an_id_in_one_object_name_one_thing() -> None:
    records = [{**record, "target": {"type": "T", "id": f"{i % 3}"}} for i, record in enumerate(things("x", "y", 12))]
    assert detect(records).stanza.entity == ("{target.type}/{target.id}",)


def test_types_of_events_are_none_of_things() -> None:
    records = [{"event_type": "a", "event_id": f"e{i}", "account_id": f"a-{i % 3}", "time": 1e9 + i} for i in range(20)]
    assert detect(records).stanza.entity == ("account_id",)


def test_the_actor_is_not_the_entity_nor_the_victim_the_actor() -> None:
    records: list[dict[str, Any]] = [
        {"at": f"2024-01-01T00:00:{i:02d}Z", "user_id": f"u-{i % 3}", "document_id": f"d-{i % 4}"} for i in range(20)
    ]
    found = detect(records).stanza
    assert (found.entity, found.actor) == (("document_id",), ("user_id",))
    records = [{"at": r["at"], "performed_by": "adm", "user_id": r["user_id"]} for r in records]
    found = detect(records).stanza
    assert (found.entity, found.actor) == (("user_id",), ("performed_by",))


def test_a_vague_name_loses_against_one_whose_values_repeat() -> None:
    for count in (12, 30):
        records = [{"stream": "stdout", "time": 1e9 + i, "type": "T", "order_id": f"o-{i % 4}"} for i in range(count)]
        assert detect(records).stanza.entity == ("order_id",)
        records = [{"stream": f"s-{i % 4}", "time": 1e9 + i, "type": "T", "order_id": f"o-{i}"} for i in range(count)]
        assert detect(records).stanza.entity == ("stream",)


@pytest.mark.parametrize("count", [12, 2000])
@pytest.mark.parametrize("pair", [("item_type", "item_id"), ("x", "account_id")])
def test_order_size_and_format_give_the_same_mapping(count: int, pair: tuple[str, str]) -> None:
    records = things(*pair, count)
    expected = detect(things(*pair, 300)).stanza
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]))
    writer.writeheader()
    writer.writerows(records)
    rows = list(csv.DictReader(io.StringIO(text.getvalue())))
    shuffled = random.Random(5).sample(records, count)
    turned = [dict(reversed(record.items())) for record in records]
    for sample in (records, shuffled, turned, rows):
        assert detect(sample).stanza == expected


def test_things_of_two_tenants_are_apart(tmp_path: Path) -> None:
    records = [
        {"tenant_id": f"t-{i % 2}", "stream_id": "inv-1", "type": "T", "data": {"n": i}, "time": f"2024-03-0{i + 1}"}
        for i in range(4)
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    good("ingest", "a.jsonl", cwd=tmp_path)
    rows = good("replay", cwd=tmp_path).rows
    assert [(row["entity"], row["kind"], row["state"]["n"]) for row in rows] == [
        ("t-0/inv-1", "inv", 2),
        ("t-1/inv-1", "inv", 3),
    ]


def test_tenants_and_texts_for_nothing_are_declared(tmp_path: Path) -> None:
    records = [{"org": org, "on": on} for org, on in [("-", "a"), ("o1", "a"), (None, "a"), ("o1", "unknown")]]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (tmp_path / "esctl.toml").write_text(
        '[mapping]\nentity = "on"\ntenant = "org"\nabsent = ["-", "unknown"]\norder = "position"\n'
    )
    good("ingest", "a.jsonl", cwd=tmp_path)
    assert [row["entity"] for row in good("log", cwd=tmp_path).rows] == ["a", "o1/a", "a", None]


def test_streams_of_two_tenants_in_marten(tmp_path: Path) -> None:
    good("ingest", *case("40", tmp_path), cwd=tmp_path)
    found = {row["entity"]: row["state"]["Customer"] for row in good("replay", cwd=tmp_path).rows}
    assert found == {"t-a/inv-1": "c-1", "t-b/inv-1": "c-9"}


def test_streams_of_no_tenant_in_marten(tmp_path: Path) -> None:
    good("ingest", *case("03", tmp_path), cwd=tmp_path)
    found = {row["entity"]: row["state"] for row in good("replay", cwd=tmp_path).rows}
    assert found["inv-1"] == {"Customer": "c-1", "Total": 90.05, "Reason": "line1\nline2"}


def test_neos_exports(tmp_path: Path) -> None:
    good("ingest", *case("55", tmp_path), cwd=tmp_path)
    rows = good("log", "--columns", "time,entity,id", cwd=tmp_path).rows
    assert rows[0] == {"time": "2024-03-01T08:00:00Z", "entity": "n-1", "id": "id-0"}


def test_whose_a_thing_is_is_not_the_thing() -> None:
    times = [{"at": f"2024-01-01T00:00:{i:02d}Z"} for i in range(14)]
    records = [{**at, "tenant_id": f"t{i % 2}", "account_no": str(i % 3)} for i, at in enumerate(times)]
    found = detect(records).stanza
    assert (found.entity, found.tenant) == (("account_no",), ("tenant_id",))
    held = [{**at, "organizationId": "o", "metadata": {"issueId": f"i{i % 3}"}} for i, at in enumerate(times)]
    found = detect(held).stanza
    assert (found.entity, found.tenant) == (("metadata.issueId",), ("organizationId",))
    alone = [{**at, "tenant_id": f"t{i % 3}", "n": i} for i, at in enumerate(times)]
    assert detect(alone).stanza.entity == ("tenant_id",)


def test_what_happened_may_stand_in_an_object() -> None:
    records = [
        {
            "id": f"c{i}",
            "when": f"2024-01-01T00:00:{i:02d}Z",
            "action": {"type": "rec_add", "result": True},
            "actor": {"emailAddress": "adm@x.test"},
            "resource": {"type": "dns", "id": f"r{i % 3}"},
        }
        for i in range(14)
    ]
    found = detect(records).stanza
    assert (found.type, found.actor, found.entity) == (
        ("action.type",), ("actor.emailAddress",), ("{resource.type}/{resource.id}",),
    )  # fmt: skip


def test_the_runner_up_is_told() -> None:
    records = [
        {"created_at": f"2024-01-01T00:00:{i:02d}Z", "updated_at": f"2024-01-02T00:00:{i:02d}Z", "event_type": "T"}
        | {"account_id": f"a{i % 2}", "order_id": f"o{i % 4}", "id": str(i), "uuid": f"u{i}"}
        for i in range(14)
    ]
    why = {row.field: row.why for row in detect(records).rows}
    assert why["time"] == "named 'created_at', in every record, 14 different; the next would be updated_at"
    assert why["entity"] == "named 'order_id', in every record, 4 different; the next would be account_id"
    assert why["id"].endswith("; the next would be uuid")
