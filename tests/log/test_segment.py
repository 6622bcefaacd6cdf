"""Leaf hashes against a reference, and segments as they stand on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esctl.errors import InputError
from esctl.log import segment
from esctl.log.segment import SCHEMA, iter_leaf_hashes, leaf_hashes, write_segment
from tests.support.log_helpers import NOW, Failing, reference_leaves

pytestmark = pytest.mark.usefixtures("both_ways")

instants = st.integers(-(10**15), 4 * 10**15)
headers = st.lists(
    st.fixed_dictionaries({"name": st.text(max_size=5), "value": st.none() | st.binary(max_size=5)}),
    max_size=3,
)
rows = st.fixed_dictionaries(
    {
        "recorded_at": instants,
        "source": st.sampled_from(["a.jsonl", "", "dir/ü\x00\n.jsonl", "topic#0"]),
        "offset": st.integers(0, 2**62),
        "key": st.none() | st.binary(max_size=9),
        "headers": st.none() | headers,
        "source_time": st.none() | instants,
        "raw": st.none() | st.binary(max_size=200),
        "salt": st.none() | st.binary(min_size=16, max_size=16),
        "erased_leaf": st.none() | st.none() | st.binary(min_size=32, max_size=32),
    }
)


def table(values: list[dict[str, Any]], first: int = 1) -> pa.Table:
    numbered = [value | {"position": first + at} for at, value in enumerate(values)]
    return pa.Table.from_pylist(numbered, schema=SCHEMA)


def row(**given: Any) -> dict[str, Any]:
    empty = dict.fromkeys(SCHEMA.names) | {"recorded_at": NOW, "source": "a", "offset": 0, "raw": b"{}\n"}
    return empty | given


@settings(max_examples=150)
@given(st.lists(rows, max_size=8), st.integers(1, 2**40))
def test_leaf_hashes_are_those_of_the_specification(values: list[dict[str, Any]], first: int) -> None:
    records = table(values, first)
    assert leaf_hashes(records) == reference_leaves(records)


@pytest.mark.parametrize(
    "value",
    [
        row(),
        row(raw=None),
        row(raw=b""),
        row(raw=b"\x00\xff\x80\\x41"),
        row(key=b"", headers=[]),
        row(headers=[{"name": "", "value": None}]),
        row(headers=[{"name": "trace", "value": b"\xff\x00"}, {"name": "é", "value": b""}]),
        row(salt=b"\x00" * 16, key=b"k", source_time=-1),
        row(raw=None, salt=None, erased_leaf=b"\x07" * 32),
    ],
)
def test_each_kind_of_record(value: dict[str, Any]) -> None:
    for records in (table([value]), table([row(), value, row(salt=b"0123456789abcdef")])):
        assert leaf_hashes(records) == reference_leaves(records)


def test_a_leaf_known_by_heart() -> None:
    records = table([row(raw=b'{"id":1}\n', source="a.jsonl")])
    assert leaf_hashes(records).hex() == "ea552b1c4dc1391c029288826a94da07f42fe55841198f06c9c04c10ca14992a"


def test_different_headers_never_make_the_same_leaf() -> None:
    alike = [
        [{"name": "a", "value": b"b"}],
        [{"name": "ab", "value": b""}],
        [{"name": "ab", "value": None}],
        [{"name": "a", "value": b"b"}, {"name": "", "value": b""}],
        [],
        None,
    ]
    hashes = {leaf_hashes(table([row(headers=each)])) for each in alike}
    assert len(hashes) == len(alike)


def test_order_is_kept_where_duckdb_does_not() -> None:
    connection = duckdb.connect()
    connection.execute("SET preserve_insertion_order=false")
    connection.execute("SET threads=4")
    records = table([row(raw=b"%d" % number) for number in range(5000)])
    records = pa.Table.from_batches(records.to_batches(max_chunksize=100))
    assert leaf_hashes(records, connection) == reference_leaves(records)


def test_pieces_and_slices_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    raws = [None if number % 7 == 0 else b"%d" % number * (number % 5) for number in range(1000)]
    whole = table([row(raw=raw, source=f"s{at % 3}") for at, raw in enumerate(raws)])
    records = pa.concat_tables([whole.slice(3, 300), whole.slice(303)])
    monkeypatch.setattr(segment, "ROW_GROUP", 128)
    pieces = list(iter_leaf_hashes(records))
    assert [len(piece) // 32 for piece in pieces] == [128] * 7 + [101]
    assert b"".join(pieces) == reference_leaves(whole)[3 * 32 :]


def test_keys_and_headers_that_are_mostly_the_same_hash_alike() -> None:
    alike = [None, [], [{"name": "n", "value": b"v"}], [{"name": "n", "value": None}]]
    values = [row(key=(None, b"", b"k")[at % 3], headers=alike[at % 4], source_time=at % 7) for at in range(300)]
    for salt in (None, b"0123456789abcdef"):
        records = table([value | {"salt": salt} for value in values])
        assert b"".join(iter_leaf_hashes(records)) == reference_leaves(records)


bare_rows = rows.map(lambda value: value | {"salt": None, "erased_leaf": None})


@settings(max_examples=60)
@given(st.lists(bare_rows, min_size=1, max_size=12), st.integers(0, 4))
def test_records_without_salt_hash_alike_piece_by_piece(values: list[dict[str, Any]], skipped: int) -> None:
    records = table([*values[:skipped], *values]).slice(min(skipped, len(values)))
    assert b"".join(iter_leaf_hashes(records)) == leaf_hashes(records) == reference_leaves(records)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.binary(max_size=80), st.sampled_from("abé"), st.integers(0, 2)), min_size=1, max_size=40))
def test_plain_records_hash_alike_both_ways(given: list[tuple[bytes, str, int]]) -> None:
    values = [row(raw=raw, source=source, recorded_at=NOW + at, offset=at) for raw, source, at in given]
    records = table([*values, *values[:1]]).slice(1)
    assert b"".join(iter_leaf_hashes(records)) == leaf_hashes(records) == reference_leaves(records)


def test_many_plain_records_hash_alike_both_ways() -> None:
    records = table([row(raw=b"%d" % at * (at % 9), source=f"s{at // 700}") for at in range(2000)]).slice(5)
    assert b"".join(iter_leaf_hashes(records)) == leaf_hashes(records) == reference_leaves(records)


def test_no_records_no_hashes() -> None:
    assert leaf_hashes(SCHEMA.empty_table()) == b""


def test_a_segment_as_it_stands_on_disk(tmp_path: Path) -> None:
    records = table([row(raw=b"x" * 50, recorded_at=NOW + at, key=b"k") for at in range(70_000)], first=11)
    entry = write_segment(tmp_path, records)
    path = tmp_path / entry.file
    assert path.name.startswith("00000000000000000011-00000000000000070010.")
    assert (entry.first, entry.last, entry.min_recorded_at, entry.max_recorded_at) == (11, 70_010, NOW, NOW + 69_999)
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        assert file.read().equals(records)
        groups = [file.metadata.row_group(at) for at in range(file.num_row_groups)]
        assert [group.num_rows for group in groups] == [65_536, 4_464]
    assert [each.name for each in tmp_path.iterdir()] == [entry.file]
    columns = {groups[0].column(at).path_in_schema: groups[0].column(at) for at in range(groups[0].num_columns)}
    raw, source = columns["raw"], columns["source"]
    assert raw.compression == "ZSTD"
    assert "RLE_DICTIONARY" in source.encodings
    assert "RLE_DICTIONARY" not in raw.encodings
    assert raw.statistics is None
    assert (columns["position"].statistics.min, columns["position"].statistics.max) == (11, 65_546)
    assert duckdb.connect().execute("select count(*), min(position) from read_parquet(?)", [str(path)]).fetchall() == [
        (70_000, 11)
    ]


@pytest.mark.parametrize("step", range(5))
def test_a_full_disk_leaves_no_segment(tmp_path: Path, step: int) -> None:
    files = Failing(step)
    with pytest.raises(InputError, match="No space left"):
        write_segment(tmp_path, table([row()]), files)
    left = [path.name for path in tmp_path.iterdir()]
    assert len(left) == (files.failed == "sync_folder")


def test_a_segment_is_durable_before_it_has_its_name(tmp_path: Path) -> None:
    files = Failing()
    write_segment(tmp_path, table([row()]), files)
    assert files.steps == ["create", "write", "sync", "rename", "sync_folder"]
