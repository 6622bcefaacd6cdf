"""Each record of a slot exactly once, wherever a session ended, and other histories told from the one that was read."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esctl.errors import InputError
from esctl.sources.postgres.records import Records
from esctl.sources.postgres.transactions import ReadUpTo, Transactions
from tests.support.pgoutput_bytes import begin, commit, insert, message, relation, transaction


def session(place: ReadUpTo, confirmed: int = 0, *, trusted: bool = True) -> Transactions:
    return Transactions(place, confirmed, Records(lambda relation: ()), "db", trusted)


def keys(read: Transactions, messages: Iterable[bytes]) -> list[str]:
    told = [json.loads(row.raw) for data in messages for row in read.take(data)]
    return [each["row"]["k"] if "row" in each else each.get("content", "R") for each in told]


STREAM = [
    *transaction(100, 1, "a", "b"),
    *transaction(200, 2, "c", described=False),
    message(250, b"m"),
    *transaction(250, 3, "d", "e", "f", described=False),
    begin(300, 4),
    commit(300, 308),  # of nothing that is published
    *transaction(400, 5, "g", described=False),
]
WHOLE = ["R", "a", "b", "c", "m", "d", "e", "f", "g"]


def test_a_stream_is_read_in_order() -> None:
    read = session(ReadUpTo(50))
    assert keys(read, STREAM) == WHOLE
    assert (read.place.lsn, read.place.commit, read.place.xid, read.place.taken) == (408, 400, 5, None)


def test_wherever_a_session_ends_the_next_goes_on() -> None:
    for cut in range(len(STREAM) + 1):
        first = session(ReadUpTo(50))
        before = keys(first, STREAM[:cut])
        read = session(first.place)
        after = keys(read, STREAM)
        assert [key for key in before + after if key != "R"] == WHOLE[1:], cut
        assert read.place.lsn == 408


@settings(derandomize=True, deadline=None)
@given(st.lists(st.integers(0, len(STREAM)), max_size=5), st.booleans())
def test_any_number_of_sessions(cuts: list[int], confirms: bool) -> None:
    place, found = ReadUpTo(50), []
    for cut in [*cuts, len(STREAM)]:
        confirmed = place.lsn if confirms else 0
        read = session(place, confirmed)
        found += keys(read, sent(confirmed)[:cut])
        place = read.place
    read = session(place, place.lsn if confirms else 0)
    found += keys(read, sent(place.lsn if confirms else 0))
    assert [key for key in found if key != "R"] == WHOLE[1:]


def sent(confirmed: int) -> list[bytes]:
    """Return what a server sends from a place on: it describes tables anew in each session."""
    found: list[bytes] = []
    for start in [i for i, data in enumerate(STREAM) if data[:1] in b"BM"]:
        unit = [STREAM[start]] if STREAM[start][:1] == b"M" else STREAM[start : _end(start)]
        lsn = int.from_bytes(unit[0][1:9] if len(unit) > 1 else unit[0][2:10], "big")
        if lsn - (len(unit) == 1) >= confirmed:
            found += unit
    at = next((i for i, data in enumerate(found) if data[:1] == b"I"), None)
    if at is not None and found[at - 1][:1] != b"R":
        found.insert(at, relation(7, "k"))
    return found


def _end(start: int) -> int:
    return next(i for i in range(start, len(STREAM)) if STREAM[i][:1] == b"C") + 1


def test_what_is_sent_again_must_be_the_same() -> None:
    first = session(ReadUpTo(50))
    keys(first, transaction(100, 1, "a"))
    for other in (transaction(100, 2, "a"), transaction(100, 1, "a", time=0)):
        with pytest.raises(InputError, match=r"up to 0/6C, last transaction 1 at 0/64 .* has transaction"):
            keys(session(first.place), other)


def test_what_was_read_must_be_sent_again() -> None:
    place = ReadUpTo(108, 100, 1, "2000-01-01T00:00:00.000000Z")
    with pytest.raises(InputError, match="restored from a copy"):
        keys(session(place, 80), transaction(120, 2, "a"))
    with pytest.raises(InputError, match="nothing there up to 0/78"):
        session(place, 80).pass_to(120)
    assert keys(session(place, 108), transaction(120, 2, "a")) == ["R", "a"]
    assert keys(session(place, 80, trusted=False), transaction(120, 2, "a")) == ["R", "a"]


def test_what_was_passed_over_cannot_be_there_later() -> None:
    read = session(ReadUpTo(50))
    read.pass_to(1000)
    with pytest.raises(InputError, match="transaction 9 at 0/C8, which it had not then"):
        keys(session(read.place), transaction(200, 9, "a"))


def test_a_transaction_that_was_read_in_part_cannot_be_shorter() -> None:
    first = session(ReadUpTo(50))
    keys(first, transaction(100, 1, "a", "b")[:-1])
    assert first.place.taken == 2
    with pytest.raises(InputError, match="with 1 records instead of 2 or more"):
        keys(session(first.place), transaction(100, 1, "a"))


def test_a_place_is_passed_only_between_transactions() -> None:
    read = session(ReadUpTo(50))
    stream = transaction(100, 1, "a")
    keys(read, stream[:-1])
    read.pass_to(200)
    assert (read.place.lsn, read.place.taken) == (50, 1)
    keys(read, stream[-1:])
    read.pass_to(200)
    assert (read.place.lsn, read.place.taken) == (200, None)


@pytest.mark.parametrize(
    "stream",
    [
        [insert(7, "a")],
        [commit(1, 2)],
        [begin(1, 1), begin(2, 2)],
        [begin(1, 1), message(3, b"")],
        [begin(1, 1), insert(8, "a")],
        [b"?"],
    ],
)
def test_a_stream_in_disorder_is_refused(stream: list[bytes]) -> None:
    with pytest.raises(InputError, match=r"^db: at 0/32: "):
        keys(session(ReadUpTo(50)), stream)
