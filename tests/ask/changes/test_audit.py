"""A bound of the trail is a place in the trail of each entity, whoever else is asked about."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest

from tests.support.cli_harness import good, write_lines

TOML = """
[mapping]
id = "id"
type = "type"
time = "time"
data = "data"
[mapping.entities]
from = "from"
to = "to"
"""
PYTHON = '[projections.all]\npython = "rules:fold"\n'


@pytest.fixture(params=["", PYTHON], ids=["setwise", "python"])
def transfers(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Give a log of transfers at one time: each concerns two entities, and the second has no kind."""
    ends = [("a-1", "2"), ("a-1", "a-3"), ("a-3", "2"), ("2", "a-1")]
    lines = [
        {"id": f"e{n}", "type": "T", "time": "2024-03-01T09:00:00Z", "from": of, "to": to, "data": {"n": n}}
        for n, (of, to) in enumerate(ends, 1)
    ]
    write_lines(tmp_path / "t.jsonl", lines)
    (tmp_path / "rules.py").write_text("def fold(state, event):\n    return event['data']\n", encoding="utf-8")
    (tmp_path / "esctl.toml").write_text(TOML + str(request.param), encoding="utf-8")
    good("ingest", "t.jsonl", "-q", cwd=tmp_path)
    return tmp_path


@pytest.mark.parametrize("bounds", [("--from", "id:e2"), ("--to", "id:e3"), ("--from", "id:e2", "--to", "id:e2")])
def test_the_rows_of_an_entity_do_not_depend_on_the_others(transfers: Path, bounds: tuple[str, ...]) -> None:
    def trail(*words: str) -> list[tuple[str, int]]:
        rows = good("audit", *words, *bounds, "-q", cwd=transfers).rows
        return sorted((row["entity"], row["position"]) for row in rows)

    alone = [trail(entity) for entity in ("2", "a-1", "a-3")]
    assert any(alone)
    assert trail() == sorted(chain(*alone))
