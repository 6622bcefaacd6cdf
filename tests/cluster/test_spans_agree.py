"""An answer is the same, byte for byte, into however many spans its entities are cut, and wherever."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, composite

from esctl.api import Store
from esctl.ask.changes.audit import audit
from esctl.ask.changes.blame import blame
from esctl.ask.changes.diff import Side, compare
from esctl.ask.over_time.series import Sampling, series
from esctl.ask.over_time.when import Moments, when
from esctl.ask.scope.scope import Scope
from esctl.ask.states.folding import folding
from esctl.ask.states.replay import replay
from esctl.cluster.engines import InProcess
from esctl.cluster.spans import Span, spans_of
from esctl.errors import EsctlError
from esctl.index.files import write as write_index
from esctl.index.files.manifest import Manifest
from esctl.model import AsOf
from tests.support import effort, log_helpers
from tests.support.cli_harness import ingest_samples
from tests.support.drawn_values import ODD_ENTITIES, PLAIN_ENTITIES
from tests.support.engine_harness import as_of, engine
from tests.support.ground import ground
from tests.support.spans import CutAt, in_spans, rows_of, told
from tests.support.stepped import WAYS, rules_of, taken
from tests.support.strategies import Log, logs
from tests.support.wide_digits import Spread, spread

LONG = "order/" + "7" * 300
"""A name that is too long to be a bound of a row group."""
NAMES = ("", "a", "account-", "account-1", "account-1\x00", "account-2", "order/7", LONG, "zz", "é", "\U0001f600", "42")
SPANS = (1, 2, 7, 64) if effort.ALL else (1, 2, 7)
END = AsOf("all", "position", number=10_000)
Bounds = dict[str, Any]
Ask = Callable[[Scope], bytes | EsctlError]

QUESTIONS: dict[str, Callable[[Scope, Bounds, str], bytes | EsctlError]] = {
    "replay": lambda scope, at, form: told(replay, scope, as_of(at), deleted=True, form=form),
    "audit": lambda scope, at, form: told(audit, scope, as_of(at), with_data=True, form=form),
    "blame": lambda scope, at, form: told(blame, scope, as_of(at), every=form == "csv", form=form),
    "diff": lambda scope, at, form: told(compare, Side(scope, as_of(at)), Side(scope, END), form=form),
    "summary": lambda scope, at, form: told(compare, Side(scope, as_of(at)), Side(scope, END), summary=True, form=form),
    "series": lambda scope, at, form: told(
        series,
        scope,
        Sampling("count(*) + sum(version) - min(position) + avg(version)", "1d", "kind" if form == "csv" else ""),
        form=form,
    ),
    "when": lambda scope, at, form: told(when, scope, Moments("version > 1", "every", state=True), form=form),
}


@composite
def cuts(draw: DrawFn) -> list[str]:
    """Draw where spans begin: some of the names that logs have, and others."""
    count = draw(st.sampled_from(SPANS)) - 1
    known = [*NAMES, *map(str, ODD_ENTITIES), *PLAIN_ENTITIES]
    few = draw(st.lists(st.sampled_from(known), min_size=min(count, 6), max_size=min(count, 6), unique=True))
    return few + [f"account-1{number:02}" for number in range(count - len(few))]


def lengthened(log: Log) -> Log:
    """Give a log in which one entity has a long name."""
    return replace(log, records=tuple(_longer(record) for record in log.records))


def _longer(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _longer(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_longer(item) for item in value]
    return LONG if value == "order/7" else value


def differences(ask: Ask, scope: Scope, cut: Sequence[str]) -> list[str]:
    """Hold an answer in spans to that of one process; give what differs, in words."""
    whole, parts = ask(scope), ask(in_spans(scope, cut))
    if isinstance(whole, EsctlError) and isinstance(parts, EsctlError):
        return errors_differ(whole, parts)
    return [] if whole == parts else [f"cut at {list(cut)}: {whole!r} is {parts!r}"]


def errors_differ(whole: EsctlError, parts: EsctlError) -> list[str]:
    """Tell errors apart: one process names any event that is at fault, the parts the first."""
    one, first = (re.search(r"event @(\d+)", error.message) for error in (whole, parts))
    if one is None or first is None:
        return [] if str(whole) == str(parts) else [f"{whole!r} is {parts!r}"]
    late = int(first[1]) > int(one[1]) or (first[1] == one[1] and type(whole) is not type(parts))
    return [f"{whole!r} is {parts!r}"] if late else []


@pytest.mark.parametrize("name", QUESTIONS)
def test_spans_come_to_the_same_bytes(name: str) -> None:
    @settings(max_examples=effort.examples(60, 3), phases=effort.PHASES)
    @given(logs(), cuts(), st.sampled_from(("jsonl", "csv")))
    def check(log: Log, cut: list[str], form: str) -> None:
        with engine(lengthened(log)) as made:
            assert not differences(partial(QUESTIONS[name], at=log.bounds[-1], form=form), made.scope(), cut)

    check()


@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_fold_comes_to_the_same_bytes(way: str, tmp_path: Path) -> None:
    @settings(max_examples=effort.examples(20, 1), phases=effort.PHASES)
    @given(spread(rules_of(way)), st.sampled_from(sorted(QUESTIONS)))
    def check(drawn: Spread, name: str) -> None:
        with ground(*taken(way, drawn, tmp_path)) as made:
            ask = partial(QUESTIONS[name], at={}, form="csv")
            assert not differences(ask, replace(made, shared=way == "shared").scope(), ("a-1", "a-2", "b"))

    check()


EVENTS = 3_000


def event(number: int) -> dict[str, Any]:
    """Give an event of a log in which one entity has nine tenths of them, and others are of three kinds."""
    others = (f"account-{number % 37}", f"order/{number % 53}", f"{'long' * 80}{number % 3}")
    return {
        "id": f"e{number}", "type": ("Opened", "Noted", "Closed")[number * 7 % 3],
        "time": f"2024-01-{1 + number * 27 // EVENTS:02}T{number % 24:02}:00:00Z",
        "stream": others[number // 10 % 3] if number % 10 == 0 else "account-hot",
        "data": {"n": number, "amount": f"{number}.{'7' * 20}{number}", "tags": [number % 5]},
    }  # fmt: skip


RULES = """
[projections.account]
entities = "account-*"
types = { amount = "decimal(38,20)" }
[projections.account.on.Opened]
set = { owner = "type", amount = "data.n" }
append = { tags = "data.n" }
[projections.account.on.Noted]
add = { sum = "data.n", amount = "data.n" }
[projections.account.on.Closed]
delete = true
[projections.orders]
kinds = ["order"]
on.Noted.merge_patch = "data"
[projections.rest]
kinds = ["none"]
sql = "select entity, count(*) as events, max(position) as last from events group by entity"
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Give a store whose index has many row groups."""
    folder = tmp_path_factory.mktemp("spans")
    (folder / "esctl.toml").write_text(RULES, encoding="utf-8")
    raws = [json.dumps(event(number)).encode() for number in range(EVENTS)]
    log_helpers.store(folder / ".esctl", [[log_helpers.part("a.jsonl", raws)]])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write_index, "ROW_GROUP", 100)
        opened = Store.open(folder / ".esctl")
        assert len(opened.view.manifest.files[0].groups) == EVENTS // 100
    yield opened
    opened.close()


class Spans(InProcess):
    """An engine of so many spans, cut as the index tells."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def spans(self, manifest: Manifest) -> list[Span]:
        """Give spans of about as many rows each."""
        return spans_of(manifest, self.count)


@pytest.mark.thorough
@pytest.mark.parametrize("count", SPANS if effort.ALL else (7,))
def test_one_entity_with_most_events(store: Store, count: int) -> None:
    def asked(opened: Store) -> Iterator[bytes]:
        yield rows_of(opened.replay(at="2024-01-20"), "csv")
        yield rows_of(opened.audit("account-hot", "order/*", type="Noted", field="sum"))
        yield rows_of(opened.series("sum(sum) + max(amount)", "account-*", by="owner", projection="account"), "csv")
        yield rows_of(opened.diff_what_if("order/*", without="type = 'Closed'", at="id:e1500"))
        yield rows_of(opened.when("n > 100 or sum > 100", which="every", with_state=True).counted())

    with store.reopened() as parts:
        parts.engine = Spans(count)
        assert list(asked(parts)) == list(asked(store))


def test_what_does_not_add_up_is_answered_on_one_node(store: Store) -> None:
    with store.reopened() as parts:
        parts.engine = CutAt(["account-2", "order/3"])
        answer = parts.series("count(distinct owner)", projection="account")
        assert any("on one node" in note for note in answer.answer.notes)
        assert rows_of(answer) == rows_of(store.series("count(distinct owner)", projection="account"))


def test_what_looks_at_all_events_is_computed_once(store: Store) -> None:
    with store.reopened() as parts:
        parts.engine = CutAt(["account-2", "order/3"])
        answer = parts.replay("account-*", projection="rest")
        assert any("on one node" in note for note in answer.answer.notes)
        assert rows_of(answer) == rows_of(store.replay("account-*", projection="rest"))


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["replay", "audit"])
def test_the_sample_logs_come_to_the_same_bytes(name: str, samples: Store) -> None:
    """Rows of tables among them, of which one change may end many, and projections that name the bank's kinds."""
    scope = folding(samples.scope())
    cut = ["account-013", "orders/", "public", "sku-105"]
    assert not differences(partial(QUESTIONS[name], at={"position": 6_000}, form="csv"), scope, cut)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Give the store of the sample logs."""
    with Store.open(ingest_samples(tmp_path_factory.mktemp("samples")) / ".esctl") as opened:
        yield opened
