"""The content of a page, as a JSON document, and its records: the same parts give the same bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from esctl.ask.scope.basis import to_json, to_lines
from esctl.model import Basis
from esctl.output.text import escape_json
from esctl.page.evidence import Evidence
from esctl.page.tables import Shared, inert, inert_json

FORMAT = "esctl/page/1"
MOST_EVENTS = 50_000
MOST_BYTES = 64 << 20
"""Events, and bytes of records, beyond which a browser cannot use a page."""
MOST_LISTED = 2_000
"""Most findings, related events and erased records that a page lists."""
_ALL_LISTED = ("states", "trail", "marks", "blame", "checks", "findings", "related", "notes")


class Question(Struct, frozen=True):
    """What a page answers. `asked` are options with their values, as they were given."""

    title: str
    question: str
    asked: tuple[tuple[str, str], ...] = ()


class Content(Struct, frozen=True):
    """The parts of a page. A part that is None was not examined, and the page says so."""

    question: Question
    basis: Basis
    shared: Shared
    states: Sequence[Any]
    trail: Sequence[Any]
    evidence: Evidence
    kind: str = "report"  # or bundle
    marks: Sequence[tuple[int, str]] = ()  # what somebody noted beside records
    blame: Sequence[Any] | None = None
    checks: Sequence[Any] | None = None  # of doctor, each with what it looks for and how many it found
    findings: Sequence[Any] | None = None
    related: Sequence[Any] | None = None
    notes: Sequence[str] = ()
    unstepped: Sequence[int] = ()  # entities whose last state is known, but not what each event changed
    cut: Mapping[str, int] = field(default_factory=dict)  # by part: how many rows were left out


def document(content: Content) -> str:
    """Return a page's content as JSON, one row per line, inert in a script element and in a terminal."""
    shared = content.shared
    question = content.question
    header: dict[str, Any] = {
        "format": FORMAT, "kind": content.kind, "title": question.title, "question": question.question,
        "asked": question.asked, "basis": json.loads(to_json(content.basis)), "lines": to_lines(content.basis),
        "entities": shared.entities.listed, "types": shared.types.listed, "actors": shared.actors.listed,
        "fields": shared.fields.listed, "unstepped": content.unstepped, "cut": content.cut,
    }  # fmt: skip
    members = [f"{inert_json(name)}:{inert_json(value)}" for name, value in header.items()]
    members += [f"{inert_json(name)}:{_lines(getattr(content, name))}" for name in _ALL_LISTED]
    evidence = {name: getattr(content.evidence, name) for name in ("checkpoint", "sources", "recorded", "nodes")}
    members.append(f'"evidence":{inert_json(evidence)}')
    return escape_json("{" + ",\n".join(members) + "}")


def record_lines(content: Content) -> str:
    """Return a page's records, one per line, as inert as the content."""
    return escape_json(inert("\n".join(record.line for record in content.evidence.records)))


def _lines(rows: Sequence[Any] | None) -> str:
    if not rows:
        return inert_json(rows)
    return "[\n" + ",\n".join(map(inert_json, rows)) + "\n]"


def first_question(entities: Sequence[str], bounds: Mapping[str, str]) -> Question:
    """Return the question of a page for which nobody has worded one."""
    named = ", ".join(entities[:3]) + (f" and {len(entities) - 3} more" if len(entities) > 3 else "")
    since, until = bounds.get("from"), bounds.get("to") or bounds.get("at")
    before = bounds.get("before")
    period = f" from {since}" if since else ""
    period += f" up to {until}" if until else f" before {before}" if before else ""
    known = f", as known at {bounds['known_at']}" if "known_at" in bounds else ""
    return Question(named, f"What happened to {named}{period}, by whom, and what was the state{known}?")
