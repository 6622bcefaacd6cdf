"""What a kept state was made with: its operations, however wide the numbers and of whatever types the values are."""

from __future__ import annotations

from typing import Any

import pytest

from esctl.ask.scope.plans import plan_for
from esctl.ask.scope.scope import claims
from esctl.projection.partial import Meaning, can_continue, meaning
from tests.ask.states.test_fold_cells import log_of
from tests.support.engine_harness import engine

RULES: dict[str, Any] = {
    "A": {"when": "data.sure", "add": {"n": "data.n"}, "set": {"x": "data.x", "half": "data.n / 2"}},
    "B": {"append": {"seen": "data.x"}, "unset": ["x"]},
    "C": {"delete": True},
}
NARROW = [("A", {"n": 1, "x": "a", "sure": True})]
WIDE = [("A", {"n": 12345678901234.125, "x": 5, "sure": True}), ("A", {"n": -0.5, "x": None, "sure": False})]


def kept(rules: dict[str, Any] | None, *events: Any, onto: Meaning | None = None) -> tuple[Meaning, bool]:
    """Give what a plan over these events makes of one, and whether states kept with `onto` go on in it."""
    with engine(log_of(rules, *events)) as made:
        (claim,) = claims(made.scope())
        plan = plan_for(made.scope(), claim.projection)
        return meaning(plan), onto is not None and can_continue(onto, plan, len(events))


def test_digits_and_types_of_values_are_no_part_of_it() -> None:
    before, _ = kept(RULES, *NARROW)
    after, same = kept(RULES, *NARROW, *WIDE, onto=before)
    assert same
    assert [field.meaning for field in before.fields] == [field.meaning for field in after.fields]
    assert before.dead == after.dead


def test_a_field_that_is_new_to_the_log_changes_no_other() -> None:
    before, _ = kept(None, ("A", {"a": 1}))
    after, same = kept(None, ("A", {"a": 1}), ("A", {"b": 2}), onto=before)
    assert same
    assert after.fields[0] == before.fields[0]


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("A", {**RULES["A"], "when": "NOT data.sure"}),
        ("A", {**RULES["A"], "add": {"n": "data.n * 2"}}),
        ("A", {**RULES["A"], "set": {"x": "data.y", "half": "data.n / 2"}}),
        ("B", {"append": {"seen": "data.x"}}),
        ("B", {"remove": {"seen": "data.x"}, "unset": ["x"]}),
        ("C", {"when": "data.sure", "delete": True}),
        ("C[to]", {"delete": True}),
    ],
)
def test_another_operation_is_another_fold(name: str, rule: dict[str, Any]) -> None:
    before, _ = kept(RULES, *NARROW)
    rules = {**{old: body for old, body in RULES.items() if old != name[:1]}, name: rule}
    assert not kept(rules, *NARROW, onto=before)[1]
