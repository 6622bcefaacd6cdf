"""The index that is written with the native core is the one that is written without."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from esctl.engine import native
from tests.support import effort
from tests.support.cli_harness import good
from tests.support.hostile_json import record, value

pytestmark = pytest.mark.skipif(
    not native.is_available(), reason=f"no native core ({native.description()}): make native builds it"
)
CONFIG = """
[mapping]
id = "id"
type = "type"
time = "time"
entity = ["data.a", "stream"]
actor = "{by}/{role}"
data = "data"
ignore_types = ["none*"]
tombstone = ["gone"]
"""
SAMPLES = Path(__file__).parents[2] / "sample_logs"


def event(drawn: random.Random, number: int) -> bytes:
    """Write an event whose members are as they should be, most of them."""
    members = {
        "id": f'"e{number}"',
        "type": f'"kind-{drawn.randint(0, 3)}"',
        "time": f'"2024-01-01T00:00:{number % 60:02d}Z"',
        "stream": f'"thing-{drawn.randint(0, 5)}"',
        "by": '"someone"',
        "data": f'{{"a":{drawn.choice(("1.50", chr(34) * 2, "null", "7"))},"n":{drawn.random() * 100:.2f},"t":true}}',
    }
    for name in drawn.sample(sorted(members), drawn.choice((0, 0, 1, 2))):
        members[name] = value(drawn, 3)
    for name in ("role", "gone"):
        if drawn.random() < 0.3:
            members[name] = value(drawn, 1)
    text = ",".join(f"{json.dumps(name)}:{member}" for name, member in members.items())
    return f"{{{text}}}".replace("\n", " ").encode("utf-8", "replace")


def rows(store: Path) -> list[dict[str, Any]]:
    """Read the rows of an index, without when they were recorded, which is the time of what has none."""
    found = []
    for path in sorted(store.glob("index/*/*.parquet")):
        table = pq.read_table(path).drop_columns("recorded_at")
        is_known = pc.and_(table["undated"].is_null(), table["invalid"].is_null())
        known = pc.if_else(is_known, table["time"], pa.scalar(None, table["time"].type))
        found += table.set_column(table.schema.get_field_index("time"), "time", known).to_pylist()
    return found


def test_an_index_of_hostile_records_is_the_same(tmp_path: Path) -> None:
    drawn = random.Random(3)
    lines = [event(drawn, number) for number in range(effort.examples(20_000, 900))]
    lines[::9] = [(record(drawn) or b"").replace(b"\n", b" ") for _ in lines[::9]]
    seen = []
    for switch in ("1", "0"):
        folder = tmp_path / switch
        folder.mkdir()
        (folder / "esctl.toml").write_text(CONFIG, encoding="utf-8")
        (folder / "log.jsonl").write_bytes(b"\n".join(lines) + b"\n")
        good("ingest", "log.jsonl", "--input-format", "jsonl", cwd=folder, ESCTL_NATIVE=switch)
        seen.append(rows(folder / ".esctl"))
    assert len(seen[0]) > len(lines) / 2
    assert seen[0] == seen[1]


@pytest.mark.thorough
def test_an_index_of_the_sample_logs_is_the_same(tmp_path: Path) -> None:
    seen = []
    for switch in ("1", "0"):
        store = tmp_path / switch
        good("ingest", "bank.jsonl", "shop", "orders_cdc.jsonl", "messy.jsonl", "--store", store, cwd=SAMPLES,
             ESCTL_NATIVE=switch)  # fmt: skip
        good("verify", "--full", "--store", store, cwd=SAMPLES, ESCTL_NATIVE="0" if switch == "1" else "1")
        seen.append(rows(store))
    assert seen[0] == seen[1]
