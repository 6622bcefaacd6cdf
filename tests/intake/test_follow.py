"""Followed files: what is added is taken once, whatever becomes of the file, and of the one who follows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from esctl.errors import InputError, UsageError
from esctl.log.commits import open_log
from esctl.model import Cursor
from esctl.sources.files import follow
from esctl.sources.files.finding import Source
from esctl.sources.files.follow import Tail
from esctl.sources.files.reading import SourceOptions, read
from tests.support.cli_harness import ESCTL, good, plain_event, refused, surroundings

GAP = "what it was when last looked at is not beside it any more"


class Followed:
    """A file in a folder, and what following it has given."""

    def __init__(self, folder: Path, **options: object) -> None:
        self.path = folder / "app.log"
        self.options = SourceOptions(**options)  # type: ignore[arg-type]
        self.cursors: dict[str, Cursor] = {}
        self.notes: list[str] = []
        self.given: dict[str, bytes] = {}
        self.again()

    def again(self) -> None:
        """Begin to follow anew, from the cursors, as after a restart."""
        self.tail = Tail(Source("app.log", self.path), self.options, self.notes.append)

    def poll(self, limit: int = 1 << 20) -> None:
        for delivery in self.tail.poll(self.cursors, limit):
            name = delivery.source
            assert delivery.cursor.offset >= self.cursors.get(name, delivery.cursor).offset
            self.cursors[name] = delivery.cursor
            self.given[name] = self.given.get(name, b"") + b"".join(delivery.batch["raw"].to_pylist())

    def add(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)


@pytest.fixture
def followed(tmp_path: Path) -> Iterator[Followed]:
    made = Followed(tmp_path)
    yield made
    made.tail.close()


def test_lines_are_taken_when_they_are_complete(followed: Followed) -> None:
    followed.poll()
    assert followed.notes == ["app.log: not there yet; it is read as soon as it is"]
    for part, taken in (
        (b"", b""),
        (b'{"n"', b""),
        (b":1}", b""),
        (b"\n\n{}", b'{"n":1}\n'),
        (b"\n", b'{"n":1}\n\n{}\n'),
    ):
        followed.add(part)
        followed.poll()
        assert followed.given.get("app.log", b"") == taken
    assert followed.tail.pending == []
    assert len(followed.notes) == 1


def test_a_later_ingest_knows_the_file(followed: Followed) -> None:
    for number in range(3):
        followed.add(b'{"n":%d}\n' % number)
        followed.poll()
    reading = read(Source("copy.log", followed.path), SourceOptions(), followed.cursors)
    assert (reading.name, list(reading)) == ("app.log", [])
    followed.tail.close()
    followed.add(b'{"n":3}\n{"n"')
    followed.again()
    followed.poll()
    assert followed.given == {"app.log": b'{"n":0}\n{"n":1}\n{"n":2}\n{"n":3}\n'}
    assert followed.tail.pending == [("app.log", 4)]


def test_a_file_that_was_moved_is_read_to_its_end(followed: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    followed.add(b"1\n2")
    followed.poll()
    moved = followed.path.rename(followed.path.with_suffix(".1"))
    followed.poll()
    with moved.open("ab") as file:
        file.write(b"3\n4\n")
    followed.add(b"5\n")
    followed.poll()
    followed.poll()
    with moved.open("ab") as file:
        file.write(b"6\n7")
    followed.add(b"8\n")
    followed.poll()
    assert followed.given == {"app.log": b"1\n23\n4\n6\n", "app.log#2": b"5\n8\n"}
    assert followed.tail.pending == [("app.log", 1)]
    monkeypatch.setattr(follow, "IDLE_SECONDS", -1.0)
    followed.poll()
    assert followed.given["app.log"] == b"1\n23\n4\n6\n7"
    assert followed.tail.pending == []


@pytest.mark.parametrize("now", [b"", b"9\n", b"10\n20\n30\n40\n"])
def test_a_truncated_file_is_read_from_its_start(followed: Followed, now: bytes) -> None:
    followed.add(b"1\n2\n3\n4\n5")
    followed.poll()
    followed.path.write_bytes(now)  # longer than before, too
    followed.poll()
    followed.add(b"50\n")
    followed.poll()
    assert followed.given == {"app.log": b"1\n2\n3\n4\n", "app.log#2": now + b"50\n"}
    assert followed.notes[0] == "app.log: it was truncated; what it has now is read from its start"
    assert [GAP in note for note in followed.notes[1:]] == [True]


def test_what_comes_before_a_line_that_is_too_long_is_taken(tmp_path: Path) -> None:
    followed = Followed(tmp_path, max_record_bytes=10)
    followed.poll()
    followed.add(b'{"n":1}\n{"n":2}\n{"long":"0123456789"}\n{"n":4}\n')
    with pytest.raises(InputError, match="the record at byte 16 is longer than 10 bytes"):
        followed.poll()
    assert followed.given == {"app.log": b'{"n":1}\n{"n":2}\n'}


def test_much_is_taken_bit_by_bit(followed: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "BLOCK", 7)
    lines = b"".join(b'{"number":%d}\n' % number for number in range(100))
    followed.add(lines)
    for _ in range(200):
        followed.poll(limit=20)
    assert followed.given == {"app.log": lines}


def test_the_head_of_a_file_that_began_empty_is_known(followed: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "HEAD_SIZE", 20)
    followed.add(b"")
    for number in range(100, 110):
        followed.poll()
        followed.add(b'{"n":%d}\n' % number)
    followed.poll()
    assert len(followed.given["app.log"]) == 100


@pytest.mark.parametrize("data", [b"a,b\n1,2\n3,4\n", b"PAR1....\n"])
def test_what_is_no_log_of_lines_is_refused(followed: Followed, data: bytes) -> None:
    followed.add(data)
    with pytest.raises(UsageError, match="looks like"):
        followed.poll()


def test_a_compressed_file_is_refused(followed: Followed) -> None:
    import gzip

    followed.path.write_bytes(gzip.compress(b"1\n"))
    with pytest.raises(UsageError, match="is compressed"):
        followed.poll()


@contextmanager
def following(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [*ESCTL, "ingest", "--follow", "--commit-every", "50ms", *arguments]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=folder, env=surroundings(), stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def head(folder: Path) -> int:
    path = folder / ".esctl"
    return open_log(path).read().head if (path / "format.json").exists() else 0


def line(number: int) -> str:
    return json.dumps(plain_event(number)) + "\n"


def append(path: Path, *numbers: int) -> None:
    with path.open("a") as file:
        file.writelines(map(line, numbers))


def positions(folder: Path) -> list[str]:
    return [row["id"] for row in good("log", "--columns", "id", cwd=folder).rows]


def test_killed_and_stopped(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    append(log, 1, 2)
    with following(tmp_path, "app.log", "other.log") as process:
        until(lambda: head(tmp_path) == 2)
        append(log, 3)
        until(lambda: head(tmp_path) == 3)
        append(log, 4)
        process.kill()
        process.wait()
    append(log, 5)
    with following(tmp_path, "app.log", "other.log") as process:
        until(lambda: head(tmp_path) == 5)
        append(tmp_path / "other.log", 6)
        until(lambda: head(tmp_path) == 6)
        good("replay", cwd=tmp_path)
        good("compact", cwd=tmp_path)
        log.rename(tmp_path / "app.log.1")
        append(log, 7)
        until(lambda: head(tmp_path) == 7)
        with log.open("a") as file:
            file.write('{"id":')
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    summary = json.loads(out)
    assert (summary["head"], summary["new"], summary["duplicates"]) == (7, summary["records"], 0)
    assert b"other.log: not there yet" in err
    assert sorted(positions(tmp_path)) == [f"evt-{number}" for number in range(1, 8)]
    assert good("ingest", "app.log", "app.log.1", "other.log", "-q", cwd=tmp_path).row["new"] == 0
    for source, name in (("app.log", "app.log.1"), ("other.log", "other.log")):
        assert good("export", "--raw", "--source", source, cwd=tmp_path).out == (tmp_path / name).read_bytes()
    good("verify", "--full", "-q", cwd=tmp_path)


def test_stdin_is_followed_to_its_end(tmp_path: Path) -> None:
    with following(tmp_path, "-") as process:
        assert process.stdin is not None
        process.stdin.write((line(1) + line(2)[:9]).encode())
        process.stdin.flush()
        until(lambda: head(tmp_path) == 1)
        process.stdin.write((line(2)[9:] + line(3).rstrip()).encode())
        process.stdin.close()
        process.stdin = None
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert json.loads(out)["new"] == 3
    assert positions(tmp_path) == ["evt-1", "evt-2", "evt-3"]


def test_a_file_is_followed_on_when_stdin_has_ended(tmp_path: Path) -> None:
    append(tmp_path / "other.log", 1)
    with following(tmp_path, "-", "other.log") as process:
        assert process.stdin is not None
        process.stdin.write(line(2).rstrip().encode())
        process.stdin.close()
        process.stdin = None
        until(lambda: head(tmp_path) == 2)
        append(tmp_path / "other.log", 3)
        until(lambda: head(tmp_path) == 3)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err


def test_a_source_that_has_ended_is_closed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stdin").write_bytes(line(1).encode())
    descriptor = os.open(tmp_path / "stdin", os.O_RDONLY)
    monkeypatch.setattr(os, "dup", lambda number: descriptor)
    tail = Tail(Source("-", None), SourceOptions(), [].append)
    assert [each.batch.num_rows for each in tail.poll({}, 1 << 20)] == [1]
    assert tail.ended
    reused = os.open(tmp_path / "stdin", os.O_RDONLY)
    assert reused == descriptor
    assert list(tail.poll({}, 1 << 20)) == []
    tail.close()
    os.close(reused)


def test_a_store_is_no_wider_than_what_is_followed_and_says_where_a_zone_does_not_apply(tmp_path: Path) -> None:
    append(tmp_path / "app.log", 1)
    good("ingest", "app.log", "-q", cwd=tmp_path)
    store = tmp_path / ".esctl"
    store.chmod(0o755)
    append(tmp_path / "open.log", 2)
    with following(tmp_path, "app.log", "open.log", "late.log", "--tz", "Asia/Kathmandu") as process:
        until(lambda: head(tmp_path) == 2)
        (tmp_path / "private").touch(mode=0o600)
        append(tmp_path / "private", 3)
        (tmp_path / "private").rename(tmp_path / "late.log")
        until(lambda: head(tmp_path) == 3)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert store.stat().st_mode & 0o777 == 0o700
    assert b"can now be read by no more than may read what is followed" in err
    assert b"note: --tz Asia/Kathmandu does not apply to app.log: no new record" in err


def test_usage(tmp_path: Path) -> None:
    append(tmp_path / "app.log", 1)
    for options in (["--strict"], ["--skip-duplicates"], ["--input-format", "csv"], ["--commit-every", "soon"]):
        refused("ingest", "--follow", "app.log", *options, code=2, cwd=tmp_path)
    refused("ingest", "--follow", tmp_path, code=2, cwd=tmp_path)
    assert not (tmp_path / ".esctl").exists()


def test_lines_of_text_are_followed_with_what_continues_them(followed: Followed) -> None:
    first, more = b"Mar  5 10:00:00 web app: a\n\tat x\n", b"Mar  5 10:00:01 web app: b\n"
    followed.add(b"")
    followed.poll()
    for part in (b"Mar  5 10:00", first[12:], more, b"\tat"):
        followed.add(part)
        followed.poll()
    assert followed.given == {"app.log": first + more}
    cursor = followed.cursors["app.log"]
    assert (cursor.format, cursor.dialect, cursor.records) == ("text", {"pattern": "syslog", "month": "3"}, 2)
    assert followed.tail.pending == [("app.log", 3)]


def test_an_empty_file_that_takes_the_name_over_is_read_as_it_is_written(followed: Followed) -> None:
    followed.add(b"Mar  5 10:00:00 web app: a\n")
    followed.poll()
    followed.path.rename(followed.path.with_suffix(".1"))
    followed.add(b"")
    followed.poll()
    followed.poll()
    followed.add(b"Mar  6 10:00:00 web app: b\n")
    followed.poll()
    assert [cursor.dialect["pattern"] for cursor in followed.cursors.values()] == ["syslog", "syslog"]
