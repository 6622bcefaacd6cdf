"""What may be in a store is looked at while others write it: what they remove meanwhile is not missed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from esctl.storage.inside import odd_entries


@pytest.mark.parametrize("place", ["lock.pid", "lock", "format.json", "index", "index/a", "index/a/b.parquet"])
def test_what_is_removed_after_it_was_listed_is_nothing_odd(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to("/") if place in ("index", "index/a") else path.touch()
    scandir = os.scandir

    @contextmanager
    def list_and_remove(folder: str | Path) -> Iterator[list[os.DirEntry[str]]]:
        with scandir(folder) as found:
            entries = list(found)
        if path.parent == Path(folder):
            path.unlink()
        yield entries

    monkeypatch.setattr(os, "scandir", list_and_remove)
    assert list(odd_entries(tmp_path)) == []
    assert not path.is_symlink()
    assert not path.exists()
