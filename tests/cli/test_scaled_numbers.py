"""Numbers of a declared DECIMAL type are written with all digits of its scale; lists of positions fit into a table."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.support.cli_harness import good, plain_event, write_lines

RULES = """
[projections.account]
types = { balance = "decimal(18,2)", limit = "DECIMAL(10, 3)", count = "bigint" }
"""
SETWISE = """
on.Changed = { add.balance = "data.amount", set.limit = "data.limit", add.count = "1", set.free = "data.amount" }
"""
STEPPED = SETWISE + 'on.Never = { merge_patch = "data" }\n'
MERGED = 'on.Changed = { merge = "data" }\n'


@pytest.fixture(params=[SETWISE, STEPPED], ids=["set-wise", "event by event"])
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    amounts = ["26276.90", "0.10", "-77.00", "-26200", "-0"]
    events = [plain_event(n, "a-1", amount=0, limit=1000 * n or None) for n in range(len(amounts))]
    path = write_lines(tmp_path / "a.jsonl", events)
    text = path.read_text()
    for amount in amounts:
        text = text.replace('"amount": 0,', f'"amount": {amount},', 1)
    path.write_text(text)
    (tmp_path / "esctl.toml").write_text(RULES + request.param)
    good("ingest", "a.jsonl", "-q", cwd=tmp_path)
    return tmp_path


def test_a_state_keeps_the_scale_that_is_declared(folder: Path) -> None:
    found = [good("replay", "--at", f"@{n}", "--columns", "state", "-q", cwd=folder).text for n in range(1, 6)]
    assert found == [
        '{"state":{"balance":26276.90,"count":1,"limit":null,"free":26276.9}}\n',
        '{"state":{"balance":26277.00,"count":2,"limit":1000.000,"free":0.1}}\n',
        '{"state":{"balance":26200.00,"count":3,"limit":2000.000,"free":-77}}\n',
        '{"state":{"balance":0.00,"count":4,"limit":3000.000,"free":-26200}}\n',
        '{"state":{"balance":0.00,"count":5,"limit":4000.000,"free":0}}\n',
    ]


def test_so_does_every_other_answer_and_format(folder: Path) -> None:
    def text(*arguments: Any) -> str:
        return good(*arguments, "-q", cwd=folder).text

    assert text("replay", "--columns", "state.balance,state.limit", "-f", "csv").splitlines()[1] == "0.00,4000.000"
    assert text("replay", "--columns", "state.balance", "--at", "@1") == '{"state.balance":26276.90}\n'
    assert "balance: 26276.90" in text("replay", "--at", "@1", "-f", "table")
    assert "26276.90" in text("replay", "--at", "@1", "-f", "markdown")
    assert '"before":26276.90,"after":26277.00' in text("audit", "--field", "balance")
    assert '"before":26276.90,"after":26200.00' in text("diff", "@1", "@3")
    assert '"value":0.00' in text("blame", "a-1", "--field", "balance", "--columns", "value")
    assert text("when", "balance = 26276.9", "--columns", "state.balance") == '{"state.balance":26276.90}\n'
    good("replay", "-o", "s.parquet", "-q", cwd=folder)
    table = pq.read_table(folder / "s.parquet")
    assert table["state.balance"].to_pylist() == [Decimal("0.00")]


def test_sums_and_extremes_of_a_field_keep_its_scale(folder: Path) -> None:
    def last(expression: str) -> str:
        return good("series", expression, "--columns", "value", "-q", cwd=folder).text.splitlines()[-1]

    assert last("sum(balance)") == '{"value":0.00}'
    assert last("max(limit) filter (balance = 0)") == '{"value":4000.000}'
    assert last("sum(balance) + 0.5") == '{"value":0.5}'
    assert last("sum(free)") == '{"value":0}'


def test_what_is_equal_by_value_is_no_difference(folder: Path) -> None:
    assert good("diff", "@4", "@5", "--columns", "field", "-q", cwd=folder).text.split() == [
        '{"field":"count"}', '{"field":"free"}', '{"field":"limit"}',
    ]  # fmt: skip
    other = folder / "other.toml"
    other.write_text((folder / "esctl.toml").read_text().replace("decimal(18,2)", "decimal(18,4)"))
    assert good("diff", "--what-if", "@3", "--projection-file", "other.toml", "-q", cwd=folder).out == b""
    good("replay", "-o", "states.csv", "-q", cwd=folder)
    assert "1 equal" in good("reconcile", "states.csv", cwd=folder).err


@pytest.mark.parametrize("rules", [MERGED, MERGED + 'on.Never = { merge_patch = "data" }\n'])
def test_members_of_a_merged_payload_have_their_scale(tmp_path: Path, rules: str) -> None:
    write_lines(tmp_path / "a.jsonl", [plain_event(1, "a-1", balance="5", limit=1.5, free=2.5)])
    (tmp_path / "esctl.toml").write_text(RULES + rules)
    good("ingest", "a.jsonl", "-q", cwd=tmp_path)
    found = good("replay", "--columns", "state", "-q", cwd=tmp_path).text
    assert found == '{"state":{"balance":5.00,"free":2.5,"limit":1.500}}\n'


def test_a_table_shows_the_first_of_many_positions_and_other_formats_all(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [plain_event(n, "a-1", n=n, once=1) for n in range(13)])
    good("ingest", "a.jsonl", "-q", cwd=tmp_path)
    everything = ("diff", "2023-01-01", "2025-01-01", "-q", "--columns", "field,positions")
    told = good(*everything, "-f", "table", cwd=tmp_path).text
    assert "[1,2,3,4,5,6,7,8,9,10,… (3 more)]" in told
    for form in ("jsonl", "csv", "markdown"):
        assert "12,13" in good(*everything, "-f", form, cwd=tmp_path).text
    ten = good("diff", "2023-01-01", "@10", "-q", "--columns", "field,positions", "-f", "table", cwd=tmp_path).text
    assert "[1,2,3,4,5,6,7,8,9,10]" in ten
    undone = ("revert", "a-1", "--to", "@1", "-q", "--columns", "field,undoes,undoes_ids")
    assert good(*undone, "-f", "table", cwd=tmp_path).text.count("… (2 more)]") == 2
    assert len(good(*undone, cwd=tmp_path).row["undoes"]) == 12
