"""A file that is the beginning of what the log has of a source is known: nothing of it is taken in again."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from esctl.api import Store
from esctl.intake import batch, intake
from esctl.intake.intake import IngestOptions, Outcome
from esctl.intake.kept import KeptBytes
from esctl.log.commits import open_log
from esctl.log.reader import read_table
from esctl.sources.files.beginnings import Firsts
from esctl.sources.files.finding import expand
from esctl.sources.files.generations import HEAD_SIZE
from esctl.sources.files.reading import SourceOptions, file_readers
from tests.support.cli_harness import esctl, good
from tests.support.effort import numbers, seeds


def line(number: int, size: int = 0) -> bytes:
    """Make an event without an id; all begin alike."""
    time = f"2024-01-02T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}Z"
    event = {"type": "T", "time": time, "stream": f"a-{number % 3}", "data": {"n": number, "more": "x" * size}}
    return json.dumps(event).encode() + b"\n"


def lines(first: int, count: int, size: int = 0) -> list[bytes]:
    return [line(number, size) for number in range(first, first + count)]


def taken(folder: Path, *names: str, **options: bool) -> Outcome:
    store = Store.create(folder / ".esctl", None, erasable=False)
    wanted = IngestOptions(SourceOptions(), **options)
    readers = file_readers(expand([str(folder / name) for name in names]), wanted.source)
    return batch.ingest(store.path, readers, wanted, store.updater, intake.observe_nothing, store.connection)


def kept(folder: Path) -> list[bytes]:
    store_state = open_log(folder / ".esctl").read()
    return [raw.strip() for raw in read_table(store_state, 1, store_state.head, ["raw"])["raw"].to_pylist()]


def begun(outcome: Outcome) -> list[tuple[str, str]]:
    return [(Path(name).name, Path(known).name) for name, known in outcome.begun]


# --- the cases -------------------------------------------------------------------------------------------------------


def test_files_that_grow_from_one_to_the_next_are_known_again(tmp_path: Path) -> None:
    whole = lines(1, 3)
    for number in (1, 2, 3):
        (tmp_path / f"{number}.jsonl").write_bytes(b"".join(whole[:number]))
    good("ingest", "1.jsonl", "2.jsonl", "3.jsonl", cwd=tmp_path)
    done = good("ingest", "1.jsonl", "2.jsonl", "3.jsonl", cwd=tmp_path)
    assert (done.row["records"], done.row["head"]) == (0, 3)
    assert "note: 1.jsonl: the beginning of what is known of it, nothing new\n" in done.err
    assert "note: 2.jsonl: the beginning of 1.jsonl, nothing new\n" in done.err
    assert "note: 3.jsonl: same bytes as 1.jsonl, nothing new\n" in done.err
    assert "mapping of" not in done.err


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("count", "size", "part"), [(3, 0, 2), (20, 100, 15), (300, 600, 5), (300, 600, 250), (2000, 600, 1900)], ids=str
)
def test_a_copy_made_earlier_is_known(
    tmp_path: Path, at_once: bool, strict: bool, count: int, size: int, part: int
) -> None:
    whole = lines(1, count, size)
    (tmp_path / "a.jsonl").write_bytes(b"".join(whole))
    (tmp_path / "b.jsonl").write_bytes(b"".join(whole[:part]))
    for names in [("a.jsonl", "b.jsonl")] if at_once else [("a.jsonl",), ("b.jsonl",)]:
        done = taken(tmp_path, *names, strict=strict)
    assert begun(done) == [("b.jsonl", "a.jsonl")]
    assert (done.same, kept(tmp_path)) == ((), [each.strip() for each in whole])


@pytest.mark.parametrize("cut", [-1, -9, 30], ids=str)
def test_what_ends_within_a_record_is_known(tmp_path: Path, cut: int) -> None:
    whole = b"".join(lines(1, 9))
    end = len(b"".join(lines(1, 5)))
    (tmp_path / "a.jsonl").write_bytes(whole)
    (tmp_path / "b.jsonl").write_bytes(whole[: end + cut])
    taken(tmp_path, "a.jsonl")
    done = taken(tmp_path, "b.jsonl")
    assert (begun(done), done.pending, done.summary.head) == ([("b.jsonl", "a.jsonl")], (), 9)


@pytest.mark.parametrize("rows", [2, 400])
def test_packed_tables_are_known_by_what_is_in_them(tmp_path: Path, rows: int) -> None:
    header = "id_of_no_use,time,stream,type," + ",".join(f"column_{n}" for n in range(60))
    table = [header, *(f"{n % 2},2024-01-01T00:00:{n % 60:02d}Z,a-1,T,{n}" + "," * 59 for n in range(rows * 2))]
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress("\n".join([*table, ""]).encode()))
    (tmp_path / "b.csv").write_text("\n".join([*table[: rows + 1], ""]))
    (tmp_path / "c.csv.gz").write_bytes(gzip.compress("\n".join([*table[:rows], ""]).encode()))
    taken(tmp_path, "a.csv.gz")
    done = taken(tmp_path, "b.csv", "c.csv.gz")
    assert begun(done) == [("b.csv", "a.csv.gz"), ("c.csv.gz", "a.csv.gz")]
    assert done.summary.head == rows * 2


@pytest.mark.parametrize("size", [0, 600])
def test_what_was_written_anew_is_a_generation(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(lines(1, 300, size)))
    taken(tmp_path, "a.jsonl")
    path.write_bytes(b"".join([*lines(1, 149, size), *lines(1001, 1, size)]))
    done = taken(tmp_path, "a.jsonl")
    assert (done.begun, done.summary.new, done.summary.head) == ((), 150, 450)
    path.write_bytes(b"".join(lines(1, 149, size)))  # of both, and a beginning of either
    assert begun(taken(tmp_path, "a.jsonl")) == [("a.jsonl", "a.jsonl")]


def test_what_was_erased_cannot_be_compared_and_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(lines(1, 4)))
    good("ingest", "a.jsonl", "--erasable", cwd=tmp_path)
    good("redact", "@2", "--reason", "r", "--actor", "a", "--yes", cwd=tmp_path)
    path.write_bytes(b"".join(lines(1, 3)))
    done = good("ingest", "a.jsonl", cwd=tmp_path)
    assert done.row["new"] == 3
    assert (
        "note: a.jsonl: read as new: whether it is the beginning of a.jsonl cannot be told, as records of that were "
        "erased\n" in done.err
    )


def test_it_costs_the_bytes_of_sources_that_begin_alike_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    before = KeptBytes.digest
    monkeypatch.setattr(KeptBytes, "digest", lambda self, name, size: (asked.append(name), before(self, name, size))[1])
    (tmp_path / "logs").mkdir()
    for number in range(40):
        banner = [*lines(1, 9), *lines(100 * number + 100, number % 7 + 20)]
        (tmp_path / "logs" / f"{number}.jsonl").write_bytes(b"".join(banner))
    taken(tmp_path, "logs")
    assert asked == []


# --- the index of first bytes ----------------------------------------------------------------------------------------


def test_first_bytes_find_every_longer_source() -> None:
    draw = random.Random(5)
    text = draw.randbytes(HEAD_SIZE)
    for header in (0, 3, 700):
        firsts = Firsts()
        firsts.add("a", header, text)
        firsts.add("b", header, text[:900] + b"other" * 900)
        for size in [1, 2, 255, 256, 257, 511, 512, 899, 956, 4096, 4097, 60000, HEAD_SIZE - 1]:
            assert "a" in firsts.find(text[:size])
            assert "b" in firsts.find(text[:size]) or size > 900
        assert firsts.find(text[:5000]) == ["a"]
        assert firsts.find(b"?" + text[1:5000]) == []


# --- whatever the files and the commands -----------------------------------------------------------------------------


def _drawn(draw: random.Random, folder: Path) -> list[tuple[str, ...]]:
    """Write files that are beginnings of a few streams, and draw what is ingested together, in what order."""
    streams = [
        b"".join(lines(1000 * number, draw.randint(1, 12) * draw.choice([1, 1, 20]), draw.choice([0, 9, 500])))
        for number in range(3)
    ]
    names = []
    for number in range(draw.randint(3, 10)):
        stream = draw.choice(streams)
        part = stream[: draw.choice([len(stream), draw.randint(0, len(stream)), _whole(draw, stream)])]
        name, packed = f"{draw.randint(0, 99)}-{number}.jsonl", draw.random() < 0.2
        (folder / f"{name}{'.gz' * packed}").write_bytes(gzip.compress(part) if packed else part)
        names.append(f"{name}{'.gz' * packed}")
    return [tuple(draw.choices(names, k=draw.randint(1, 5))) for _ in range(3)]


def _whole(draw: random.Random, stream: bytes) -> int:
    return stream[: draw.randint(1, len(stream))].rfind(b"\n") + 1


def _has(folder: Path, names: Sequence[str]) -> set[bytes]:
    """Return the whole lines of some files."""
    found = set()
    for name in names:
        data = (folder / name).read_bytes()
        data = gzip.decompress(data) if name.endswith(".gz") else data
        found |= {each for each in data.split(b"\n") if each.endswith(b"}}")}
    return found


@pytest.mark.parametrize("number", numbers(20))
def test_each_line_is_taken_in_exactly_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    for seed in seeds(number):
        draw = random.Random(seed)
        for example in range(6):
            folder = tmp_path / f"{seed}-{example}"
            folder.mkdir()
            monkeypatch.setattr(intake, "COMMIT_PARTS", draw.choice([1, 2, 1000]))
            read: set[bytes] = set()
            for names in _drawn(draw, folder):
                taken(folder, *names, strict=draw.random() < 0.3)
                read |= _has(folder, names)
                assert Counter(kept(folder)) == Counter(read)


def test_a_document_that_is_one_record_has_no_beginning_that_is_another(tmp_path: Path) -> None:
    (tmp_path / "whole.json").write_text("[1, 2]")
    (tmp_path / "cut.json").write_text("[1, 2")
    for names in (["whole.json", "cut.json"], ["cut.json"]):
        esctl("ingest", *names, "--input-format", "json-document", cwd=tmp_path)  # one cannot be read
    assert kept(tmp_path) == [b"[1, 2]", b"[1, 2"]
