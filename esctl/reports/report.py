"""Several answers under one title: what is handed to people, whatever it is written as."""

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
    """Answers to hand on together; all are of one scope and one bound."""

    title: str
    sections: tuple[Section, ...]


def states_and_trail(scope: Scope, at: AsOf | None) -> Report:
    """Return what a scope's records replay to at a bound: each state, deleted ones too, and every change."""
    sections = Section("states", replay(scope, at, deleted=True)), Section("trail", audit(scope, at))
    return Report("what the records replay to", sections)
