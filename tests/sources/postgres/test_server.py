"""A server that does not go on from where a slot was read is told, with both sides."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from esctl.errors import InputError
from esctl.model import PostgresCursor
from esctl.sources.postgres.server import Server, Slot, check_continues, check_slot, parse_history

CURSOR = PostgresCursor(
    format="jsonl", system="71", timeline=2, database="shop", slot="s", publications=("p",), lsn=0x2000
)
SERVER = Server("71", 2, "shop", 0x3000)
SLOT = Slot(0x1000, database="shop")


def test_a_server_that_goes_on() -> None:
    check_continues(CURSOR, SERVER, SLOT, (), "db")
    check_continues(CURSOR, replace(SERVER, end=0x2000), replace(SLOT, confirmed=0x2000), (), "db")
    check_continues(CURSOR, replace(SERVER, timeline=3), SLOT, [(1, 0x10), (2, 0x2000)], "db")
    check_slot(SLOT, "s", SERVER, "db")


@pytest.mark.parametrize(
    ("server", "slot", "said"),
    [
        (replace(SERVER, system="72"), SLOT, "from the database system 71, and this is 72"),
        (replace(SERVER, end=0x1FFF), SLOT, "up to 0/2000, and the server's log ends at 0/1FFF"),
        (SERVER, None, "up to 0/2000, and the server has no such slot"),
        (SERVER, replace(SLOT, confirmed=0x2001), "up to 0/2000, and goes on from 0/2001"),
        (replace(SERVER, timeline=3), SLOT, "up to 0/2000 of timeline 2, and the server is on timeline 3, which left"),
        (replace(SERVER, timeline=1), SLOT, "the server is on timeline 1, it does not come from that"),
    ],
)
def test_a_server_that_does_not_go_on(server: Server, slot: Slot | None, said: str) -> None:
    with pytest.raises(InputError) as caught:
        check_continues(CURSOR, server, slot, [(2, 0x1FFF)] if server.timeline == 3 else [], "db")
    assert said in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("slot", "said"),
    [
        (replace(SLOT, plugin="wal2json"), "one of wal2json and of the database shop"),
        (replace(SLOT, database="other"), "of the database other, and not of pgoutput and shop"),
        (replace(SLOT, is_lost=True), "has removed parts of its log"),
    ],
)
def test_a_slot_that_cannot_be_read(slot: Slot, said: str) -> None:
    with pytest.raises(InputError) as caught:
        check_slot(slot, "s", SERVER, "db")
    assert said in caught.value.message


def test_the_history_of_a_timeline() -> None:
    text = "1\t0/3000028\tno recovery target specified\n\n# a comment\n2\t1/A0\tbefore 2000-01-01 00:00:00+00\n"
    assert parse_history(text) == [(1, 0x3000028), (2, (1 << 32) + 0xA0)]
