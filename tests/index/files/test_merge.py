"""Index files merged part by part are those that one sort of all rows would make."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from esctl import Store
from esctl.engine.duckdb import connect
from esctl.index import merge_policy
from esctl.index.files import merge
from esctl.index.files.manifest import IndexFile, read_manifest
from tests.support.cli_harness import good, plain_event, uncompacted, write_lines

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


@uncompacted
@pytest.mark.parametrize(
    ("small", "most", "merged", "expected"),
    [
        (1000, 1000, 1000, [24]),  # all that are small
        (1000, 1000, 12, [12, 6, 6]),  # and the rest after the next commit
        (6, 4, 1000, [6, 6, 6, 6]),  # as many as may be
        (6, 3, 1000, [12, 12]),  # one too many: what was large is small
    ],
)
def test_a_row_is_merged_as_the_log_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: int, most: int, merged: int, expected: list[int]
) -> None:
    monkeypatch.setattr(merge, "SIZE_UNIT", 1)
    for name, value in (("SMALL_ROWS", small), ("MOST_FILES", most), ("MERGED_ROWS", merged)):
        monkeypatch.setattr(merge_policy, name, value)
    for number in range(4):
        monkeypatch.setattr(merge_policy, "MOST_SMALL", 1000 if number < 3 else 2)
        events = [plain_event(6 * number + at, f"thing-{at}") for at in range(6)]
        with Store.create(tmp_path / ".esctl") as store:
            store.ingest(write_lines(tmp_path / f"{number}.jsonl", events))
    assert [file.rows for file in store.view.manifest.files] == expected


def test_a_large_file_is_written_once_it_is_full_and_the_rest_as_it_doubles(tmp_path: Path) -> None:
    with Store.create(tmp_path / ".esctl") as store:
        store.ingest(write_lines(tmp_path / "a.jsonl", [plain_event(0, "thing")]))
    like = store.view.manifest.files[0]
    files, written = list[IndexFile](), 0
    for number in range(1, 201):
        files.append(replace(like, rows=11, first=number))
        groups = merge.merge_groups(files, 80)
        for group in [
            *merge.complete_groups(groups),
            *([groups[-1]] if merge.is_worth_merging(groups[-1], 10) else []),
        ]:
            at, rows = files.index(group[0]), sum(file.rows for file in group)
            files[at : at + len(group)] = [replace(group[0], rows=rows)]
            written += rows
        assert len(files) <= number // 7 + 4
    assert {file.rows for file in files[:-4]} == {77}
    assert written <= 4 * 200 * 11
    assert not merge.is_worth_merging([replace(like, rows=4)] * 2, 10)
    assert not merge.is_worth_merging(files[:1], 10)
