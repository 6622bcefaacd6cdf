"""Change logs of a real PostgreSQL: the rows at any point must be those that the server's own tables held there."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import struct
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from esctl.api import Store
from tests.support import effort
from tests.support.real_log_helpers import load, rows_of, text_of

LOGS = ("plain", "with_schema", "wal2json_v2")
UNEQUAL = "shop_edge"
"""Its rows hold values that logs get wrong, as the README of the logs says."""
Table = Counter[tuple[Any, ...]]


def number(text: object) -> Any:
    found = Decimal(str(text))
    return found if found.is_finite() else str(found).lower()


def instant(text: str) -> str:
    plain = re.sub(r"(?:Z|\+00)\Z", "", text).replace("T", " ")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def interval(text: str) -> tuple[Any, ...]:
    """Read an interval as PostgreSQL writes it, or as ISO 8601 does: months, days, microseconds."""
    if text.startswith("P"):
        date, _, time = text.partition("T")
        parts = {u: int(n) for n, u in re.findall(r"(-?\d+)([YMD])", date)}
        clock = {u: Decimal(n) for n, u in re.findall(r"(-?[\d.]+)([HMS])", time)}
        seconds = clock.get("H", 0) * 3600 + clock.get("M", 0) * 60 + clock.get("S", 0)
        return parts.get("Y", 0) * 12 + parts.get("M", 0), parts.get("D", 0), seconds + 0
    units = {unit: sum(map(int, re.findall(rf"([+-]?\d+) {unit}", text))) for unit in ("year", "mon", "day")}
    found = re.search(r"([+-]?)(\d+):(\d\d):(\d\d(?:\.\d+)?)", text)
    seconds = int(found[2]) * 3600 + int(found[3]) * 60 + Decimal(found[4]) if found else Decimal(0)
    return units["year"] * 12 + units["mon"], units["day"], (-seconds if found and found[1] == "-" else seconds) + 0


def array(value: Any) -> tuple[Any, ...]:
    if isinstance(value, list):
        return tuple(None if item is None else str(item) for item in value)
    items = re.findall(r'"((?:[^"\\]|\\.)*)"|([^,{}]+)', value, re.DOTALL)
    return tuple(
        None if bare == "NULL" else bare or re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL) for quoted, bare in items
    )


def single(value: object) -> float:
    found: float = struct.unpack("f", struct.pack("f", float(str(value))))[0]
    return found


def raw(value: str, log: str) -> bytes:
    if value.startswith("\\x"):
        return bytes.fromhex(value[2:])
    return bytes.fromhex(value) if log.startswith("wal2json") else base64.b64decode(value)


def canonical(value: Any, kind: str, log: str) -> Any:
    """Bring a value, as the server prints it or as a state has it, to one form."""
    if value is None:
        return None
    if kind.endswith("[]"):
        return array(value)
    if kind == "boolean":
        return value in (True, "t")
    if kind == "real":
        return single(value)
    if kind == "bytea":
        return raw(value, log)
    if (kind, value, log) == ("time without time zone", "24:00:00", "plain"):
        return "00:00:00"
    if kind == "interval":
        return interval(value)
    if kind == "double precision":
        return float(str(value))
    if kind.startswith(("numeric", "bigint", "integer", "smallint")):
        return number(value)
    return instant(value) if kind.startswith(("timestamp", "date", "time")) else value


def told(kind: str, log: str) -> bool:
    """Return whether a log tells values of a type: Debezium's drop the zone of a time, or fold an interval."""
    return not (kind == "time with time zone" and log in LOGS[:2]) and not (kind == "interval" and log == "with_schema")


class Shop:
    """A folder with logs, what the server held at each checkpoint, and stores of the logs."""

    def __init__(self, folder: Path, tmp: Path) -> None:
        self.folder, self.tmp = folder, tmp
        self.checkpoints = json.loads((folder / "checkpoints.json").read_text(encoding="utf-8"))["checkpoints"]
        self.stores: dict[str, Store] = {}

    def store(self, log: str) -> Store:
        if log not in self.stores:
            self.stores[log] = load(self.tmp / log, [self.folder / f"{log}.jsonl.zst"])[0]
        return self.stores[log]

    def columns(self, table: str, checkpoint: Any, log: str) -> dict[str, str]:
        """Return the columns that a table always had: no record tells of one that is added or renamed."""
        first = dict(self.checkpoints[0]["tables"][table]["columns"])
        columns = dict(checkpoint["tables"][table]["columns"])
        return {name: kind for name, kind in columns.items() if name in first and told(kind, log)}

    def held(self, table: str, checkpoint: Any, log: str) -> Table:
        columns = self.columns(table, checkpoint, log)
        text = text_of(self.folder / f"{checkpoint['tables'][table]['file']}.zst")
        rows = csv.DictReader(io.StringIO(text, newline=""))
        return Counter(
            tuple(canonical(None if row[name] == "\\N" else row[name], kind, log) for name, kind in columns.items())
            for row in rows
        )

    def replayed(self, checkpoint: Any, log: str, at: str) -> dict[str, Table]:
        found: dict[str, Table] = {table: Counter() for table in checkpoint["tables"] if table != UNEQUAL}
        for row in rows_of(self.store(log).replay(at=at)):
            if row["kind"] in found:
                state = row["state"]
                columns = self.columns(row["kind"], checkpoint, log)
                values = tuple(canonical(state.get(name), kind, log) for name, kind in columns.items())
                found[row["kind"]][values] += int(state.get("_copies", 1))
        return found


@pytest.fixture(scope="module")
def shop(real_logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Give the logs of one database, by two programs and in three forms."""
    folder = real_logs / "debezium_shop"
    if not folder.is_dir():
        pytest.skip("no debezium_shop among the real logs")
    return Shop(folder, tmp_path_factory.mktemp("shop"))


def point(checkpoint: Any, by: str, log: str) -> str:
    if by == "line":
        return f"@{checkpoint['last_line'][log]}"
    return f"seq:{checkpoint['lsn']}" if by == "lsn" else str(checkpoint["ts"]).replace(" ", "T")


@pytest.mark.parametrize("by", ["line", "lsn", "time"])
@pytest.mark.parametrize("log", LOGS)
def test_every_table_at_every_checkpoint_is_that_of_the_server(log: str, by: str, shop: Shop) -> None:
    for checkpoint in effort.some(shop.checkpoints, 2):
        replayed = shop.replayed(checkpoint, log, point(checkpoint, by, log))
        for table, rows in replayed.items():
            held = shop.held(table, checkpoint, log)
            assert rows - held == held - rows == Counter(), (checkpoint["name"], table)


@pytest.mark.parametrize("by", ["lsn", "time"])
def test_format_1_is_the_servers_but_for_truncations(by: str, shop: Shop) -> None:
    """Its lines are transactions, and its five messages of no transaction are no JSON."""
    folder = shop.tmp / "wal2json_v1"
    shop.stores.setdefault("wal2json_v1", load(folder, [shop.folder / "wal2json_v1.jsonl.zst"])[0])
    for checkpoint in effort.some(shop.checkpoints[:-1], 2):  # tables are truncated behind the last but one
        replayed = shop.replayed(checkpoint, "wal2json_v1", point(checkpoint, by, "wal2json_v1"))
        for table, rows in replayed.items():
            held = shop.held(table, checkpoint, "wal2json_v1")
            assert rows - held == held - rows == Counter(), (checkpoint["name"], table)


def test_a_truncated_table_is_one_event_of_each_row_it_held(shop: Shop) -> None:
    store = shop.store("plain")
    ended = [row for row in rows_of(store.audit("public.shop_scratch/*")) if row["type"] == "truncate"]
    assert len(ended) > 10
    assert len({row["position"] for row in ended}) == 1
    assert len({row["entity"] for row in ended}) == len(ended)
