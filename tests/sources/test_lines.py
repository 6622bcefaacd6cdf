"""Line files: exact bytes back, whatever the chunks, and only new lines of grown files."""

from __future__ import annotations

import base64
import bz2
import gzip
import hashlib
import io
import lzma
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import structs

from esctl.errors import InputError, UsageError
from esctl.model import Cursor
from esctl.sources.files.finding import Source, expand
from esctl.sources.files.reading import SourceOptions, read
from esctl.sources.protocol import Delivery
from esctl.sources.streams import zstd

LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [b"", b" ", b"\t \r", b'{"a":1}', b' {"b":2}', b"12", b'"x"', b"\xef\xbb\xbf", b"\0", b"\xff\xfe"]
        ),
        st.binary(max_size=12),
    ),
    max_size=12,
)
ENDS = st.sampled_from([b"\n", b"\r\n"])
PACKED = (b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ\x00")
"""First bytes by which a file counts as compressed: Hypothesis finds them among esctl's constants and draws them."""
OPTIONS = SourceOptions(input_format="jsonl")


@st.composite
def line_files(draw: st.DrawFn) -> bytes:
    body = b"".join(line + draw(ENDS) for line in draw(LINES))
    data = (
        draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + body + draw(st.sampled_from([b"", b'{"z":', b'{"z":1}', b" "]))
    )
    assume(not data.startswith(PACKED) and data[1:4] != b"\x2a\x4d\x18")
    return data


class Shelf:
    """A file that is written and read again, with the cursors that the readings leave."""

    def __init__(self, folder: Path, name: str = "log") -> None:
        self.path = folder / name
        self.name = str(self.path)
        self.cursors: dict[str, Cursor] = {}

    def read(self, data: bytes | None = None, options: SourceOptions = OPTIONS) -> list[bytes]:
        if data is not None:
            self.path.write_bytes(data)
        raws: list[bytes] = []
        reading = read(Source(self.name, self.path), options, self.cursors)
        for delivery in reading:
            raws += delivery.batch["raw"].to_pylist()
            self.cursors[reading.name] = delivery.cursor
        self.last_name, self.pending = reading.name, reading.pending_bytes
        return raws


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def bytes_of(raws: list[bytes], cursor: Cursor | None) -> bytes:
    if cursor is None:
        return b""
    return base64.b64decode(cursor.header) + b"".join(raws) + base64.b64decode(cursor.tail)


@given(data=line_files(), size=st.integers(1, 40), rows=st.integers(1, 5))
def test_any_chunk_size_gives_back_the_bytes(
    data: bytes, size: int, rows: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole, cut = Shelf(tmp_path_factory.mktemp("whole")), Shelf(tmp_path_factory.mktemp("cut"))
    raws = whole.read(data)
    cursor = whole.cursors.get(whole.name)
    assert bytes_of(raws, cursor) == data[: len(data) - whole.pending]
    assert cut.read(data, SourceOptions(input_format="jsonl", batch_bytes=size, batch_rows=rows)) == raws
    assert cut.pending == whole.pending
    if cursor:
        assert cursor.sha256 == hashlib.sha256(data[: cursor.offset]).hexdigest()
        assert cursor.records == len(raws)
        cut_cursor = cut.cursors[cut.name]
        assert (cut_cursor.offset, cut_cursor.sha256, cut_cursor.tail) == (cursor.offset, cursor.sha256, cursor.tail)
    assert whole.read() == []


@given(data=line_files(), cut=st.integers(0, 200), final=st.booleans())
def test_a_grown_file_gives_its_new_lines_and_round_trips(
    data: bytes, cut: int, final: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shelf = Shelf(tmp_path_factory.mktemp("grown"))
    raws = shelf.read(data[:cut])
    raws += shelf.read(data)
    raws += shelf.read(options=SourceOptions(input_format="jsonl", final=final))
    assert set(shelf.cursors) <= {shelf.name}
    assert bytes_of(raws, shelf.cursors.get(shelf.name)) == data[: len(data) - shelf.pending]
    assert not (final and shelf.pending)


def test_blank_lines_and_bom_belong_to_the_record_after_them(shelf: Shelf) -> None:
    data = b'\xef\xbb\xbf\n \t\r\n{"a":1}\r\n\n{"b":2}\n  \n'
    assert shelf.read(data) == [b'\xef\xbb\xbf\n \t\r\n{"a":1}\r\n', b'\n{"b":2}\n']
    assert base64.b64decode(shelf.cursors[shelf.name].tail) == b"  \n"
    assert shelf.read(data + b'{"c":3}\n') == [b'  \n{"c":3}\n']
    assert shelf.cursors[shelf.name].tail == ""


def test_offsets_are_those_of_raw(shelf: Shelf) -> None:
    data = b'{"a":1}\n\n{"b":2}\n{"c":3}'
    shelf.path.write_bytes(data)
    delivery = next(iter(read(Source(shelf.name, shelf.path), OPTIONS, {})))
    for offset, raw in zip(delivery.batch["offset"].to_pylist(), delivery.batch["raw"].to_pylist(), strict=True):
        assert data[offset : offset + len(raw)] == raw


def test_an_unterminated_line_is_a_record_only_when_it_is_json(shelf: Shelf) -> None:
    assert shelf.read(b'{"a":1}\n{"b":') == [b'{"a":1}\n']
    assert shelf.pending == 5
    assert shelf.read(b'{"a":1}\n{"b":2}') == [b'{"b":2}']
    assert shelf.pending == 0
    assert shelf.read(b'{"a":1}\n{"b":2}\n') == []
    assert base64.b64decode(shelf.cursors[shelf.name].tail) == b"\n"
    assert shelf.read(b'{"a":1}\n{"b":2}\n{"c":3}\n') == [b'\n{"c":3}\n']


def test_final_takes_what_is_pending(shelf: Shelf) -> None:
    assert shelf.read(b"x") == []
    assert shelf.read(options=SourceOptions(input_format="jsonl", final=True)) == [b"x"]
    assert shelf.pending == 0


def test_a_deeply_nested_last_line_is_a_record(shelf: Shelf) -> None:
    deep = b"[" * 50_000 + b"]" * 50_000
    assert shelf.read(deep) == [deep]


def test_a_changed_prefix_is_a_new_generation(shelf: Shelf) -> None:
    first, second = b'{"a":1}\n', b'{"a":2}\n'
    assert shelf.read(first) == [first]
    assert shelf.read(second) == [second]
    assert shelf.last_name == f"{shelf.name}#2"
    assert shelf.read(second + b"3\n") == [b"3\n"]
    assert shelf.read(first + b"4\n") == [b"4\n"]
    assert shelf.last_name == shelf.name
    assert shelf.read(b"5\n") == [b"5\n"]
    assert shelf.last_name == f"{shelf.name}#3"


def test_a_truncated_file_is_a_new_generation(shelf: Shelf) -> None:
    shelf.read(b"1\n2\n3\n")
    assert shelf.read(b"1\n2\n") == [b"1\n", b"2\n"]
    assert shelf.last_name == f"{shelf.name}#2"


def test_the_same_bytes_under_another_name_are_the_same_source(shelf: Shelf) -> None:
    shelf.read(b"1\n2\n")
    rotated = shelf.path.with_name("log.1")
    rotated.write_bytes(b"1\n2\n3\n")
    reading = read(Source("log.1", rotated), OPTIONS, shelf.cursors)
    assert [raw for delivery in reading for raw in delivery.batch["raw"].to_pylist()] == [b"3\n"]
    assert reading.name == shelf.name


def test_the_longest_known_prefix_wins(shelf: Shelf) -> None:
    for name, data in (("short", b"1\n"), ("long", b"1\n2\n")):
        path = shelf.path.with_name(name)
        path.write_bytes(data)
        # Each is read alone: otherwise the second would continue the first.
        for delivery in read(Source(name, path), OPTIONS, {}):
            shelf.cursors[name] = delivery.cursor
    assert shelf.read(b"1\n2\n3\n") == [b"3\n"]
    assert shelf.last_name == "long"


def test_an_empty_file_is_no_beginning_of_others(shelf: Shelf) -> None:
    shelf.read(b"\n")
    other = shelf.path.with_name("other")
    other.write_bytes(b"\n1\n")
    reading = read(Source("other", other), OPTIONS, shelf.cursors)
    assert [raw for delivery in reading for raw in delivery.batch["raw"].to_pylist()] == [b"\n1\n"]
    assert reading.name == "other"


def test_another_format_begins_anew(shelf: Shelf) -> None:
    assert len(shelf.read(b"a,b\n1,2\n")) == 2
    assert shelf.read(options=SourceOptions(input_format="csv")) == [b"1,2\n"]
    assert shelf.last_name == f"{shelf.name}#2"


def test_a_record_over_the_limit_names_file_offset_and_option(shelf: Shelf) -> None:
    for size in (3, 1 << 20):
        options = SourceOptions(input_format="jsonl", batch_bytes=size, max_record_bytes=20)
        assert len(Shelf(shelf.path.parent, f"fine{size}").read(b"1\n" * 40, options)) == 40
        with pytest.raises(InputError, match="byte 2 ") as caught:
            shelf.read(b"1\n" + b"x" * 30 + b"\n2\n", options)
        assert shelf.name in caught.value.message
        assert "--max-record" in caught.value.hint


PACKERS = {
    "gz": lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:]),
    "zst": lambda data: zstd.compress(data[:9]) + zstd.compress(data[9:]),
    "bz2": lambda data: bz2.compress(data[:9]) + bz2.compress(data[9:]),
    "xz": lambda data: lzma.compress(data[:9]) + lzma.compress(data[9:]),
}


@pytest.mark.parametrize("packing", PACKERS)
def test_packed_files_are_known_by_content_not_suffix(packing: str, shelf: Shelf) -> None:
    data = b'{"a":1}\n{"b":2}\n'
    assert shelf.read(PACKERS[packing](data), SourceOptions()) == [b'{"a":1}\n', b'{"b":2}\n']
    assert shelf.read(data) == []


@pytest.mark.parametrize("packing", PACKERS)
def test_a_cut_off_packed_file_is_an_error(packing: str, shelf: Shelf) -> None:
    packed = PACKERS[packing](b'{"a":1}\n{"b":2}\n')
    with pytest.raises(InputError, match="damaged or cut-off"):
        shelf.read(packed[:-10])


def test_a_long_zstd_window_is_read(shelf: Shelf) -> None:
    options = {zstd.CompressionParameter.window_log: 28, zstd.CompressionParameter.enable_long_distance_matching: 1}
    assert shelf.read(zstd.compress(b"1\n2\n", options=options)) == [b"1\n", b"2\n"]


class _Stdin:
    def __init__(self, data: bytes) -> None:
        self.buffer = io.BytesIO(data)


def read_stdin(
    data: bytes, cursors: Mapping[str, Cursor], monkeypatch: pytest.MonkeyPatch
) -> tuple[str, list[Delivery]]:
    monkeypatch.setattr(sys, "stdin", _Stdin(data))
    reading = read(Source("-", None), SourceOptions(), cursors)
    return reading.name, list(reading)


def test_stdin_is_compared_with_stdin_only(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b'{"a":1}\n'
    shelf.read(data)
    name, [delivery] = read_stdin(data, shelf.cursors, monkeypatch)
    assert (name, delivery.cursor.records) == ("-", 1)
    known = {"-": delivery.cursor}
    assert read_stdin(data, known, monkeypatch) == ("-", [])
    name, [grown] = read_stdin(data + b'{"b":2}\n', known, monkeypatch)
    assert (name, grown.batch["raw"].to_pylist()) == ("-", [b'{"b":2}\n'])
    name, [other] = read_stdin(b'{"c":3}\n', known, monkeypatch)
    assert (name, other.batch["raw"].to_pylist()) == ("-#2", [b'{"c":3}\n'])
    name, [shorter] = read_stdin(data[:-1], {"-": replaced(delivery.cursor, data)}, monkeypatch)
    assert (name, shorter.batch["raw"].to_pylist()) == ("-#2", [data[:-1]])


def replaced(cursor: Cursor, data: bytes) -> Cursor:
    """The same head as a shorter stream has, so that only the full comparison can tell."""
    head = data[:-1]
    return structs.replace(cursor, head_size=len(head), head_sha256=hashlib.sha256(head).hexdigest())


def test_expand_takes_files_globs_folders_and_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.log", "b.log", "d/x.log", "d/.hidden", "d/.esctl/log", "d/e/y.log", "d/esctl.toml", "odd[1].log"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert [source.name for source in expand(["./b.log", "*.log", "-", "d/"])] == [
        "b.log",
        "a.log",
        "odd[1].log",
        "-",
        "d/x.log",
        "d/e/y.log",
    ]
    assert [source.name for source in expand(["odd[1].log"])] == ["odd[1].log"]
    with pytest.raises(InputError, match=r"c\.log") as caught:
        expand(["c.log"])
    assert "did you mean" in caught.value.hint
    with pytest.raises(InputError, match=r"\*\.json"):
        expand(["*.json"])


def test_expand_finds_no_fifo_and_no_device_that_nobody_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x.log").touch()
    os.mkfifo(tmp_path / "d" / "fifo.log")
    (tmp_path / "d" / "null.log").symlink_to("/dev/null")
    (tmp_path / "d" / "gone.log").symlink_to("nowhere")
    for argument in ("d", "d/*.log"):
        assert [source.name for source in expand([argument])] == ["d/gone.log", "d/x.log"]
    assert [source.name for source in expand(["d/fifo.log"])] == ["d/fifo.log"]
    with pytest.raises(InputError, match="fifo"):
        expand(["d/fifo*"])


def test_options_that_do_not_fit_are_usage_errors(shelf: Shelf) -> None:
    for options in (SourceOptions(input_format="xml"), SourceOptions(input_format="csv", records_path="a")):
        with pytest.raises(UsageError):
            shelf.read(b"1\n", options)
