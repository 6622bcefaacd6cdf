"""What every Storage must hold to: a class of tests that each implementation runs with its own `storage`."""

from __future__ import annotations

import pytest

from esctl.errors import InputError
from esctl.storage.protocol import ConflictError, Storage

ASTRAY = ["..", "../out", "log/../../out", "/etc/passwd", "log//a", "./a", "", "log/", "a\0b"]


class StorageContract:
    def test_what_is_put_is_read_back(self, storage: Storage) -> None:
        storage.put("index/a/one.json", b"one")
        assert storage.read("index/a/one.json", 3) == b"one"
        assert list(storage.list("index/a")) == ["one.json"]

    def test_a_second_put_new_conflicts_and_leaves_the_first(self, storage: Storage) -> None:
        storage.put_new("commits/1.json", b"first")
        with pytest.raises(ConflictError):
            storage.put_new("commits/1.json", b"second")
        assert storage.read("commits/1.json", 100) == b"first"

    def test_put_replaces(self, storage: Storage) -> None:
        storage.put("mapping.json", b"a longer one")
        storage.put("mapping.json", b"b")
        assert storage.read("mapping.json", 100) == b"b"

    def test_a_file_larger_than_the_limit_is_refused(self, storage: Storage) -> None:
        storage.put("mapping.json", b"four")
        with pytest.raises(InputError):
            storage.read("mapping.json", 3)

    @pytest.mark.parametrize(
        ("start", "length", "expected"),
        [(0, 4, b"0123"), (3, 2, b"34"), (8, 9, b"89"), (10, 1, b""), (99, 1, b""), (4, 0, b"")],
    )
    def test_a_range_ends_where_the_file_does(self, storage: Storage, start: int, length: int, expected: bytes) -> None:
        storage.put("log/a", b"0123456789")
        assert storage.read_range("log/a", start, length) == expected

    @pytest.mark.parametrize(("start", "length"), [(-1, 1), (0, -1)])
    def test_a_negative_bound_is_refused(self, storage: Storage, start: int, length: int) -> None:
        storage.put("log/a", b"0123456789")
        with pytest.raises(ValueError, match="no bytes"):
            storage.read_range("log/a", start, length)

    def test_what_is_not_there(self, storage: Storage) -> None:
        assert list(storage.list("nowhere")) == []
        storage.delete("nowhere/a")
        for read in (lambda: storage.read("nowhere/a", 9), lambda: storage.read_range("a", 0, 9)):
            with pytest.raises(FileNotFoundError):
                read()

    def test_what_is_deleted_is_gone(self, storage: Storage) -> None:
        storage.put("log/a", b"")
        storage.delete("log/a")
        storage.delete("log/a")
        assert list(storage.list("log")) == []
        storage.put_new("log/a", b"again")

    @pytest.mark.parametrize("name", ASTRAY)
    def test_a_name_that_leads_out_is_refused(self, storage: Storage, name: str) -> None:
        calls = (
            lambda: storage.list(name), lambda: storage.read(name, 9), lambda: storage.read_range(name, 0, 9),
            lambda: storage.put_new(name, b""), lambda: storage.put(name, b""), lambda: storage.delete(name),
        )  # fmt: skip
        for call in calls:
            with pytest.raises(InputError):
                call()
