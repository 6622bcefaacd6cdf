"""The latest time of an event: from the manifest where that is sure to have it, else from the events."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from esctl import Store
from esctl.ask.events import status
from esctl.ask.events.status import last_instant
from esctl.timespec import format_instant
from tests.support.cli_harness import plain_event

EVENTS = [plain_event(minute) for minute in (3, 5, 4)]
UNDATED = {key: value for key, value in plain_event(9).items() if key != "time"}


def store_of(folder: Path, *logs: list[dict[str, object] | None]) -> Store:
    """Make a store in which each log is a file of the index; None is a record that is no JSON."""
    for number, log in enumerate(logs):
        path = folder / f"{number}.jsonl"
        path.write_text("".join(("{" if event is None else json.dumps(event)) + "\n" for event in log))
        with Store.create(folder / ".esctl") as store:
            store.ingest(path)
    store = Store.open(folder / ".esctl")
    assert len(store.view.manifest.files) == len(logs)
    return store


def test_the_manifest_tells_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "single_row", lambda *_: pytest.fail("events were read"))
    with store_of(tmp_path, EVENTS, [plain_event(1)]) as store:
        assert format_instant(last_instant(store.scope()) or 0) == "2024-01-02T00:05:00Z"


@pytest.mark.parametrize(
    ("log", "last"), [([UNDATED], 5), ([None, plain_event(1)], 5), ([None, UNDATED, plain_event(8)], 8)]
)
def test_what_has_no_time_is_not_the_last(tmp_path: Path, log: list[dict[str, object] | None], last: int) -> None:
    with store_of(tmp_path, EVENTS, log) as store:
        assert format_instant(last_instant(store.scope()) or 0) == f"2024-01-02T00:0{last}:00Z"
