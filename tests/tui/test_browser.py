"""What is on the screen is what the commands answer: each key against the question that it stands for."""

from __future__ import annotations

import shlex
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from esctl import Store
from esctl.output.writers.changes import compact
from esctl.tui.questions import rows_of
from tests.support.cli_harness import esctl, write_lines
from tests.tui.conftest import browsing, event, make_store, run


@cache
def truth(store: Path) -> Store:
    """A store that is asked for what is right."""
    return Store.open(store)


def replayed(store: Path, entity: str, **bounds: str) -> dict[str, str]:
    """The state that `esctl replay` gives, as JSON text by field."""
    rows = rows_of(truth(store).replay(entity, **bounds), ["state"])  # type: ignore[arg-type]
    return {name: compact(value) for name, value in rows[0]["state"].items()} if rows else {}


def test_each_step_is_the_state_at_the_position_of_its_event(store: Path) -> None:
    async def story() -> None:
        async with browsing(store, "acc-1") as hand:
            await hand.focus("trail")
            await hand.press("home")
            seen = []
            for _ in range(6):
                assert hand.state == replayed(store, "acc-1", at=f"@{hand.position}")
                seen.append(hand.position)
                await hand.press("right")
            assert seen == [1, 2, 3, 4, 5, 6]
            assert hand.state["balance"] == "99999999999999975.1"
            await hand.press(*["left"] * 6)
            assert (hand.position, hand.state) == (None, {})
            assert "no state yet" in hand.text()

    run(story)


@pytest.mark.thorough
def test_what_an_event_changed_is_marked_with_what_was_before(store: Path) -> None:
    async def story() -> None:
        async with browsing(store, "acc-1", at="@3") as hand:
            assert hand.marked == {"limit"}
            line = next(line for line in hand.screen() if "* limit" in line)
            assert "2500  was 1000" in line
            await hand.press("right", "right")
            assert hand.marked == set()

    run(story)


def test_with_late_events_steps_are_those_of_time_and_say_so_in_the_command(store: Path) -> None:
    async def story() -> None:
        async with browsing(store, "acc-late") as hand:
            store_ = truth(store)
            order = [int(row["position"]) for row in rows_of(store_.audit("acc-late"), ["position"])]
            await hand.focus("trail")
            await hand.press("home")
            specs = []
            for version, position in enumerate(order, start=1):
                spec = hand.app.session.walk.spot.spec
                assert hand.position == position
                assert (
                    hand.state
                    == replayed(store, "acc-late", at=spec)
                    == replayed(store, "acc-late", at=f"version:{version}")
                )
                specs.append(spec)
                await hand.press("right")
            assert specs == ["@7", "@8", "version:3", "version:4", "version:5"]

    run(story)


FORMS = ("2024-01-03", "2024-01-03T10:00:00Z", "@4", "seq:3", "version:2", "id:e5", "now", "2h ago", "yesterday", "@0")


def test_g_takes_every_form_of_at(store: Path) -> None:
    async def story() -> None:
        async with browsing(store, "acc-1") as hand:
            for text in FORMS:
                await hand.type("g", text)
                assert hand.state == replayed(store, "acc-1", at=text), text

    run(story)


@pytest.mark.thorough
def test_what_g_does_not_understand_is_told_and_moves_nothing(store: Path) -> None:
    async def story() -> None:
        async with browsing(store, "acc-1") as hand:
            for text in ("nonsense", "id:nobody"):
                await hand.type("g", text)
                assert hand.app.status_text.startswith("error: ")
                assert text.removeprefix("id:") in hand.app.status_text
                assert hand.position == 6

    run(story)


@pytest.mark.thorough
def test_steps_from_a_point_between_events_go_to_those_around_it(store: Path) -> None:
    async def story() -> None:
        async with browsing(store, "acc-1", at="2024-01-03T20:00:00Z") as hand:
            assert hand.position == 3
            await hand.press("right")
            assert hand.position == 4
            await hand.type("g", "2024-01-03T20:00:00Z")
            await hand.press("left")
            assert hand.position == 3
            await hand.press("left")
            assert hand.position == 2

    run(story)


@pytest.mark.thorough
def test_a_point_that_was_typed_stays_when_another_entity_is_chosen(store: Path) -> None:
    async def story() -> None:
        async with browsing(store) as hand:
            await hand.type("g", "2024-01-02")
            await hand.press("down", "down")
            assert hand.app.session.walk.entity is not None
            name = hand.app.session.walk.entity.name
            assert name == "acc-late"
            assert hand.state == replayed(store, name, at="2024-01-02")

    run(story)


def test_two_marks_give_the_diff(store: Path) -> None:
    async def story() -> None:
        async with browsing(store, "acc-1", at="@2") as hand:
            await hand.press("m", "right", "right", "m")
            shown = hand.app.session.walk.differences
            assert shown is not None
            asked = rows_of(truth(store).diff("@2", "@4", "acc-1"), ["change", "field", "before", "after", "positions"])
            assert [(d.change, d.field, d.before, d.after, list(d.positions)) for d in shown] == [
                (r["change"], r["field"], compact(r["before"]), compact(r["after"]), [int(p) for p in r["positions"]])
                for r in asked
            ]
            assert {d.field for d in shown} == {"limit", "balance", "payments"}
            assert "difference A @2 → B @4" in hand.text()
            await hand.focus("state")
            await hand.press("home", "enter")
            assert hand.position == shown[0].positions[-1]
            await hand.press("escape")
            assert hand.app.session.walk.differences is None
            assert "state version" in hand.text()

    run(story)


def test_enter_on_a_field_goes_to_the_event_that_blame_names(store: Path) -> None:
    async def story() -> None:
        async with browsing(store, "acc-1") as hand:
            made = {
                row["field"]: int(row["position"])
                for row in rows_of(truth(store).blame("acc-1"), ["field", "position"])
            }
            assert made == {"owner": 1, "limit": 3, "balance": 6, "payments": 6}
            await hand.focus("state")
            await hand.press("home", "enter")
            names = [field.name for field in hand.app.session.walk.view.fields]  # type: ignore[union-attr]
            assert hand.position == made[names[0]]
            await hand.type("g", "now")
            await hand.type("slash", "limit")
            await hand.press("enter")
            assert hand.position == 3

    run(story)


def test_n_and_shift_n_go_to_the_changes_of_the_field(store: Path) -> None:
    async def story() -> None:
        async with browsing(store, "acc-1", at="@1") as hand:
            await hand.focus("state")
            await hand.type("slash", "limit")
            places = []
            for key in ("n", "n", "N", "N"):
                await hand.press(key)
                places.append(hand.position)
            assert places == [3, 3, 1, 1]
            assert "no earlier event changes limit" in hand.app.status_text

    run(story)


def test_the_clock_of_what_was_known_is_known_at(store: Path) -> None:
    async def story() -> None:
        async with browsing(store, "acc-late", at="@8") as hand:
            await hand.press("k")
            seen = []
            for _ in range(4):
                assert hand.state == replayed(store, "acc-late", known_at=f"@{hand.position}")
                seen.append((hand.position, hand.state["limit"], hand.marked))
                await hand.press("right")
            assert seen == [
                (8, "1000", {"balance", "payments"}), (9, "7", {"limit"}), (10, "7", {"balance", "payments"}),
                (11, "7", set()),
            ]  # fmt: skip
            await hand.type("g", "@9")
            assert hand.state == replayed(store, "acc-late", known_at="@9")
            await hand.type("g", "version:2")
            assert "--known-at" in hand.app.status_text
            await hand.press("m", "right", "m")
            asked = truth(store).diff_known("@9", "@10", "acc-late")
            assert [d.field for d in hand.app.session.walk.differences or ()] == [
                row["field"] for row in rows_of(asked, ["field"])
            ]
            await hand.press("escape", "k")
            assert hand.app.session.walk.clock == "valid"

    run(story)


@pytest.mark.thorough
def test_changes_by_what_was_known_are_those_that_were_seen_then(store: Path) -> None:
    async def story() -> None:
        async with browsing(store, "acc-late", at="@8") as hand:
            await hand.press("k")
            await hand.focus("state")
            await hand.type("slash", "limit")
            await hand.press("n")
            assert hand.position == 9
            await hand.press("n")
            assert hand.position == 9  # the one that came last is older: it changed nothing that was known
            await hand.press("N")
            assert hand.position == 7

    run(story)


@pytest.mark.thorough
def test_when_and_trace_list_events_to_go_to(store: Path) -> None:
    async def story() -> None:
        async with browsing(store) as hand:
            await hand.type("w", "limit > 2000")
            assert "when limit > 2000 · 0" not in hand.text()
            await hand.press("escape")
            await hand.type("W", "limit < 100")
            assert "acc-late" in hand.text()
            await hand.press("enter")
            walk = hand.app.session.walk
            assert walk.entity is not None
            assert (walk.entity.name, hand.position) == ("acc-late", 11)
            await hand.press("t")
            assert "trace @11" in hand.text()
            await hand.press("home", "enter")
            assert hand.position == 10
            await hand.type("w", "nonsense > 1")
            assert "nonsense" in hand.app.status_text

    run(story)


@pytest.mark.thorough
def test_entities_are_filtered_ordered_and_shown_by_kind(store: Path) -> None:
    copied: list[tuple[str, list[str]]] = []

    async def story() -> None:
        async with browsing(store) as hand:
            names = lambda: [hand.app.session.entities.entity(i).name for i in range(len(hand.app.session.entities))]  # noqa: E731
            assert names() == ["acc-1", "acc-closed", "acc-late", "sql-1"]
            await hand.type("slash", "late")
            assert names() == ["acc-late"]
            await hand.type("slash", "a*1")
            assert names() == ["acc-1"]
            await hand.press("slash", "escape", "s")
            assert names() == ["acc-1", "acc-late", "acc-closed", "sql-1"]
            await hand.press("K")
            assert hand.app.session.kind == "acc"
            await hand.type("slash", "acc-*")
            await hand.press("y")
            copied.append((hand.app.copied, names()))
            while hand.app.session.kind:
                await hand.press("K")
            await hand.press("y")
            copied.append((hand.app.copied, names()))

    run(story)
    assert [names for _, names in copied] == [["acc-1"], ["acc-1", "acc-late", "acc-closed"]]
    for line, names in copied:
        done = esctl(*shlex.split(line)[1:], "-f", "jsonl", cwd=store.parent)
        assert [row["entity"] for row in done.rows] == names, done.err


@pytest.mark.thorough
def test_a_deleted_entity_says_so(store: Path) -> None:
    async def story() -> None:
        async with browsing(store, "acc-closed") as hand:
            assert "deleted" in hand.text()
            await hand.press("left")
            assert hand.state == replayed(store, "acc-closed", at="@12")

    run(story)


def test_following_does_not_move_the_cursor(tmp_path: Path) -> None:
    store = make_store(
        tmp_path,
        [event(1, "Opened", "2024-01-01T10:00:00Z", owner="A"), event(2, "Paid", "2024-01-03T10:00:00Z", amount=1)],
    )

    async def story() -> None:
        async with browsing(store, "acc-1") as hand:
            hand.app.session.following = True
            more = [
                event(3, "Paid", "2024-01-02T10:00:00Z", amount=5),
                event(4, "Paid", "2024-01-04T10:00:00Z", amount=7),
            ]
            write_lines(
                tmp_path / "more.jsonl", [*more, event(5, "Opened", "2024-01-04T10:00:00Z", "acc-new", owner="N")]
            )
            assert esctl("ingest", "more.jsonl", "-q", cwd=tmp_path).code == 0
            hand.app.session.look()
            await hand.rest()
            await hand.rest()
            walk = hand.app.session.walk
            assert walk.steps is not None
            assert (len(walk.steps), hand.app.session.head) == (4, 5)
            assert hand.position == 2
            truth(store).refresh()
            assert hand.state == replayed(store, "acc-1", at="version:3")
            assert "3 more records" in hand.app.status_text
            await hand.press("right")
            assert hand.position == 4

    run(story)


def shown(value: Any) -> str:
    return str(value) if isinstance(value, int | Decimal) else compact(value)


def test_what_is_copied_gives_what_is_shown(store: Path) -> None:
    async def story() -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = []
        async with browsing(store, "acc-late", at="version:3") as hand:
            await hand.focus("state")
            await hand.press("y")
            found.append((hand.app.copied, hand.state))
            await hand.focus("trail")
            await hand.press("y")
            assert hand.app.copied == "esctl audit acc-late"
            await hand.press("m", "right", "m", "y")
            assert hand.app.copied == "esctl diff version:3 version:4 acc-late"
            assert "copied: esctl diff" in hand.text()
            await hand.press("escape", "k", "tab", "tab", "y")
            found.append((hand.app.copied, hand.state))
        return found

    for line, state in run(story):
        words = shlex.split(line)
        assert words[0] == "esctl"
        done = esctl(*words[1:], "-f", "jsonl", cwd=store.parent)
        assert done.code == 0, done.err
        (row,) = done.rows
        assert {name: shown(value) for name, value in row["state"].items()} == state


@pytest.mark.thorough
def test_the_mouse_chooses_rows_and_times(store: Path) -> None:
    async def story() -> None:
        async with browsing(store, "acc-1") as hand:
            await hand.pilot.click("#trail", offset=(10, 1))
            await hand.rest()
            assert hand.position == 2
            await hand.pilot.click("#bar", offset=(0, 0))
            await hand.rest()
            assert hand.position == 1
            await hand.pilot.click("#state", offset=(10, 1), times=2)
            await hand.rest()
            assert hand.app.session.walk.field == "limit"

    run(story)


@pytest.mark.thorough
def test_all_of_an_event_and_the_keys_are_shown(store: Path) -> None:
    async def story() -> None:
        async with browsing(store, "acc-1", at="@2") as hand:
            await hand.press("v")
            assert "100000000000000000.10" in hand.text()
            await hand.press("y")
            assert "copied: esctl show @2" in hand.text()
            await hand.press("escape", "question_mark")
            assert "follow the log as it grows" in hand.text()
            await hand.press("q")
            assert hand.app.is_running
            await hand.press("q")
        assert hand.app.failure is None

    run(story)


def test_it_is_of_use_on_a_small_terminal(store: Path) -> None:
    async def story() -> None:
        async with browsing(store, "acc-1", size=(80, 24), at="@3") as hand:
            await hand.focus("trail")
            text = hand.text()
            assert "limit: 1000 -> 2500" in text
            assert "was 1000" in text
            assert [each for each in ("▲", "3 of 6 events", "? keys") if each not in text] == []
            await hand.focus("entities")
            assert "▶ acc-1" in hand.text()

    run(story)


@pytest.mark.thorough
def test_a_store_without_events_is_no_error(tmp_path: Path) -> None:
    store = make_store(tmp_path, [])

    async def story() -> None:
        async with browsing(store) as hand:
            assert "no entities yet" in hand.text()
            await hand.press("right", "m", "k", "t", "n", "enter", "v", "y", "s", "K", "tab", "w", "escape")
            await hand.type("g", "now")
            await hand.type("slash", "x")
        assert hand.app.failure is None

    run(story)


@pytest.mark.thorough
def test_what_a_query_folds_is_marked_too(store: Path) -> None:
    async def story() -> None:
        async with browsing(store, "sql-1") as hand:
            assert (hand.position, hand.state, hand.marked) == (14, {"seen": "2"}, {"seen"})
            await hand.press("left")
            assert (hand.position, hand.state) == (15, replayed(store, "sql-1", at="version:1"))
            assert hand.state == {"seen": "1"}

    run(story)


@pytest.mark.thorough
def test_what_was_recorded_later_can_be_left_out(store: Path) -> None:
    async def story() -> None:
        async with browsing(store, "acc-late", known_at="@10") as hand:
            assert hand.position == 9
            assert hand.state == replayed(store, "acc-late", known_at="@10")
            await hand.focus("state")
            await hand.press("y")
            assert hand.app.copied == "esctl replay --at version:4 --known-at @10 acc-late"

    run(story)


@pytest.mark.parametrize("known_at", ["@9", "id:e14"], ids=["", "an event"])
def test_no_point_goes_beyond_what_the_session_leaves_out(store: Path, known_at: str) -> None:
    """By the clock of what was known, too: even to a point at which nothing came of the entity itself."""

    async def story() -> None:
        async with browsing(store, "acc-late", known_at=known_at) as hand:
            await hand.press("k")
            shown = hand.state
            for text in ("@11", "@14", "id:e15", "2999-01-01"):
                await hand.type("g", text)
                assert f" is after --known-at {known_at}" in hand.app.status_text
                assert hand.state == shown
            await hand.type("g", "now")
            assert hand.state == replayed(store, "acc-late", known_at=known_at)
            await hand.focus("state")
            await hand.press("y")
            assert hand.app.copied == f"esctl replay --known-at {known_at} acc-late"
            await hand.type("g", "@8")
            assert hand.state == replayed(store, "acc-late", known_at="@8")

    run(story)
