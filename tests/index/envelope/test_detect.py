"""Mappings found from samples alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import zstandard

from esctl.index.envelope.detect import Detection, detect
from esctl.index.envelope.mapping import parse_mapping
from esctl.index.envelope.stanza_toml import to_toml
from esctl.model import MARK
from tests.support.cli_harness import esctl, good


def events(count: int = 40, **more: Any) -> list[object]:
    base = {
        "id": "evt-{n}",
        "type": "Deposited",
        "time": "2024-01-01T00:00:{s:02d}Z",
        "stream": "account-{m}",
        "data": {"n": 1},
    }
    return [
        {
            key: value.format(n=n, m=n % 7, s=n % 60) if isinstance(value, str) else value
            for key, value in (base | more).items()
            if value is not None
        }
        for n in range(count)
    ]


def mapped(detection: Detection) -> dict[str, str]:
    return {row.field: row.path for row in detection.rows}


def test_plain_envelope() -> None:
    found = detect(events(actor="teller-1", correlation_id="c-{m}", causation_id="x"))
    assert mapped(found) == {
        "id": "id", "type": "type", "time": "time", "entity": "stream", "actor": "actor", "data": "data",
        "correlation": "correlation_id", "causation": "causation_id", "order": "time",
    }  # fmt: skip
    assert found.candidates == ()
    assert all(row.why for row in found.rows)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"eventId": "e{n}", "eventType": "A", "occurredAt": "2024-01-01", "aggregateId": "a{m}", "payload": {}},
         {"id": "eventId", "type": "eventType", "time": "occurredAt", "entity": "aggregateId", "data": "payload"}),
        ({"@timestamp": "2024-01-01T00:00:00Z", "action": "login", "user": {"id": "u{m}", "name": "n"}, "host": "h{m}"},
         {"type": "action", "time": "@timestamp", "entity": "host", "actor": "user.name"}),
        ({"ts": "1700000000123", "op": "set", "key": "k{m}", "value": 3},
         {"type": "op", "time": "ts", "entity": "key"}),
        ({"metadata": {"id": "e{n}", "type": "A", "time": "2024-01-01", "stream": "s{m}"}, "body": {"x": 1}},
         {"data": "body", "id": "metadata.id", "entity": "metadata.stream"}),
        ({"id": "e{n}", "name": "A", "time": "2024-01-01", "data": {"aggregate_id": "x{m}"}},
         {"entity": "data.aggregate_id"}),
        ({"type": "A", "time": "2024-01-01", "gadget_id": "g{m}"}, {"entity": "gadget_id"}),
    ],
)  # fmt: skip
def test_other_names(record: dict[str, Any], expected: dict[str, str]) -> None:
    def fill(value: Any, n: int) -> Any:
        if isinstance(value, dict):
            return {key: fill(inner, n) for key, inner in value.items()}
        return value.format(n=n, m=n % 5) if isinstance(value, str) else value

    found = mapped(detect([fill(record, n) for n in range(30)]))
    assert {key: found.get(key) for key in expected} == expected


def test_envelope_under_one_wrapper() -> None:
    found = detect([{"n": n, "wrapped": record} for n, record in enumerate(events())])
    assert found.stanza.unwrap == "wrapped"
    assert found.stanza.id == ("id",)


def test_an_id_that_repeats_with_other_content_is_the_entity() -> None:
    found = mapped(
        detect([{"id": f"c{n % 4}", "type": "A", "time": f"2024-01-{n + 1:02d}", "n": n} for n in range(20)])
    )
    assert "id" not in found
    assert found["entity"] == "id"


def test_duplicates_and_a_rare_conflict_leave_an_id_an_id() -> None:
    records = events(60)
    conflict = dict(records[5], data={"n": 2})  # type: ignore[call-overload]
    assert mapped(detect([*records, records[3], records[4], conflict]))["id"] == "id"


def test_times_must_be_readable_and_plausible() -> None:
    found = mapped(detect(events(time="soon", created_at="2024-01-01")))
    assert found["time"] == "created_at"
    found = mapped(detect(events(time=None, ts=3)))
    assert "time" not in found
    assert found["order"] == "position"
    assert mapped(detect(events(time=None, seen="2024-01-01T00:00:00Z")))["time"] == "seen"


def test_sequence_is_unique_integers() -> None:
    records = [dict(record, seq=n) for n, record in enumerate(events())]  # type: ignore[call-overload]
    assert detect(records).stanza.sequence == ("seq",)
    assert detect(records).stanza.order == "time"
    timeless = [{key: value for key, value in record.items() if key != "time"} for record in records]
    assert detect(timeless).stanza.order == "sequence"
    assert detect([dict(record, seq=1) for record in records]).stanza.sequence == ()


@pytest.mark.parametrize("vague", [{"object": "event"}, {"_document_id": "d{n}"}])
def test_a_vague_name_is_no_entity_where_its_values_say_so(vague: dict[str, str]) -> None:
    assert mapped(detect(events(stream=None, customer="c{m}", **vague)))["entity"] == "customer"
    assert mapped(detect(events(stream=None, **dict.fromkeys(vague, "o{m}"))))["entity"] == next(iter(vague))


def test_without_entity_the_candidates_are_named() -> None:
    records = [
        {"type": "A", "time": "2024-01-01", "shape": f"s{n % 3}", "data": {"colour": "red", "n": n / 2}}
        for n in range(9)
    ]
    found = detect(records)
    assert found.stanza.entity == ()
    assert found.candidates[0].path == "shape"
    assert (found.candidates[0].distinct, found.candidates[0].samples) == (3, ("s0", "s1", "s2"))
    assert "data.n" not in {candidate.path for candidate in found.candidates}
    assert "time" not in {candidate.path for candidate in found.candidates}


@pytest.mark.parametrize("samples", [[], [1, 2], [None], ["x", [1]], [{}], [{"a": None}], [[{}]], [{"": {"": 1}}]])
def test_samples_without_any_envelope(samples: list[object]) -> None:
    found = detect(samples)
    assert found.stanza.type == ("=event",)
    assert found.stanza.order == "position"
    assert found.stanza.entity == ()


def test_odd_names_are_quoted() -> None:
    records = [
        {"type": "A", "time": "2024-01-01", "meta": {"stream id": f"s{n % 3}"}, "x.y": {"z": 1}} for n in range(9)
    ]
    assert detect(records).stanza.entity == ('meta."stream id"',)


def test_detection_can_be_written_to_a_file() -> None:
    import tomllib

    stanza = detect(events(actor="a")).stanza
    assert parse_mapping(tomllib.loads(to_toml(stanza))["mapping"]).default == stanza


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("git_harlequin/events.jsonl.zst",
         {"id": "event_id", "type": "type", "time": "time", "entity": "path", "actor": "author", "sequence": "seq"}),
        ("git_pm4py/events.jsonl.zst", {"id": "event_id", "type": "type", "entity": "path", "sequence": "seq"}),
        ("dpkg_log/events.jsonl", {"type": "action", "time": "time", "entity": "package", "order": "time"}),
        ("cdnow_sample/cdnow_sample.jsonl", {"type": "=event", "time": "date", "entity": "customer_id"}),
        ("eventsourcing_lib/events.jsonl", {"preset": "eventsourcing", "entity": "originator_id", "sequence": "id"}),
        ("cloudtrail_stratus/cloudtrail_stratus.jsonl", {"preset": "cloudtrail", "order": "time"}),
        ("github_webhooks/webhooks.jsonl", {"preset": "github_webhooks", "order": "position"}),
        ("suites/cloudevents/spec_samples.jsonl", {"preset": "cloudevents", "unwrap": "event"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [20, 1000])
def test_real_logs(real_logs: Path, file: str, expected: dict[str, str], size: int) -> None:
    found = mapped(detect(head(real_logs / file, size)))
    assert {key: found.get(key) for key in expected} == expected
    if file.startswith(("dpkg_log", "cdnow")):
        assert "id" not in found


def head(path: Path, size: int) -> list[object]:
    content = path.read_bytes()
    if path.suffix == ".zst":
        content = zstandard.ZstdDecompressor().stream_reader(content, read_across_frames=True).read()
    return [json.loads(line) for line in content.decode().splitlines()[:size]]


def test_exact_numbers_of_judged_text_are_read_as_numbers() -> None:
    found = mapped(detect(events(time=None, ts=f"{MARK}1700000000.12345678901")))
    assert found["time"] == "ts"


NAMES_OF = {
    "xes": {
        "case:deadline": "2024-09-0{c}", "time:timestamp": "2024-01-01T00:00:{s:02d}Z", "case:concept:name": "case {c}",
        "concept:name": "step {m}", "org:resource": "clerk {c}", "case:amount": "{c}.5", "priority": "{m}",
    },
    "dates about things": {
        "due_date": "2025-01-{s:02d}", "expires_at": "2026-01-{s:02d}T00:00:00Z", "order_no": "o-{c}",
        "eventTimestampUtc": "2024-01-01T00:00:{s:02d}Z", "status_name": "x{m}", "exported_at": "2024-02-01T00:00:00Z",
    },
}  # fmt: skip
EXPECTED = {
    "xes": {
        "time": '"time:timestamp"', "entity": '"case:concept:name"', "type": '"concept:name"',
        "actor": '"org:resource"',
    },
    "dates about things": {"time": "eventTimestampUtc", "entity": "order_no"},
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES_OF)
def test_names_and_values_choose_before_the_order_of_columns(name: str) -> None:
    columns = list(NAMES_OF[name])
    for shift in range(len(columns)):
        order = columns[shift:] + columns[:shift]
        records: list[object] = [
            {key: NAMES_OF[name][key].format(c=n % 5 + 1, s=n % 28 + 1, m=n % 3) for key in order} for n in range(40)
        ]
        found = mapped(detect(records))
        assert {key: found.get(key) for key in EXPECTED[name]} == EXPECTED[name]


def test_a_time_that_is_one_for_all_is_not_that_of_the_events() -> None:
    assert mapped(detect(events(time="2024-01-01", created_at="2024-01-01T00:00:{s:02d}Z")))["time"] == "created_at"


def test_an_entity_named_for_one_whose_values_never_repeat_loses_against_one_that_does() -> None:
    assert mapped(detect(events(stream=None, subject="mail {n}", customer_id="c-{m}")))["entity"] == "customer_id"
    assert mapped(detect(events(stream=None, subject="s-{n}")))["entity"] == "subject"


@pytest.mark.parametrize("shift", [0, 3])
def test_all_formats_of_one_log_are_read_alike(tmp_path: Path, shift: int) -> None:
    import csv

    import pyarrow as pa
    import pyarrow.feather as feather
    import pyarrow.parquet as pq

    from tests.support.cli_harness import good

    columns = {
        "case:deadline": [f"2024-09-0{n % 5 + 1}T00:00:00Z" for n in range(30)],
        "time:timestamp": [f"2024-01-01T00:00:{n:02d}Z" for n in range(30)],
        "case:concept:name": [f"case {n % 5}" for n in range(30)],
        "concept:name": [f"step {n % 3}" for n in range(30)],
        "code": [n % 4 for n in range(30)],
        "action": [n % 2 for n in range(30)],
        "share": [n / 4 for n in range(30)],
        "open": [n % 2 == 0 for n in range(30)],
    }
    names = [*list(columns)[shift:], *list(columns)[:shift]]
    rows = [{name: columns[name][n] for name in names} for n in range(30)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with (tmp_path / "b.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    table = pa.table({name: columns[name] for name in reversed(names)})
    for name in ("case:deadline", "time:timestamp"):
        times = pa.array(table[name].to_pylist()).cast(pa.timestamp("us", tz="UTC"))
        table = table.set_column(table.schema.get_field_index(name), name, times)
    pq.write_table(table, tmp_path / "c.parquet")
    feather.write_feather(table, str(tmp_path / "d.arrow"), compression="uncompressed")
    done = good("ingest", "a.jsonl", "b.csv", "c.parquet", "d.arrow", cwd=tmp_path)
    assert done.err.count("mapping of a.jsonl and 3 more") == 1, done.err
    assert 'time    "time:timestamp"' in done.err


@pytest.mark.parametrize("length", [1001, 100_000])
def test_long_names_are_names(length: int) -> None:
    assert mapped(detect(events(stream="x" * length)))["entity"] == "stream"


def test_the_likeliest_candidate_comes_first() -> None:
    records = [
        {"level": f"l{n % 2}", "box.slot": f"b{n % 7}", "request_id": f"r{n}", "at": f"2024-01-01T00:00:{n:02d}Z"}
        for n in range(30)
    ]
    assert detect(records).candidates[0].path == '"box.slot"'


def test_a_time_that_cannot_be_read_is_told_with_one_that_cannot() -> None:
    def why(*times: str) -> str:
        sample: list[object] = [
            {"id": n, "type": "T", "time": time, "stream": f"a-{n}"} for n, time in enumerate(times)
        ]
        return next(row.why for row in detect(sample).rows if row.field == "time")

    assert why("2024-01-01", "2024-13-01", "2024-02-31") == (
        "named 'time', but most of its values cannot be read, as '2024-13-01'"
    )
    assert why("2024-13-01", "2024-02-31").startswith("named 'time', but its values cannot be read, as '2024-13-01'")


def test_links_and_system_events_of_a_store_that_is_not_known_are_left_out(tmp_path: Path) -> None:
    records = [
        {"id": n, "event_type": kind, "stream_id": stream, "time": f"2024-03-0{n}T00:00:00Z", "data": {"n": n}}
        for n, (kind, stream) in enumerate([("A", "a-1"), ("$>", "$et-A"), ("B", "a-1"), ("$metadata", "$$a-1")], 1)
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    assert "2 events of no entity are ignored" in esctl("ingest", "a.jsonl", cwd=tmp_path).err
    assert [row["entity"] for row in good("replay", cwd=tmp_path).rows] == ["a-1"]


def test_a_payload_that_is_now_and_then_no_object_stays_the_payload() -> None:
    payloads: list[object] = [{"n": 1}, {"n": 2}, [1, 2], {"n": 3}, {"n": 4}, "text"]
    records = [{"id": n, "type": "T", "entity": "x-1", "data": each} for n, each in enumerate(payloads)]
    assert detect(records).stanza.data == ("data",)


def test_the_only_object_that_is_left_is_the_payload_where_its_members_differ() -> None:
    def found(*changes: object, **more: object) -> Detection:
        base = {"at": "2024-01-01T00:00:00Z", "what": "changed", "by": "mia", "app": "shop", **more}
        return detect(
            [
                base | {"ref": f"m-{n}", "chg": changes[n % len(changes)], "order_no": f"o-{n % 5}"}
                | ({"total": n % 3} if "total" in more else {})
                for n in range(40)
            ]
        )  # fmt: skip

    parts = ({"plan": "pro", "seats": 1}, {"seats": 2})
    assert found(*parts).stanza.data == ("chg",)
    assert [row.sure for row in found(*parts).rows if row.field == "data"] == ["likely"]
    assert found(parts[0]).stanza.data == ()  # as a whole it loses nothing
    assert found(*parts, place={"x": 1}).stanza.data == ()
    assert found(*parts, total=0).stanza.data == ()


def test_of_several_objects_none_is_the_event() -> None:
    inner = {"type": "paid", "account": "a-1", "at": "2024-03-05T10:00:00Z"}
    assert detect([{"one": inner}]).stanza.unwrap == "one"
    assert detect([{"one": inner, "two": inner}]).stanza.unwrap == ""


def test_an_id_with_a_conflict_is_asked_about_where_a_thing_comes_again() -> None:
    records = [
        {"id": f"e{n}", "type": "paid", "account": f"a-{n % 3}", "at": f"2024-03-05T10:0{n}:00Z"} for n in range(9)
    ]
    found = detect([*records, {**records[3], "type": "opened"}])
    assert found.stanza.entity == ()
    assert [each.path for each in found.candidates][:2] == ["account", "id"]
    assert detect(records).stanza.entity == ("account",)


@pytest.mark.parametrize("nothing", ["NULL", "\\N", "null", "N/A", "-"])
def test_texts_that_stand_for_nothing_name_no_thing(nothing: str, tmp_path: Path) -> None:
    rows = "".join(f"2024-03-05 10:0{n}:00,{nothing if n % 3 == 0 else f'a-{n % 2}'},open,bob\n" for n in range(9))
    (tmp_path / "a.csv").write_text("time,account,action,who\n" + rows)
    done = good("ingest", "a.csv", cwd=tmp_path)
    assert f"absent  {nothing}  (stands for nothing" in done.err
    assert {row["entity"] for row in good("entities", cwd=tmp_path).rows} == {"a-0", "a-1"}


@pytest.mark.parametrize("number", ["id", "version", "seq"])
def test_numbers_that_count_down_tell_newest_first_where_times_are_one(number: str, tmp_path: Path) -> None:
    records = [{"type": "set", "account": "a-1", "time": "2024-03-05", number: 5 - n, "v": 5 - n} for n in range(5)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    good("ingest", "a.jsonl", cwd=tmp_path)
    (state,) = [row["state"] for row in good("replay", cwd=tmp_path).rows]
    assert state["v"] == 5
