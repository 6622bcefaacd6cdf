"""Index files merged part by part are those that one sort of all rows would make."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from esctl.engine.duckdb import connect
from esctl.index.files import merge
from esctl.index.files.manifest import read_manifest
from tests.support.cli_harness import good, uncompacted, write_lines

NAMES = ["account-1", "account-2", "account-10", "item-9", "item-91", "zoo", "", "'; --", "a\x00b", "~"]


@uncompacted
@pytest.mark.parametrize("rows", [2, 8, 40, 1000])
def test_parts_are_no_other_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    for source in range(3):
        events = (
            {
                "id": f"{source}-{n}", "type": "Set", "time": f"2024-01-0{source + 1}T00:{n:02d}:00Z",
                "entity": NAMES[n * n % len(NAMES)], "data": {"n": n},
            }
            for n in range(60)
        )  # fmt: skip
        write_lines(tmp_path / f"{source}.jsonl", events)
        good("ingest", f"{source}.jsonl", "--map", "entity=entity", cwd=tmp_path, ESCTL_SNAPSHOTS="off")
    (folder,) = (tmp_path / ".esctl" / "index").iterdir()
    manifest = read_manifest(folder)
    assert manifest is not None
    assert len(manifest.files) == 3
    connection = connect()
    whole = pq.read_table(folder / merge.merge(connection, folder, manifest.files).file)
    assert whole["entity"].null_count
    monkeypatch.setattr(merge, "SORTED_ROWS", rows)
    monkeypatch.setattr(merge, "SAMPLED", 2)
    merged = merge.merge(connection, folder, manifest.files)
    table = pq.read_table(folder / merged.file)
    assert table.equals(whole)
    assert merged.rows == table.num_rows
    assert (len(merged.groups) > 1) == (rows < table.num_rows // 2)  # each part has row groups of its own
