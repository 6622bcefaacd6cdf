"""Questions that are asked in a thread: whose answers are delivered, and whose are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from threading import Event
from typing import Any

import pytest

from esctl import Store
from esctl.errors import UsageError
from esctl.tui.answers import Answers
from esctl.tui.asker import Answered, Asker
from esctl.tui.values import Ground

PATIENCE = 20
"""Seconds until an answer is given up."""


class Held:
    """A question that runs until it is let go."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        self.begun, self.freed = Event(), Event()
        self._answer = answer

    def __call__(self, store: Store) -> Any:
        self.begun.set()
        assert self.freed.wait(PATIENCE)
        return self._answer()


@pytest.fixture
def asked(store: Path) -> Iterator[tuple[Asker, Queue[Answered]]]:
    """An asker, and the answers that it delivers."""
    answers: Queue[Answered] = Queue()
    asker = Asker(Store.open(store), answers.put)
    yield asker, answers
    asker.end()


def delivered(asker: Asker, answers: Queue[Answered]) -> list[Any]:
    """Ask one question more, and return what is delivered until its answer."""
    asker.ask("last", lambda store: "LAST")
    values: list[Any] = []
    while "LAST" not in values:
        answered = answers.get(timeout=PATIENCE)
        values.append(answered.problem or answered.value)
    return values[:-1]


def hold(asker: Asker, answer: Callable[[], Any] = lambda: "OLD") -> Held:
    """Ask a question that is running when this returns."""
    held = Held(answer)
    asker.ask("view", held)
    assert held.begun.wait(PATIENCE)
    return held


def test_a_question_that_runs_is_answered_before_the_next_of_its_name(asked: tuple[Asker, Queue[Answered]]) -> None:
    asker, answers = asked
    held = hold(asker)
    for word in ("SKIPPED", "NEW"):
        asker.ask("view", lambda store, word=word: word)
    held.freed.set()
    assert delivered(asker, answers) == ["OLD", "NEW"]


def test_a_question_that_was_dropped_while_it_runs_is_not_answered(asked: tuple[Asker, Queue[Answered]]) -> None:
    asker, answers = asked
    held = hold(asker)
    asker.drop("view")
    held.freed.set()
    assert delivered(asker, answers) == []


def test_a_question_that_was_dropped_while_it_runs_is_not_answered_once_its_name_is_asked_again(
    asked: tuple[Asker, Queue[Answered]],
) -> None:
    asker, answers = asked
    held = hold(asker)
    asker.drop("view")
    asker.ask("view", lambda store: "NEW")
    held.freed.set()
    assert delivered(asker, answers) == ["NEW"]


def test_what_a_cancelled_question_ends_with_is_not_told(asked: tuple[Asker, Queue[Answered]]) -> None:
    def fail() -> None:
        raise UsageError("interrupted")

    asker, answers = asked
    held = hold(asker, fail)
    asker.cancel()
    asker.ask("view", lambda store: "NEW")
    held.freed.set()
    assert delivered(asker, answers) == ["NEW"]


def test_an_answer_on_its_way_to_the_screen_is_not_taken_once_it_is_dropped(store: Path) -> None:
    session = Answers(Store.open(store), Ground())
    try:
        under_way: Queue[Answered] = Queue()
        session.deliver = under_way.put
        session.asker.ask("standing", lambda store: "OLD")
        answered = next(each for each in iter(lambda: under_way.get(timeout=PATIENCE), None) if each.value == "OLD")
        session.asker.drop("standing")
        session.take(answered)
        assert session.standing != "OLD"
    finally:
        session.end()
