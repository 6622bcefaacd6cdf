"""A slot is a source like others, where it is read to its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from esctl.model import Cursor
from esctl.sources.live import from_url
from esctl.sources.postgres import connect as module
from esctl.sources.postgres.connect import PinnedSlot, SlotConnection, connect
from esctl.sources.protocol import Delivery, SourceReader
from tests.sources.contract import SourceReaderContract, Subject
from tests.support.pg_workload import Work, told, url, working
from tests.support.postgres import LOGICAL, Server, running, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "there is one")


class Closing(PinnedSlot):
    """A slot whose session ends with the reading, though nobody keeps what was read."""

    def open(self, known: Mapping[str, Cursor]) -> Iterator[Delivery]:
        yield from super().open(known)
        self._reader.close()


class Slot(Subject):
    def __init__(self, work: Work) -> None:
        self._work = work
        self.records = told(work, whole=True)

    def reader(self) -> SourceReader:
        live = from_url(url(self._work.server), {}, {})
        connection = connect(live, lambda text: None)
        assert isinstance(connection, SlotConnection)
        return Closing(connection.reader)

    def grow(self) -> list[bytes]:
        before = len(told(self._work, whole=True))
        for _ in range(10):
            self._work.step()
        return told(self._work, whole=True)[before:]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(**LOGICAL) as found:
        yield found


@pytest.fixture(scope="module")
def work(server: Server) -> Iterator[Work]:
    with working(server, 21) as found:
        found("SELECT pg_create_logical_replication_slot('s', 'pgoutput')")
        for _ in range(60):
            found.step()
        yield found


class TestSlot(SourceReaderContract):
    @pytest.fixture
    def subject(self, work: Work, monkeypatch: pytest.MonkeyPatch) -> Subject:
        monkeypatch.setattr(module, "BATCH_BYTES", 40_000)
        return Slot(work)
