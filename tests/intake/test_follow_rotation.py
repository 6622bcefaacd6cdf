"""A followed file that is rotated more than once between two looks: all is taken once, or a possible gap is told."""

from __future__ import annotations

import gzip
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from esctl.sources.files.rotated import is_rotated
from tests.intake.test_follow import GAP, Followed, append, following, head, positions, until
from tests.support.cli_harness import good

Rotate = Callable[[Path, int], None]
"""Moves app.log away; it is told how often that was done before."""


def numbered(log: Path, _: int) -> None:
    for number in range(8, 0, -1):
        if (older := log.with_name(f"{log.name}.{number}")).exists():
            older.rename(log.with_name(f"{log.name}.{number + 1}"))
    log.rename(log.with_name(f"{log.name}.1"))


def from_zero(log: Path, _: int) -> None:
    for number in range(8, -1, -1):
        if (older := log.with_name(f"{log.name}.{number}")).exists():
            older.rename(log.with_name(f"{log.name}.{number + 1}"))
    log.rename(log.with_name(f"{log.name}.0"))


def packed(log: Path, times: int) -> None:
    for number in range(8, 0, -1):
        if (older := log.with_name(f"{log.name}.{number}.gz")).exists():
            older.rename(log.with_name(f"{log.name}.{number + 1}.gz"))
    pack(log, log.with_name(f"{log.name}.1.gz"))


def dated(log: Path, times: int) -> None:
    log.rename(log.with_name(f"{log.name}-2024010{times + 1}"))


def dated_and_packed(log: Path, times: int) -> None:
    pack(log, log.with_name(f"app-2024-01-0{times + 1}.log.gz"))


def inside(log: Path, times: int) -> None:
    log.rename(log.with_name(f"app.{times + 1}.log"))


def odd(log: Path, times: int) -> None:
    log.rename(log.with_name(f"old {times + 1} of the app"))


def pack(log: Path, target: Path) -> None:
    target.write_bytes(gzip.compress(log.read_bytes()))
    shutil.copystat(log, target)
    log.unlink()


ROTATIONS: list[Rotate] = [numbered, from_zero, packed, dated, dated_and_packed, inside, odd]


class Rotated(Followed):
    """A followed file, each write to which has a time of its own, a second after the one before."""

    def __init__(self, folder: Path) -> None:
        self.now = 1_700_000_000
        super().__init__(folder)

    def add(self, data: bytes) -> None:
        super().add(data)
        self.now += 1
        os.utime(self.path, (self.now, self.now))

    @property
    def taken(self) -> list[bytes]:
        """All lines that were given, by the order of generations."""
        return b"".join(self.given[name] for name in sorted(self.given)).splitlines()


@pytest.fixture
def rotated(tmp_path: Path) -> Iterator[Rotated]:
    made = Rotated(tmp_path)
    yield made
    made.tail.close()


@pytest.mark.parametrize("rotate", ROTATIONS)
@pytest.mark.parametrize("between", [0, 1, 3])
def test_generations_between_two_looks(rotated: Rotated, rotate: Rotate, between: int) -> None:
    if rotate is not odd:
        rotated.add(b'"old"\n')
        rotate(rotated.path, 0)
    rotated.add(b"1\n2\n")
    rotated.poll()
    rotated.add(b"3\n")
    for number in range(between + 1):
        rotate(rotated.path, number + 1)
        rotated.add(b"%d\n" % (number + 4))
    rotated.poll()
    rotated.poll()
    assert rotated.taken == [b"%d" % number for number in range(1, between + 5)]
    assert rotated.notes == []
    assert list(rotated.given) == ["app.log", *(f"app.log#{number}" for number in range(2, between + 3))]
    rotated.add(b"99\n")
    rotated.poll()
    assert rotated.taken[-1] == b"99"


@pytest.mark.parametrize("rotate", [each for each in ROTATIONS if each is not odd])
@pytest.mark.parametrize("between", [0, 1, 3])
def test_generations_while_nobody_followed(rotated: Rotated, rotate: Rotate, between: int) -> None:
    rotated.add(b'"old"\n')
    rotate(rotated.path, 0)
    rotated.add(b"1\n2\n")
    rotated.poll()
    rotated.tail.close()
    rotated.add(b"3\n")
    for number in range(between + 1):
        rotate(rotated.path, number + 1)
        rotated.add(b"%d\n" % (number + 4))
    rotated.again()
    rotated.poll()
    assert rotated.taken == [b"%d" % number for number in range(1, between + 5)]
    assert rotated.notes == []


def test_what_is_gone_is_told(rotated: Rotated) -> None:
    rotated.add(b"1\n")
    rotated.poll()
    numbered(rotated.path, 0)
    rotated.add(b"2\n")
    numbered(rotated.path, 0)
    rotated.path.with_name("app.log.1").unlink()
    rotated.add(b"3\n")
    rotated.poll()
    rotated.poll()
    assert rotated.taken == [b"1", b"3"]
    assert rotated.notes == ["app.log.1 is not there: its records may be missing"]


@pytest.mark.parametrize("again", [False, True])
def test_a_file_that_is_nowhere_is_told(rotated: Rotated, again: bool) -> None:
    rotated.add(b"1\n")
    rotated.poll()
    if again:
        rotated.tail.close()
        rotated.again()
    rotated.path.unlink()
    rotated.add(b"2\n")
    rotated.poll()
    rotated.poll()
    assert rotated.taken == [b"1", b"2"]
    assert [GAP in note for note in rotated.notes] == [True]


def test_a_copy_made_before_it_was_truncated(rotated: Rotated) -> None:
    rotated.add(b"1\n2\n")
    rotated.poll()
    rotated.add(b"3\n")
    shutil.copy2(rotated.path, rotated.path.with_name("app.log.1"))
    os.truncate(rotated.path, 0)
    rotated.add(b"4\n")
    rotated.poll()
    assert rotated.taken == [b"1", b"2", b"3", b"4"]
    assert len(rotated.notes) == 1


def test_what_was_there_before_is_nobodys_successor(rotated: Rotated) -> None:
    """An inode, a name or a packed copy that is new does not make an old file a new one; nor is other data taken."""
    rotated.add(b'"old"\n')
    rotated.path.rename(rotated.path.with_name("app.log.1"))
    rotated.add(b"1\n")
    rotated.path.with_name("app.log.tmp1").write_bytes(b'"nothing"\n')
    rotated.poll()
    pack(rotated.path.with_name("app.log.1"), rotated.path.with_name("app.log.2.gz"))
    numbered(rotated.path, 0)
    rotated.add(b"2\n")
    rotated.path.with_name("app.log.lock").write_bytes(b'"nothing"\n')
    rotated.path.with_name("app.log.9").symlink_to(rotated.path.with_name("app.log.lock"))
    rotated.poll()
    rotated.poll()
    assert rotated.taken == [b"1", b"2"]
    assert rotated.notes == []


def test_generations_before_the_first_look(rotated: Rotated) -> None:
    rotated.poll()
    rotated.now = 4_000_000_000  # after the test began
    rotated.add(b"1\n")
    numbered(rotated.path, 0)
    rotated.add(b"2\n")
    rotated.poll()
    assert rotated.taken == [b"1", b"2"]


def test_a_damaged_one_is_told(rotated: Rotated) -> None:
    rotated.add(b"1\n")
    rotated.poll()
    numbered(rotated.path, 0)
    rotated.add(b"2\n")
    numbered(rotated.path, 0)
    middle = rotated.path.with_name("app.log.1")
    middle.with_suffix(".1.gz").write_bytes(gzip.compress(middle.read_bytes())[:-6])
    shutil.copystat(middle, middle.with_suffix(".1.gz"))
    middle.unlink()
    rotated.add(b"3\n")
    rotated.poll()
    rotated.poll()
    assert rotated.taken[-1] == b"3"
    assert ["app.log.1.gz: its records may be missing" in note for note in rotated.notes] == [True]


@pytest.mark.parametrize(
    ("name", "other", "is_one"),
    [
        ("app.log", "app.log.1", True),
        ("app.log", "app.log.1.gz", True),
        ("app.log", "app.log.old", True),
        ("app.log", "app.log.gz", True),
        ("app.log", "app.log~", True),
        ("app.log", "app.log-20240101.zst", True),
        ("app.log", "app.log.2024-01-01T00_00", True),
        ("app.log", "app-2024-01-01.log", True),
        ("app.log", "app-2024-01-01.3.log.xz", True),
        ("app.log", "app.1", True),
        ("app", "app.1", True),
        ("app", "app-1", True),
        ("app.log", "app.log", False),
        ("app.log", "app.log.idx", False),
        ("app.log", "app.log.tmp3", False),
        ("app.log", "app2.log", False),
        ("app.log", "apples.1.log", False),
        ("app.log", "app.err.log", False),
        ("app.log", "other.log.1", False),
    ],
)
def test_names(name: str, other: str, is_one: bool) -> None:
    assert is_rotated(name, other) == is_one


def test_from_the_command_line(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    append(log, 1, 2)
    with following(tmp_path, "app.log") as process:
        until(lambda: head(tmp_path) == 2)
        process.kill()
        process.wait()
    for number in range(3, 6):
        numbered(log, 0)
        append(log, number)
    with following(tmp_path, "app.log") as process:
        until(lambda: head(tmp_path) == 5)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert b"missing" not in err
    assert positions(tmp_path) == [f"evt-{number}" for number in range(1, 6)]
    good("verify", "--full", "-q", cwd=tmp_path)
