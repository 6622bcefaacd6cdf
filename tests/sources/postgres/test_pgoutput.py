"""The decoder of pgoutput, held against what a real server sent (stream.hex: a message a line, PostgreSQL 15)."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esctl.sources.postgres.lsn import lsn_number, lsn_text
from esctl.sources.postgres.pgoutput import (
    UNCHANGED,
    Begin,
    Column,
    Commit,
    DecodeError,
    Delete,
    Insert,
    Message,
    Origin,
    Relation,
    Truncate,
    Type,
    Update,
    decode,
)

STREAM = [bytes.fromhex(line) for line in (Path(__file__).parent / "stream.hex").read_text().split()]


def test_a_stream_of_a_server_is_read_whole() -> None:
    told = [decode(data) for data in STREAM]
    assert Counter(type(each).__name__ for each in told) == {
        "Begin": 12, "Commit": 12, "Origin": 1, "Type": 4, "Relation": 6, "Insert": 5, "Update": 5, "Delete": 3,
        "Truncate": 1, "Message": 2,
    }  # fmt: skip
    assert told[0] == Begin(lsn_number("0/153AD70"), 1_767_323_045_678_901, 737)
    assert told[1] == Origin(0xAB, "elsewhere")
    assert told[2:4] == [Type(16385, "public", "mood"), Type(16390, "pg_catalog", "int4")]
    assert told[6] == Commit(22261104, 22261176, 1_767_323_045_678_901)


def test_tables_and_rows() -> None:
    told = [decode(data) for data in STREAM]
    relations = {each.table: each for each in told if isinstance(each, Relation)}
    assert relations["f%"] == Relation(
        16400, 'odd "s', "f%", "full", (Column("a", 23, -1, True), Column("b", 25, -1, True))
    )
    assert {name: each.identity for name, each in relations.items()} == {
        "t": "default", "f%": "full", "n": "nothing", "x": "index",
    }  # fmt: skip
    assert relations["t"].columns[2] == Column("n", 1700, 655366, False)
    assert relations["x"].columns == (Column("id", 23, -1, False), Column("u", 23, -1, True))
    rest = ('"so"', "5", "t", '{"a": 1.0}', "\\xde00")
    nothing = (None,) * 7
    assert [each for each in told if isinstance(each, Insert | Update | Delete)] == [
        Insert(16392, ("1", "x" * 3000, "1.50", *rest)),
        Update(16392, ("1", UNCHANGED, "NaN", *rest)),
        Update(16392, ("2", UNCHANGED, "NaN", *rest), ("1", *nothing)),
        Delete(16392, ("2", *nothing)),
        Insert(16400, ("1", None)),
        Update(16400, ("1", "Ωß\n"), ("1", None), True),
        Delete(16400, ("1", "Ωß\n"), True),
        Insert(16405, ("1e-07",)),
        Insert(16405, ("-Infinity",)),
        Insert(16408, ("1", "2")),
        Update(16408, ("1", "3"), (None, "2")),
        Update(16408, ("7", "3")),
        Delete(16408, (None, "3")),
    ]


def test_truncations_and_messages() -> None:
    told = [decode(data) for data in STREAM]
    assert [each for each in told if isinstance(each, Truncate)] == [Truncate((16392, 16408), True, True)]
    assert [each for each in told if isinstance(each, Message)] == [
        Message(True, 22269472, "pre", b"cont"),
        Message(False, 22269576, "pre", b"\xff\x00"),
    ]


def test_a_value_that_is_not_utf_8_stays_as_it_is() -> None:
    assert decode(b"I\0\0\0\7N\0\1t\0\0\0\2\xff\xfe") == Insert(7, (b"\xff\xfe",))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "cut off"),
        (b"S" + b"\0" * 9, "no messages of kind b'S'"),
        (b"B\0", "a message 'B' of 2 bytes: it is cut off at byte 2"),
        (b"I\0\0\0\7K\0\0", "where the new row begins"),
        (b"I\0\0\0\7N\0\1t\x7f\xff\xff\xff", "cut off"),
        (b"I\0\0\0\7N\0\1t\xff\xff\xff\xff", "cut off"),
        (b"I\0\0\0\7N\0\1z", "no value of kind b'z'"),
        (b"T\xff\xff\xff\xff\0", "cut off"),
        (b"R\0\0\0\1public\0t\0x\0\0", "no replica identity b'x'"),
        (b"Y\0\0\0\1public", "has no end"),
        (b"Y\0\0\0\1\xff\0t\0", "not UTF-8"),
        (b"D\0\0\0\7K\0\0!", "1 bytes are left over"),
    ],
)
def test_bytes_that_are_no_message(data: bytes, said: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(data)
    assert said in str(caught.value)


def test_every_part_of_a_message_is_none() -> None:
    for data in STREAM:
        for size in range(min(len(data), 200)):
            with pytest.raises(DecodeError):
                decode(data[:size])
        with pytest.raises(DecodeError):
            decode(data + b"\0")


@settings(derandomize=True, deadline=None)
@given(st.sampled_from(STREAM), st.integers(0, 400), st.binary(min_size=1, max_size=4))
def test_damage_is_read_otherwise_or_refused(data: bytes, at: int, damage: bytes) -> None:
    with suppress(DecodeError):
        decode(data[:at] + damage + data[at + len(damage) :])


@settings(derandomize=True)
@given(st.integers(0, 2**64 - 1))
def test_places_are_written_and_read(place: int) -> None:
    assert lsn_number(lsn_text(place)) == place


@pytest.mark.parametrize("text", ["", "0", "0/", "/0", "0/123456789", "g/0", "0/1 ", "0/1\n", "0x1/2"])
def test_other_texts_are_no_places(text: str) -> None:
    with pytest.raises(ValueError, match="no place"):
        lsn_number(text)
