"""trace gives what a plain walk along causes and shared ids gives, on drawn events whose ids collide."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from esctl.api import Store
from esctl.ask.events.trace import COLUMNS, trace
from esctl.errors import NotFoundError
from tests.ask.states.test_review import event, kept, taken
from tests.reference.values import rfc3339
from tests.support import effort
from tests.support.drawn_values import JANUARY, Log
from tests.support.engine_harness import Engine, engine, fetch

MAPPING = {
    "id": "id",
    "type": "type",
    "time": "time",
    "entities": {"from": "from", "to": "to"},
    "correlation": "corr",
    "causation": "cause",
    "data": "data",
    "aliases": {"request": ["r", "meta.r"], "order": "o"},
}
ROWS = [column.name for column in COLUMNS]


@dataclass(frozen=True)
class Node:
    """One event, as the walk sees it."""

    position: int
    time: int
    id: str
    cause: str | None
    shared: tuple[tuple[str, str], ...]  # correlation first, then the aliases by name
    entities: tuple[str, ...] = field(default=(), compare=False)

    @property
    def age(self) -> tuple[int, int]:
        return (self.time, self.position)


@dataclass(frozen=True)
class Placed:
    """Where an event stands in the tree."""

    depth: int
    parent: int | None
    link: str | None
    inferred: bool
    cut: bool


@st.composite
def nodes(draw: DrawFn) -> list[tuple[dict[str, Any], Node]]:
    """Draw records with ids of their own, and causes, correlations and aliases from small pools."""
    drawn = []
    count = draw(st.integers(1, 12))
    round_about = {1: "2", 2: "1"} if count > 1 and draw(st.booleans()) else {}
    for position in range(1, count + 1):
        time = JANUARY + draw(st.integers(0, 5)) * 1_000_000
        cause = round_about.get(position, draw(st.none() | st.integers(0, count + 1).map(str)))
        correlation = draw(st.none() | st.sampled_from(["c1", "c2", "3"]))
        request, order = (draw(st.none() | st.none() | st.sampled_from(["c1", "7", "x"])) for _ in range(2))
        entities = draw(st.lists(st.sampled_from(["a-1", "b-2"]), max_size=2))
        record = {
            "id": str(position),
            "type": f"T{position}",
            "time": rfc3339(time),
            "cause": cause,
            "corr": correlation,
        }
        record |= {"o": order} | ({"meta": {"r": request}} if position % 2 else {"r": request})
        record |= dict(zip(("from", "to"), entities, strict=False))
        tied = (("correlation", correlation), ("order", order), ("request", request))
        shared = tuple((name, value) for name, value in tied if value is not None)
        drawn.append((record, Node(position, time, str(position), cause, shared, tuple(entities))))
    return drawn


def linked(a: Node, b: Node) -> bool:
    return a.cause == b.id or b.cause == a.id or bool(set(a.shared) & set(b.shared))


def reached(everything: Sequence[Node], name: str, links: int) -> list[Node]:
    named = {n for n in everything if name in (n.id, *(value for _, value in n.shared))}
    found = named | {n for n in everything if n.cause == name and name not in {other.id for other in named}}
    for _ in range(links):
        found |= {n for n in everything if any(linked(n, other) for other in found)}
    return sorted(found, key=lambda n: n.age)


def caused(found: Sequence[Node]) -> tuple[dict[Node, Node], set[Node]]:
    """Give each event's cause, but for the oldest event of each cycle; and these."""
    by_id = {n.id: n for n in found}
    parents = {n: by_id[n.cause] for n in found if n.cause in by_id and n.cause != n.id}
    cut: set[Node] = set()
    for n in found:  # the oldest come first
        at, steps = parents.get(n), 0
        while at is not None and at != n and steps <= len(found):
            at, steps = parents.get(at), steps + 1
        if at == n:
            cut.add(n)
            del parents[n]
    return parents, cut


def hung_below(found: Sequence[Node], parents: dict[Node, Node]) -> dict[Node, tuple[Node, str]]:
    """Hang each tree of causes below an older one with which it shares an id."""

    def top(n: Node) -> Node:
        return top(parents[n]) if n in parents else n

    trees: dict[Node, list[Node]] = {}
    for n in found:
        trees.setdefault(top(n), []).append(n)
    age = {root: min(n.age for n in members) for root, members in trees.items()}
    hung: dict[Node, tuple[Node, str]] = {}
    for root, members in trees.items():
        ways = []
        for n, (name, value) in [(member, tie) for member in members for tie in member.shared]:
            holders = [other for other in found if (name, value) in other.shared]
            oldest = min(holders, key=lambda other: (age[top(other)], other.age))
            if age[top(oldest)] < age[root]:
                ways.append(((n != root, name != "correlation", name, age[top(oldest)], value), oldest, name))
        if ways:
            _, *rest = min(ways, key=lambda way: way[0])
            hung[root] = (rest[0], rest[1])
    return hung


def tree_of(found: Sequence[Node]) -> dict[int, Placed]:
    """Say where each event stands."""
    parents, cut = caused(found)
    hung = hung_below(found, parents)

    def place(n: Node) -> Placed:
        if n in parents:
            return Placed(place(parents[n]).depth + 1, parents[n].position, "causation", False, n in cut)
        if n in hung:
            parent, link = hung[n]
            return Placed(place(parent).depth + 1, parent.position, link, True, n in cut)
        return Placed(0, None, None, False, n in cut)

    return {n.position: place(n) for n in found}


def answered(made: Engine, name: str, links: int) -> list[dict[str, Any]]:
    return [dict(zip(ROWS, row, strict=True)) for row in fetch(trace(made.scope(), name, links))]


def test_a_trace_is_a_plain_walk() -> None:
    seen: Counter[str] = Counter()

    @seed(5)
    @settings(max_examples=effort.share(45), phases=effort.PHASES)
    @given(nodes(), st.sampled_from([0, 1, 2, 100]), st.sampled_from(["1", "2", "3", "c1", "x", "7"]))
    def check(drawn: list[tuple[dict[str, Any], Node]], links: int, name: str) -> None:
        records, everything = [record for record, _ in drawn], [node for _, node in drawn]
        log = Log(tuple(records), MAPPING, None, ({},), (len(records),), (JANUARY,) * len(records))
        expected = reached(everything, name, links)
        with engine(log) as made:
            if not expected:
                with pytest.raises(NotFoundError):
                    trace(made.scope(), name, links)
                seen["unknown"] += 1
                return
            answer = trace(made.scope(), name, links)
            rows = answered(made, name, links)
        assert [row["position"] for row in rows] == [node.position for node in expected]
        placed = tree_of(expected)
        for row in rows:
            given_place = Placed(*(row[name] for name in ("depth", "parent", "link", "inferred", "cut")))
            assert given_place == placed[row["position"]], row["position"]
            seen.update([row["link"] or "root", *(["cut"] if row["cut"] else [])])
        for row, node in zip(rows, expected, strict=True):
            assert [row["entity"], *json.loads(row["also"] or "[]")] == [*(node.entities or (None,))]
        assert sum("is a cycle: cut at" in note for note in answer.notes) == sum(place.cut for place in placed.values())
        beyond = len(reached(everything, name, links + 1)) > len(expected)
        assert any("there is more beyond" in note for note in answer.notes) == beyond

    check()
    assert {"root", "unknown", "cut", "causation", "correlation", "request", "order"} <= seen.keys()


# --- by example ------------------------------------------------------------------------------------------------------

ENVELOPE = {"id": "i", "type": "t", "time": "at", "entity": "e", "data": "d", "correlation": "c", "causation": "by"}
Rows = list[dict[str, Any]]


def traced(store: Store, name: str, links: int = 100) -> Rows:
    return [dict(zip(ROWS, row, strict=True)) for row in fetch_of(store, trace(store.scope(), name, links).sql)]


def fetch_of(store: Store, sql: str) -> list[tuple[Any, ...]]:
    return store.connection.execute(sql).fetchall()


def test_an_event_about_several_entities_comes_once(tmp_path: Path) -> None:
    toml = '[mapping.entities]\nfrom = "d.from"\nto = "d.to"\n'
    store = kept(
        tmp_path, [event(1, {"from": "a-1", "to": "a-2"}), event(2, {"to": "a-2"}, by="evt-1")], ENVELOPE, toml
    )
    rows = traced(store, "evt-1")
    assert [(row["entity"], row["also"]) for row in rows] == [("thing-1", '["a-1","a-2"]'), ("thing-1", '["a-2"]')]


def test_duplicates_are_in_no_trace_and_undated_events_are(tmp_path: Path) -> None:
    store = kept(
        tmp_path, [event(1), event(1), event(1, {"other": "bytes"}), event(2, at="soon", by="evt-1")], ENVELOPE
    )
    assert {row["position"] for row in traced(store, "evt-1")} == {1, 3}
    with pytest.raises(NotFoundError):
        traced(store, "@2")


def test_an_id_is_its_own_systems(tmp_path: Path) -> None:
    """Two systems that both count from 1 are not tied; a cause that one does not have is sought in the other."""
    for name in ("a", "b"):
        fields = "".join(f"{key} = {json.dumps(path)}\n" for key, path in ENVELOPE.items())
        with (tmp_path / "esctl.toml").open("a", encoding="utf-8") as file:
            file.write(f'[mapping.sources."{name}*"]\n{fields}' + ('order = "position"\n' if name == "b" else ""))
    taken(tmp_path, "a.jsonl", [event(1, i="1"), event(2, i="2", by="1"), event(3, i="3", by="9")])
    taken(tmp_path, "b.jsonl", [event(4, i="1"), event(5, i="2", by="1"), event(6, i="9")])
    store = Store.open(tmp_path / ".esctl").reopened()
    assert {row["position"]: row["parent"] for row in traced(store, "@2")} == {1: None, 2: 1}
    assert {row["position"]: row["parent"] for row in traced(store, "@5")} == {4: None, 5: 4}
    assert {row["position"]: row["parent"] for row in traced(store, "9")} == {3: 6, 6: None}


def test_a_trace_parent_ties_by_its_trace_id(tmp_path: Path) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    toml = '[mapping.aliases]\ntraceparent = "tp"\n'
    header = f"00-{trace_id}-b7ad6b7169203331-01"
    events = [event(1, tp=header), event(2, tp=header.replace("b7", "c8")), event(3, tp=trace_id), event(4, tp="other")]
    store = kept(tmp_path, events, ENVELOPE, toml)
    for name in ("evt-1", trace_id, header):
        assert [row["position"] for row in traced(store, name)] == [1, 2, 3]
    assert [row["link"] for row in traced(store, trace_id)] == [None, "traceparent", "traceparent"]


def test_what_was_known_bounds_a_trace(tmp_path: Path) -> None:
    store = kept(tmp_path, [event(1), event(2, by="evt-1"), event(3, by="evt-2")], ENVELOPE)
    scope = store.scope(known_at="@2")
    assert [row[0] for row in fetch_of(store, trace(scope, "evt-1").sql)] == [1, 2]
    with pytest.raises(NotFoundError):
        trace(scope, "@3")


@pytest.mark.thorough
def test_a_long_chain_is_cut_where_it_is_said(tmp_path: Path) -> None:
    events = [event(i % 60, i=f"evt-{i}", by=f"evt-{i - 1}") for i in range(150)]
    (tmp_path / "esctl.toml").write_text(
        "[mapping]\n" + "".join(f"{key} = {json.dumps(path)}\n" for key, path in ENVELOPE.items()), encoding="utf-8"
    )
    taken(tmp_path, "chain.jsonl", events)
    store = Store.open(tmp_path / ".esctl")
    answer = trace(store.scope(), "evt-0")
    assert len(fetch_of(store, answer.sql)) == 101
    assert answer.notes == ("note: there is more beyond 100 links: --depth N",)
    whole = trace(store.scope(), "evt-0", 1000)
    assert max(row[2] for row in fetch_of(store, whole.sql)) == 149
    assert whole.notes == ()


@pytest.mark.parametrize(("name", "near"), [("evt-11", "evt-1"), ("c-99", "c-9"), ("req-12", "req-1")])
def test_an_unknown_id_is_guessed(tmp_path: Path, name: str, near: str) -> None:
    store = kept(tmp_path, [event(1, c="c-9", r="req-1")], ENVELOPE, '[mapping.aliases]\nrequest = "r"\n')
    with pytest.raises(NotFoundError) as caught:
        trace(store.scope(), name)
    assert caught.value.hint == f"did you mean {near}?"


def test_names_of_a_cycle_are_one_line(tmp_path: Path) -> None:
    store = kept(tmp_path, [event(1, i="a\nb", by="c"), event(2, i="c", by="a\nb")], ENVELOPE)
    assert trace(store.scope(), "c").notes == (r'note: the causation of "a\nb" and c is a cycle: cut at "a\nb"',)
