"""Ids of several parts, and sequences that are asked for where there are none."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from esctl.index.envelope.detect import detect
from esctl.model import Stanza
from tests.support.cli_harness import esctl, good


def write(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def test_both_stages_of_a_request_are_found_by_its_audit_id(tmp_path: Path) -> None:
    stages = ("RequestReceived", "ResponseComplete")
    records = [
        {
            "auditID": f"aa-{n}",
            "stage": stage,
            "verb": "create",
            "user": {"username": "dev"},
            "objectRef": {"resource": "pods", "namespace": "x", "name": "p"},
            "stageTimestamp": f"2024-03-01T10:00:0{n}.00000{at}Z",
        }
        for n in (1, 2)
        for at, stage in enumerate(stages)
    ]
    write(tmp_path / "a.log", [*records, records[0]])
    good("ingest", "-f", "jsonl", "a.log", cwd=tmp_path)
    shown = good("show", "aa-1", cwd=tmp_path).rows
    assert [row["id"] for row in shown][:2] == ["aa-1/RequestReceived", "aa-1/ResponseComplete"]
    assert [row["duplicate_of"] for row in shown] == [None, None, 1][: len(shown)]
    assert [row["position"] for row in good("show", "aa-2/ResponseComplete", cwd=tmp_path).rows] == [4]
    assert good("replay", "--at", "id:aa-1/RequestReceived", cwd=tmp_path).rows[0]["version"] == 1


def test_an_event_is_found_by_a_part_of_its_id(tmp_path: Path) -> None:
    write(
        tmp_path / "a.jsonl", [{"request": f"r-{n}", "step": step, "on": "x-1"} for n in (1, 2) for step in ("a", "b")]
    )
    (tmp_path / "esctl.toml").write_text('[mapping]\nid = ["request", "step"]\nentity = "on"\norder = "position"\n')
    good("ingest", "a.jsonl", cwd=tmp_path)
    assert [row["position"] for row in good("show", "r-2", cwd=tmp_path).rows] == [3, 4]


@pytest.mark.parametrize(
    ("numbers", "asked", "note"),
    [
        ([1, 2, 3], "seq:9", "note: seq:9 lies beyond the highest sequence, 3"),
        ([4, 5], "seq:3", "note: seq:3 lies below the lowest sequence, 4"),
        ([1, 2, 1, 2, 3], "seq:2", "note: 2 events of 2 entities have the sequence 2: seq:2 counts for each of them"),
        ([1, 2, 3], "seq:2", ""),
        (["a,1", "a,2"], "seq:b", "note: seq:b lies beyond the highest sequence, a,2"),
        (["a\x1b"], "seq:b", 'note: seq:b lies beyond the highest sequence, "a\\u001b"'),
    ],
)
def test_a_bound_among_no_or_several_sequences_says_so(
    tmp_path: Path, numbers: list[Any], asked: str, note: str
) -> None:
    write(tmp_path / "a.jsonl", [{"n": number, "on": f"x-{at // 2}", "v": at} for at, number in enumerate(numbers)])
    (tmp_path / "esctl.toml").write_text('[mapping]\nsequence = "n"\nentity = "on"\n')
    good("ingest", "a.jsonl", cwd=tmp_path)
    done = esctl("replay", "--at", asked, cwd=tmp_path)
    assert (done.code, [line for line in done.err.splitlines() if "seq" in line]) == (0, [note] if note else [])


def stanza_of(*rows: dict[str, Any]) -> Stanza:
    return detect([{**rows[n % len(rows)], "at": f"2024-03-05T10:00:{n:02d}Z"} for n in range(24)]).stanza


def test_the_only_id_is_none_where_a_finer_thing_is_called_otherwise() -> None:
    rows = [{"gatewayId": f"gw{n % 2}", "deviceEui": f"eui-{n % 5}"} for n in range(10)]
    assert stanza_of(*rows).entity == ()
    assert stanza_of(*({"gatewayId": row["gatewayId"]} for row in rows)).entity == ("gatewayId",)


@pytest.mark.parametrize("name", ["DOCNO", "ORDER_NO", "paymentRef", "invoiceNr", "BOXID"])
def test_numbers_of_things_are_told_however_they_are_written(name: str) -> None:
    rows = [{name: f"45{n % 4}", "USERNAME": f"SMITH{n % 2}"} for n in range(8)]
    found = stanza_of(*rows)
    assert (found.entity, found.actor) == ((name,), ("USERNAME",))


def test_a_sort_beside_an_id_that_is_called_by_it_names_a_thing_with_it() -> None:
    rows = [{"Record": ["Product", "Coupon"][n % 2], "Record ID": str(n % 4), "Admin": "a"} for n in range(8)]
    assert stanza_of(*rows).entity == ('{Record}/{"Record ID"}',)
    names = [{"item": f"chair {n % 4}", "item_id": str(n % 4)} for n in range(8)]
    assert stanza_of(*names).entity == ("item_id",)


@pytest.mark.parametrize("clock", ["CHANGETIME", "UTIME"])
def test_a_time_of_day_in_digits_belongs_to_a_day_in_digits(clock: str) -> None:
    records = [{"CHANGEDATE": f"202403{n + 10}", clock: f"{n % 10:02d}3000", "DOCNO": f"4{n % 3}"} for n in range(12)]
    assert detect(records).stanza.time == (f"{{CHANGEDATE}} {{{clock}}}",)
    longer = [{**record, "CHANGEDATE": f"2024-03-{n + 10}"} for n, record in enumerate(records)]
    assert detect(longer).stanza.time == ("CHANGEDATE",)


def test_a_type_and_an_id_behind_the_word_of_all_columns_are_a_thing() -> None:
    sorts = ["page", "file"]
    rows = [{"log_object_type": sorts[n % 2], "log_object_id": str(n % 4), "log_note": f"x{n}"} for n in range(8)]
    assert stanza_of(*rows).entity == ("{log_object_type}/{log_object_id}",)
    parents = [{"parent_object_type": "page", "parent_object_id": str(n % 4), "account": f"a{n % 3}"} for n in range(9)]
    assert stanza_of(*parents).entity in (("account",), ())


def test_the_candidate_to_paste_is_no_code_and_no_doer() -> None:
    rows = [{"eventCode": f"10{n % 3}", "machineSerial": f"VM{n % 3}", "operatorBadge": f"OB{n % 2}"} for n in range(6)]
    records = [{**rows[n % 6], "clock": f"2024-03-05T10:00:{n:02d}Z"} for n in range(24)]
    found = detect(records)
    assert (found.stanza.entity, found.stanza.actor) == ((), ("operatorBadge",))
    assert found.candidates[0].path == "machineSerial"


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_records_name_no_gateway_teller_or_host_for_the_thing(count: int) -> None:
    logs = [
        [{"gatewayId": "gw0", "deviceEui": f"eui-{n}"} for n in range(3)],
        [{"TELLER_ID": "TL0", "ACCT_NO": f"0010{n}"} for n in range(3)],
        [{"host": "h", "user": f"u{n}", "action": "login"} for n in range(3)],
        [{"customer_id": f"c{n % 2}", "order_id": f"o{n}"} for n in range(3)],
        [{"seqNr": n // 2, "aggrId": f"cart-{n}"} for n in range(3)],
    ]
    for log in logs:
        records = [{**row, "at": f"2024-03-05T10:00:0{n}Z"} for n, row in enumerate(log[:count])]
        assert not {*detect(records).stanza.entity} & {"gatewayId", "TELLER_ID", "host", "customer_id", "seqNr"}
