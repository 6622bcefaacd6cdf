"""An entity whose events are folded in pieces of the fold order has the states of one fold, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from esctl.api import Store
from esctl.ask.scope.scope import Scope, claims
from esctl.ask.states.replay import replay
from esctl.ask.states.save import partial_states
from esctl.cluster.cut_span import pieces_of
from esctl.cluster.engines import InProcess
from esctl.cluster.question import ask_in_parts as ask
from esctl.cluster.question import in_parts
from esctl.cluster.spans import Span, spans_at, spans_of
from esctl.cluster.task import Task
from esctl.cluster.work import Failure, WorkPart
from esctl.errors import EsctlError
from esctl.index import extend
from esctl.index.files import merge
from esctl.index.files import write as write_index
from esctl.index.files.manifest import Manifest
from esctl.index.pruning import ALWAYS
from esctl.model import AsOf
from tests.cluster.test_spans_agree import errors_differ
from tests.support import effort, log_helpers
from tests.support.engine_harness import as_of, engine
from tests.support.ground import ground
from tests.support.spans import rows_of, told
from tests.support.stepped import WAYS, rules_of, taken
from tests.support.strategies import Log, logs
from tests.support.wide_digits import Spread, spread

PIECES = (2, 7, 64) if effort.ALL else (2, 7)
CUTS = ("account-2", "order/3")


class Pieced(InProcess):
    """An engine whose spans begin at given names, each with so many pieces."""

    def __init__(self, pieces: int, cuts: Sequence[str] = CUTS) -> None:
        super().__init__()
        self.pieces, self.cuts = pieces, cuts
        self.ran: list[bool] = []  # whether each task was one of a piece
        self.failed: list[Failure] = []

    def spans(self, manifest: Manifest) -> list[Span]:
        """Give the spans between the names."""
        return [replace(span, pieces=self.pieces) for span in spans_at(self.cuts)]

    def run(self, tasks: Sequence[Task]) -> Iterator[WorkPart | Failure]:
        """Run tasks, and note which they are."""
        self.ran += [task.piece != ALWAYS for task in tasks]
        for result in super().run(tasks):
            self.failed += [result] if isinstance(result, Failure) else []
            yield result


def differences(scope: Scope, pieces: int, at: AsOf | None, form: str = "jsonl") -> list[str]:
    """Hold states that are folded in pieces to those of one fold; give what differs, in words."""
    whole = told(replay, scope, at, deleted=True, form=form)
    parts = told(replay, in_parts(scope, Pieced(pieces)), at, deleted=True, form=form)
    if isinstance(whole, EsctlError) and isinstance(parts, EsctlError):
        return errors_differ(whole, parts)
    return [] if whole == parts else [f"in {pieces}: {whole!r} is {parts!r}"]


@settings(max_examples=effort.examples(100, 5), phases=effort.PHASES)
@given(logs(), st.sampled_from(PIECES), st.sampled_from(("jsonl", "csv")))
def test_pieces_come_to_the_same_bytes(log: Log, pieces: int, form: str) -> None:
    with engine(log) as made:
        assert not differences(made.scope(), pieces, as_of(log.bounds[-1]), form)


@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_fold_comes_to_the_same_bytes(way: str, tmp_path: Path) -> None:
    @settings(max_examples=effort.examples(30, 1), phases=effort.PHASES)
    @given(spread(rules_of(way)), st.sampled_from(PIECES))
    def check(drawn: Spread, pieces: int) -> None:
        with ground(*taken(way, drawn, tmp_path)) as made:
            assert not differences(made.scope(), pieces, None)

    check()


EVENTS = 1_500
assert extend.ROW_GROUP == merge.ROW_GROUP == write_index.ROW_GROUP  # imported before it is another
RULES = """
[projections.account]
entities = "account-*"
types = { amount = "decimal(38,9)" }
[projections.account.on.Opened]
set = { owner = "type", amount = "data.n" }
append = { tags = "data.n" }
min = { least = "data.n" }
max = { latest = "time" }
[projections.account.on.Noted]
add = { sum = "data.n", amount = "data.amount" }
append = { tags = "data.tag" }
[projections.account.on.Closed]
remove = { tags = "data.tag" }
[projections.account.on.Ended]
delete = true
[projections.stepped]
kinds = ["order"]
on.Noted.merge_patch = "data"
"""


def event(number: int) -> dict[str, Any]:
    """Give an event of a log in which one entity has nine tenths of them, and some come late."""
    late = number % 41 == 0
    return {
        "id": f"e{number}", "type": "Ended" if number % 700 == 50 else ("Opened", "Noted", "Closed")[number * 7 % 3],
        "time": f"2024-01-{1 + max(number - 400 * late, 0) * 27 // EVENTS:02}T{number % 24:02}:00:00Z",
        "stream": f"order/{number % 7}" if number % 10 == 0 else "account-hot",
        "data": {"n": number, "amount": f"{number}.{'7' * 9}", "tag": number % 5, "word": f"w{number * 31 % 97}"},
    }  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("pieces")
    (folder / "esctl.toml").write_text(RULES, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write_index, "ROW_GROUP", 50)
        for commit in range(3):
            raws = [json.dumps(event(number)).encode() for number in range(commit * 500, (commit + 1) * 500)]
            log_helpers.store(folder / ".esctl", [[log_helpers.part(f"{commit}.jsonl", raws)]])
            opened = Store.open(folder / ".esctl")
            assert opened.view
    yield opened
    opened.close()


@pytest.mark.parametrize("pieces", [7, 1, 2, pytest.param(64, marks=pytest.mark.thorough)])
def test_one_entity_with_most_events(store: Store, pieces: int) -> None:
    with store.reopened() as parts:
        parts.engine = made = Pieced(pieces, ("account-hot", "account-hot\x01"))
        bounds: tuple[dict[str, Any], ...]
        bounds = ({"at": "2024-01-20"}, {}, {"at": "@900"}, {"before": "2024-01-05T07:00:00Z"})
        for each in effort.some(bounds, 2):
            assert rows_of(parts.replay(**each)) == rows_of(store.replay(**each))
        assert sum(made.ran) >= (pieces > 1) * pieces * 2
        assert not made.failed  # or the spans would have been folded whole
        made.ran.clear()
        assert rows_of(parts.replay(at="version:300")) == rows_of(store.replay(at="version:300"))
        assert not any(made.ran)  # a version is counted from the first event


def test_saved_states_are_folded_in_pieces(store: Store) -> None:
    scope = store.scope()
    (claim,) = (claim for claim in claims(scope) if claim.projection.name == "account")
    made = Pieced(7)
    whole, parts = (
        answer.session.connection.execute(answer.prepare(answer.sql)).fetchall()
        for answer in (ask(partial_states, each, claim, None) for each in (scope, in_parts(scope, made)))
    )
    assert len(whole) == 1
    assert sorted(map(str, parts)) == sorted(map(str, whole))
    assert any(made.ran)
    assert not made.failed


def test_an_error_names_the_first_event_at_fault(store: Store, tmp_path: Path) -> None:
    rules = tmp_path / "esctl.toml"
    rules.write_text('[projections.account]\nentities = "*"\non.Noted.add = { sum = "data.word" }\n')
    with store.reopened() as parts:
        parts.engine = made = Pieced(7)
        with pytest.raises(EsctlError, match=r"event @2\b"):
            parts.replay(projection_file=rules).rows()
        assert any(made.ran)


def test_an_entity_that_fills_row_groups_has_pieces(store: Store) -> None:
    with store.reopened() as parts:
        spans = spans_of(parts.view.grouped(), 8)
    assert [(span.low, span.pieces) for span in spans if span.pieces > 1] == [("account-hot", 7)]
    assert [span.high for span in spans[:-1]] == [span.low for span in spans[1:]]
    assert all(span.pieces == 1 for span in InProcess().spans(store.view.grouped()))


def test_pieces_are_of_about_as_many_events_each_and_leave_files_out(store: Store) -> None:
    view, connection = store.view, store.connection
    pieces = pieces_of(view, Span("account-hot", "account-hot\x01", 6), connection)
    assert len(pieces) == 6
    hot = "entity = 'account-hot'"
    counts = [len(connection.execute(view.relation(["position"], where=[hot, piece])).fetchall()) for piece in pieces]
    assert sum(counts) == EVENTS * 9 // 10
    assert all(abs(count - EVENTS * 9 // 60) < 40 for count in counts)
    assert not all(pieces[0].reach.may_lie_in(file) for file in view.manifest.files)
