"""Files of a store in a folder of this machine."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from esctl.errors import InputError
from esctl.named import read_named
from esctl.storage.depots import LocalDepot
from esctl.storage.local import TEMPORARY, read_regular
from esctl.storage.protocol import Depot
from tests.storage.contract import DepotContract
from tests.support.log_helpers import Failing, Unsynced


@pytest.fixture
def depot(tmp_path: Path) -> Depot:
    (tmp_path / "store").mkdir()
    return LocalDepot(tmp_path / "store", Unsynced())


class TestLocalDepot(DepotContract):
    pass


@pytest.mark.parametrize("step", range(5))
def test_a_put_that_fails_leaves_the_old_file_or_the_new(tmp_path: Path, step: int) -> None:
    LocalDepot(tmp_path, Unsynced()).replace("a", b"old and longer")
    files = Failing(step)
    with pytest.raises(OSError, match="No space left"):
        LocalDepot(tmp_path, files).replace("a", b"new one")
    whole = b"new one" if files.failed == "sync_folder" else b"old and longer"
    assert (tmp_path / "a").read_bytes() == whole
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("step", range(5))
def test_a_put_new_that_fails_makes_nothing_or_all(tmp_path: Path, step: int) -> None:
    files = Failing(step)
    with pytest.raises(OSError, match="No space left"):
        LocalDepot(tmp_path, files).create("a", b"new one")
    found = [path.read_bytes() for path in tmp_path.iterdir()]
    assert found == ([b"new one"] if files.failed == "sync_folder" else [])


def test_files_that_are_being_written_are_not_listed(tmp_path: Path) -> None:
    for name in (f"{TEMPORARY}a.1234", "b"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "c").symlink_to("b")
    assert [found.name for found in LocalDepot(tmp_path).list(".")] == ["b"]


CALLS: list[Callable[[LocalDepot, str], object]] = [
    lambda depot, name: depot.get(name, 9),
    lambda depot, name: depot.get_ranges(name, [(0, 9)]),
    lambda depot, name: depot.replace(name, b"over"),
    lambda depot, name: depot.create(name, b"over"),
    lambda depot, name: depot.delete(name),
    lambda depot, name: depot.head(name),
    lambda depot, name: depot.put_file(name, Path(__file__)),
]


@pytest.mark.parametrize("call", CALLS)
def test_a_link_to_a_folder_is_not_followed(tmp_path: Path, call: Callable[[LocalDepot, str], object]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a").write_bytes(b"others'")
    (tmp_path / "store").mkdir()
    (tmp_path / "store/log").symlink_to(tmp_path / "out")
    with pytest.raises(InputError, match="is a link"):
        call(LocalDepot(tmp_path / "store", Unsynced()), "log/a")
    assert [path.read_bytes() for path in (tmp_path / "out").iterdir()] == [b"others'"]


def test_a_link_to_a_file_is_replaced_and_never_read(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"others'")
    (tmp_path / "store").mkdir()
    (tmp_path / "store/a").symlink_to(tmp_path / "out")
    depot = LocalDepot(tmp_path / "store", Unsynced())
    for read in (lambda: depot.get("a", 9), lambda: depot.get_ranges("a", [(0, 9)])):
        with pytest.raises(InputError, match="it is a link"):
            read()
    depot.replace("a", b"own")
    assert ((tmp_path / "out").read_bytes(), (tmp_path / "store/a").read_bytes()) == (b"others'", b"own")


def test_rights_are_no_wider_than_those_of_the_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    LocalDepot(tmp_path, Unsynced()).replace("log/a", b"")
    assert [(tmp_path / name).stat().st_mode & 0o077 for name in ("log", "log/a")] == [0, 0]


@pytest.mark.parametrize("read", [read_named, read_regular])
def test_a_file_that_grows_while_it_is_read_is_read_to_its_end_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path, int], bytes]
) -> None:
    path, data = tmp_path / "a", bytes(range(256)) * 20
    path.write_bytes(data)

    def stat_before(descriptor: int) -> os.stat_result:
        found = list(os.stat(descriptor))
        found[stat.ST_SIZE] = 100
        return os.stat_result(found)

    monkeypatch.setattr(os, "fstat", stat_before)
    assert read(path, 1 << 30) == data
    assert read(path, len(data)) == data
    with pytest.raises((OSError, InputError), match="bytes"):
        read(path, len(data) - 1)
