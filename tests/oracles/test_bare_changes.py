"""Change logs without keys beside the values, and the server's own tables, with who wrote each row last and when."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from datetime import datetime
from decimal import Context, Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import pytest

from esctl.api import Store
from tests.support import effort
from tests.support.real_log_helpers import load, rows_of, text_of

LOGS = ("changes.debezium", "changes.wal2json_v2")
EXACT = Context(prec=2000)


def canonical(value: Any) -> Any:
    """Bring a value, as the server prints it or as a state has it, to one form: numbers by their value."""
    if value is None or isinstance(value, bool):
        return {True: "t", False: "f"}.get(value)
    try:
        return str(Decimal(str(value)).normalize(EXACT))
    except InvalidOperation:
        return str(value)


def cell(name: str, text: str) -> Any:
    return None if text == "\\N" else canonical(text.removeprefix("\\x") if name == "raw" else text)


def values(row: Any, names: list[str]) -> tuple[Any, ...]:
    return tuple(canonical(row["state"].get(name)) for name in names)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


@pytest.fixture(scope="module", params=LOGS)
def shop(request: pytest.FixtureRequest, real_logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Give the folder of a log and its store."""
    folder = real_logs / "pg_cdc_shop"
    if not folder.is_dir():
        pytest.skip("no pg_cdc_shop among the real logs")
    return folder, load(tmp_path_factory.mktemp("bare"), [folder / f"{request.param}.jsonl.zst"])[0]


def held(folder: Path, file: str) -> tuple[list[str], list[dict[str, str]]]:
    rows = list(csv.reader(io.StringIO(text_of(folder / file), newline="")))
    return [name for name in rows[0] if not name.startswith("_")], [
        dict(zip(rows[0], row, strict=True)) for row in rows[1:]
    ]


@pytest.mark.parametrize("by", ["lsn", "ts"])
def test_every_table_at_every_checkpoint_is_that_of_the_server(by: str, shop: tuple[Path, Store]) -> None:
    folder, store = shop
    checkpoints = json.loads((folder / "checkpoints.json").read_text(encoding="utf-8"))["checkpoints"]
    for checkpoint in effort.some(checkpoints, 2):
        at = f"seq:{checkpoint['lsn']}" if by == "lsn" else checkpoint["ts"].replace(" ", "T")
        states = rows_of(store.replay(at=at))
        for table, told in checkpoint["tables"].items():
            names, rows = held(folder, told["file"])
            expected = Counter(tuple(cell(name, row[name]) for name in names) for row in rows)
            found = Counter(values(row, names) for row in states if row["kind"] == table)
            assert found - expected == expected - found == Counter(), (checkpoint["name"], table)


@pytest.mark.thorough  # the rows themselves are held to the server's in each run
def test_the_last_event_of_each_row_is_who_wrote_it_last(shop: tuple[Path, Store]) -> None:
    folder, store = shop
    checkpoint = json.loads((folder / "checkpoints.json").read_text(encoding="utf-8"))["checkpoints"][-1]
    wrote = {row["position"]: row["correlation"] for row in rows_of(store.audit(at=checkpoint["ts"].replace(" ", "T")))}
    states = rows_of(store.replay(at=checkpoint["ts"].replace(" ", "T")))
    for table, told in checkpoint["tables"].items():
        names, rows = held(folder, told["file"])
        expected = {tuple(cell(n, row[n]) for n in names): (row["_xmin"], instant(row["_committed"])) for row in rows}
        for row in states:
            if row["kind"] == table:
                transaction, committed = expected[values(row, names)]
                # A savepoint has a number of its own, beyond that of its transaction.
                assert int(wrote[row["position"]]) <= int(transaction)
                assert instant(row["time"]) == committed
