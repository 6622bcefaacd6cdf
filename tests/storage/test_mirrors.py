"""The cache of what was fetched: bounded, and no list of it believed that does not hold."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

import pytest

from esctl.errors import UsageError
from esctl.storage.bounded import shrink, size_limit
from esctl.storage.fetched import Fetched
from esctl.storage.kept import WHOLE, Kept
from esctl.storage.protocol import Depot


@pytest.mark.parametrize(
    ("spans", "start", "end", "there"),
    [
        ([], 0, 0, True),
        ([], 0, 1, False),
        ([(0, 10), (10, 20)], 5, 15, True),
        ([(10, 20), (0, 9)], 5, 15, False),
        ([(0, 10), (2, 5)], 4, 9, True),
        ([WHOLE], 10**12, 10**13, True),
    ],
)
def test_what_is_there_is_what_some_ranges_have_together(
    tmp_path: Path, spans: list[tuple[int, int]], start: int, end: int, there: bool
) -> None:
    kept = Kept(tmp_path)
    for span in spans:
        kept.add("log/a", *span)
    assert (kept.has("log/a", start, end), Kept(tmp_path).has("log/a", start, end)) == (there, there)
    kept.drop("log/a")
    assert not kept.has("log/a", 0, 1)


def test_what_another_process_added_is_seen(tmp_path: Path) -> None:
    one, other = Kept(tmp_path), Kept(tmp_path)
    one.add("a", 0, 5)
    other.add("a", 5, 9)
    assert one.has("a", 0, 9)


def test_a_list_that_was_cut_off_is_not_believed(tmp_path: Path) -> None:
    Kept(tmp_path).add("a", 0, 100)
    with (tmp_path / "a").open("a") as file:
        file.write("100 2")
    Kept(tmp_path).add("a", 100, 300)
    assert not Kept(tmp_path).has("a", 0, 50)


def test_what_was_not_used_for_longest_goes_first_and_what_is_in_use_stays(tmp_path: Path) -> None:
    store, kept = tmp_path / "it/store", tmp_path / "it/kept"
    store.mkdir(parents=True)
    for age, name in enumerate(("new", "old", "oldest", "in use")):
        (store / name).write_bytes(b"x" * 100_000)
        Kept(kept).add(name, *WHOLE)
        used = 2_000_000_000 if name == "in use" else 1_000_000_000 - age
        os.utime(kept / name, (used, used))
    shrink(tmp_path, 250_000)
    assert sorted(path.name for path in store.iterdir()) == ["in use", "new"]
    assert sorted(path.name for path in kept.iterdir()) == ["in use", "new"]
    (store / ".tmp-a").touch()
    (store / ".tmp-b").touch()
    os.utime(store / ".tmp-a", (1_000_000_000, 1_000_000_000))
    shrink(tmp_path, 250_000)
    assert not (store / ".tmp-a").exists()
    (store / ".tmp-b").unlink()
    shrink(tmp_path, 0)
    assert [path.name for path in store.iterdir()] == ["in use"]


@pytest.mark.parametrize(
    ("given", "size"), [("", 10 << 30), ("1000", 1000), ("20GiB", 20 << 30), ("5 MB", 5 << 20), ("1t", 1 << 40)]
)
def test_the_bound_is_read(monkeypatch: pytest.MonkeyPatch, given: str, size: int) -> None:
    monkeypatch.setenv("ESCTL_CACHE_SIZE", given)
    assert size_limit() == size


def test_a_bound_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESCTL_CACHE_SIZE", "much")
    with pytest.raises(UsageError, match="ESCTL_CACHE_SIZE is 'much'"):
        size_limit()


class Bucket:
    """A depot of one file."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def get_file(self, _name: str, path: Path, _most: int) -> None:
        path.write_bytes(self._data)


def test_who_has_a_file_open_sees_it_filled_when_all_of_it_comes(tmp_path: Path) -> None:
    data = bytes(range(256)) * 100
    here = Fetched(tmp_path / "it/store", cast(Depot, Bucket(data)))
    path = here.root / "log/a"
    here.prepare(path, len(data))
    with path.open("rb") as opened:
        here.fetch(path)
        assert opened.read() == data == path.read_bytes()
    assert sorted(each.name for each in path.parent.iterdir()) == ["a"]
