"""Files keep what is promised of every source, in each of their formats, packed or not."""

from __future__ import annotations

import gzip
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from esctl.sources.files.finding import Source
from esctl.sources.files.reading import FileReader, SourceOptions
from esctl.sources.protocol import SourceReader
from tests.sources.contract import SourceReaderContract, Subject, delivered, raws

COUNT = 7


def rows(first: int, count: int) -> list[dict[str, Any]]:
    return [{"id": number, "type": "Made", "note": "ä" * (number % 3)} for number in range(first, first + count)]


def lines(first: int, count: int) -> list[bytes]:
    return [json.dumps(row, ensure_ascii=False).encode() for row in rows(first, count)]


class FileSubject(Subject):
    """A file of some format; `write` makes it of so many records and gives their bytes as they are to be kept."""

    def __init__(self, path: Path, write: Callable[[Path, int], list[bytes]], *, grows: bool) -> None:
        self.path = path
        self.write = write
        self.grows = grows
        self.records = write(path, COUNT)

    def reader(self) -> SourceReader:
        return FileReader(Source(self.path.name, self.path), SourceOptions(batch_rows=2))

    def grow(self) -> list[bytes]:
        return self.write(self.path, COUNT + 3)[COUNT:] if self.grows else []


def as_lines(path: Path, count: int) -> list[bytes]:
    written = lines(0, count)
    path.write_bytes(b"".join(line + b"\n" for line in written))
    return [line + b"\n" for line in written]


def as_gzip(path: Path, count: int) -> list[bytes]:
    found = as_lines(path, count)
    path.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    return found


def as_csv(path: Path, count: int) -> list[bytes]:
    written = [f"{row['id']},{row['type']},{row['note']}\n".encode() for row in rows(0, count)]
    path.write_bytes(b"id,type,note\n" + b"".join(written))
    return written


def as_values(path: Path, count: int) -> list[bytes]:
    """Write JSON values, indented, one after the other; the blanks between them are in no record."""
    written = [json.dumps(row, indent=1, ensure_ascii=False).encode() for row in rows(0, count)]
    path.write_bytes(b"\n".join(written) + b"\n")
    return written


def as_parquet(path: Path, count: int) -> list[bytes]:
    pq.write_table(pa.Table.from_pylist(rows(0, count)), path)
    return [json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() for row in rows(0, count)]


FORMATS = {
    "lines": (as_lines, True),
    "gzip": (as_gzip, True),
    "csv": (as_csv, True),
    "values": (as_values, True),
    "parquet": (as_parquet, False),
}


class TestFiles(SourceReaderContract):
    """What holds for every source."""

    @pytest.fixture(params=FORMATS)
    def subject(self, tmp_path: Path, request: pytest.FixtureRequest) -> Subject:
        write, grows = FORMATS[request.param]
        return FileSubject(tmp_path / "source", write, grows=grows)


def test_a_file_is_known_by_another_name(tmp_path: Path) -> None:
    subject = FileSubject(tmp_path / "source", as_lines, grows=True)
    first = delivered(subject, {})[0]
    subject.path = subject.path.rename(tmp_path / "renamed")
    reader = subject.reader()
    assert reader.name == "renamed"
    rest = list(reader.open({"source": first.cursor}))
    assert reader.name == "source"
    assert raws(rest) == subject.records[2:]


@contextmanager
def piped(tmp_path: Path, data: bytes) -> Iterator[Path]:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(data,))
    writer.start()
    yield path
    writer.join()


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Path]:
    with piped(tmp_path, b"".join(line + b"\n" for line in lines(0, 3))) as path:
        yield path


@pytest.mark.parametrize("write", [as_lines, as_csv, as_parquet])
def test_a_pipe_is_no_known_file(write: Callable[[Path, int], list[bytes]], tmp_path: Path) -> None:
    subject = FileSubject(tmp_path / "source", write, grows=False)
    known = {"source": delivered(subject, {})[-1].cursor}
    with piped(tmp_path, subject.path.read_bytes()) as pipe:
        reader = FileReader(Source("pipe", pipe), SourceOptions())
        assert raws(list(reader.open(known))) == subject.records
        assert reader.name == "pipe"


def test_only_what_is_no_plain_file_may_wait(tmp_path: Path, pipe: Path) -> None:
    reader = FileReader(Source("pipe", pipe), SourceOptions())
    assert reader.may_wait
    assert sum(each.batch.num_rows for each in reader.open({})) == 3
    assert not FileSubject(tmp_path / "source", as_lines, grows=True).reader().may_wait


def test_an_unfinished_line_is_pending(tmp_path: Path) -> None:
    subject = FileSubject(tmp_path / "source", as_lines, grows=True)
    with subject.path.open("ab") as file:
        file.write(b'{"id": ')
    reader = subject.reader()
    assert raws(list(reader.open({}))) == subject.records
    assert reader.pending == 7
