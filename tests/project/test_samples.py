"""The sample logs are what their README says, judged here without any of esctl's own code."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

SAMPLES = Path(__file__).parents[2] / "sample_logs"
LOGS = ["bank.jsonl", "messy.jsonl", "orders_cdc.jsonl", "shop/part-1.jsonl.gz", "shop/part-2.jsonl.gz"]


def content(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def events(*names: str) -> list[dict[str, Any]]:
    text = b"".join(content(SAMPLES / name) for name in names).decode()
    return [json.loads(line, parse_float=Decimal) for line in text.splitlines()]


def generate(folder: Path) -> None:
    subprocess.run([sys.executable, str(SAMPLES / "generate.py"), str(folder)], check=True, timeout=60)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generated")
    generate(folder)
    return folder


@pytest.mark.parametrize("name", LOGS)
def test_generating_again_gives_the_same_bytes(generated: Path, name: str) -> None:
    assert content(generated / name) == content(SAMPLES / name)


def test_generating_makes_nothing_else(generated: Path) -> None:
    assert sorted(str(path.relative_to(generated)) for path in generated.rglob("*") if path.is_file()) == LOGS


def test_compressed_parts_carry_no_hour_of_compression() -> None:
    for name in LOGS[3:]:
        assert (SAMPLES / name).read_bytes()[4:8] == b"\0\0\0\0"


def test_a_file_that_is_right_is_left_alone_and_a_wrong_one_is_mended(tmp_path: Path) -> None:
    generate(tmp_path)
    untouched = (tmp_path / "bank.jsonl").stat().st_mtime_ns
    (tmp_path / "shop/part-1.jsonl.gz").write_bytes(gzip.compress(b"{}\n"))
    generate(tmp_path)
    assert (tmp_path / "bank.jsonl").stat().st_mtime_ns == untouched
    assert content(tmp_path / "shop/part-1.jsonl.gz") == content(SAMPLES / "shop/part-1.jsonl.gz")


def movements(event: dict[str, Any]) -> Iterator[tuple[str, Decimal]]:
    data = event["data"]
    match event["type"]:
        case "MoneyDeposited" | "InterestPaid" | "ChargeReversed":
            yield event["stream"], Decimal(data["amount"])
        case "MoneyWithdrawn" | "CardCharged" | "FeeCharged":
            yield event["stream"], -Decimal(data["amount"])
        case "MoneyTransferred":
            yield data["from"], -Decimal(data["amount"])
            yield data["to"], Decimal(data["amount"])


def test_no_account_is_overdrawn_and_closures_are_at_zero() -> None:
    balances: dict[str, Decimal] = {}
    for event in events("bank.jsonl"):
        if event["type"] in ("AccountOpened", "AccountReopened"):
            assert event["stream"] not in balances
            balances[event["stream"]] = Decimal(0)
        for account, amount in movements(event):
            balances[account] += amount
            assert balances[account] >= 0, event["id"]
        if event["type"] == "AccountClosed":
            assert balances.pop(event["stream"]) == 0
    assert len(balances) == 56


def test_the_bank_is_a_plausible_quarter() -> None:
    log = events("bank.jsonl")
    kinds = Counter(event["type"] for event in log)
    assert 4_500 < len(log) < 5_500
    assert (SAMPLES / "bank.jsonl").stat().st_size < 1_500_000
    assert [event["time"] for event in log] == sorted(event["time"] for event in log)
    assert log[0]["time"] >= "2024-01-01"
    assert log[-1]["time"] < "2024-04-01"
    assert len({event["id"] for event in log}) == len(log)
    assert (kinds["AccountOpened"], kinds["AccountClosed"], kinds["AccountReopened"]) == (60, 5, 1)
    assert min(kinds["OwnerChanged"], kinds["AddressChanged"], kinds["ChargeDisputed"]) > 10
    assert kinds["MoneyTransferred"] > 500
    assert all("stream" not in event for event in log if event["type"] == "MoneyTransferred")


def test_the_night_of_account_017() -> None:
    night = [event for event in events("bank.jsonl") if event["correlation_id"] == "job-20240305-nightly"]
    kinds = ["DailyLimitChanged", "AddressChanged", "CardCharged", "AddressChanged", "DailyLimitChanged"]
    assert [event["type"] for event in night] == kinds
    assert {event["stream"] for event in night} == {"account-017"}
    assert night[2]["data"]["amount"] == Decimal("4950.00")
    assert [event["causation_id"] for event in night] == [None, *(event["id"] for event in night[:-1])]
    elsewhere = {
        event["stream"]
        for event in events("bank.jsonl")
        if event["actor"] == "svc-backoffice" and event["time"] >= "2024-03-01"
    }
    assert elsewhere == {"account-017", "account-041"}


def test_the_balances_shown_in_the_readme() -> None:
    balances: dict[str, Decimal] = {}
    seen: dict[str, Decimal] = {}
    for event in events("bank.jsonl"):
        for account, amount in movements(event):
            balances[account] = balances.get(account, Decimal(0)) + amount
        seen[event["id"]] = balances.get("account-017", Decimal(0))
    assert (seen["evt-03493"], seen["evt-03494"]) == (Decimal("26276.90"), Decimal("21326.90"))
    assert sum(balances.values()) == Decimal("644613.93")


def test_the_amounts_are_written_with_their_cents() -> None:
    amounts = re.findall(r'"amount":([^,}]+)', (SAMPLES / "bank.jsonl").read_text(encoding="utf-8"))
    assert len(amounts) > 4_000
    assert [amount for amount in amounts if not re.fullmatch(r"\d+\.\d\d", amount)] == []


def test_the_shop_is_cloudevents_and_ids_repeat_between_sources() -> None:
    log = events("shop/part-1.jsonl.gz", "shop/part-2.jsonl.gz")
    assert all(event["specversion"] == "1.0" and event["subject"].startswith("sku-") for event in log)
    assert len({(event["source"], event["id"]) for event in log}) == len(log) > len({event["id"] for event in log})
    first = events("shop/part-1.jsonl.gz")
    assert {event["time"][:7] for event in first} == {"2024-01"}
    assert {kind.rpartition(".")[2] for kind in Counter(event["type"] for event in log)} == {
        "received", "reserved", "released", "shipped", "counted", "adjusted",
    }  # fmt: skip


def test_one_order_of_the_shop_is_shipped_twice() -> None:
    log = events("shop/part-1.jsonl.gz", "shop/part-2.jsonl.gz")
    shipped = Counter(event["data"]["order"] for event in log if event["type"].endswith("shipped"))
    assert [order for order, times in shipped.items() if times > 1] == ["order-29117"]


def test_the_order_table_can_be_replayed_row_by_row() -> None:
    rows: dict[int, dict[str, Any]] = {}
    last, reused, back, committed, time = 0, 0, 0, 0, 0
    gone: set[int] = set()
    by_hand = []
    for offset, message in enumerate(events("orders_cdc.jsonl")):
        assert message["offset"] == offset
        pk = json.loads(message["key"])["id"]
        if message["payload"] is None:
            assert pk in gone
            continue
        change = json.loads(message["payload"])
        source, before, after = change["source"], change["before"], change["after"]
        commit = int(json.loads(source["sequence"])[0] or 0)
        assert commit >= committed
        assert source["ts_us"] >= time
        assert (before is None) == (after is not None)
        assert (change["op"] in "cr") == (pk not in rows)
        reused += change["op"] == "c" and pk in gone
        back += source["lsn"] < last
        if after is None:
            assert before == dict.fromkeys(rows.pop(pk)) | {"id": pk}
            gone.add(pk)
        else:
            if after["changed_by"] == "psql_admin":
                by_hand.append((pk, rows[pk]["total"], after["total"]))
            rows[pk] = after
        last, committed, time = source["lsn"], commit, source["ts_us"]
    assert reused == 1
    assert back > 20
    assert by_hand == [(1042, "129.90", "12.99"), (1077, "129.90", "12.99")]


def test_the_messy_file_is_messy() -> None:
    raw = (SAMPLES / "messy.jsonl").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    assert not raw.endswith(b"\n")
    assert raw.count(b"\r\n") > 5
    assert b"\n   \n" in raw
    lines = [line.strip() for line in raw.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip()]
    good: list[dict[str, Any]] = []
    bad = 0
    for line in lines:
        try:
            good.append(json.loads(line.decode(), parse_constant=lambda text: json.loads("")))
        except ValueError:
            bad += 1
    assert bad == 6
    by_id = Counter(event["event_id"] for event in good)
    assert {name: times for name, times in by_id.items() if times > 1} == {"r-005": 3, "r-008": 2}
    assert len({line for line in lines if b'"r-005"' in line}) == 1
    assert len({line for line in lines if b'"r-008"' in line}) == 2
    assert {type(event["ts"]) for event in good} == {int, str}
