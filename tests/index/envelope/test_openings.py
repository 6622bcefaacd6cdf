"""JSON inside texts of records: found in a sample, opened, declared."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esctl.engine.duckdb import connect
from esctl.engine.exact_text import unmark
from esctl.errors import UsageError
from esctl.index.decode.encodings import Opening
from esctl.index.decode.exact_json import judge_records
from esctl.index.decode.opened import open_texts
from esctl.index.envelope.detect import detect
from esctl.index.envelope.mapping import override, parse_mapping
from esctl.index.envelope.openings import find_openings, open_sample
from esctl.index.envelope.stanza_toml import to_toml
from esctl.model import Cursor
from tests.support.cases import case
from tests.support.cli_harness import esctl, good

JSONL = Cursor(format="jsonl")


def _hex(text: str) -> str:
    return "\\x" + text.encode().hex()


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _gzip(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


WRITTEN: dict[str, Callable[[str], str]] = {"json": str, "hex": _hex, "base64": _base64, "gzip": _gzip}
MARKED = "\ue000"
VALUES = [
    '{"amount": 0.1000000000000000055511151231257827, "id": 12345678901234567890123, "e": 1E+400}',
    '{"text": "line\\n\\"quoted\\" é 🎈", "null": null, "empty": {}, "list": [1, [2.50], {"a": -0.0}]}',
    f'{{"{MARKED}key": "{MARKED}value", "a": {{"{MARKED}": 1}}}}',
    "[1, 2]",
    "12.50",
    "null",
]


def open_all(texts: Sequence[str], openings: Sequence[Opening]) -> list[str]:
    connection = connect()
    judged = judge_records(pa.array([text.encode() for text in texts], pa.binary()), JSONL, connection)
    found, _ = open_texts(connection, judged.text, judged.marked, openings)
    return [unmark(text) for text in found.to_pylist()]


def exact(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


@pytest.mark.parametrize("encoding", WRITTEN)
@pytest.mark.parametrize("value", VALUES)
def test_what_is_opened_is_what_the_record_would_hold_as_it_stands(encoding: str, value: str) -> None:
    def record(payload: str) -> str:
        return f'{{"a": 1.10, "{MARKED}p": "{MARKED}", "payload": {payload}, "z": [123456789012345678901234567890]}}'

    (found,) = open_all([record(json.dumps(WRITTEN[encoding](value)))], [(("payload",), encoding)])
    connection = connect()
    plain = judge_records(pa.array([record(value).encode()], pa.binary()), JSONL, connection)
    assert exact(found) == exact(unmark(plain.text[0].as_py()))


@pytest.mark.parametrize("encoding", WRITTEN)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        "0@order-1",
        "{",
        '{"a":1,}',
        "zz",
        "\\x7b2",
        "eyJ",
        "H4sIAAAA",
        "12 34",
        "e31",
        "e32=",
        "eyJhIjoxfR",
    ],
)
def test_a_text_that_holds_something_else_stays(encoding: str, text: str) -> None:
    record = json.dumps({"payload": text, "n": None})
    (found,) = open_all([record], [(("payload",), encoding)])
    assert json.loads(found) == json.loads(record)


def test_only_texts_of_objects_on_the_path_are_opened() -> None:
    texts = [
        '{"a": {"b": "{\\"c\\": 1}", "d": "{}"}}',
        *('{"a": ["{}"]}', '{"a": null}', "{}", "[1]", '"{}"', '{"a": {"b": 5}}'),
    ]
    found = [json.loads(text) for text in open_all(texts, [(("a", "b"), "json"), (("a", "b", "c"), "json")])]
    assert found == [{"a": {"b": {"c": 1}, "d": "{}"}}, *map(json.loads, texts[1:])]


def test_a_compressed_text_that_would_become_huge_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("esctl.index.decode.opened._LARGEST", 1000)
    text = json.dumps({"payload": _gzip(json.dumps({"a": "x" * 5000}))})
    assert open_all([text], [(("payload",), "gzip")]) == [text]


@given(
    values=st.lists(
        st.dictionaries(st.text(max_size=4), st.none() | st.booleans() | st.integers() | st.text(max_size=6)),
        min_size=1,
    ),
    encoding=st.sampled_from(sorted(WRITTEN)),
)
def test_samples_are_opened_as_records_are(values: list[dict[str, Any]], encoding: str) -> None:
    records = [{"payload": WRITTEN[encoding](json.dumps(value)), "at": "x"} for value in values]
    texts = open_all([json.dumps(record) for record in records], [(("payload",), encoding)])
    expected = [{"payload": value, "at": "x"} for value in values]
    assert [json.loads(text) for text in texts] == expected
    assert [open_sample(record, [(("payload",), encoding)]) for record in records] == expected


@pytest.mark.parametrize("encoding", WRITTEN)
def test_texts_that_hold_json_are_found_in_a_sample(encoding: str) -> None:
    write = WRITTEN[encoding]
    records = [{"n": str(i), "note": "[INFO] x", "blob": write(json.dumps({"i": i}))} for i in range(20)]
    openings, samples = find_openings(records)
    assert openings == ((("blob",), encoding),)
    assert samples[3] == {"n": "3", "note": "[INFO] x", "blob": {"i": 3}}


def test_a_text_with_a_number_that_no_decimal_holds_stays(tmp_path: Path) -> None:
    text = '{"v":1e1000000000000000000}'
    assert find_openings([{"data": text}] * 3) == ((), [{"data": text}] * 3)
    record = {"id": "1", "type": "t", "time": "2024-01-01T00:00:00Z", "entity": "x", "data": text}
    (tmp_path / "a.jsonl").write_text(json.dumps(record) + "\n")
    assert good("ingest", "a.jsonl", cwd=tmp_path).row["new"] == 1


@pytest.mark.parametrize("ids", [["e30", "e31", "e32"], ["e30"], ["W10", "W11"], ["7b7d", "5b5d"], ["7B7D"]])
def test_short_ids_that_decode_to_nothing_are_ids(ids: list[str]) -> None:
    records = [{"id": value, "type": "T", "n": number} for number, value in enumerate(ids)]
    assert find_openings(records) == ((), records)


def test_texts_in_texts_are_found() -> None:
    inner = json.dumps({"detail": 1})
    notice = json.dumps(json.dumps({"Message": inner, "MessageId": "m"}))
    openings, samples = find_openings([{"Body": notice}] * 3)
    assert openings == ((("Body",), "json"), (("Body",), "json"), (("Body", "Message"), "json"))
    assert samples[0] == {"Body": {"Message": {"detail": 1}, "MessageId": "m"}}


def test_of_a_field_few_texts_hold_json_none_is_opened() -> None:
    records = [{"comment": json.dumps({"a": 1}) if i % 2 else "no"} for i in range(20)]
    assert find_openings(records)[0] == ()
    rare = [{"id": i, **({"policy": "{}"} if i < 2 else {})} for i in range(20)]
    assert find_openings(rare)[0] == ()


def test_what_was_opened_is_told() -> None:
    records = [{"id": i, "type": "T", "entity": f"e-{i % 3}", "payload": json.dumps({"n": i})} for i in range(9)]
    detection = detect(records)
    assert [(row.path, row.why) for row in detection.rows if row.field == "encoding"] == [
        ("payload", "JSON in a text, opened")
    ]
    assert (detection.stanza.opened, detection.stanza.data) == ((("payload", "json"),), ("payload",))


def test_an_encoding_is_declared_and_written_as_it_is_read() -> None:
    tables: list[dict[str, Any]] = [
        {"data": "payload", "encoding": "hex"},
        {"data": "payload", "encoding": {"payload": "json", "meta.x": ["json", "json"], '"odd name"': "gzip"}},
        {"data": "payload", "encoding": "text", "data_without": ["eventType", "id"], "unwrap": "m"},
        {"entity": "account", "encoding": {"": ["base64", "json"], "p": "json"}},
    ]
    for table in tables:
        stanza = parse_mapping(table).default
        assert stanza is not None
        import tomllib

        assert parse_mapping(tomllib.loads(to_toml(stanza))["mapping"]).default == stanza
    assert override(None, ["data=payload", "encoding=json"]).opened == (("payload", "json"),)
    assert override(None, ["data=p", "encoding.p=hex", "encoding.m=json"]).opened == (("p", "hex"), ("m", "json"))
    assert override(None, ["data=p", "unwrap=m", "encoding=hex"]).opened == (("m.p", "hex"),)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"encoding": "json"}, "mapping.encoding is of no field"),
        ({"data": "p", "encoding": "jsn"}, "'jsn' is not known"),
        ({"data": "p", "encoding": {"p": "debezium"}}, "'debezium' is not known"),
        ({"data": "p", "encoding": 5}, "mapping.encoding is not an encoding"),
        ({"data": "p", "data_without": [1]}, "mapping.data_without is not a list of names"),
    ],
)
def test_an_encoding_that_is_none_is_told(table: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("[", r"\[")):
        parse_mapping(table)


def records_of(folder: Path, encoding: str, count: int = 6) -> None:
    write = WRITTEN[encoding]
    lines = [
        {"key": f"acc-{i % 2}", "ts": f"2024-03-0{i + 1}T00:00:00Z", "blob": write(f'{{"kind": "K{i}", "n": {i}.10}}')}
        for i in range(count)
    ]
    (folder / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize("encoding", WRITTEN)
def test_paths_of_a_mapping_reach_through(encoding: str, tmp_path: Path) -> None:
    records_of(tmp_path, encoding)
    mapping = 'type = "blob.kind"\ntime = "ts"\nentity = "key"\ndata = "blob"\n'
    (tmp_path / "esctl.toml").write_text(f"[mapping]\n{mapping}")
    good("ingest", "a.jsonl", cwd=tmp_path)
    rows = good("log", "--columns", "type,data", cwd=tmp_path).rows
    assert rows[1] == {"type": "K1", "data": {"kind": "K1", "n": 1.1}}
    assert [row["state"]["n"] for row in good("replay", cwd=tmp_path).rows] == [4.1, 5.1]
    (tmp_path / "esctl.toml").write_text(f'[mapping]\n{mapping}encoding = "text"\n')
    good("reindex", cwd=tmp_path)
    assert isinstance(good("log", "--columns", "type,data", cwd=tmp_path).rows[0]["data"], str)


@pytest.mark.parametrize("encoding", WRITTEN)
def test_an_alias_reaches_through(encoding: str, tmp_path: Path) -> None:
    records_of(tmp_path, encoding)
    mapping = 'time = "ts"\nentity = "key"\n[mapping.aliases]\nrequest = "blob.kind"\n'
    (tmp_path / "esctl.toml").write_text(f"[mapping]\n{mapping}")
    good("ingest", "a.jsonl", cwd=tmp_path)
    assert [row["position"] for row in good("trace", "K3", cwd=tmp_path).rows] == [4]


def test_what_an_alias_names_stays_in_the_payload(tmp_path: Path) -> None:
    event = {"id": "e1", "type": "T", "on": "x-1", "at": "2024-03-05T10:00:00Z", "request": "r-1", "n": 1}
    (tmp_path / "a.jsonl").write_text(json.dumps(event) + "\n")
    options = ["--map", "id=id", "--map", "type=type", "--map", "entity=on", "--map", "aliases.request=request"]
    good("ingest", "a.jsonl", *options, cwd=tmp_path)
    (row,) = good("log", "--columns", "data", cwd=tmp_path).rows
    assert row["data"]["request"] == "r-1"
    assert len(good("trace", "r-1", cwd=tmp_path).rows) == 1


def test_evidence_stays_as_it_was(tmp_path: Path) -> None:
    records_of(tmp_path, "json")
    good("ingest", "a.jsonl", cwd=tmp_path)
    good("export", "--raw", "-o", "out.jsonl", cwd=tmp_path)
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "a.jsonl").read_bytes()


def test_kafka_messages_of_kcat(tmp_path: Path) -> None:
    good("ingest", *case("01", tmp_path), cwd=tmp_path)
    rows = good("log", "--columns", "type,entity,id,data", cwd=tmp_path).rows
    assert rows[1] == {"type": "LimitRaised", "entity": "cust-1", "id": "a2", "data": {"limit": 250}}
    assert rows[2]["data"] is None
    assert good("replay", "cust-1", "--at", "@2", cwd=tmp_path).rows[0]["state"] == {"limit": 250, "name": "N1"}


def test_marten_as_csv(tmp_path: Path) -> None:
    good("ingest", *case("03", tmp_path), cwd=tmp_path)
    assert good("log", "--columns", "data", cwd=tmp_path).rows[1] == {
        "data": {"Reason": "line1\nline2", "Total": 90.05}
    }
    assert len(good("replay", cwd=tmp_path).rows) >= 2


def test_axon_as_csv(tmp_path: Path) -> None:
    good("ingest", *case("04", tmp_path), cwd=tmp_path)
    (row,) = good("replay", cwd=tmp_path).rows
    assert row["state"] == {"accountId": "acc-1", "amount": 12.5, "owner": "O1"}
    assert [row["actor"] for row in good("log", cwd=tmp_path).rows] == ["u7", "u8"]


def test_cloudwatch_subscriptions(tmp_path: Path) -> None:
    good("ingest", *case("06", tmp_path), cwd=tmp_path)
    assert good("log", "--columns", "type,entity,data", cwd=tmp_path).rows[0] == {
        "type": "T",
        "entity": "x-1",
        "data": {"n": 1},
    }


def test_cloudtrail_lookup_events(tmp_path: Path) -> None:
    good("ingest", *case("08", tmp_path), cwd=tmp_path)
    found = {(row["entity"], row["actor"]) for row in good("log", cwd=tmp_path).rows}
    assert found == {("bob", "arn:aws:iam::111122223333:user/adm")}


def test_docker_logs_that_are_json_in_part(tmp_path: Path) -> None:
    lines = [
        {"log": json.dumps({"id": f"e{i}", "type": "T", "time": f"2024-03-0{i}T00:00:00Z", "account": "a-1", "n": i})}
        for i in range(1, 8)
    ]
    lines.insert(3, {"log": "Listening on 8080\n"})
    text = "".join(json.dumps({**line, "stream": "stdout", "time": "2024-04-01T00:00:00Z"}) + "\n" for line in lines)
    (tmp_path / "c.log").write_text(text)
    esctl("ingest", "c.log", "--input-format", "jsonl", cwd=tmp_path)
    rows = good("log", "--columns", "type,entity,time", cwd=tmp_path).rows
    assert len([row for row in rows if row["entity"] == "a-1"]) == 7
    assert good("replay", cwd=tmp_path).rows[0]["state"] == {"n": 7}


EXTENDED_RECORDS = [
    {
        "_id": {"$oid": f"65e1a00000000000000000{n:02d}"},
        "type": "OrderPaid",
        "aggregateId": "order-9",
        "occurredAt": {"$date": {"$numberLong": str(1709283600000 + n)}},
        "data": {
            "paid": {"$numberDecimal": "12.30"},
            "qty": {"$numberInt": "3"},
            "long": {"$numberLong": "9007199254740993"},
            "precise": {"$numberDecimal": "0.1234567890123456789012345678901234"},
            "text": '{"$numberInt":"3"} "{"$oid',
        },
    }
    for n in range(3)
]


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_extended_json_is_read_as_json(separators: tuple[str, str], tmp_path: Path) -> None:
    lines = "".join(json.dumps(record, separators=separators) + "\n" for record in EXTENDED_RECORDS)
    (tmp_path / "a.jsonl").write_text(lines)
    done = esctl("ingest", "a.jsonl", cwd=tmp_path)
    assert "encoding  record  (MongoDB's extended JSON, opened)" in done.err
    (row, *_) = good("log", "--columns", "time,id,entity,data", cwd=tmp_path).rows
    assert (row["time"], row["id"], row["entity"]) == ("2024-03-01T09:00:00Z", "65e1a0000000000000000000", "order-9")
    assert row["data"] == {
        "paid": 12.3,
        "qty": 3,
        "long": 9007199254740993,
        "precise": {"$numberDecimal": "0.1234567890123456789012345678901234"},
        "text": '{"$numberInt":"3"} "{"$oid',
    }


def test_exports_of_mongodb(tmp_path: Path) -> None:
    good("ingest", *case("11", tmp_path), cwd=tmp_path)
    rows = good("log", "--columns", "time,id", cwd=tmp_path).rows
    assert rows[0] == {"time": "2024-03-01T09:00:00Z", "id": "65e1a0000000000000000000"}
    assert good("replay", cwd=tmp_path).rows[0]["state"]["total"] == 12.3


@pytest.mark.parametrize("wrapped", [json.dumps, lambda value: base64.b64encode(json.dumps(value).encode()).decode()])
def test_an_event_in_a_text_in_a_text_is_found(wrapped: Callable[[Any], str], tmp_path: Path) -> None:
    records = [
        {
            "topic": "orders",
            "ts": 1710468882000 + i,
            "Body": json.dumps({"Message": wrapped({"type": "T", "at": f"2024-03-15T02:14:0{i}Z", "order_id": "o-1"})}),
        }
        for i in range(4)
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    good("ingest", "a.jsonl", cwd=tmp_path)
    rows = good("log", "--columns", "time,type,entity", cwd=tmp_path).rows
    assert rows[3] == {"time": "2024-03-15T02:14:03Z", "type": "T", "entity": "o-1"}


def test_an_event_in_an_encoded_text_of_a_message_is_found(tmp_path: Path) -> None:
    records = [
        {
            "message": {
                "data": _base64(
                    json.dumps({"eventType": "T", "occurredAt": f"2024-03-0{n}T00:00:00Z", "orderId": "o"})
                ),
                "messageId": str(n),
                "publishTime": "2024-04-01T00:00:00Z",
                "attributes": {"eventType": "T"},
            },
            "subscription": "projects/p/subscriptions/s",
        }
        for n in range(1, 5)
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    good("ingest", "a.jsonl", cwd=tmp_path)
    rows = good("log", "--columns", "time,type,entity", cwd=tmp_path).rows
    assert rows[0] == {"time": "2024-03-01T00:00:00Z", "type": "T", "entity": "o"}


def test_a_whole_event_in_what_carries_it_comes_before_the_host_it_came_from(tmp_path: Path) -> None:
    records = [
        {"time": 1710000000 + n, "host": "h", "event": {"type": "T", "at": f"2024-03-0{n}T00:00:00Z", "order_id": "o"}}
        for n in range(1, 5)
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    good("ingest", "a.jsonl", cwd=tmp_path)
    rows = good("log", "--columns", "time,type,entity", cwd=tmp_path).rows
    assert rows[0] == {"time": "2024-03-01T00:00:00Z", "type": "T", "entity": "o"}


def test_a_payload_that_holds_a_plain_text_once_is_the_payload(tmp_path: Path) -> None:
    bodies = [json.dumps({"n": n}) if n != 3 else "plain" for n in range(6)]
    records = [
        {"id": n, "type": "T", "time": f"2024-03-0{n + 1}T00:00:00Z", "entity": f"x-{n % 2}", "data": body}
        for n, body in enumerate(bodies)
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    good("ingest", "a.jsonl", cwd=tmp_path)
    assert [row["state"] for row in good("replay", cwd=tmp_path).rows] == [{"n": 4}, {"n": 5}]
    assert [row["position"] for row in esctl("doctor", "--payloads", cwd=tmp_path).rows] == [4]


def test_records_in_which_nothing_was_recognised_are_no_success(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"columns": ["id", "n"], "rows": [["a", 1], ["b", 2]]}))
    done = esctl("ingest", "a.json", cwd=tmp_path)
    assert done.code == 2
    assert "esctl log --limit 3 --columns data" in done.err


@pytest.mark.parametrize("is_array", [False, True])
def test_records_that_are_texts_of_json_are_opened(is_array: bool, tmp_path: Path) -> None:
    texts = [
        json.dumps({"id": f"e{n}", "type": "paid", "account": f"a-{n % 2}", "at": f"2024-03-05T10:0{n}:00Z", "n": n})
        for n in range(4)
    ]
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    (tmp_path / "a.json").write_text(json.dumps(texts) if is_array else lines)
    assert "encoding  record  (JSON in a text, opened)" in good("ingest", "a.json", cwd=tmp_path).err
    rows = good("log", "--columns", "id,entity,data", cwd=tmp_path).rows
    assert [tuple(row.values()) for row in rows] == [(f"e{n}", f"a-{n % 2}", {"n": n}) for n in range(4)]
    good("init", cwd=tmp_path)  # the mapping as it is written is read as it was
    good("reindex", cwd=tmp_path)
    assert good("log", "--columns", "id,entity,data", cwd=tmp_path).rows == rows


def texts_of_json(folder: Path) -> None:
    events = [{"type": "paid", "acct": f"a-{n % 2}", "at": f"2024-03-05T10:0{n}:00Z", "n": n} for n in range(4)]
    (folder / "a.jsonl").write_text("".join(json.dumps(json.dumps(event)) + "\n" for event in events))


@pytest.mark.parametrize("how", ["option", "file", "encoding"])
def test_a_mapping_is_of_what_is_in_records_that_are_texts(how: str, tmp_path: Path) -> None:
    texts_of_json(tmp_path)
    options = ["--map", "type=type", "--map", "time=at", "--map", "entity=acct"]
    if how != "option":
        more = 'encoding = { "" = "json" }\n' if how == "encoding" else ""
        (tmp_path / "esctl.toml").write_text(f'[mapping]\ntype = "type"\ntime = "at"\nentity = "acct"\n{more}')
        options = []
    done = esctl("ingest", "a.jsonl", *options, cwd=tmp_path)
    assert (done.code, "which none" in done.err) == (0, False), done.err
    assert [row["state"]["n"] for row in good("replay", cwd=tmp_path).rows] == [2, 3]


@pytest.mark.parametrize("how", ["option", "file"])
def test_a_path_that_no_record_that_is_a_text_has_is_told(how: str, tmp_path: Path) -> None:
    texts_of_json(tmp_path)
    options = ["--map", "time=at", "--map", "entity=account"]
    if how == "file":
        (tmp_path / "esctl.toml").write_text('[mapping]\ntype = "type"\ntime = "at"\nentity = "account"\n')
        options = []
    done = esctl("ingest", "a.jsonl", *options, cwd=tmp_path)
    assert done.code == 2
    assert "the entity is said to be account, which none of its first records has" in done.err
    assert "hint: did you mean acct?" in done.err


@pytest.mark.parametrize("encoding", WRITTEN)
def test_a_misspelled_path_inside_a_text_is_told(encoding: str, tmp_path: Path) -> None:
    records_of(tmp_path, encoding)
    mapping = 'type = "blob.kinds"\ntime = "ts"\nentity = "key"\ndata = "blob"\n'
    (tmp_path / "esctl.toml").write_text(f"[mapping]\n{mapping}")
    told = good("ingest", "a.jsonl", cwd=tmp_path).err
    assert "the type is said to be blob.kinds, which none of its first records has; did you mean blob.kind?" in told


def test_of_a_text_that_samples_have_unopened_no_path_is_denied(tmp_path: Path) -> None:
    lines = [
        {"key": f"acc-{n % 2}", "ts": f"2024-03-0{n + 1}T00:00:00Z", "m": {"tags": f'"kind"=>"K{n}"'}} for n in range(4)
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    mapping = 'type = "m.tags.kind"\ntime = "ts"\nentity = "key"\ndata = "m"\nencoding = { "m.tags" = "hstore" }\n'
    (tmp_path / "esctl.toml").write_text(f"[mapping]\n{mapping}")
    assert "which none" not in good("ingest", "a.jsonl", cwd=tmp_path).err
    assert [row["type"] for row in good("log", "--columns", "type", cwd=tmp_path).rows] == ["K0", "K1", "K2", "K3"]


def test_an_event_in_a_text_that_samples_have_unopened_is_not_denied(tmp_path: Path) -> None:
    lines = [{"m": f'"kind"=>"K{n}", "ts"=>"2024-03-0{n + 1}T00:00:00Z", "key"=>"acc-{n % 2}"'} for n in range(4)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({**line, "x": 1}) + "\n" for line in lines))
    mapping = 'unwrap = "m"\ntype = "kind"\ntime = "ts"\nentity = "key"\nencoding = { m = "hstore" }\n'
    (tmp_path / "esctl.toml").write_text(f"[mapping]\n{mapping}")
    assert "which none" not in good("ingest", "a.jsonl", cwd=tmp_path).err
    assert {row["entity"] for row in good("log", "--columns", "entity", cwd=tmp_path).rows} == {"acc-0", "acc-1"}
