"""Avro files and Windows event logs: their records as exact JSON, and what is said where nothing reads them."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from esctl.sources.formats import packed
from esctl.sources.formats.foreign import refusal
from tests.support.cli_harness import esctl, good, refused
from tests.support.evtx_writer import event, evtx

fastavro = pytest.importorskip("fastavro")
pytest.importorskip("evtx")

SCHEMA = {
    "type": "record", "name": "E", "fields": [
        {"name": "id", "type": "string"}, {"name": "type", "type": "string"}, {"name": "account", "type": "string"},
        {"name": "time", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": 4}},
        {"name": "note", "type": ["null", "string"]}, {"name": "raw", "type": "bytes"},
        {"name": "share", "type": "double"}, {"name": "due", "type": {"type": "int", "logicalType": "date"}},
        {"name": "tags", "type": {"type": "map", "values": {"type": "array", "items": "long"}}},
    ],
}  # fmt: skip
LOG = evtx(
    [
        event(1001, 4720, "2024-03-01T10:00:00.123456Z", "bob", "adm"),
        event(1002, 4726, "2024-03-02T10:00:00.123456Z", "bob", "adm"),
    ]
)


def record(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"e{number}", "type": "Paid", "account": f"acc-{number % 2}",
        "time": datetime(2024, 3, 5, 10, 0, number % 60, 123_456, UTC), "amount": Decimal("12345678901234567890.1200"),
        "note": None, "raw": b"\xff\0", "share": float("nan"), "due": date(2024, 4, 1), "tags": {'a "b"': [1, 2**60]},
        **more,
    }  # fmt: skip


def avro(records: list[dict[str, Any]], codec: str = "null") -> bytes:
    made = io.BytesIO()
    fastavro.writer(made, SCHEMA, records, codec=codec, sync_interval=2000)
    return made.getvalue()


@pytest.mark.parametrize("codec", ["null", "deflate", "xz"])
def test_records_of_avro_are_read_exactly(codec: str, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(avro([record(1), record(2, note="ü")], codec))
    good("ingest", "a.bin", cwd=tmp_path)
    rows = good("log", "--columns", "time,type,entity,id,data", cwd=tmp_path).rows
    assert [(row["time"], row["entity"], row["id"]) for row in rows] == [
        ("2024-03-05T10:00:01.123456Z", "acc-1", "e1"), ("2024-03-05T10:00:02.123456Z", "acc-0", "e2"),
    ]  # fmt: skip
    assert rows[1]["data"] | {"amount": 0} == {
        "amount": 0, "note": "ü", "raw": "/wA=", "share": "NaN", "due": "2024-04-01", "tags": {'a "b"': [1, 2**60]},
    }  # fmt: skip
    assert b'"amount":12345678901234567890.12' in good("log", "--columns", "data", cwd=tmp_path).out
    assert good("ingest", "a.bin", cwd=tmp_path).row["records"] == 0
    good("verify", "--full", cwd=tmp_path)


@pytest.mark.parametrize("name", ["a.evtx", "a.evtx.gz"])
def test_a_windows_event_log_is_read_by_its_preset(name: str, tmp_path: Path) -> None:
    import gzip

    (tmp_path / name).write_bytes(gzip.compress(LOG, mtime=0) if name.endswith("gz") else LOG)
    assert f"mapping of {name}: evtx" in good("ingest", name, cwd=tmp_path).err
    rows = good("log", "--columns", "time,actor,invalid", cwd=tmp_path).rows
    assert rows == [
        {"time": "2024-03-01T10:00:00.123456Z", "actor": "adm", "invalid": None},
        {"time": "2024-03-02T10:00:00.123456Z", "actor": "adm", "invalid": None},
    ]


def test_the_records_before_damage_are_kept(tmp_path: Path) -> None:
    data = avro([record(number) for number in range(1000)])
    (tmp_path / "a.avro").write_bytes(data[: len(data) // 2])
    told, _ = refused("ingest", "a.avro", code=3, cwd=tmp_path)
    assert "damaged avro file" in told
    assert 0 < good("status", cwd=tmp_path).row["head"] < 1000


@pytest.mark.parametrize(
    "data", [b"Obj\x01", b"Obj\x01" + b"\xff" * 40, b"ElfFile\0", LOG[:5000], LOG[:4200] + bytes(90)]
)
def test_what_is_spoiled_is_told(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(data)
    done = esctl("ingest", "a", cwd=tmp_path)
    assert (done.code, "bug" in done.err) in ((3, False), (0, False))
    assert good("status", cwd=tmp_path).row["head"] == 0


@pytest.mark.parametrize(("kind", "data"), [("avro", avro([record(1)])), ("evtx", LOG)])
def test_without_the_library_the_extra_is_named(kind: str, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(packed.PACKED, kind, "esctl_no_such_library")
    for declared in ("auto", kind):
        error = refusal(f"a.{kind}", data, declared)
        assert error is not None
        assert "is not installed" in error.message
        assert "\n" not in error.message
        assert error.hint == f"pip install 'esctl-audit[{kind}]'"
    assert refusal("a", data, "jsonl") is None


def test_values_of_avro_as_json() -> None:
    written = packed.write_value({"d": Decimal("1E+3"), "f": float("-inf"), "n": [None, True, 1.5], "k": (1, "x")})
    assert json.loads(written) == {"d": 1000, "f": "-Infinity", "n": [None, True, 1.5], "k": [1, "x"]}
