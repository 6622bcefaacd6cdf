"""Records of change logs, as the index reads them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esctl.index.decode.rows import DIALECTS
from esctl.index.decode.rows.change import Naming
from esctl.index.decode.rows.learning import learn
from esctl.index.decode.rows.reading import READERS, change_text
from esctl.index.decode.strict_json import canonical_number
from esctl.model import MARK

DECIMAL = "org.apache.kafka.connect.data.Decimal"
SOURCE = {"connector": "postgresql", "schema": "public", "table": "t", "lsn": 10, "sequence": '["9","10"]', "ts_us": 5}


def row(record: Any, dialect: str = "debezium", **keys: tuple[str, ...]) -> Any:
    text = change_text(
        json.dumps(record), READERS[dialect], Naming({f"public.{name}": key for name, key in keys.items()})
    )
    return None if text is None else json.loads(text)


def debezium(op: str, before: Any = None, after: Any = None, **source: Any) -> dict[str, Any]:
    return {"before": before, "after": after, "op": op, "source": SOURCE | source, "ts_ms": 7}


def message(value: Any, key: Any, **headers: Any) -> dict[str, Any]:
    return {"topic": "srv.public.t", "key": key, "value": value, "headers": headers}


def test_a_message_with_a_key_names_its_row() -> None:
    found = row(message(debezium("c", None, {"b": 1, "a": 2}), {"a": 2, "b": 1}))
    assert found["entity"] == "public.t/2/1"
    assert (found["type"], found["kind"], found["seq"], found["time"]) == ("insert", "t", 9, 5)
    assert found["row"] == {"b": 1, "a": 2}


def test_a_value_that_was_not_changed_is_absent_and_null_is_null() -> None:
    after = {"id": 1, "a": "__debezium_unavailable_value", "b": ["__debezium_unavailable_value"], "c": None}
    found = row(message(debezium("u", None, after), {"id": 1}))
    assert (found["partial"], found["row"]) == ("public.t/1", {"id": 1, "c": None})


def test_a_placeholder_inside_a_text_is_a_text() -> None:
    found = row(message(debezium("c", None, {"id": 1, "a": "__debezium_unavailable_value?"}), {"id": 1}))
    assert found["row"]["a"] == "__debezium_unavailable_value?"


def test_a_new_key_ends_the_row_of_the_old_one() -> None:
    told = message(debezium("c", None, {"id": 2}), {"id": 2}, **{"__debezium.oldkey": {"id": 1}})
    assert (row(told)["entity"], row(told)["old"]) == ("public.t/2", "public.t/1")
    assert row(debezium("u", {"id": 1}, {"id": 2}))["old"] == "public.t/1"


def test_a_document_is_named_by_the_key_of_its_message() -> None:
    source = {"connector": "mongodb", "db": "shop", "collection": "orders", "ord": 1, "ts_ms": 5}
    told = {"after": '{"_id": {"$oid": "5"}, "total": 1}', "source": source, "op": "u", "ts_ms": 7}
    found = row(message(told, {"id": '{"$oid": "5"}'}))
    assert (found["kind"], found["row"]["total"]) == ("orders", 1)
    assert (found["entity"], found["row"]) == ("shop.orders/5", {"_id": "5", "total": 1})
    assert row(message({**told, "after": None, "updateDescription": {}}, {"id": "5"})) is None


def test_an_update_of_a_document_without_its_lookup_says_what_changed() -> None:
    source = {"connector": "mongodb", "db": "shop", "collection": "orders", "ord": 1, "ts_ms": 5}
    told: dict[str, Any] = {"after": None, "source": source, "op": "u", "ts_ms": 7}
    description = {"updatedFields": '{"total": {"$numberDecimal": "1.10"}}', "removedFields": None}
    found = row(message({**told, "updateDescription": description}, {"id": "1004"}))
    assert (found["partial"], found["row"]) == ("shop.orders/1004", {"total": 1.1})
    description |= {"removedFields": ["a.b"], "truncatedArrays": [{"field": "tags", "size": 1}]}
    found = row(message({**told, "updateDescription": description}, {"id": "1004"}))
    assert found["patch"] == "shop.orders/1004"
    assert found["row"] == {"$set": {"total": 1.1}, "$unset": ["a.b"], "$truncate": {"tags": 1}}


def test_numbers_in_texts_of_json_keep_every_digit() -> None:
    after = '{"_id": 1, "n": 12345678901234567890, "d": {"$numberDecimal": "0.12345678901234567890"}, "t": "2024"}'
    told = {"after": after, "source": {"connector": "mongodb", "db": "d", "collection": "c"}, "op": "r", "ts_ms": 1}
    assert row(told)["row"]["n"] == "\ue000" + "12345678901234567890"
    assert row(told)["row"]["d"] == "\ue000" + "0.1234567890123456789"


@pytest.mark.parametrize("written", ["4.9E-324", "1.7976931348623157E308", "1e999999999", "-1e-999999999", "1e61"])
def test_a_number_in_a_text_is_written_as_one_outside(written: str) -> None:
    """However great its exponent: written in full, it would fill the memory."""
    told = {"before": None, "op": "c", "source": SOURCE, "ts_ms": 7}
    text = json.dumps({**told, "after": {"id": 1, "n": 0}}).replace('"n": 0', f'"n": {written}')
    found = row({"topic": "t", "key": None, "value": text, "headers": []})
    assert str(found["row"]["n"]).removeprefix(MARK) == canonical_number(written.replace("E", "e"))


def test_cells_that_were_not_written_keep_their_values() -> None:
    def cell(value: Any) -> Any:
        return {"value": value, "deletion_ts": None, "set": True}

    source = {"connector": "cassandra", "keyspace": "inv", "table": "t", "file": "commitlog-6-1.log", "pos": 5}
    source["ts_ms"] = 1562202942666382
    told = {"after": {"id": cell(1), "a": cell(None), "b": None}, "source": source, "op": "u", "ts_ms": 1}
    found = row(told)
    assert (found["partial"], found["row"]) == ("inv.t/1", {"id": 1, "a": None})
    assert (found["seq"], found["time"]) == (1562202942666382, 1562202942666382)
    gone = row({**told, "after": {"id": cell(1), "a": None, "b": None}, "op": "d"})
    assert (gone["type"], gone["entity"]) == ("delete", "inv.t/1")
    ended = row({**told, "after": {"id": cell(1)}, "op": "r"})  # a range of rows
    assert ended["type"] == "delete"


def test_a_delete_that_names_no_row_has_no_entity() -> None:
    assert not row(debezium("d")).keys() & {"entity", "copy", "match"}


def test_a_key_is_decoded_by_its_schema() -> None:
    fields = [{"field": "id", "type": "bytes", "name": DECIMAL, "parameters": {"scale": "1"}}]
    key = {"schema": {"type": "struct", "fields": fields}, "payload": {"id": "Dw=="}}
    assert row(message(debezium("d", {"id": "Dw=="}), key))["entity"] == "public.t/1.5"


def test_inventions_in_before_are_no_evidence() -> None:
    assert row(message(debezium("d", {"id": 1, "n": 0, "s": None}), {"id": 1}))["row"] == {"id": 1}


def test_a_key_that_is_an_invention_names_no_row() -> None:
    found = row(message(debezium("d", {"id": 0, "sku": "x", "n": None}), {"id": 0}))
    assert (found["entity"], found["match"]) == ("public.t/0", 'public.t?{"sku":"x"}')


def test_a_table_without_a_key_has_its_rows_by_content() -> None:
    found = row(message(debezium("u", {"a": "x", "n": 1}, {"a": "x/y", "n": 1}), None))
    assert (found["copy"], found["old"]) == ("public.t/x%2Fy/1", "public.t/x/1")


def test_slashes_in_composite_keys_make_no_two_rows_one() -> None:
    names = [
        row(message(debezium("c", None, {"a": a, "b": b}), {"a": a, "b": b}))["entity"]
        for a, b in (("x/y", "z"), ("x", "y/z"), ("x%2Fy", "z"))
    ]
    assert len(set(names)) == 3


def test_schemas_say_what_values_are() -> None:
    fields = [
        {"field": "id", "type": "int32"},
        {"field": "total", "type": "bytes", "name": DECIMAL, "parameters": {"scale": "2"}},
        {"field": "at", "type": "int64", "name": "io.debezium.time.MicroTimestamp"},
    ]  # fmt: skip
    schema = {"type": "struct", "fields": [{"field": "after", "type": "struct", "fields": fields}]}
    value = {"schema": schema, "payload": debezium("c", None, {"id": 7, "total": "E1Y=", "at": 1709283600123456})}
    key = {"schema": {"type": "struct"}, "payload": {"id": 7}}
    for told in (value, message(value, key), message(json.dumps(value), json.dumps(key))):
        assert row(told)["row"] == {"id": 7, "total": 49.5, "at": "2024-03-01T09:00:00.123456"}
        assert row(told)["entity"] == "public.t/7"


@pytest.mark.parametrize("headers", [["__debezium.oldkey", '{"id":1}'], [{"__debezium.oldkey": '{"id":1}'}]])
def test_headers_as_kcat_writes_them(headers: Any) -> None:
    told = {
        "topic": "t", "partition": 0, "offset": 5, "tstype": "create", "ts": 1, "broker": 0, "headers": headers,
        "key": '{"id":2}', "payload": json.dumps(debezium("c", None, {"id": 2})),
    }  # fmt: skip
    assert row(told)["old"] == "public.t/1"


def test_what_is_no_change_of_a_row_has_no_entity() -> None:
    ended = {"status": "END", "id": "5:77", "event_count": 2, "data_collections": None, "ts_ms": 1}
    assert row(message(ended, {"id": "5:77"})) == {"type": "commit", "time": 1, "tx": "5", "row": {"event_count": 2}}
    assert row(message(None, {"id": 1})) == {"type": "tombstone"}
    assert row(message({"ts_ms": 1}, {"serverName": "srv"}))["type"] == "heartbeat"


@pytest.mark.parametrize(
    ("source", "order"),
    [
        ({"lsn": 5, "sequence": '["4","5"]'}, [4]),
        ({"lsn": 5, "sequence": '[null,"5"]'}, [5]),
        ({"lsn": None, "sequence": '["4",null]'}, [4]),
        ({"lsn": 5}, [5]),
        ({"file": "mysql-bin.000012", "pos": 154, "row": 2}, [12, 154, 2]),
        ({"commit_lsn": "00:1:2", "change_lsn": "00:1:1", "event_serial_no": 2}, ["00:1:2", "00:1:1", 2]),
        ({"commit_lsn": "00:1:2", "change_lsn": None, "event_serial_no": None}, ["00:1:2", "", 0]),
        ({"scn": "120", "commit_scn": "123"}, [123]),
        ({"ord": 3, "ts_ms": 9}, [9, 3]),
    ],
)
def test_the_order_is_that_of_the_databases_own_log(source: dict[str, Any], order: list[Any]) -> None:
    found = row({"before": None, "after": {"id": 1}, "op": "c", "source": {"table": "t", **source}})
    assert [found[name] for name in ("seq", "seq2", "seq3") if name in found] == order


def wal2json(action: str, columns: Any = None, identity: Any = None, **more: Any) -> dict[str, Any]:
    sides = {"columns": columns, "identity": identity}
    told = {name: [{"name": n, "value": v} for n, v in side.items()] for name, side in sides.items() if side}
    key = {"pk": [{"name": "id", "type": "integer"}]}
    return {"action": action, "schema": "public", "table": "t", "lsn": "0/10000020", **told, **key, **more}


def test_wal2json_tells_columns_as_names_and_values() -> None:
    found = row(wal2json("I", {"id": 1, "a": None}), "wal2json")
    assert (found["entity"], found["row"], found["seq"]) == ("public.t/1", {"id": 1, "a": None}, "0/10000020")
    found = row(wal2json("U", {"id": 2}, {"id": 1}), "wal2json")
    assert (found["partial"], found["old"]) == ("public.t/2", "public.t/1")
    assert row(wal2json("D", None, {"id": 1}), "wal2json")["entity"] == "public.t/1"
    assert row(wal2json("T"), "wal2json")["table"] == "public.t"
    assert row({"action": "B", "xid": 5, "timestamp": "x"}, "wal2json") == {"type": "begin", "time": "x", "tx": "5"}


def test_format_1_of_wal2json_is_read_with_its_transaction() -> None:
    around = {"xid": 6, "timestamp": "2024-03-02 10:00:00.1+00", "nextlsn": "0/10000020"}
    names = {"schema": "public", "table": "t", "columnnames": ["id", "a"], "columnvalues": [8, None]}
    old = {"keynames": ["id"], "keyvalues": [7]}
    key = {"pknames": ["id"], "pktypes": ["integer"]}
    found = row({"kind": "update", **names, "oldkeys": old, "pk": key, "wrapper": around}, "wal2json")
    assert (found["partial"], found["old"], found["row"]) == ("public.t/8", "public.t/7", {"id": 8, "a": None})
    assert (found["seq"], found["tx"], found["time"]) == ("0/10000020", "6", "2024-03-02 10:00:00.1+00")


def test_another_identity_than_the_key_names_the_old_row() -> None:
    found = row(wal2json("U", {"id": 2, "sku": "x"}, {"sku": "x"}), "wal2json")
    assert (found["partial"], found["match"]) == ("public.t/2", 'public.t?{"sku":"x"}')


def test_maxwell_tells_what_changed_columns_were() -> None:
    told = {"database": "shop", "table": "t", "ts": 5, "xid": 9, "primary_key_columns": ["id"]}
    found = row({**told, "type": "update", "data": {"id": 2, "a": 1}, "old": {"id": 1}}, "maxwell")
    assert (found["entity"], found["old"], found["row"]) == ("shop.t/2", "shop.t/1", {"id": 2, "a": 1})
    found = row({**told, "type": "update", "data": {"id": 2, "a": 1}, "old": {"a": 0}}, "maxwell")
    assert (found["entity"], "old" in found, found["tx"]) == ("shop.t/2", False, "9")
    found = row({**told, "type": "delete", "data": {"id": 2}, "position": "bin.000012:40", "xoffset": 3}, "maxwell")
    assert [found[name] for name in ("entity", "seq", "seq2", "seq3")] == ["shop.t/2", 12, 40, 3]
    assert row({**told, "type": "bootstrap-start", "data": {}}, "maxwell")["type"] == "schema change"


def test_keys_are_learned_from_what_old_rows_name() -> None:
    rows = [debezium("c", None, {"x": "a", "y": i, "z": "v"}) for i in range(4)]
    rows += [debezium("d", {"x": "a", "y": 1, "z": None}), debezium("d", {"x": "a", "y": 2, "z": None})]
    learned = learn(rows)
    assert learned is not None
    assert (learned.dialect, learned.keys, learned.order) == ("debezium", (("public.t", ("x", "y")),), 1)


def test_a_log_mostly_of_other_records_is_no_change_log() -> None:
    assert learn([debezium("c", None, {"id": 1}), {"a": 1}, {"b": 2}]) is None
    assert learn([{"status": "BEGIN", "id": "1:2"}]) is None


NAMES = ["op", "source", "before", "after", "payload", "schema", "key", "value", "headers", "topic", "action"]
NAMES += ["columns", "identity", "pk", "name", "id", "table", "status"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.sampled_from(["I", "U", "c", "u", "d"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(JSON, st.sampled_from(DIALECTS))
def test_no_record_however_odd_stops_the_reading(record: Any, dialect: str) -> None:
    text = change_text(json.dumps(record), READERS[dialect], Naming())
    assert text is None or "type" in json.loads(text)
    learn([record, record])


def test_a_routed_event_may_be_of_any_type_and_in_an_envelope() -> None:
    told = {"topic": "outbox.event.order", "key": "7", "headers": {"id": "e1"}}
    found = row({**told, "value": {"payload": '{"a":1.50}', "eventType": "commit"}}, "debezium_outbox")
    assert found == {
        "type": "commit",
        "kind": "order",
        "entity": "order/7",
        "time": None,
        "tx": None,
        "row": {"a": 1.5},
        "id": "e1",
    }
    assert row({**told, "value": {"a": 1}}, "debezium_outbox")["type"] == "order"
    assert row({**told, "value": None}, "debezium_outbox")["type"] == "(tombstone)"


def test_columns_that_only_look_like_those_of_an_event_are_columns() -> None:
    found = row({"__op": "u", "__mine": 1, "__table": "t", "id": 7, "__source_lsn": 5}, "debezium_flat")
    assert (found["entity"], found["row"], found["seq"]) == ("t/7", {"__mine": 1, "id": 7}, 5)
    assert row({"id": 7, "__table": "t"}, "debezium_flat") is None


def canal(kind: str, *rows: Any, old: Any = None, **more: Any) -> dict[str, Any]:
    told = {"database": "shop", "table": "t", "type": kind, "isDdl": False, "pkNames": ["id"], "es": 5, "ts": 6}
    return {**told, "data": list(rows), "old": old, "mysqlType": {"id": "bigint(20)", "n": "decimal(30,2)"}, **more}


def test_canal_tells_numbers_as_texts_and_old_values_of_what_changed() -> None:
    found = row(canal("UPDATE", {"id": "2", "n": "1.50", "s": "7"}, old=[{"id": "1"}]), "canal")
    assert (found["entity"], found["old"], found["row"]) == ("shop.t/2", "shop.t/1", {"id": 2, "n": 1.5, "s": "7"})
    assert row(canal("TRUNCATE", isDdl=True, data=None), "canal")["table"] == "shop.t"
    assert row(canal("ALTER", isDdl=True, data=None, sql="ALTER TABLE t"), "canal")["type"] == "schema change"


def test_a_message_of_several_rows_names_each_and_those_that_end() -> None:
    found = row(canal("UPDATE", {"id": "2"}, {"id": "3"}, old=[{"id": "1"}, {"id": "2"}]), "canal")
    assert (found["each"], found["ended"]) == (["shop.t/2", "shop.t/3"], ["shop.t/1"])
    assert found["row"] == {"$rows": {"shop.t/2": {"id": 2}, "shop.t/3": {"id": 3}}}


def test_attributes_of_items_have_types() -> None:
    image = {
        "id": {"N": "1"}, "n": {"N": "1.50"}, "b": {"B": "AAE="},
        "long": {"N": "12345678901234567890123456789012345678"},
        "s": {"S": "1"}, "t": {"BOOL": True}, "z": {"NULL": True}, "l": {"L": [{"S": "x"}, {"M": {"y": {"N": "2"}}}]},
        "ss": {"SS": ["a"]}, "ns": {"NS": ["1", "2.5"]}, "e": {"M": {}},
    }  # fmt: skip
    told = {"eventName": "MODIFY", "tableName": "t", "dynamodb": {"Keys": {"id": {"N": "1"}}, "NewImage": image}}
    assert row(told, "dynamodb")["row"] == {
        "id": 1, "n": 1.5, "long": "\ue000" + "12345678901234567890123456789012345678", "b": "AAE=",
        "s": "1", "t": True, "z": None, "l": ["x", {"y": 2}], "ss": ["a"], "ns": [1, 2.5], "e": {},
    }  # fmt: skip
    told["dynamodb"] = {"Keys": {"id": {"N": "1"}}, "OldImage": image}  # what it became is not told
    assert (row(told, "dynamodb")["partial"], row(told, "dynamodb")["row"]) == ("t/1", {"id": 1})
    assert row({**told, "dynamodb": {"Keys": {"id": 1}}}, "dynamodb") is None


@pytest.mark.parametrize(
    ("created", "more", "micros"),
    [
        (1693997155.0, {}, 1693997155000000),
        (1693997155123, {}, 1693997155123000),
        (1693997155123456, {"ApproximateCreationDateTimePrecision": "MICROSECOND"}, 1693997155123456),
    ],
)
def test_items_say_when_they_changed_in_several_units(created: Any, more: Any, micros: int) -> None:
    change = {"Keys": {"id": {"S": "1"}}, "ApproximateCreationDateTime": created, **more}
    assert row({"eventName": "REMOVE", "tableName": "t", "dynamodb": change}, "dynamodb")["time"] == micros


def test_a_change_stream_tells_places_and_transactions() -> None:
    told = {
        "_id": {"_data": "82"}, "operationType": "delete", "ns": {"db": "d", "coll": "c"}, "documentKey": {"_id": 5},
        "clusterTime": {"$timestamp": {"t": 9, "i": 2}}, "txnNumber": {"$numberLong": "3"},
        "lsid": {"id": {"$binary": {"base64": "QQ==", "subType": "04"}}},
    }  # fmt: skip
    found = row(told, "mongodb")
    assert [found[name] for name in ("entity", "seq", "seq2", "time", "tx", "id")] == ["d.c/5", 9, 2, 9, "QQ==:3", "82"]
    assert (
        row({**told, "operationType": "rename", "to": {"db": "d", "coll": "e"}}, "mongodb")["type"] == "schema change"
    )
    assert row({**told, "operationType": "drop"}, "mongodb")["table"] == "d.c"
