"""Forgeries of bundles that need no key: whatever is changed in what no signature is on is found."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from esctl.api import Store
from esctl.ledger.sign import checkpoints
from esctl.log.parts import Part
from esctl.log.writer import LogWriter
from esctl.model import KafkaCursor
from tests.bundle.test_bundles import ALL_OK, KEY, Files, judged, made, resealed, results, unpacked
from tests.support import log_helpers as logs


def topic(folder: Path, last: bytes | None) -> Store:
    """Make a store of a topic whose third message has these bytes: none, for a tombstone."""
    raws = [b'{"n":1}', b'{"n":2}', last]
    Store.create(folder).close()
    count = len(raws)
    table = pa.table(
        {
            "offset": pa.array(range(count), pa.int64()),
            "raw": pa.array(raws, pa.large_binary()),
            "key": pa.array([b"c-1"] * count, pa.binary()),
            "source_time": pa.array([1709283600_000000 + n for n in range(count)], pa.timestamp("us", "UTC")),
        }
    )
    cursor = KafkaCursor("c1", "t", "id1", 0, count, 0, format="message", records=count, sampled=count)
    with LogWriter(folder, clock=logs.clock, files=logs.Unsynced()) as writer:
        writer.append([Part("kafka:t/0", table.to_batches(), cursor)])
    checkpoints.make_checkpoint(folder, KEY)
    return Store.open(folder)


@pytest.mark.parametrize(("last", "claimed"), [(None, b""), (b"", None)], ids=["hidden", "invented"])
def test_a_record_without_bytes_is_not_one_with_empty_bytes(
    tmp_path: Path, last: bytes | None, claimed: bytes | None
) -> None:
    there = made(topic(tmp_path / "one", last), tmp_path / "one.zip", "c-1")
    assert results(judged(there)) == ALL_OK
    other = unpacked(made(topic(tmp_path / "other", claimed), tmp_path / "other.zip", "c-1"))
    record = f"records/{3:020d}.txt"

    def forge(files: Files) -> None:
        files.pop(record, None)
        files |= {record: claimed} if claimed is not None else {}
        files |= {name: other[name] for name in ("states.jsonl", "trail.jsonl")}

    found = judged(resealed(there, forge, tmp_path / "forged.zip", empty=[3] if claimed is None else []))
    assert results(found)["records"] == "failed", found.checks
    assert "the leaf of the record has" in found.checks[3].findings[0].message
