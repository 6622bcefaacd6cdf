"""Whatever else takes SQL than `sql` itself lets nothing out either: conditions, aggregates, rules, projections."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from esctl import Store
from esctl.ask.events.log import EventFilters, log
from esctl.ask.over_time.series import Sampling, series
from esctl.ask.over_time.when import Moments, when
from esctl.ask.scope.scope import Scope
from esctl.ask.scope.what_if import without_events
from esctl.ask.states.replay import replay
from esctl.engine.duckdb import explained
from esctl.errors import EsctlError
from esctl.model import Answer
from esctl.projection.spec import parse_projections
from tests.ask.sql.test_sql_escapes import BOUNDED, REFUSED, SECRET, contents, filled, store

__all__ = ["store"]
Door = Callable[[Scope, str], Answer]


def ruled(scope: Scope, **rule: object) -> Answer:
    return projected(scope, {"on": {"*": rule}})


def projected(scope: Scope, body: dict[str, object]) -> Answer:
    projections = parse_projections({"p": body}, "esctl.toml")
    return replay(Scope(scope.session, scope.view, projections, "p", (), None, "UTC", None))


DOORS: dict[str, Door] = {
    "log --where": lambda scope, text: log(scope, EventFilters(where=text)),
    "replay --where": lambda scope, text: replay(scope, where=text),
    "--without": lambda scope, text: replay(without_events(scope, [text])),
    "when": lambda scope, text: when(scope, Moments(text)),
    "series": lambda scope, text: series(scope, Sampling(text, "1d")),
    "series, filter": lambda scope, text: series(scope, Sampling(f"count(*) filter ({text})", "1d")),
    "series --by": lambda scope, text: series(scope, Sampling("count(*)", "1d", text)),
    "rule, when": lambda scope, text: ruled(scope, set={"x": "1"}, when=text),
    "rule, value": lambda scope, text: ruled(scope, set={"x": text}),
    "rule, merge": lambda scope, text: ruled(scope, merge=text),
    "sql =": lambda scope, text: projected(scope, {"sql": text}),
}
WAYS = ("{}", "({})", "exists ({})", "id = ({})", "id in ({})", "true) union all ({}", "id = 'x' or ({}) is null")
"""How an escape may stand in an expression."""


@pytest.mark.parametrize("door", DOORS)
def test_nothing_escapes_by_another_door(store: Path, door: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", SECRET)
    monkeypatch.chdir(store)
    before = dict(contents(store))
    scope = Store.open(store / ".esctl", memory_limit="400MB", threads=1).scope()
    taken = []
    for number, query in enumerate(REFUSED):
        ways = ["{}"] if door == "sql =" else ["{}", WAYS[1 + number % (len(WAYS) - 1)]]
        for text in (way.format(filled(store, query)) for way in ways):
            refused, told = outcome(scope, door, text)
            assert SECRET not in told, text
            if not refused and not is_harmless(text):
                taken.append(text)
    assert taken == []
    assert dict(contents(store)) == before
    assert not {"out.csv", "out", "out.db"} & set(os.listdir(store))


def outcome(scope: Scope, door: str, text: str) -> tuple[bool, str]:
    """Ask; give whether it was refused, and what was told."""
    try:
        answer = DOORS[door](scope, text)
        with explained():
            return False, str(scope.connection.execute(answer.sql).fetchall())
    except EsctlError as error:
        return not error.message.startswith("DuckDB:"), error.message + error.hint


def is_harmless(text: str) -> bool:
    """Say whether a text is an expression after all: nothing, a comment, a word that may be a field."""
    return not any(sign in text.lower() for sign in ("(", "'", "/", "select", "from", "copy", "attach"))


@pytest.mark.parametrize("door", [door for door in DOORS if door != "sql ="])
def test_what_never_ends_is_no_expression(store: Path, door: str) -> None:
    scope = Store.open(store / ".esctl", memory_limit="400MB", threads=1).scope()
    for query in BOUNDED:
        for way in WAYS[:3]:
            with pytest.raises(EsctlError):
                DOORS[door](scope, way.format(query))
    for text in ("length(repeat('x', 4000000000)) > 0", "range(4000000000) is null", "list_sum(range(10)) > 1",
                 "lpad('x', 2000000000, 'y') = 'z'", "printf('%2000000000d', 1) = ''", "x(y(1)) = 2"):  # fmt: skip
        with pytest.raises(EsctlError):
            DOORS[door](scope, text)
