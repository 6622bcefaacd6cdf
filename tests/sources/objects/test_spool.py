"""What is fetched ahead of its turn: in order, within bounds, and let go of where nobody wants it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from esctl.errors import InputError
from esctl.sources.objects import spool
from esctl.sources.objects.listing import Listed
from esctl.sources.objects.spool import Queue, Spool


class Fetched(Spool):
    """Objects that are there at once, in a folder that can be looked at."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, one: Listed) -> Future[Path]:
        coming: Future[Path] = Future()
        path = self.folder / one.key
        path.touch()
        coming.set_result(path)
        return coming

    @property
    def held(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


def objects(*sizes: int) -> list[Listed]:
    return [Listed(str(number), size, "") for number, size in enumerate(sizes)]


def test_what_is_passed_over_makes_room_for_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "_BYTES_AHEAD", 20)
    fetched = Fetched(tmp_path)
    queue = Queue(iter(objects(10, 10, 10, 10, 10, 10)), fetched)
    given = iter(queue)
    next(given)
    queue.file(lambda one: True).unlink()
    assert fetched.held == ["1", "2"]
    assert [next(given).key for _ in range(3)] == ["1", "2", "3"]
    assert fetched.held == []
    assert queue.file(lambda one: one.key == "5").name == "3"
    assert fetched.held == ["3"]  # what was looked at before is fetched in its turn
    assert [next(given).key for _ in range(2)] == ["4", "5"]


def test_no_more_objects_are_looked_at_than_are_to_be_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "_MOST_AHEAD", 2)
    listed = iter(objects(*[1] * 9))
    queue = Queue(listed, Fetched(tmp_path))
    next(iter(queue))
    queue.file(lambda one: False)
    assert len(list(listed)) == 6


def test_the_end_of_a_listing_by_an_error_comes_in_its_turn(tmp_path: Path) -> None:
    def listing() -> Iterator[Listed]:
        yield from objects(1, 1)
        raise InputError("gone")

    queue = Queue(listing(), Fetched(tmp_path))
    given = iter(queue)
    next(given)
    queue.file(lambda one: True)
    assert next(given).key == "1"
    with pytest.raises(InputError, match="gone"):
        next(given)
