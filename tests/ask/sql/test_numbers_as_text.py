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
        '[projections.taken.on.T]\nset = { version = "data.n", time = "data.n" }\n'
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
    ("select entity, total from p() order by 2 desc", "total"),
    ("select entity, total from p() order by all desc", "total"),
    ("from p() order by all", "last"),
    ("select total as b from p() order by B desc", "B"),
    ("select total as b from p() where b > '3'", "b"),
    ("select max(b) from (select total as b from p())", "b"),
    ("select max(x.c) from (select b from (select total as b from p())) x(c)", "x.c"),
    ("with a as (select total as b from p()), c as (from a) select b from c order by 1", "b"),
    ("with recursive a(b) as (select total from p() union all select b from a where false) select max(b) from a", "b"),
    ("select max(case when true then total end) from p()", "total"),
    ("select total from p() order by coalesce(total, '0')", "total"),
    ("select total from p() order by any_value(total) over (), lag(total) over ()", "total"),
    ("select small as b from p() union all select total from p() order by b", "b"),
    ("select small as b, 1 as c from p() union all by name select total as b from p() order by 1", "total"),
    ("select max(data['n']) from events", "data.n"),
    ("select id from events order by struct_extract(data, 'n')", "data.n"),
    ("select id from events order by (data).n", "data.n"),
    ("select d.n from (select data as d from events) order by d.n desc", "d.n"),
    ("select max(e.data.n) from events e", "e.data.n"),
    ("select entity from p() where (select total from p() limit 1) > 3", "total"),
    ("select entity from p() a where exists (select 1 from entities where a.total > 3)", "a.total"),
    ("select a.entity from p() a join p() b using (total)", "total"),
    ("select q.x from p() a, lateral (select a.total as x) q order by q.x", "q.x"),
    ("select entity from p() where total in (select total from p())", "total"),
    ("select max(columns(*)) from p()", "last"),
    ("select * replace (total as small) from p() order by small", "small"),
    ('select entity from taken() order by "state.version"', '"state.version"'),
    ('select entity, "state.Version" from taken() order by 2', '"state.Version"'),
    ('select max(t."state.time") from taken() t', 't."state.time"'),
    ('select b from (select "state.time" as b from taken()) order by b', "b"),
    ("from taken() order by all", '"state.time"'),
    ("select entity from taken_history() order by time", "time"),
    ("pivot p() on kind in ('a') using max(total)", "total"),
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
    ("select entity, total::double as total from p() order by total desc limit 1", [{"entity": "a-1", "total": 1e40}]),
    ("select max(total) as m from (select total::double as total from p())", [{"m": 1e40}]),
    ("select max(x.total) as m from (select * replace (total::double as total) from p()) x", [{"m": 1e40}]),
    ("with a as (select last::double as last from p()) select min(last) as m from a", [{"m": 1e-9}]),
    ("select small, total from p() order by 1 limit 1", [{"small": 1, "total": f"1{'0' * 40}"}]),
    ("select total from p() order by small desc limit 1", [{"total": "0.000000001"}]),
    ("select small as total from p() order by total limit 1", [{"total": 1}]),
    ("select max(total) as m from (select small as total, last from p())", [{"m": 4}]),
    ("select count(*) as n from (from p() where length(total) > 2 order by entity)", [{"n": 3}]),
    (
        "select t.total as m from (values (7), (3)) t(total), (select count(last) c from p()) order by m",
        [{"m": 3}, {"m": 7}],
    ),
    ("select max(case when last is null then 0 else small end) as m from p()", [{"m": 4}]),
    ("select count(*) as n from (select data as d from events order by d)", [{"n": 4}]),
    ("select * like 'sm%' from p() order by small limit 1", [{"small": 1}]),
    ("select columns(lambda c: c like 'sm%') from p() order by small limit 1", [{"small": 1}]),
    ("select data.n from events order by data.s limit 1 offset 1", [{"n": "2.5"}]),
    ("select entity, version from taken() order by version, time limit 1", [{"entity": "a-1", "version": 1}]),
    ('select max("state.version"::double) as m, max(version) as v from taken()', [{"m": 1e40, "v": 1}]),
)


@pytest.mark.parametrize(("query", "rows"), ALLOWED)
def test_whatever_does_not_depend_on_it_is_answered(store: Path, query: str, rows: list[object]) -> None:
    done = good("sql", query, cwd=store)
    assert [json.loads(line) for line in done.text.splitlines()] == rows
    assert "text in this answer, with all digits" in done.err


def test_nothing_is_said_where_a_decimal_holds_them(store: Path) -> None:
    assert "text in this answer" not in good("sql", "select max(data.s) as m from events", cwd=store).err
    assert "text in this answer" not in good("sql", "select count(*) from events", cwd=store).err
