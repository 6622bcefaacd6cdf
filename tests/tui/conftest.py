"""Stores to browse, and the browser over them in this process, on a terminal of any size that is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from esctl import Store
from tests.support.cli_harness import good, write_lines

pytest.importorskip("textual", reason="textual is not installed: pip install '.[dev]'")

from esctl.tui.session import Session
from esctl.tui.values import Ground
from esctl.tui.widgets.app import Browser

A = TypeVar("A")
TOML = """
[mapping]
id = "id"
type = "type"
time = "time"
entity = "stream"
actor = "actor"
sequence = "n"
causation = "cause"
order = "time"
data = "data"

[projections.counted]
entities = "sql-*"
sql = "select entity, count(*) as seen from events group by entity"

[projections.account]
entities = "acc-*"
[projections.account.on.Opened]
set = { owner = "data.owner", limit = "1000" }
[projections.account.on.Paid]
add = { balance = "data.amount", payments = "1" }
[projections.account.on.Limited]
set = { limit = "data.limit" }
[projections.account.on.Closed]
delete = true
"""


def event(number: int, kind: str, time: str, stream: str = "acc-1", **data: object) -> dict[str, object]:
    cause = {"cause": f"e{number - 1}"} if kind == "Limited" else {}
    return {
        "id": f"e{number}", "n": number, "type": kind, "time": time, "stream": stream, "actor": f"by-{number % 3}",
        "data": data, **cause,
    }  # fmt: skip


STRAIGHT = [
    event(1, "Opened", "2024-01-01T10:00:00Z", owner="Ann"),
    event(2, "Paid", "2024-01-02T10:00:00Z", amount="100000000000000000.10"),
    event(3, "Limited", "2024-01-03T10:00:00Z", limit=2500),
    event(4, "Paid", "2024-01-04T10:00:00Z", amount=-30),
    event(5, "Seen", "2024-01-05T10:00:00Z"),
    event(6, "Paid", "2024-01-06T10:00:00Z", amount=5),
]
LATE = [
    event(11, "Opened", "2024-01-01T10:00:00Z", "acc-late", owner="Bob"),
    event(12, "Paid", "2024-01-02T10:00:00Z", "acc-late", amount=10),
    event(13, "Limited", "2024-01-05T10:00:00Z", "acc-late", limit=7),
    event(14, "Paid", "2024-01-03T10:00:00Z", "acc-late", amount=1),
    event(15, "Limited", "2024-01-04T10:00:00Z", "acc-late", limit=9),
]
QUERIED = [
    event(31, "Paid", "2024-01-02T10:00:00Z", "sql-1", amount=1),
    event(32, "Paid", "2024-01-01T10:00:00Z", "sql-1", amount=2),
]
CLOSED = [
    event(21, "Opened", "2024-01-01T10:00:00Z", "acc-closed", owner="Cy"),
    event(22, "Closed", "2024-01-02T10:00:00Z", "acc-closed"),
]


def make_store(folder: Path, events: list[dict[str, object]]) -> Path:
    """Make a store of some events in a folder that has the rules; gives the store."""
    (folder / "esctl.toml").write_text(TOML)
    write_lines(folder / "log.jsonl", events)
    good("ingest", "log.jsonl", "-q", cwd=folder)
    return folder / ".esctl"


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of an account, one whose events came late, and one that was closed."""
    return make_store(tmp_path_factory.mktemp("browsed"), [*STRAIGHT, *LATE, *CLOSED, *QUERIED])


HOPS = 10
"""Queues that a message goes through from a widget to the application, and more."""


class Hand:
    """Whoever sits before the browser."""

    def __init__(self, app: Browser, pilot: Any) -> None:
        self.app, self.pilot = app, pilot

    async def rest(self) -> None:
        """Wait until all is answered and shown."""
        quiet = 0
        while quiet < HOPS and self._lives():
            await self._until(self.app.call_later)
            quiet = 0 if self.app.session.busy else quiet + 1
        await self._until(self.app.screen.call_after_refresh)

    async def _until(self, call: Callable[[Callable[[], None]], object]) -> None:
        """Wait until something is called."""
        called = asyncio.Event()
        call(called.set)
        while not called.is_set() and self._lives():
            await asyncio.sleep(0.001)

    def _lives(self) -> bool:
        return self.app.is_running and self.app.failure is None

    async def press(self, *keys: str) -> None:
        """Press keys, one after another, each when what came before is shown."""
        for key in keys:
            self.app.simulate_key(key)  # Pilot's own way waits until the process is idle, which takes long
            await self.rest()

    async def type(self, key: str, text: str) -> None:
        """Press a key that asks for a line, and give it."""
        from textual.widgets import Input

        await self.press(key)
        self.app.query_one("#prompt", Input).value = text
        await self.press("enter")

    async def focus(self, pane: str) -> None:
        """Go to a pane."""
        self.app.rows(pane).focus()
        await self.rest()

    @property
    def state(self) -> dict[str, str]:
        """The state that is shown."""
        view = self.app.session.walk.current
        assert view is not None
        return {field.name: field.value for field in view.fields if field.value is not None}

    @property
    def marked(self) -> set[str]:
        """The fields that are marked as changed."""
        view = self.app.session.walk.current
        assert view is not None
        return {field.name for field in view.fields if field.changed}

    @property
    def position(self) -> int | None:
        """The position of the event at the cursor."""
        return self.app.session.walk.position

    def screen(self) -> list[str]:
        """The lines of the screen."""
        width, height = self.app.size
        strips = self.app.screen._compositor.render_strips()
        lines = ["".join(segment.text for segment in strip) for strip in strips]
        assert len(lines) == height
        assert width == self.app.size.width
        return lines

    def text(self) -> str:
        """The whole screen as text."""
        return "\n".join(self.screen())


@asynccontextmanager
async def browsing(
    store: Path, *entities: str, size: tuple[int, int] = (100, 30), at: str = "", **ground: str
) -> AsyncIterator[Hand]:
    """Browse a store."""
    session = Session(Store.open(store), Ground(tuple(entities), **ground), at=at)
    app = Browser(session)
    async with app.run_test(size=size) as pilot:
        hand = Hand(app, pilot)
        await hand.rest()
        yield hand


def run(story: Callable[[], Coroutine[Any, Any, A]]) -> A:
    """Run a story to its end, in a thread: this one may have the loop of a web browser that other tests drive."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(story())).result()
