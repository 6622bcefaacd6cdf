"""Where reading a partition goes on."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from esctl.errors import InputError, UsageError
from esctl.model import KafkaCursor
from esctl.sources.kafka.places import Partition, Place, Start, begin_known, begin_unknown, parse_place, source_name

NAME = source_name("c", "orders", 3)
CURSOR = KafkaCursor("c", "orders", "id1", 3, 12, format="message", records=12)
HERE = Partition("orders", "id1", 3, 0, 20, 15)


def again(partition: Partition, place: Place | None = None, recreated: str = "stop", cursor: Any = CURSOR) -> Start:
    return begin_known(NAME, cursor, partition, place, recreated=recreated, next_name=lambda: f"{NAME}#2")


def test_what_is_known_goes_on_wherever_it_was_asked_to_begin() -> None:
    for place in (None, Place(), Place("end"), Place("offsets", offsets={3: 15})):
        assert again(HERE, place) == Start(NAME, CURSOR)


@pytest.mark.parametrize(
    ("place", "offset"),
    [
        (Place(), 2),
        (Place("end"), 20),
        (Place("time"), 15),
        (Place("offsets", offsets={3: 7}), 7),
        (Place("offsets"), 2),
    ],
)
def test_what_is_new_begins_where_it_was_asked_to(place: Place, offset: int) -> None:
    start = begin_unknown(NAME, "c", replace(HERE, low=2), place)
    assert (start.cursor.offset, start.cursor.since, start.cursor.records) == (offset, offset, 0)
    assert bool(start.notes) == (place == Place())


@pytest.mark.parametrize("offset", [1, 21])
def test_an_offset_that_is_not_there_is_refused(offset: int) -> None:
    with pytest.raises(InputError, match=rf"orders/3 has no offset {offset}"):
        begin_unknown(NAME, "c", replace(HERE, low=2), Place("offsets", offsets={3: offset}))


def test_offsets_that_are_gone_are_named() -> None:
    with pytest.raises(InputError, match=r"orders/3: offsets 12 to 16 are gone from the broker") as caught:
        again(replace(HERE, low=17))
    assert "--from beginning" in caught.value.hint


@pytest.mark.parametrize(("place", "offset"), [(Place(), 17), (Place("end"), 20), (Place("time"), 17)])
def test_a_gap_is_kept_where_one_goes_on(place: Place, offset: int) -> None:
    start = again(replace(HERE, low=17), place)
    assert (start.name, start.cursor.offset, start.cursor.lost) == (NAME, offset, ((12, offset - 1),))
    assert f"offsets 12 to {offset - 1} are a gap" in start.notes[0]


def test_a_topic_made_anew_is_refused_with_both_ids() -> None:
    with pytest.raises(InputError, match=r"its topic id is id2, and .*orders/3 was read from id1"):
        again(replace(HERE, topic_id="id2"))
    start = again(replace(HERE, topic_id="id2"), recreated="new")
    assert (start.name, start.cursor.offset, start.cursor.topic_id) == (f"{NAME}#2", 0, "id2")


def test_a_broker_without_topic_ids_is_believed() -> None:
    assert again(replace(HERE, topic_id="")) == Start(NAME, CURSOR)
    assert again(HERE, cursor=replace(CURSOR, topic_id="")).cursor.topic_id == "id1"


def test_an_end_before_what_was_read_is_refused() -> None:
    with pytest.raises(InputError, match=r"ends at offset 10, .* was read to 12: the broker lost offsets 10 to 11"):
        again(replace(HERE, end=10))
    start = again(replace(HERE, end=10), Place())
    assert (start.name, start.cursor.offset) == (f"{NAME}#2", 0)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("beginning", Place()),
        ("end", Place("end")),
        ("0:12,1:40", Place("offsets", offsets={0: 12, 1: 40})),
        ("2024-01-01T00:00:00Z", Place("time", 1_704_067_200_000)),
    ],
)
def test_places_are_read(text: str, place: Place) -> None:
    assert parse_place(text, "--from") == place


@pytest.mark.parametrize(("text", "ends"), [("soon", False), ("0:", False), ("beginning", True), ("0:1", True)])
def test_what_is_no_place_is_refused(text: str, ends: bool) -> None:
    with pytest.raises(UsageError, match="^--until" if ends else "^--from"):
        parse_place(text, "--until" if ends else "--from", ends=ends)
