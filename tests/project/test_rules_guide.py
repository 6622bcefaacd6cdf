"""The guide to rules: its example gives the states that it says, and what it lists is what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path

from esctl.projection.expressions import Expression
from esctl.projection.spec import OPERATIONS
from tests.support.cli_harness import good

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "concepts" / "projections.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    assert found is not None
    return found[1]


def test_its_example_gives_the_states_that_it_says(tmp_path: Path) -> None:
    (tmp_path / "esctl.toml").write_text(block("toml"))
    (tmp_path / "a.jsonl").write_text(block("jsonl"))
    good("ingest", "a.jsonl", cwd=tmp_path)
    states = {row["entity"]: row["state"] for row in good("replay", cwd=tmp_path).rows}
    assert states == json.loads(block("json"))


def test_it_has_all_operations() -> None:
    assert [name for name in OPERATIONS if f"`{name}" not in GUIDE] == []


def test_the_functions_that_it_lists_are_allowed() -> None:
    listed = [row for row in GUIDE.splitlines() if row.startswith(("| on texts", "| on numbers", "| on any value"))]
    names = [name for row in listed for name in re.findall(r"`(\w+)`", row)]
    assert len(names) > 15
    arguments = {"substr": "data.x, 1", "replace": "data.x, 'a'", "nullif": "data.x, 1", "round": "data.x, 1"}
    two = ("concat", "starts_with", "ends_with", "contains", "greatest", "least", "coalesce")
    for name in names:
        given = arguments.get(name, "data.x, data.y" if name in two else "data.x")
        assert Expression(f"{name}({given})", "guide").paths(), name
