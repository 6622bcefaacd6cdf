"""Several answers under one title, to be written in any format."""

from __future__ import annotations

from msgspec import Struct

from esctl.ask.changes.audit import audit
from esctl.ask.scope.own_times import with_own_times
from esctl.ask.scope.scope import Scope
from esctl.ask.states.replay import replay
from esctl.model import Answer, AsOf


class Section(Struct, frozen=True):
    """One part of a report: a name for programs, and the answer."""

    name: str
    answer: Answer


class Report(Struct, frozen=True):
    """Answers that belong together; all have one scope and one bound."""

    title: str
    sections: tuple[Section, ...]


def states_and_trail(scope: Scope, at: AsOf | None, *, own_times: bool = True) -> Report:
    """Return what a scope's records replay to at a bound: each state, deleted ones too, and every change.

    `own_times`: the time of an undated event is NULL, not the instant that it is folded at.
    """
    found = {"states": replay(scope, at, deleted=True), "trail": audit(scope, at)}
    if own_times:
        found = {name: with_own_times(scope, answer) for name, answer in found.items()}
    sections = tuple(Section(name, answer) for name, answer in found.items())
    return Report("what the records replay to", sections)
