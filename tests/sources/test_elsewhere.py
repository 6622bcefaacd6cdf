"""Files that workers read ahead are read as they are found, also if they go meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from esctl.engine.workers import Call, Workers
from esctl.errors import InputError
from esctl.sources.files import elsewhere
from esctl.sources.files.elsewhere import ReadAhead, readers_ahead
from esctl.sources.files.finding import Source
from esctl.sources.files.reading import SourceOptions


def workers_that_find_nothing(folder: Path) -> Workers:
    def run(calls: Sequence[Call[Any]]) -> list[list[ReadAhead]]:
        return [[ReadAhead() for _ in call.arguments[1]] for call in calls]

    return cast(Workers, SimpleNamespace(folder=folder, parts=lambda size: 2, run=run))


def test_a_file_that_goes_is_told_when_it_is_its_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / name for name in ("a.jsonl", "b.jsonl", "c.jsonl")]
    for path in paths:
        path.write_bytes(b'{"id": 1}\n')

    def vanish(source: Source) -> int | None:
        size = size_if_fit(source)
        if source.name == "b.jsonl":
            paths[1].unlink()
        return size

    size_if_fit = elsewhere._size_if_fit
    monkeypatch.setattr(elsewhere, "_size_if_fit", vanish)
    sources = [Source(path.name, path) for path in paths]
    readers = list(readers_ahead(sources, SourceOptions(), workers_that_find_nothing(tmp_path), {}))
    assert [reader.name for reader in readers] == ["a.jsonl", "b.jsonl", "c.jsonl"]
    with pytest.raises(InputError, match=r"^b\.jsonl: cannot be opened: No such file or directory$"):
        readers[1].open({})
    assert [each.batch.num_rows for reader in readers[::2] for each in reader.open({})] == [1, 1]
