"""Reading evidence back, from whole stores and damaged ones."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from esctl.errors import InputError, NotFoundError
from esctl.log.ranges import ByteRange, parquet_ranges
from esctl.log.reader import export_raw, iter_batches, raw_of, read_table
from esctl.log.segment import SCHEMA
from esctl.log.segments import segments_in
from esctl.log.store_state import StoreState
from esctl.log.writer import Part
from tests.support.log_helpers import LINES, as_header, batch, cursor, part, store

COUNT = 70_000


def raw_at(position: int) -> bytes:
    return b"record %d\n" % position


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> StoreState:
    """Three segments: 70,000 records (two row groups), 10, and 3 of which one is a tombstone."""
    raws = [raw_at(position) for position in range(1, COUNT + 11)]
    parts = [
        [part("a", raws[:COUNT])],
        [part("b", raws[COUNT:])],
        [part("c", [b"x", None, b"z"], key=[b"k", b"k", None], headers=[None, [{"name": "h", "value": b"v"}], []])],
    ]
    return store(tmp_path_factory.mktemp("reader") / "s", parts)


def test_segments_in_a_range(written: StoreState) -> None:
    a, b, c = written.segments
    assert segments_in(written.segments, 1, 1) == (a,)
    assert segments_in(written.segments, COUNT, COUNT + 1) == (a, b)
    assert segments_in(written.segments, COUNT + 1, 10**12) == (b, c)
    assert segments_in(written.segments, COUNT + 14, 10**12) == ()


@settings(max_examples=60)
@given(st.data())
def test_any_range_reads_its_records(written: StoreState, data: st.DataObject) -> None:
    near = st.sampled_from([-1, 0, 1, 2, 65_535, 65_536, 65_537, 65_538, COUNT, COUNT + 1, COUNT + 11, COUNT + 99])
    first, last = data.draw(near), data.draw(near)
    table = read_table(written, first, last, ["raw", "position"])
    expected = list(range(max(first, 1), min(last, written.head) + 1))
    assert table.schema.names == ["raw", "position"]
    assert table["position"].to_pylist() == expected
    wanted = [raw_at(position) for position in expected if position <= COUNT + 10]
    assert table["raw"].to_pylist()[: len(wanted)] == wanted
    rows = data.draw(st.sampled_from([1000, 65_536, 100_000]))
    batches = list(iter_batches(written, first, last, rows, ["raw", "position"]))
    assert all(0 < each.num_rows <= rows for each in batches)
    assert pa.Table.from_batches(batches, table.schema).equals(table)


def test_all_columns_come_back(written: StoreState) -> None:
    table = read_table(written, COUNT + 11, COUNT + 13)
    assert table.schema.equals(SCHEMA)
    assert table["key"].to_pylist() == [b"k", b"k", None]
    assert table["headers"].to_pylist() == [None, [{"name": "h", "value": b"v"}], []]
    assert table["source"].to_pylist() == ["c", "c", "c"]
    assert table["offset"].to_pylist() == [0, 1, 1]


def test_raw_of_positions_anywhere(written: StoreState) -> None:
    positions = [COUNT + 12, 1, 65_536, 65_537, COUNT, COUNT + 1, 1, 0, -5, 10**12]
    found = raw_of(written, positions)
    assert found == {COUNT + 12: None} | {each: raw_at(each) for each in (1, 65_536, 65_537, COUNT, COUNT + 1)}
    assert raw_of(written, []) == {}


def test_raw_of_reads_only_the_row_groups_it_needs(written: StoreState, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    original = pq.ParquetFile.read_row_group

    def counted(self: pq.ParquetFile, group: int, columns: list[str]) -> pa.Table:
        read.append(group)
        return original(self, group, columns=columns)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counted)
    raw_of(written, [65_540, 65_541])
    assert read == [1]


def test_a_source_is_exported_apart_from_others(tmp_path: Path) -> None:
    pieces = [[b"1\r\n", b"\xff\x00\n"], [b"\n\n2\n"], [b"3"]]
    other = part("other", [b"no\n"] * 3)
    whole = b"head\n" + b"".join(b"".join(piece) for piece in pieces) + b"\n \n"
    ends = cursor(whole, 4, header=as_header(b"head\n"), tail=as_header(b"\n \n"))
    commits = [[other, Part("mine", [batch(piece)], ends), other] for piece in pieces]
    store_state = store(tmp_path / "s", commits)
    assert b"".join(export_raw(store_state, "mine")) == whole
    assert b"".join(export_raw(store_state, "other")) == b"no\n" * 18


def test_an_unknown_source_is_named(written: StoreState) -> None:
    with pytest.raises(NotFoundError, match="no source 'aa'") as caught:
        export_raw(written, "aa")
    assert caught.value.hint == "did you mean a?"


def test_records_without_bytes_cannot_be_exported(written: StoreState) -> None:
    with pytest.raises(InputError, match=f"position {COUNT + 12} of c has no bytes"):
        list(export_raw(written, "c"))


def test_a_damaged_cursor_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a commit file"):
        store(tmp_path / "s", [[Part("a", [batch(LINES[:2])], cursor(b"", 0, header="?"))]])


@pytest.fixture
def small(tmp_path: Path) -> StoreState:
    return store(tmp_path / "s", [[part("a", LINES)], [part("b", LINES)]])


def test_a_missing_segment_is_named(small: StoreState) -> None:
    name = small.segments[1].file
    (small.path / "log" / name).unlink()
    with pytest.raises(InputError, match=name):
        read_table(small, 1, small.head)
    assert read_table(small, 1, len(LINES)).num_rows == len(LINES)


def test_a_truncated_segment_is_named(small: StoreState) -> None:
    name = small.segments[0].file
    path = small.path / "log" / name
    path.write_bytes(path.read_bytes()[:-1])
    for reading in (
        lambda: read_table(small, 1, 1),
        lambda: raw_of(small, [1]),
        lambda: list(iter_batches(small, 1, 1, 10)),
        lambda: list(export_raw(small, "a")),
    ):
        with pytest.raises(InputError, match=name) as caught:
            reading()
        assert "were written" in caught.value.message


def test_a_flipped_bit_in_a_page_is_noticed(small: StoreState) -> None:
    path = small.path / "log" / small.segments[0].file
    data = bytearray(path.read_bytes())
    with pq.ParquetFile(path) as file:
        raw = file.metadata.row_group(0).column(8)
        assert raw.path_in_schema == "raw"
        data[raw.data_page_offset + raw.total_compressed_size // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="are not those that were written"):
        raw_of(small, [1])


@pytest.mark.parametrize("kind", ["garbage", "columns", "rows"])
def test_another_file_in_a_segments_place_is_noticed(small: StoreState, kind: str) -> None:
    segment = small.segments[0]
    path = small.path / "log" / segment.file
    table = pq.read_table(path)
    if kind == "garbage":
        path.write_bytes(b"x" * segment.size)
    elif kind == "columns":
        pq.write_table(table.drop_columns(["salt"]), path)
    else:
        pq.write_table(table.slice(1), path)
    padded = path.read_bytes()
    whole = ByteRange(0, len(padded), sha256(padded).hexdigest())
    ranges = (whole,) if kind == "garbage" else parquet_ranges(path, pq.read_metadata(path))
    changed = StoreState(
        small.path,
        small.store_id,
        small.erasable,
        small.seq,
        small.at,
        small.commit_sha256,
        small.tree,
        (replace(segment, size=len(padded), ranges=ranges),),
        small.cursors,
    )
    with pytest.raises(InputError, match=segment.file):
        read_table(changed, 1, 2)
