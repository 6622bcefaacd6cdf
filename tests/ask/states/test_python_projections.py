"""Projections in Python: folds that change what they are given, and folds that go wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.cli_harness import good, plain_event, refused, write_lines

IN_PLACE = """
def fold(state, event):
    state.setdefault("l", []).append(event["data"]["n"])
    state.setdefault("o", {}).setdefault("in", {})[event["type"]] = event["data"]["n"] // 2
    return state
"""
ASKED = (["replay"], ["audit"], ["blame", "thing-1"], ["diff", "@1", "@2"])


def folded(folder: Path, code: str, numbers: Sequence[int] = (1, 2)) -> Path:
    """Make a store of one entity that a Python function folds."""
    (folder / "rules.py").write_text(code)
    (folder / "esctl.toml").write_text('[projections.thing]\npython = "rules:fold"\n')
    write_lines(folder / "a.jsonl", [plain_event(i, n=n) for i, n in enumerate(numbers, start=1)])
    good("ingest", "a.jsonl", "-q", cwd=folder)
    return folder


def test_what_a_fold_changes_in_place_is_a_change_of_its_event(tmp_path: Path) -> None:
    folder = folded(tmp_path, IN_PLACE, (10, 5, 4))
    assert good("replay", "-q", cwd=folder).row["state"] == {"l": [10, 5, 4], "o": {"in": {"Changed": 2}}}
    trail = good("audit", "-q", cwd=folder).rows
    assert [(row["position"], [(c["field"], c["after"]) for c in row["changes"]]) for row in trail] == [
        (1, [("l", [10]), ("o", {"in": {"Changed": 5}})]),
        (2, [("l", [10, 5]), ("o", {"in": {"Changed": 2}})]),
        (3, [("l", [10, 5, 4])]),
    ]
    assert [change["before"] for change in trail[1]["changes"]] == [[10], {"in": {"Changed": 5}}]
    blamed = good("blame", "thing-1", "-q", cwd=folder).rows
    assert [(row["field"], row["value"], row["position"]) for row in blamed] == [
        ("l", [10, 5, 4], 3), ("o", {"in": {"Changed": 2}}, 2),
    ]  # fmt: skip
    (differs,) = (row for row in good("diff", "@1", "@3", "-q", cwd=folder).rows if row["field"] == "l")
    assert (differs["before"], differs["after"], differs["positions"]) == ([10], [10, 5, 4], [2, 3])


@pytest.mark.parametrize("question", ASKED, ids=lambda question: question[0])
@pytest.mark.parametrize(
    ("statement", "at_fault"),
    [
        ("state[1] = 2", "projections.thing.python gave the field 1 at event @1"),
        ("state['o'] = {1: 2, '1': event['position']}", "a state cannot hold an object with the key 1"),
        ("import sys; sys.exit()", "projections.thing.python failed at event @1: SystemExit"),
        ("import sys; sys.exit(0)", "projections.thing.python failed at event @1: SystemExit: 0"),
        ("raise ValueError('no')", "projections.thing.python failed at event @1: ValueError: no"),
    ],
)
def test_a_fold_that_goes_wrong_is_named(tmp_path: Path, question: list[str], statement: str, at_fault: str) -> None:
    folder = folded(tmp_path, f"def fold(state, event):\n    {statement}\n    return state\n")
    message, _ = refused(*question, "-q", code=2, cwd=folder)
    assert at_fault in message


def test_a_module_that_ends_the_program_is_named(tmp_path: Path) -> None:
    folder = folded(tmp_path, "import sys\nsys.exit()\n")
    message, hint = refused("replay", "-q", code=2, cwd=folder)
    assert "projections.thing.python: cannot load 'rules:fold': it calls sys.exit()" in message
    assert "beside esctl.toml" in hint
