"""What unpacks to far more than it is: read in bounded memory, and refused at a limit."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from esctl.errors import InputError
from esctl.sources import streams
from esctl.sources.files.finding import Source
from esctl.sources.files.reading import SourceOptions, read
from esctl.sources.inflate import Inflated, Unpacked
from esctl.sources.streams import Limits
from tests.support.cli_harness import esctl, good, plain_event, refused, surroundings, write_lines

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.ZstdCompressor().compress,
}
NARROW = Limits(expansion=100, harmless=1 << 20)
LINE = b'{"id":1}' + b" " * 4096 + b"\n"


def taken(path: Path, limits: Limits) -> int:
    options = SourceOptions(batch_bytes=1 << 20, limits=limits)
    return sum(delivery.batch.num_rows for delivery in read(Source(path.name, path), options, {}))


@pytest.mark.parametrize("packer", PACKERS)
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, packer: str) -> None:
    bomb = tmp_path / "bomb"
    bomb.write_bytes(PACKERS[packer](LINE * 4000))
    ratio = len(LINE) * 20_000 // bomb.stat().st_size
    assert ratio > 200
    with pytest.raises(InputError, match="100 times its size") as told:
        taken(bomb, NARROW)
    assert "--max-expansion" in told.value.hint
    with pytest.raises(InputError, match="more than 5,000,000 bytes") as told:
        taken(bomb, Limits(unpacked=5_000_000))
    assert "--max-unpacked" in told.value.hint
    assert taken(bomb, Limits(expansion=ratio + 1, harmless=1 << 20)) == 4000
    assert taken(bomb, Limits()) == 4000  # small enough to do no harm


def test_ordinary_text_is_far_from_the_limit(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(LINE * 2000)
    assert taken(plain, Limits(expansion=1, harmless=1, unpacked=1)) == 2000  # not packed: there is nothing to limit
    events = write_lines(tmp_path / "events", [plain_event(number) for number in range(4000)])
    packed = tmp_path / "packed"
    packed.write_bytes(zstandard.ZstdCompressor(19).compress(events.read_bytes()))
    assert taken(packed, NARROW) == 4000


def test_rows_without_bytes_are_bounded_too(tmp_path: Path) -> None:
    with pa.ipc.new_file(tmp_path / "rows", pa.schema([("a", pa.null())])) as file:
        file.write(pa.record_batch([pa.nulls(10_000_000)], ["a"]))
    assert (tmp_path / "rows").stat().st_size < 1000
    with pytest.raises(InputError, match="times its size"):
        taken(tmp_path / "rows", NARROW)
    pq.write_table(pa.table({"v": ["x" * 100_000] * 200}), tmp_path / "texts")
    with pytest.raises(InputError, match="times its size"):
        taken(tmp_path / "texts", NARROW)


def test_ingest_takes_the_limits(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(LINE * 1000))
    told, hint = refused("ingest", "a.jsonl.gz", "--max-unpacked", "1MiB", code=3, cwd=tmp_path)
    assert told.startswith("a.jsonl.gz unpacks to more than 1,048,576 bytes")
    assert "--max-unpacked" in hint
    refused("ingest", "a.jsonl.gz", "--max-unpacked", "much", code=2, cwd=tmp_path)
    refused("ingest", "a.jsonl.gz", "--max-expansion", "0", code=2, cwd=tmp_path)
    done = good("ingest", "a.jsonl.gz", "--max-unpacked", "1GiB", "--max-expansion", "5000", cwd=tmp_path)
    assert done.row["head"] == 1000


def bounded(gib: int, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    """Run esctl in an address space of so many GiB."""
    code = (
        f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({gib} << 30, {gib} << 30)); "
        "from esctl.cli.app import main; main()"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=cwd, env=surroundings(), capture_output=True, check=False
    )


def test_a_line_without_end_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    """The limit holds the memory too: what is read past it is no more than a batch."""
    with (tmp_path / "endless.jsonl").open("wb") as file:
        file.write(b'{"id":1}\n')
        file.truncate(1 << 30)  # a line of a GiB of NULs, on a disk that keeps no holes
    done = bounded(3, "ingest", "endless.jsonl", "--max-record", "32MiB", "--memory-limit", "512MiB", cwd=tmp_path)
    assert done.returncode == 3, done
    assert b"the record at byte 9 is longer than 33,554,432 bytes" in done.stderr


def test_a_long_line_that_is_no_json_is_kept_whole(tmp_path: Path) -> None:
    long = b'{"id":2,"v":"' + b"x" * (2 << 20) + b"\n"
    (tmp_path / "a.jsonl").write_bytes(b'{"id":1}\n' + long + b'{"id":3}\n')
    done = esctl("ingest", "a.jsonl", "--max-record", "4MiB", "--map", "entity=id", cwd=tmp_path)
    assert (done.code, done.row["new"], done.row["invalid"]) == (0, 3, 1)
    assert good("export", "--raw", "--source=a.jsonl", cwd=tmp_path).out == (tmp_path / "a.jsonl").read_bytes()


@pytest.mark.thorough
def test_events_of_a_hundred_thousand_keys_are_folded(tmp_path: Path) -> None:
    """What is done for each key is not a work on all of them: else this takes hours, and all memory there is."""
    keys = 100_000
    (tmp_path / "wide.jsonl").write_text(
        "".join(
            json.dumps(
                {
                    "id": f"e{step}", "type": "Set", "time": f"2024-01-0{step}", "entity": "thing-1",
                    "data": {f"key{i}": i * step for i in range(0, keys, step)},
                }
            ) + "\n"
            for step in (1, 2)
        )
    )  # fmt: skip
    for command in (["ingest", "wide.jsonl"], ["doctor"]):
        done = bounded(5, *command, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    replayed = bounded(5, "replay", "-f", "jsonl", cwd=tmp_path)
    state = {f"key{i}": i if i % 2 else 2 * i for i in range(keys)}
    assert json.loads(replayed.stdout)["state"] == state


@pytest.mark.parametrize(
    ("name", "head", "short", "long", "end"),
    [
        ("a.jsonl", b"", b'{"id":1}\n', b'{"id":2,"v":"%s"}\n', b""),
        ("a.json", b"[", b'{"id":1},', b'{"id":2,"v":"%s"}', b"]"),
        ("values.json", b"", b'{"id":\n1}', b'{"id":2,"v":"%s"}', b""),
        ("a.csv", b"id,v\n", b"1,\n", b"2,%s\n", b""),
    ],
)
def test_what_comes_before_a_record_that_is_too_long_is_kept(
    tmp_path: Path, name: str, head: bytes, short: bytes, long: bytes, end: bytes
) -> None:
    start = head + short * 1000
    (tmp_path / name).write_bytes(start + long.replace(b"%s", b"x" * (3 << 20)) + end)
    arguments = ("ingest", name, "--max-record", "1MiB", "--map", "entity=id")
    told, _ = refused(*arguments, code=3, cwd=tmp_path)
    assert told.startswith(f"{name}: the record at byte {len(start)} is longer than 1,048,576 bytes")
    assert told.endswith("; 1,000 new records are in the log")
    strict, _ = refused(*arguments, "--strict", "--store", "other", code=3, cwd=tmp_path)
    assert "in the log" not in strict
    assert good("ingest", name, "--max-record", "4MiB", "--map", "entity=id", cwd=tmp_path).row["new"] == 1


@pytest.mark.parametrize("packing", PACKERS)
def test_what_comes_before_damage_in_an_archive_is_kept(tmp_path: Path, packing: str) -> None:
    lines = [
        json.dumps({"id": f"event-{i * 7919 % 100_003}", "entity": "a", "text": f"{i**7:x}"}) for i in range(40_000)
    ]
    whole = "".join(f"{line}\n" for line in lines).encode()
    packed = PACKERS[packing](whole)
    (tmp_path / "a.jsonl.packed").write_bytes(packed[: len(packed) * 3 // 4])
    told, _ = refused("ingest", "a.jsonl.packed", code=3, cwd=tmp_path)
    assert "damaged or cut-off" in told
    kept = good("export", "--raw", "--source", "a.jsonl.packed", cwd=tmp_path).out
    assert whole.startswith(kept)
    assert kept.endswith(b"\n")
    assert len(kept) > len(whole) // 4
    (tmp_path / "a.jsonl.packed").write_bytes(packed)
    good("ingest", "a.jsonl.packed", cwd=tmp_path)
    assert good("export", "--raw", "--source", "a.jsonl.packed", cwd=tmp_path).out == whole


@pytest.mark.parametrize("kept", [0.3, 0.7, 0.99])
def test_what_comes_before_damage_in_a_small_file_is_kept(tmp_path: Path, kept: float) -> None:
    lines = b"".join(b'{"id":"event-%d","entity":"a","n":%d}\n' % (i * 7919 % 100_003, i**5) for i in range(3000))
    packed = gzip.compress(lines)
    at = int(len(packed) * kept)
    spoiled = packed[:at] + bytes(byte ^ 0x5A for byte in packed[at : at + 40]) + packed[at + 40 :]
    for name, data in (("cut.gz", packed[:at]), ("spoiled.gz", spoiled), ("twice.gz", gzip.compress(packed)[:at])):
        (tmp_path / name).write_bytes(data)
        told, _ = refused("ingest", name, "--store", f"{name}.store", code=3, cwd=tmp_path)
        assert "damaged or cut-off gzip" in told
        given = good("export", "--raw", "--source", name, "--store", f"{name}.store", cwd=tmp_path).out
        assert given.endswith(b"\n")
        assert len(given) > 0.8 * kept * len(lines)
        assert name == "spoiled.gz" or lines.startswith(given)


@given(
    parts=st.lists(st.binary(max_size=3000), min_size=1, max_size=4),
    between=st.sampled_from([b"", b"\0", b"\0" * 600, b"\0" * 65_536]),
    size=st.integers(1, 5000),
)
def test_members_are_unpacked_as_gzip_does(parts: list[bytes], between: bytes, size: int) -> None:
    packed = between.join(gzip.compress(part) for part in parts) + between
    stream, found = Inflated(io.BytesIO(packed)), b""
    view = memoryview(bytearray(size))
    while count := stream.readinto1(view):
        found += view[:count]
    assert found == b"".join(parts) == gzip.decompress(packed)


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_zeros_up_to_the_end_of_a_block_are_not_the_end(blocks: int) -> None:
    first, second = gzip.compress(b"first"), gzip.compress(b"second")
    packed = first + b"\0" * (blocks * 65_536 - len(first)) + second
    stream, view = Inflated(io.BytesIO(packed)), memoryview(bytearray(100))
    found = [bytes(view[: stream.readinto1(view)]) for _ in range(3)]
    assert found == [b"first", b"second", b""]


DECOMPRESSORS: dict[str, Callable[[], Any]] = {"bz2": bz2.BZ2Decompressor, "xz": lzma.LZMADecompressor}


@given(
    packing=st.sampled_from(sorted(DECOMPRESSORS)),
    parts=st.lists(st.binary(max_size=3000), min_size=1, max_size=4),
    between=st.sampled_from([b"", b"\0" * 4, b"\0" * 65_536]),
    size=st.integers(1, 5000),
)
def test_streams_one_after_another_are_unpacked(packing: str, parts: list[bytes], between: bytes, size: int) -> None:
    packed = between.join(PACKERS[packing](part) for part in parts) + between
    stream, found = Unpacked(io.BytesIO(packed), DECOMPRESSORS[packing]), b""
    view = memoryview(bytearray(size))
    while count := stream.readinto1(view):
        found += view[:count]
    assert found == b"".join(parts)


@pytest.mark.parametrize("packing", PACKERS)
def test_damage_where_a_later_stream_begins_is_no_end(packing: str, tmp_path: Path) -> None:
    one, other = (PACKERS[packing](b"".join(b'{"id":"%d"}\n' % i for i in ids)) for ids in (range(5), range(5, 10)))
    (tmp_path / "a.jsonl").write_bytes(one + other[:1] + bytes([other[1] ^ 1]) + other[2:])
    told, _ = refused("ingest", "a.jsonl", "--map", "entity=id", code=3, cwd=tmp_path)
    assert "damaged or cut-off" in told
    assert len(good("log", "--columns", "id", cwd=tmp_path).rows) == 5
    (tmp_path / "a.jsonl").write_bytes(one + other)
    assert good("ingest", "a.jsonl", cwd=tmp_path).row["new"] == 5


@given(data=st.binary(max_size=3000), cut=st.integers(0, 100), size=st.integers(1, 5000))
def test_a_cut_off_member_gives_what_there_is(data: bytes, cut: int, size: int) -> None:
    packed = gzip.compress(data)
    stream, found = Inflated(io.BytesIO(packed[: max(len(packed) - 1 - cut, 1)])), b""
    view = memoryview(bytearray(size))

    def read_on() -> None:
        nonlocal found
        while count := stream.readinto1(view):
            found += view[:count]

    with pytest.raises(EOFError):
        read_on()
    assert data.startswith(found)


def test_what_people_have(tmp_path: Path, real_logs: Path) -> None:
    cut = real_logs / "cases" / "25-truncated-small-gz" / "t.jsonl.gz"
    told, _ = refused("ingest", cut, code=3, cwd=tmp_path)
    assert "1,990 new records are in the log" in told
    twice = real_logs / "cases" / "53-double-gzip" / "twice.json.gz"
    assert good("ingest", twice, "--store", "other", cwd=tmp_path).row["records"] == 2


def test_a_decompressor_that_failed_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Damage at the beginning is met by the first look, before anything is read; bz2 of Python 3.14 tells it once."""

    class Damaged:
        asked = 0

        def readinto1(self, view: memoryview) -> int:
            self.asked += 1
            raise OSError("Invalid data stream") if self.asked == 1 else ValueError("Decompressor is unusable")

    known = streams._decoder
    monkeypatch.setattr(streams, "_decoder", lambda magic: (known(magic)[0], lambda raw: Damaged()))
    stream = streams.ByteStream("a.bz2", io.BytesIO(bz2.compress(b"{}")), 20)
    for _ in range(2):
        with pytest.raises(InputError, match=r"a\.bz2: damaged or cut-off bzip2 data: Invalid data stream"):
            stream.read(10)
