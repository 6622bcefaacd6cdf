"""Who waits for others to build an index takes what they built; who builds behind a reader says what went wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from filelock import FileLock, Timeout

from esctl.api import Store
from esctl.errors import InputError
from esctl.index import update
from esctl.index.current import current_view
from esctl.index.files import write
from esctl.index.files.freshness import empty_manifest
from esctl.index.files.manifest import MANIFEST
from esctl.index.files.write import LOCK, locked_unless
from esctl.index.scan import IndexView
from esctl.intake.follow import Callbacks, Pace, follow
from esctl.intake.intake import IngestOptions, observe_nothing
from esctl.log.store_state import StoreState
from esctl.model import Cursor
from esctl.sources.files.finding import Source
from esctl.sources.files.follow import Tail
from esctl.sources.files.reading import SourceOptions
from esctl.sources.protocol import Delivery
from tests.support.cli_harness import good, plain_event, write_lines


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "LOOK_SECONDS", 0.01)


def is_free(folder: Path) -> bool:
    try:
        with FileLock(folder / LOCK, timeout=0):
            return True
    except Timeout:
        return False


def test_a_lock_is_taken_or_what_it_was_for_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    def find() -> str | None:
        looks.append(len(looks))
        return "found" if len(looks) == 3 else None

    with locked_unless(tmp_path, find) as found:
        assert (found, looks, is_free(tmp_path)) == (None, [], False)
    assert is_free(tmp_path)
    with FileLock(tmp_path / LOCK):
        with locked_unless(tmp_path, find) as found:
            assert (found, len(looks)) == ("found", 3)
        assert not is_free(tmp_path)
        monkeypatch.setattr(write, "LOCK_SECONDS", 0.05)
        with pytest.raises(InputError, match="another process has been building the index"), write.locked(tmp_path):
            pass


def test_a_question_goes_on_as_soon_as_others_have_built_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lines(tmp_path / "a.jsonl", [plain_event(number) for number in range(5)])
    good("ingest", "a.jsonl", cwd=tmp_path)
    with Store.open(tmp_path / ".esctl") as store:
        builder = store.updater(lambda name, detection: None)
        manifest, hidden = builder.folder / MANIFEST, builder.folder / "hidden"
        manifest.rename(hidden)
        looks: list[int] = []

        def look(folder: Path, store_state: StoreState) -> IndexView | None:
            looks.append(len(looks))
            if len(looks) == 3:
                hidden.rename(manifest)
            return current_view(folder, store_state)

        monkeypatch.setattr(update, "current_view", look)
        with FileLock(builder.folder / LOCK):
            assert builder.run(store.store_state).manifest.head == 5
        assert len(looks) == 3


class Failing:
    """Builds no index of what was read."""

    def run(self, store_state: StoreState, fresh: Sequence[Any] = ()) -> Any:
        if fresh:
            raise InputError("no room for the index")
        return SimpleNamespace(manifest=empty_manifest(store_state))


def test_what_goes_wrong_behind_a_reader_is_told_though_nothing_more_comes(tmp_path: Path) -> None:
    write_lines(tmp_path / "before.jsonl", [plain_event(0)])
    good("ingest", "before.jsonl", cwd=tmp_path)
    write_lines(tmp_path / "app.log", [plain_event(1)])
    polls: list[int] = []

    class Slow(Tail):
        def poll(self, known: Mapping[str, Cursor], limit: int) -> Iterator[Delivery]:
            polls.append(len(polls))
            yield from super().poll(known, limit)

    def is_late() -> bool:
        assert len(polls) < 1000, "followed on, though there is no index"
        return False

    tail = Slow(Source("app.log", tmp_path / "app.log"), SourceOptions(), lambda note: None)
    callbacks = Callbacks(is_late, observe_nothing, lambda name, detection: None, lambda: None)
    with Store.open(tmp_path / ".esctl") as store, pytest.raises(InputError, match="no room for the index"):
        follow(
            store.path, [tail], IngestOptions(SourceOptions()), Pace(seconds=0.0), lambda told: Failing(),  # type: ignore[arg-type,return-value]
            store.connection, callbacks,
        )  # fmt: skip
    assert len(good("log", cwd=tmp_path).rows) == 2, "what was read is kept"
