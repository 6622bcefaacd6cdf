"""Several answers under one title, to be written in any format."""

from __future__ import annotations

from msgspec import Struct

from esctl.ask.changes.audit import audit
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


def states_and_trail(scope: Scope, at: AsOf | None) -> Report:
    """Return what a scope's records replay to at a bound: each state, deleted ones too, and every change."""
    sections = Section("states", replay(scope, at, deleted=True)), Section("trail", audit(scope, at))
    return Report("what the records replay to", sections)
