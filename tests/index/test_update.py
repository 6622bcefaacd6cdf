"""Keeping an index up to date in a store that may not let it be written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from esctl.api import Store
from esctl.errors import InputError
from esctl.maintain.compact import compact
from tests.support.cli_harness import good, plain_event, write_lines

CHANGES: dict[str, Callable[[Store], Any]] = {
    "reindexed": lambda store: store.rebuild_index(),
    "compacted": lambda store: compact(store.path, store.updater()),
}


@pytest.mark.parametrize("done", CHANGES)
def test_an_index_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: str) -> None:
    write_lines(tmp_path / "a.jsonl", [plain_event(1)])
    good("ingest", "-q", "a.jsonl", cwd=tmp_path)

    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("esctl.index.update.locked", refuse)
    with pytest.raises(InputError, match="cannot write the index: Permission denied") as caught:
        CHANGES[done](Store.open(tmp_path / ".esctl"))
    assert caught.value.hint == f"the store must be writable to be {done}"
