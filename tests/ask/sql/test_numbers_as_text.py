"""Numbers that no DECIMAL holds are text in SQL: what would take them by their letters is refused, and said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.cli_harness import esctl, good


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wide")
    (folder / "esctl.toml").write_text(
        '[projections.p.on.T]\nadd = { total = "data.n" }\nset = { last = "data.n", small = "data.s" }\n'
    )
    lines = [
        f'{{"id":{number},"type":"T","time":"2024-01-0{number}T00:00:00Z","stream":"a-{number}",'
        f'"data":{{"n":{n},"s":{number}}}}}'
        for number, n in enumerate(("1e40", "2.5", "77", "1e-9"), 1)
    ]
    (folder / "a.jsonl").write_text("\n".join(lines) + "\n")
    good("ingest", "a.jsonl", cwd=folder)
    return folder


REFUSED = (
    ("select max(data.n) from events", "data.n"),
    ("select * from events where data.n > 3", "data.n"),
    ("select * from events where 3 < events.data.n", "events.data.n"),
    ("select data.n from events where data.n in (77, 2.5)", "data.n"),
    ("select data.n from events where data.n between 1 and 3", "data.n"),
    ("select id from events order by data.n", "data.n"),
    ("select arg_max(id, data.n) from events", "data.n"),
    ("select row_number() over (order by Last) from p()", "Last"),
    ("select max(last) over () from p()", "last"),
    ("select greatest(total, 3) from p('@3')", "total"),
    ("select * from (select * from p_history() order by total)", "total"),
    ("select a.entity from p() a join p() b on a.last < b.last", "a.last"),
)


@pytest.mark.parametrize(("query", "named"), REFUSED)
def test_an_order_of_letters_is_refused(store: Path, query: str, named: str) -> None:
    done = esctl("sql", query, cwd=store)
    assert done.code == 2
    assert f"the query compares {named}, whose numbers no DECIMAL holds" in done.err
    assert f"CAST({named} AS DOUBLE)" in done.err


ALLOWED = (
    ("select data.n from events where id = '2'", [{"n": "2.5"}]),
    ("select max(data.n::double) as m from events", [{"m": 1e40}]),
    ("select entity from p() order by cast(last as double) desc limit 1", [{"entity": "a-1"}]),
    ("select count(last) as c from p()", [{"c": 4}]),
    ("select max(small) as m from p()", [{"m": 4}]),
    ("select entity from p() where small > 3 and last is not null", [{"entity": "a-4"}]),
)


@pytest.mark.parametrize(("query", "rows"), ALLOWED)
def test_whatever_does_not_depend_on_it_is_answered(store: Path, query: str, rows: list[object]) -> None:
    done = good("sql", query, cwd=store)
    assert [json.loads(line) for line in done.text.splitlines()] == rows
    assert "text in this answer, with all digits" in done.err


def test_nothing_is_said_where_a_decimal_holds_them(store: Path) -> None:
    assert "text in this answer" not in good("sql", "select max(data.s) as m from events", cwd=store).err
    assert "text in this answer" not in good("sql", "select count(*) from events", cwd=store).err
