"""What every Depot must hold to: a class of tests that each implementation runs with its own `depot`."""

from __future__ import annotations

from pathlib import Path

import pytest

from esctl.errors import InputError
from esctl.storage.protocol import ConflictError, Depot, clock

ASTRAY = ["..", "../out", "log/../../out", "/etc/passwd", "log//a", "./a", "", "log/", "a\0b"]


def names(depot: Depot, folder: str) -> list[str]:
    return sorted(found.name for found in depot.list(folder))


def content(depot: Depot, name: str, limit: int) -> bytes:
    found = depot.get(name, limit)
    assert found is not None
    return found[0]


class DepotContract:
    def test_what_is_put_is_read_back(self, depot: Depot) -> None:
        depot.replace("index/a/one.json", b"one")
        assert content(depot, "index/a/one.json", 3) == b"one"
        assert names(depot, "index/a") == ["one.json"]

    def test_a_second_put_new_conflicts_and_leaves_the_first(self, depot: Depot) -> None:
        depot.create("commits/1.json", b"first")
        with pytest.raises(ConflictError):
            depot.create("commits/1.json", b"second")
        assert content(depot, "commits/1.json", 100) == b"first"

    def test_put_replaces(self, depot: Depot) -> None:
        depot.replace("mapping.json", b"a longer one")
        depot.replace("mapping.json", b"b")
        assert content(depot, "mapping.json", 100) == b"b"

    def test_a_file_larger_than_the_limit_is_refused(self, depot: Depot) -> None:
        depot.replace("mapping.json", b"four")
        with pytest.raises(InputError):
            depot.get("mapping.json", 3)

    @pytest.mark.parametrize(
        ("start", "length", "expected"),
        [(0, 4, b"0123"), (3, 2, b"34"), (8, 9, b"89"), (10, 1, b""), (99, 1, b""), (4, 0, b"")],
    )
    def test_a_range_ends_where_the_file_does(self, depot: Depot, start: int, length: int, expected: bytes) -> None:
        depot.replace("log/a", b"0123456789")
        assert depot.get_ranges("log/a", [(start, length)]) == [expected]

    @pytest.mark.parametrize(("start", "length"), [(-1, 1), (0, -1)])
    def test_a_negative_bound_is_refused(self, depot: Depot, start: int, length: int) -> None:
        depot.replace("log/a", b"0123456789")
        with pytest.raises(ValueError, match="no bytes"):
            depot.get_ranges("log/a", [(start, length)])

    def test_what_is_not_there(self, depot: Depot) -> None:
        assert names(depot, "nowhere") == []
        depot.delete("nowhere/a")
        for read in (lambda: depot.get("nowhere/a", 9), lambda: depot.get_ranges("a", [(0, 9)])):
            with pytest.raises(FileNotFoundError):
                read()

    def test_what_is_deleted_is_gone(self, depot: Depot) -> None:
        depot.replace("log/a", b"")
        depot.delete("log/a")
        depot.delete("log/a")
        assert names(depot, "log") == []
        depot.create("log/a", b"again")

    @pytest.mark.parametrize("name", ASTRAY)
    def test_a_name_that_leads_out_is_refused(self, depot: Depot, name: str, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        calls = (
            lambda: depot.list(name), lambda: depot.get(name, 9), lambda: depot.get_ranges(name, [(0, 9)]),
            lambda: depot.create(name, b""), lambda: depot.replace(name, b""), lambda: depot.delete(name),
            lambda: depot.head(name), lambda: depot.put_file(name, tmp_path / "file"),
            lambda: depot.get_file(name, tmp_path / "copy", 9), lambda: depot.folders(name),
        )  # fmt: skip
        for call in calls:
            with pytest.raises(InputError):
                call()

    def test_what_is_still_what_was_read_is_not_read_again(self, depot: Depot) -> None:
        depot.replace("mapping.json", b"one")
        read = depot.get("mapping.json", 9)
        assert read is not None
        assert depot.get("mapping.json", 9, read[1]) is None
        depot.replace("mapping.json", b"two")
        assert content(depot, "mapping.json", 9) == b"two"

    def test_only_what_was_read_is_replaced(self, depot: Depot) -> None:
        depot.replace("mapping.json", b"one")
        read = depot.get("mapping.json", 9)
        assert read is not None
        assert depot.create("views.json", b"") == depot.get("views.json", 9)[1]  # type: ignore[index]
        tag = depot.replace("mapping.json", b"two", read[1])
        with pytest.raises(ConflictError):
            depot.replace("mapping.json", b"three", read[1])
        assert depot.get("mapping.json", 9) == (b"two", tag)
        depot.delete("mapping.json")
        with pytest.raises(ConflictError):
            depot.replace("mapping.json", b"four", tag)
        assert depot.head("mapping.json") is None

    def test_a_file_has_one_version_however_it_is_asked_for(self, depot: Depot) -> None:
        made = depot.create("mapping.json", b"one")
        about, read = depot.head("mapping.json"), depot.get("mapping.json", 9)
        assert about is not None
        assert read is not None
        assert {made, about.tag, read[1], *(each.tag for each in depot.list("."))} == {made}
        replaced = depot.replace("mapping.json", b"two", about.tag)
        again = depot.head("mapping.json")
        assert again is not None
        assert again.tag == replaced != about.tag
        with pytest.raises(ConflictError):
            depot.replace("mapping.json", b"three", about.tag)

    def test_several_ranges_come_in_the_order_asked_for(self, depot: Depot) -> None:
        depot.replace("log/a", b"0123456789")
        assert depot.get_ranges("log/a", [(8, 9), (0, 1), (4, 2)]) == [b"89", b"0", b"45"]

    def test_files_of_this_machine_are_put_and_got(self, depot: Depot, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"of this machine" * 1000)
        depot.put_file("log/a", tmp_path / "file")
        depot.get_file("log/a", tmp_path / "copy", 15_000)
        with pytest.raises(InputError, match="at most 14,999 bytes"):
            depot.get_file("log/a", tmp_path / "larger", 14_999)
        assert (tmp_path / "copy").read_bytes() == b"of this machine" * 1000
        with pytest.raises(FileNotFoundError):
            depot.get_file("log/b", tmp_path / "copy", 9)

    def test_what_is_known_without_reading(self, depot: Depot) -> None:
        depot.replace("log/a", b"four")
        depot.replace("index/b/c", b"")
        depot.replace("index/a/c", b"")
        about = depot.head("log/a")
        assert about is not None
        assert (about.name, about.size) == ("a", 4)
        assert list(depot.list("log")) == [about]
        assert list(depot.folders(".")) == ["index", "log"]
        assert list(depot.folders("index")) == ["a", "b"]
        assert list(depot.folders("nowhere")) == []
        assert depot.head("log/b") is None

    def test_what_follows_a_name_is_listed(self, depot: Depot) -> None:
        for name in ("1", "2", "10", "folder/3", "summary"):
            depot.replace(f"commits/{name}", b"")
        assert sorted(found.name for found in depot.list("commits", "10")) == ["2", "summary"]
        assert [found.name for found in depot.list("commits", "10", 1)] == ["2"]
        assert list(depot.list("nowhere", "10")) == []

    def test_its_clock_goes_on_and_leaves_nothing(self, depot: Depot) -> None:
        depot.replace("log/a", b"")
        about = depot.head("log/a")
        assert about is not None
        assert about.modified <= clock(depot) + 1  # some places count whole seconds
        assert names(depot, ".") == []
