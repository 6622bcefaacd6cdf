"""An entity for each element of an array: one event touches several, as the reference says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from esctl.errors import UsageError
from esctl.index import chunks
from esctl.index.envelope.event_columns import MOST_ENTITIES
from esctl.index.envelope.mapping import parse_mapping
from esctl.index.envelope.stanza_toml import to_toml
from tests.support import effort
from tests.support.cli_harness import esctl, good
from tests.support.drawn_values import HOUR, JANUARY, Log
from tests.support.engine_harness import disagreements, engine

ITEMS = "data.items[*].sku"
MAPPINGS: dict[str, dict[str, Any]] = {
    "role": {"entity": "stream", "entities": {"item": ITEMS}},
    "several": {"entities": {"item": ITEMS, "order": "stream", "tag": "data.tags[*]"}},
    "alone": {"entity": ITEMS},
    "alternatives": {"entities": {"item": [ITEMS, "data.items[*].id", "stream"]}},
    "template": {"entities": {"item": ["{stream}/{data.items[*].sku}", "data.tags[*]"], "order": "stream"}},
    "deep": {"entities": {"item": "data.items[*].parts[*].id", "order": "stream"}},
    "kind": {"entity": "stream", "entities": {"item": ITEMS}, "kind": {"const": "thing"}},
}
RULES: dict[str, dict[str, Any] | None] = {
    "merge": None,
    "roles": {
        "*[item]": {"count": {"orders": True}, "set": {"n": "data.n"}},
        "*[order]": {"append": {"seen": "data.n"}},
        "Gone": {"delete": True},
    },
    "stepped": {"*": {"merge_patch": "data"}, "Gone[item]": {"delete": True}},
}
names = st.sampled_from(["a-1", "b-2", "c", "", None, 5])
item = st.fixed_dictionaries(
    {}, optional={"sku": names, "id": names, "parts": st.lists(st.fixed_dictionaries({"id": names}), max_size=2)}
)
payload = st.fixed_dictionaries(
    {"n": st.integers(0, 9)},
    optional={
        "items": st.one_of(st.lists(st.one_of(item, st.just("x")), max_size=4), st.just({"sku": "a-1"}), st.none()),
        "tags": st.lists(names, max_size=3),
    },
)
record = st.fixed_dictionaries(
    {"type": st.sampled_from(["Ordered", "Ordered", "Gone"]), "data": payload, "day": st.integers(1, 3)},
    optional={"stream": st.sampled_from(["o-1", "a-1"])},
)


def log_of(records: list[dict[str, Any]], mapping: str, rules: str, batches: tuple[int, ...] = ()) -> Log:
    made = []
    for n, each in enumerate(records):
        own = {name: value for name, value in each.items() if name != "day"}
        made.append({**own, "id": f"e{n}", "time": f"2024-01-0{each['day']}T00:00:00Z"})
    base = {"id": "id", "type": "type", "time": "time", "data": "data"}
    on = RULES[rules]
    return Log(
        tuple(made), {**base, **MAPPINGS[mapping]}, None if on is None else {"on": on},
        ({}, {"position": 2}, {"version": 1}), batches or (len(made),),
        tuple(JANUARY + (50 + n // 2) * HOUR if batches else JANUARY for n in range(len(made))),
    )  # fmt: skip


def test_states_and_trails_are_those_of_the_reference() -> None:
    @seed(17)
    @settings(max_examples=effort.examples(300, 5), phases=effort.PHASES)
    @given(st.lists(record, min_size=1, max_size=6), st.sampled_from([*MAPPINGS]), st.sampled_from([*RULES]))
    def run(records: list[dict[str, Any]], mapping: str, rules: str) -> None:
        log = log_of(records, mapping, rules)
        with engine(log) as made:
            assert not disagreements(log, made)

    run()


@pytest.mark.thorough
def test_files_of_the_index_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 2)

    @seed(18)
    @settings(max_examples=effort.share(20), phases=effort.PHASES)
    @given(st.lists(record, min_size=4, max_size=8))
    def run(records: list[dict[str, Any]]) -> None:
        log = log_of(records, "several", "roles", (2,) * (len(records) // 2) + (1,) * (len(records) % 2))
        log = replace(log, bounds=({},))
        with engine(log, eager=True) as made:
            assert not disagreements(log, made)

    run()


TOML = """
[mapping]
id = "id"
type = "type"
data = "data"
[mapping.entities]
order = "order"
item = "data.items[*].sku"
[projections.item]
[projections.item.on."Ordered[item]"]
count = "orders"
[projections.item.on."Ordered[order]"]
set = { n = "data.n" }
"""


def kept(folder: Path, *items: list[Any]) -> None:
    (folder / "esctl.toml").write_text(TOML)
    lines = [
        {"id": str(n), "type": "Ordered", "order": f"o-{n}", "data": {"n": n, "items": [{"sku": s} for s in each]}}
        for n, each in enumerate(items, 1)
    ]
    (folder / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_each_question_is_asked_of_each_element(tmp_path: Path) -> None:
    kept(tmp_path, ["a-1", "b-2", "a-1"], ["b-2"], [])
    good("ingest", "a.jsonl", cwd=tmp_path)
    states = {row["entity"]: row["state"] for row in good("replay", cwd=tmp_path).rows}
    assert states == {"a-1": {"orders": 1}, "b-2": {"orders": 2}, "o-1": {"n": 1}, "o-2": {"n": 2}, "o-3": {"n": 3}}
    assert [row["position"] for row in good("audit", "b-2", cwd=tmp_path).rows] == [1, 2]
    assert [row["role"] for row in good("log", "--where", "position = 1", cwd=tmp_path).rows] == [
        "order",
        "item",
        "item",
    ]
    (told,) = good("blame", "b-2", cwd=tmp_path).rows
    assert (told["field"], told["contributions"], told["position"], told["role"]) == ("orders", 2, 2, "item")
    (changed,) = good("diff", "@1", "@2", "b-2", cwd=tmp_path).rows
    assert (changed["before"], changed["after"], changed["positions"]) == (1, 2, [2])
    assert "intact" in good("verify", "--full", cwd=tmp_path).err
    assert {row["entity"] for row in good("show", "1", cwd=tmp_path).rows} == {"o-1", "a-1", "b-2"}


def test_numbers_keep_their_digits(tmp_path: Path) -> None:
    kept(tmp_path, [12345678901234567890123, 1.50, "\ue000x"])
    good("ingest", "a.jsonl", cwd=tmp_path)
    found = {row["entity"] for row in good("entities", cwd=tmp_path).rows}
    assert {"12345678901234567890123", "\ue000x"} <= found


def test_an_event_of_too_many_is_invalid_and_says_so(tmp_path: Path) -> None:
    most = MOST_ENTITIES - 1
    kept(tmp_path, [f"s-{n}" for n in range(most)], [f"s-{n}" for n in range(most + 1)])
    done = esctl("ingest", "a.jsonl", cwd=tmp_path)
    assert "note: 1 invalid record" in done.err
    assert len(good("entities", cwd=tmp_path).rows) == most + 1
    (row,) = good("log", "--invalid", cwd=tmp_path).rows
    assert row["invalid"] == f"of {MOST_ENTITIES + 1} entities, more than the {MOST_ENTITIES} that an event may have"
    assert "intact" in good("verify", "--full", cwd=tmp_path).err


def test_a_tenant_goes_before_each(tmp_path: Path) -> None:
    kept(tmp_path, ["a-1", "b-2"])
    (tmp_path / "esctl.toml").write_text(TOML.replace("[mapping]", '[mapping]\ntenant = { const = "t" }', 1))
    good("ingest", "a.jsonl", cwd=tmp_path)
    found = [(row["entity"], row["kind"]) for row in good("entities", cwd=tmp_path).rows]
    assert found == [("t/a-1", "a"), ("t/b-2", "b"), ("t/o-1", "o")]


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"type": "items[*].type"}, "mapping.type: 'items[*].type' is of several values"),
        ({"id": ["a", "b[*]"]}, "mapping.id: 'b[*]' is of several values"),
        ({"tombstone": "items[*]"}, "is of several values"),
        ({"entity": "{a[*].x}/{b[*].y}"}, "is of several arrays"),
        ({"entity": "a[**]"}, "is not a path"),
    ],
)
def test_where_an_array_may_be_named(table: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_mapping(table)
    assert told in caught.value.message


def test_it_is_written_as_it_was_read() -> None:
    stanza = parse_mapping({"entities": {"item": ["a[*].b[*].c", "{d}/{e[*]}"]}}).default
    assert stanza is not None
    assert 'item = ["a[*].b[*].c", "{d}/{e[*]}"]' in to_toml(stanza)
