"""Make a report of a store: each question asked once, its answers and the records that they rest on in one page."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from esctl.ask.changes.audit import audit
from esctl.ask.changes.blame import blame
from esctl.ask.events.log import find_event
from esctl.ask.events.trace import trace_all
from esctl.ask.health.doctor import examine, occurrences
from esctl.ask.scope.notes import erased_note, findings_note
from esctl.ask.scope.own_times import with_own_times
from esctl.ask.scope.scope import claims, counted
from esctl.ask.states.folding import folding
from esctl.ask.states.replay import replay
from esctl.engine.duckdb import explained, single_row
from esctl.errors import NotFoundError, UsageError
from esctl.index.files.manifest import IS_ERASED
from esctl.ledger.prove.prove import choose_checkpoint, contents, prove
from esctl.ledger.sign.checkpoints import checkpoint_files
from esctl.output import Target, write
from esctl.page.case import Case
from esctl.page.content import MOST_BYTES, MOST_EVENTS, MOST_LISTED, Content, Question, first_question
from esctl.page.evidence import Evidence, pack
from esctl.page.html import assemble
from esctl.page.tables import Shared, plain_rows, read_rows, state_rows, tied_rows, trail_rows

if TYPE_CHECKING:
    from esctl.ask.scope.filters import Filters
    from esctl.ask.scope.scope import Scope
    from esctl.ledger.sign.checkpoint import Checkpoint
    from esctl.model import Answer, AsOf, Basis
    from esctl.page.tables import Row
    from esctl.store import OpenStore

_NARROW = "ask for fewer entities, or for a time with --from and --to"
_LIST = "list events with: esctl log --columns position,id,type"
_LINKS = 1
"""How many links away an event counts as related."""
_BLAME = {
    "entity": "text", "field": "text", "value": "json", "change": "text", "contributions": "integer",
    "position": "integer", "time": "time", "type": "text", "actor": "text",
}  # fmt: skip
_FINDINGS = {
    "check": "text", "position": "integer", "time": "time", "source": "text", "entity": "text", "type": "text",
    "detail": "text",
}  # fmt: skip
_RELATED = {
    "position": "integer", "time": "time", "tree": "text", "link": "text", "entity": "text", "actor": "text",
    "id": "text",
}  # fmt: skip


class ReportRequest(Struct, frozen=True):
    """What a report is about. `case` fills in what is empty, and adds notes."""

    entities: tuple[str, ...] = ()
    at: str = ""
    start: str = ""
    end: str = ""
    known_at: str = ""
    projection: str = ""
    checkpoint: str = ""
    case: Case = Case()


class Report(Struct, frozen=True):
    """A report: its page, and what it rests on. `uncovered`: records after the checkpoint, or all without one."""

    html: bytes
    answer: Answer  # the trail, with the notes of all questions
    scope: Scope
    at: AsOf | None  # the bound of what is folded
    points: tuple[AsOf | None, ...]
    records: int
    uncovered: int
    checkpoint: Checkpoint | None

    def __repr__(self) -> str:
        return f"<Report {self.records} records, {self.uncovered} not covered, {len(self.html):,} bytes>"


class _Ground(Struct, frozen=True):
    """What all questions of a report have in common."""

    store: OpenStore
    scope: Scope
    at: AsOf | None
    filters: Filters


def make_report(store: OpenStore, asked: ReportRequest) -> Report:
    """Ask all questions and make the page. Raises UsageError if it would be too large, and as questions do."""
    asked = _fill_from_case(asked)
    filters = store.filters(from_=asked.start, to=asked.end)
    at = store.bound(asked.at) or filters.end
    scope = folding(store.scope(asked.entities, asked.projection, asked.known_at), at)
    ground = _Ground(store, scope, at, filters)
    points = tuple(point for point in (filters.start, filters.end) if point is not at)
    basis = store.basis_of(scope, (at, *points))
    content, answer = _ask_all(ground, _question(asked, basis.bounds), basis)
    marks = _marks(scope, asked.case)
    checkpoint = _checkpoint(store, asked.checkpoint)
    named = {row[0] for row in content.trail} | {row[1] for row in content.findings or ()} | {at for at, _ in marks}
    evidence, cut = _evidence(ground, named, checkpoint)
    whole = replace(content, evidence=evidence, marks=marks, cut={**content.cut, **cut})
    size = checkpoint.head.size if checkpoint is not None else 0
    uncovered = sum(record.position > size for record in evidence.records)
    return Report(assemble(whole), answer, scope, at, points, len(evidence.records), uncovered, checkpoint)


def _fill_from_case(asked: ReportRequest) -> ReportRequest:
    """Fill in from the case what was not asked. Raises UsageError without entities, or if `at` and `end` are given."""
    case = asked.case
    bounds = {"at": asked.at, "start": asked.start, "end": asked.end}
    if not any(bounds.values()):
        bounds = {"at": case.at, "start": case.start, "end": case.end}
    found = replace(
        asked, entities=asked.entities or case.entities, known_at=asked.known_at or case.known_at,
        projection=asked.projection or case.projection, **bounds,
    )  # fmt: skip
    if not found.entities:
        raise UsageError("nothing to report on is named", "name entities, here or in a case; '*' is all of them")
    if found.at and found.end:
        raise UsageError("--at and --to are both given", "give one of them: both say up to when")
    return found


def _question(asked: ReportRequest, bounds: Mapping[str, str]) -> Question:
    first = first_question(asked.entities, bounds)
    given = [("entities", " ".join(asked.entities)), ("projection", asked.projection)]
    options = tuple((name, value) for name, value in given if value)
    return Question(asked.case.title or first.title, asked.case.question or first.question, options)


def _ask_all(ground: _Ground, question: Question, basis: Basis) -> tuple[Content, Answer]:
    """Ask the questions; return the content without the records that it rests on, and the trail with all notes."""
    scope, at, shared = ground.scope, ground.at, Shared.new()
    trail, states, made = audit(scope, at, ground.filters), replay(scope, at, deleted=True), blame(scope, at)
    rows = trail_rows(_read_limited(scope, trail, MOST_EVENTS, "events"), shared)
    found = state_rows(_read_limited(scope, states, MOST_EVENTS, "entities"), shared)
    blamed = plain_rows(_read_limited(scope, made, MOST_EVENTS, "fields"), _BLAME)
    if not (rows or found):
        raise NotFoundError("no entity to report on", "list entities with: esctl entities")
    checks, findings, cut = _findings(scope, ground.filters)
    related, tied_notes, more = _related(scope, [row[0] for row in rows])
    notes = tuple(dict.fromkeys((*trail.notes, *states.notes, *made.notes, *tied_notes)))
    in_scope = [line for line in (findings_note(scope, at), erased_note(scope, at)) if line]
    content = Content(
        question, basis, shared, found, rows, Evidence(), blame=blamed, checks=checks, findings=findings,
        related=related, notes=(*notes, *in_scope), unstepped=_unstepped(scope, shared), cut={**cut, **more},
    )  # fmt: skip
    return content, replace(trail, notes=notes)


def _unstepped(scope: Scope, shared: Shared) -> list[int]:
    """Return the numbers of entities that are folded by an SQL query, which does not explain single events."""
    found: list[int | None] = []
    for claim in claims(scope):
        if claim.projection.sql:
            rows = scope.view.relation(["kind", "entity"], None, [claim.condition, *counted(scope)])
            names = scope.connection.execute(f"SELECT DISTINCT entity, kind FROM ({rows}) ORDER BY ALL").fetchall()
            found += [shared.entities.find_number(tuple(name)) for name in names]
    return sorted(number for number in found if number is not None)


def _read_limited(scope: Scope, answer: Answer, most: int, what: str) -> list[Row]:
    """Return the rows of an answer. Raises UsageError if there are more than `most`."""
    found = list(_read(with_own_times(scope, answer), most + 1))
    if len(found) > most:
        raise UsageError(f"the report would have more than {most:,} {what}", _NARROW)
    return found


def _read(answer: Answer, limit: int) -> Iterable[Row]:
    buffer = io.BytesIO()
    write(answer, Target("jsonl", buffer, limit=limit))
    buffer.seek(0)
    return read_rows(buffer)


def _findings(scope: Scope, filters: Filters) -> tuple[list[Any], list[Any], dict[str, int]]:
    """Return the checks of doctor, what they found in the scope, and how much of that is left out."""
    results = examine(scope, filters)
    checks = [[each.check.name, each.check.finds, each.count] for each in results]
    names = [each.check.name for each in results if each.count]
    if not names:
        return checks, [], {}
    answer = occurrences(scope, filters, names)
    rows = list(_read(answer, MOST_LISTED + 1))
    count = len(rows) if len(rows) <= MOST_LISTED else _count(answer)
    return checks, plain_rows(rows[:MOST_LISTED], _FINDINGS), _count_left_out("findings", count)


def _related(scope: Scope, positions: Sequence[int]) -> tuple[list[Any], tuple[str, ...], dict[str, int]]:
    """Return the events tied to those at some positions, the notes on them, and how many are left out."""
    answer = with_own_times(scope, trace_all(scope, positions, _LINKS))
    parents = f"SELECT parent FROM ({answer.sql})"
    rows = list(_read(answer, MOST_EVENTS))
    tied = tied_rows(rows)
    count = len(tied) if len(rows) < MOST_EVENTS else _count(answer, f"parent IS NOT NULL OR position IN ({parents})")
    return plain_rows(tied[:MOST_LISTED], _RELATED), answer.notes, _count_left_out("related", count)


def _count(answer: Answer, condition: str = "true") -> int:
    """Return how many rows of an answer fulfil a condition."""
    with explained():
        row = single_row(answer.session.connection, f"SELECT count(*) FROM ({answer.sql}) WHERE {condition}")
    assert row is not None
    return int(row[0])


def _count_left_out(part: str, count: int) -> dict[str, int]:
    return {part: count - MOST_LISTED} if count > MOST_LISTED else {}


def _checkpoint(store: OpenStore, wanted: str) -> Checkpoint | None:
    """Return the checkpoint asked for, else the newest that the store state covers, or None if there is none."""
    if wanted:
        return choose_checkpoint(store.store_state, wanted, 0)
    sizes = [int(path.name.partition("-")[0]) for path in checkpoint_files(store.path)]
    fitting = [size for size in sizes if size <= store.store_state.head]
    return choose_checkpoint(store.store_state, str(max(fitting)), 0) if fitting else None


def _evidence(ground: _Ground, wanted: set[int], checkpoint: Checkpoint | None) -> tuple[Evidence, dict[str, int]]:
    """Return the wanted and the erased records, these of any entity, and how many of them are left out."""
    scope, store_state = ground.scope, ground.store.store_state
    gone = scope.view.relation(["position"], None, [IS_ERASED])
    rows = scope.connection.execute(f"SELECT DISTINCT position FROM ({gone}) ORDER BY 1").fetchall()
    erased = [position for (position,) in rows]
    positions = sorted(wanted | set(erased[:MOST_LISTED]))
    size = checkpoint.head.size if checkpoint is not None else 0
    covered = [position for position in positions if position <= size]
    beyond = [position for position in positions if position > size]
    proofs = prove(store_state, covered, checkpoint) if checkpoint is not None and covered else ()
    limit = _ByteLimit()
    evidence = pack(checkpoint, limit.check(proofs), limit.check(contents(store_state, beyond)))
    return evidence, _count_left_out("records", len(erased))


class _ByteLimit:
    """A limit on the bytes of all records of a page, however many parts they come in."""

    def __init__(self) -> None:
        self._size = 0

    def check(self, records: Iterable[tuple[Any, bytes | None]]) -> Iterable[tuple[Any, bytes | None]]:
        """Yield records with their bytes. Raises UsageError once all bytes so far are more than a page can hold."""
        for each, raw in records:
            self._size += len(raw or b"")
            if self._size > MOST_BYTES:
                raise UsageError(f"the report would have records of more than {MOST_BYTES >> 20} MiB", _NARROW)
            yield each, raw


def _marks(scope: Scope, case: Case) -> list[tuple[int, str]]:
    """Return the notes of a case, each after its event's position. Raises NotFoundError if there is no such event."""
    found = []
    for note in case.notes:
        positions = find_event(scope, note.event)
        if not positions:
            raise NotFoundError(f"the case has a note on {note.event!r}, which is no event here", _LIST)
        found += [(position, note.text) for position in positions]
    return found
