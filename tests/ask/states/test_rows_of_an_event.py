"""An event may be of several entities, or of one in several roles: numbers hold what all its rows come to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli_harness import good, write_lines

AMOUNT = 9.99
"""Nine of it have two digits before the point; three rows of each of nine events have three."""
TOML = """
[mapping]
time = "at"
entity = "a"
[mapping.entities]
to = "b"
via = "c"
[projections.p.on."*"]
add = { total = "data.n.amount" }
"""


def ingest(folder: Path, names: tuple[str, str, str]) -> None:
    of = dict(zip("abc", names, strict=True))
    write_lines(folder / "a.jsonl", ({"at": f"2024-01-0{n}", **of, "n": {"amount": AMOUNT}} for n in range(1, 10)))
    (folder / "esctl.toml").write_text(TOML)
    good("ingest", "a.jsonl", cwd=folder)


def test_a_total_of_one_entity_in_three_roles(tmp_path: Path) -> None:
    ingest(tmp_path, ("x", "x", "x"))
    assert '"total":269.73' in good("replay", cwd=tmp_path).text
    assert '"after":269.73' in good("audit", cwd=tmp_path).text
    good("snapshot", cwd=tmp_path)
    assert '"total":269.73' in good("replay", cwd=tmp_path).text


@pytest.mark.parametrize("of", ["sum(total)", "sum(version)"])
def test_an_aggregate_over_more_entities_than_events(tmp_path: Path, of: str) -> None:
    ingest(tmp_path, ("x", "y", "z"))
    (row,) = good("series", of, "--every", "1d", "--to", "2024-01-10", cwd=tmp_path).rows[-1:]
    assert str(row["value"]) == {"sum(total)": "269.73", "sum(version)": "27"}[of]
