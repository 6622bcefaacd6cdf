"""Fields that events name: in every way to fold as the reference has them, few enough, whatever they are called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from esctl.projection import fold, spec
from tests.ask.states.test_fold_cells import log_of, second, states
from tests.support import effort
from tests.support.cli_harness import good, refused
from tests.support.engine_harness import disagreements, engine

HOSTILE = [
    "it's",
    'say "hi"',
    "a.b",
    "x'); DROP TABLE t; --",
    "\ue000n",
    "ключ",
    "",
    " ",
    "{x}",
    "%_",
    "Status",
    "status",
]
RULES: dict[str, dict[str, Any]] = {
    "set": {"Changed": {"set": {"{data.field}": "data.value"}}, "Cleared": {"unset": ["{data.field}"]}},
    "beside": {
        "Changed": {
            "set": {"last": "data.value", "{data.field}": "data.value", "status": "'set'"},
            "when": "data.value is not null",
            "count": {"n_{data.field}": True},
        },
        "Cleared": {"delete": True},
    },
    "lists": {"*": {"append": {"{type}/{lower(data.field)}": "data.value"}}},
    "sums": {"Changed": {"add": {"{data.field}": "data.amount"}}, "Cleared": {"set": {"{data.field}": "0"}}},
    "stepped": {"Changed": {"set": {"{data.field}": "data.value"}}, "Cleared": {"merge_patch": "data"}},
}
event = st.tuples(
    st.sampled_from(["Changed", "Changed", "Cleared"]),
    st.fixed_dictionaries(
        {"amount": st.integers(0, 9)},
        optional={
            "field": st.one_of(st.sampled_from(["a", "a", "b", "amount", *HOSTILE]), st.none(), st.integers(1, 2)),
            "value": st.sampled_from([1, "x", None, True, [1], {"k": 1}]),
        },
    ),
    st.sampled_from(["thing-1", "thing-2"]),
)


def hold(number: int, examples: int) -> None:
    @seed(number)
    @settings(max_examples=effort.share(examples), phases=effort.PHASES)
    @given(st.lists(event, min_size=1, max_size=7), st.sampled_from([*RULES]))
    def run(events: list[Any], rules: str) -> None:
        log = log_of(RULES[rules], *events, bounds=({}, {"at": second(3)}, {"version": 2}))
        with engine(log) as made:
            assert not disagreements(log, made)

    run()


@pytest.mark.thorough
def test_it_is_folded_as_the_reference_folds_it() -> None:
    hold(31, effort.examples(60, 45))


@pytest.mark.thorough
def test_it_is_folded_so_event_by_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold, "MOST_FIELDS", -1)
    hold(32, 40)


def test_names_are_quoted() -> None:
    events = [("Changed", {"field": name, "value": n}) for n, name in enumerate(HOSTILE)]
    assert states(log_of(RULES["set"], *events))["thing-1"] == {name: n for n, name in enumerate(HOSTILE)}


def test_braces_may_be_meant() -> None:
    (operation,) = spec.parse_projection("p", {"on": {"*": {"set": {"{{data.x}}": "1"}}}}, "f").rules[0].operations
    assert (operation.field, operation.named) == ("{data.x}", None)


def kept(folder: Path, names: list[str], rule: str) -> None:
    lines = [
        {"id": str(n), "type": "Changed", "stream": f"s-{n % 2}", "data": {"field": name, "value": n}}
        for n, name in enumerate(names)
    ]
    (folder / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "esctl.toml").write_text(f"[[projections.p.on]]\ntype = '*'\n{rule}\n")
    good("ingest", "a.jsonl", cwd=folder)


def test_more_names_than_are_allowed_are_an_error_that_says_where(tmp_path: Path) -> None:
    names = [f"f{n}" for n in range(spec.MOST_NAMES + 1)]
    kept(tmp_path, names, 'set = { "{data.field}" = "data.value" }')
    told, hint = refused("replay", code=2, cwd=tmp_path)
    assert told.endswith(f'projections.p.on[0].set."{{data.field}}": events name more than {spec.MOST_NAMES} fields')
    assert "append" in hint
    assert len(good("replay", "s-1", cwd=tmp_path).row["state"]) == spec.MOST_NAMES // 2


def test_as_many_as_are_allowed_are_folded(tmp_path: Path) -> None:
    names = [f"f{n}" for n in range(spec.MOST_NAMES)]
    kept(tmp_path, names, 'set = { "{data.field}" = "data.value", other = "1" }')
    found = {row["entity"]: row["state"] for row in good("replay", cwd=tmp_path).rows}
    assert found["s-1"] == {"other": 1, **{name: n for n, name in enumerate(names) if n % 2}}


def test_a_field_accumulates_in_one_way_whoever_names_it(tmp_path: Path) -> None:
    kept(tmp_path, ["total"], 'add = { total = "1" }\nappend = { "{data.field}" = "data.value" }')
    assert "'total' is accumulated in two ways" in refused("replay", code=2, cwd=tmp_path)[0]


def test_every_question_knows_the_names(tmp_path: Path) -> None:
    kept(tmp_path, ["a", "b", "a", "b", "it's"], 'set = { "{data.field}" = "data.value" }')
    assert {row["field"] for row in good("diff", "@1", "@5", cwd=tmp_path).rows} == {"a", "b", "it's"}
    told = {(row["field"], row["position"]) for row in good("blame", "s-0", cwd=tmp_path).rows}
    assert told == {("a", 3), ("it's", 5)}
    assert [row["position"] for row in good("when", "b = 3", cwd=tmp_path).rows] == [4]
    assert [row["position"] for row in good("audit", "--field", "b", cwd=tmp_path).rows] == [2, 4]
    assert good("sql", "select a, b from p() where entity = 's-1'", cwd=tmp_path).rows == [{"a": None, "b": 3}]
    assert good("replay", "--where", "b > 2", "--columns", "state.b", cwd=tmp_path).rows == [{"state.b": 3}]


def test_a_name_that_no_event_has_is_told(tmp_path: Path) -> None:
    kept(tmp_path, ["a"], 'set = { "{data.feild}" = "data.value" }')
    done = good("replay", cwd=tmp_path)
    assert "projection p asks for data.feild, which no event has had yet (did you mean data.field?)" in done.err
    assert done.row["state"] == {}
