"""Nothing that is asked in SQL reads what it should not, writes anything, or takes more than it may."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import asdict

from esctl import Store
from esctl.ask.scope.scope import Scope
from esctl.ask.sql.sql import compile_query
from esctl.engine.sandbox import FAILED, Request
from esctl.errors import UsageError
from tests.support import effort
from tests.support.cli_harness import Done, esctl, good, plain_event, surroundings, write_lines

SECRET = "the-secret-beside-the-store"
MEMORY, SECONDS = "400MB", 2

REFUSED = (
    # files, by every name that DuckDB has for reading one
    "from read_csv('{secret}')", "from read_csv_auto('{secret}')", "from read_text('{secret}')",
    "from read_blob('{secret}')", "from read_json('{secret}')", "from read_json_objects('{secret}')",
    "from read_ndjson('{secret}')", "from read_parquet('{index}')", "from parquet_scan('{index}')",
    "from parquet_metadata('{index}')", "from parquet_schema('{index}')", "from parquet_kv_metadata('{index}')",
    "from glob('{folder}/*')", "from sniff_csv('{secret}')", "from read_duckdb('{secret}')",
    "from '{secret}'", "select * from '{secret}'", "select * from \"{secret}\"", "from '{index}'", "from '{log}'",
    "from read_parquet('{log}')", "from read_blob('{log}')", "from read_text('{commit}')",
    "from read_text('{index}/../../../../secret.csv')", "from read_text('/dev/stdin')", "from '/etc/passwd'",
    "from read_single_csv_file('{secret}')", "from read_text(['{secret}'])",
    "with \"{secret}\" as (select 1) select * from \"{secret}\"", "select (select content from read_text('{secret}'))",
    "select * from events where exists (from read_csv('{secret}'))", "from events, lateral (from read_text(source))",
    "select * from events join '{secret}' s on true", "with a as (from '{secret}') from a",
    "from (from read_csv('{secret}')) union all select 1", "with recursive r as (from read_csv('{secret}')) from r",
    "from (pivot '{secret}' on a in (1) using count(*))", "summarize '{secret}'", "describe '{secret}'",
    "READ_CSV('{secret}')", "from \"read_csv\"('{secret}')", "from main.read_csv('{secret}')",
    # statements that do more than select
    "copy events to '{folder}/out.csv'", "copy (select 1) to '{folder}/out.csv'", "copy events from '{secret}'",
    "with x as (copy (select 1) to '{folder}/out.csv') select 1",
    "with x as (copy (select 1) to '{index}') select 1",
    "with x as (insert into events select * from events returning *) from x",
    "with x as (delete from events returning *) from x", "with x as (update events set id = 1 returning *) from x",
    "explain analyze copy (select 1) to '{folder}/out.csv'", "explain select 1", "export database '{folder}/out'",
    "import database '{folder}'", "attach '{folder}/out.db' as o", "detach memory", "install httpfs", "load httpfs",
    "load '{secret}'", "pragma version", "pragma database_list", "set threads = 1", "set enable_external_access = true",
    "reset enable_external_access", "set variable x = 1", "set allowed_paths = ['{secret}']",
    "create table t as select 1", "create view v as select 1", "create macro f() as 1", "create secret (type s3)",
    "create type e as enum ('a')", "create schema s", "insert into events select * from events",
    "update events set id = 1",
    "delete from events", "truncate events", "drop view events", "alter table events rename to e",
    "call pragma_version()", "call read_csv('{secret}')", "prepare p as select 1", "execute p", "deallocate p",
    "use memory", "checkpoint", "force checkpoint", "vacuum", "analyze", "begin", "commit", "rollback",
    "comment on view events is 'x'", "pivot events on type using count(*)",
    # several statements, and ways out of the one around it
    "select 1; select 2", "select 1; copy events to '{folder}/out.csv'", "select 1; -- x",
    "select 1 /* ; */ ; drop view events",
    "select 1) ; copy (select 1) to '{folder}/out.csv' ; select (1", "select 1 -- x\n) union (select 2",
    "select 1) union all (from read_csv('{secret}')", "select 1 /* open", "select 'open", "select 1 \\; select 2",
    "", ";", "-- nothing", "/* nothing */", "select $1", "select ?", "select $name",
    # the process and its settings
    "select getenv('HOME')", "select current_setting('allowed_paths')", "select getvariable('x')",
    "from duckdb_settings()", "from duckdb_secrets()", "from duckdb_views()", "from duckdb_functions()",
    "from duckdb_logs()", "from pragma_database_size()", "from which_secret('x', 's3')", "from sql_auto_complete('fr')",
    "from query('from read_text(''{secret}'')')", "from query_table('{secret}')", "from query_table('events')",
    "from json_execute_serialized_sql(json_serialize_sql('select 1'))",
    "select json_serialize_sql('select 1')", "select json_deserialize_sql('x')", "from from_substrait('x')",
    "from python_map_function()", "from pandas_scan(1)", "from arrow_scan(1, 2, 3)", "from seq_scan()",
    "from enable_logging()", "from checkpoint()", "from test_all_types()", "select write_log('x')",
    "select nextval('x')",
    "from information_schema.tables", "from pg_catalog.pg_tables", "from duckdb_tables", "show tables",
    "show all tables",
    "show databases", "from sqlite_master", "from request", "from connection", "from df", "from sys", "from told",
    "from \"esctl call 0\"", "from repeat_row(1, num_rows = 3)", "from histogram('events', 'id')",
    "from merge(current_date)", "from events e, merge(e.time)", "from merge(getenv('HOME'))",
    "from merge('2024', '2025')",
    "from merge(t := '2024')", "from merge((select 'now'))",
)  # fmt: skip
"""What is refused before anything runs, or by what it runs in: exit code 2."""

BOUNDED = (
    "select repeat('x', 4000000000)", "select length(repeat(repeat('x', 100000), 40000))",
    "select list(x) from range(10000000000) t(x)", "select range(4000000000)", "select generate_series(1, 4000000000)",
    "select string_agg(x, '') from range(100000000000) t(x)",
    "with recursive r as (select 1 n union all select n + 1 from r) select count(*) from r",
    "with recursive r as (select 'x' s union all select s || s from r) select max(length(s)) from r",
    "select count(*) from range(1000000000000)  a, range(1000000) b where a.range % 7 = b.range % 5",
    "select sum(x) from generate_series(1, 100000000000000) t(x)",
    "select a.range from range(100000000000) a order by hash(a.range)",
)  # fmt: skip
"""What would never end or fit: exit code 2 where DuckDB itself refuses it, 3 at a limit."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("escapes")
    write_lines(folder / "events.jsonl", [plain_event(i) for i in range(5)])
    good("ingest", "events.jsonl", "-q", cwd=folder)
    good("status", cwd=folder)
    (folder / "secret.csv").write_text(f"a,b\n1,{SECRET}\n", encoding="utf-8")
    return folder


def contents(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(folder)), hashlib.sha256(path.read_bytes()).hexdigest()


def filled(folder: Path, query: str) -> str:
    paths = {
        "secret": folder / "secret.csv",
        "folder": folder,
        "index": next((folder / ".esctl/index").rglob("*.parquet")),
        "log": next((folder / ".esctl/log").glob("*.parquet")),
        "commit": next((folder / ".esctl/commits").glob("*.json")),
    }
    for name, path in paths.items():
        query = query.replace(f"{{{name}}}", str(path))
    return query


def tried(folder: Path, query: str) -> Done:
    limits = ("--memory-limit", MEMORY, "--timeout", SECONDS)
    return esctl("sql", "-", *limits, cwd=folder, stdin=filled(folder, query).encode(), HOME=SECRET, TOKEN=SECRET)


def is_let_through(scope: Scope, query: str) -> bool:
    try:
        compile_query(scope, query)
    except UsageError:
        return False
    return True


def test_no_escape_is_listed_twice() -> None:
    assert len(REFUSED) == len(set(REFUSED)) > 120


def test_what_does_more_than_select_is_refused(store: Path) -> None:
    before = dict(contents(store))
    scope = Store.open(store / ".esctl").scope()
    tell_tale = [query for query in REFUSED if is_let_through(scope, filled(store, query))]
    for query in dict.fromkeys([*tell_tale, *REFUSED[:: 5 if effort.ALL else 15]]):
        done = tried(store, query)
        assert done.code == 2, (query, done)
        assert done.out == b"", query
        assert done.err.startswith("esctl: error: "), (query, done)
        assert len(done.err.splitlines()) == 2, (query, done)
        assert SECRET not in done.err, query
    assert dict(contents(store)) == before


def test_what_never_ends_is_ended(store: Path) -> None:
    before = dict(contents(store))
    for query in effort.some(BOUNDED, 3):
        done = tried(store, query)
        assert done.code in (2, 3), (query, done)
        assert done.out == b"", query
        assert "bug" not in done.err, (query, done)
    assert dict(contents(store)) == before


def test_selects_that_only_look_dangerous_run(store: Path) -> None:
    for query, wanted in (
        ("select 'copy x to y; drop view events' as t", b'{"t":"copy x to y; drop view events"}\n'),
        ("select 1 as n -- ; drop view events", b'{"n":1}\n'),
        ("select 1 as n;", b'{"n":1}\n'),
        ("with read_csv as (select 1 as n) from read_csv", b'{"n":1}\n'),
        ("values (1)", b'{"col0":1}\n'),
        ("from (pivot events on type in ('Changed') using count(*) group by kind)", b'{"kind":"thing","Changed":5}\n'),
    ):
        done = tried(store, query)
        assert (done.code, done.out) == (0, wanted), (query, done)


def test_even_unchecked_sql_reads_and_writes_nothing(store: Path) -> None:
    """The process by itself holds what the check of the query would refuse."""
    index = next((store / ".esctl/index").rglob("*.parquet"))
    before = dict(contents(store))
    for query in (
        f"from read_csv('{store}/secret.csv')", f"from '{store}/secret.csv'", f"from read_text('{store}/secret.csv')",
        f"from glob('{store}/*')", f"from sniff_csv('{store}/secret.csv')",
        f"from read_text('{index}/../../secret.csv')",
        f"from query('from read_text(''{store}/secret.csv'')')", "select getenv('HOME')",
        f"select * from (with x as (copy (select 1) to '{index}') select 1)",
        f"select * from (with x as (copy (select 1) to '{store}/out.csv') select 1)",
        "from sql_auto_complete('from ')",
    ):  # fmt: skip
        request = Request((), query, (str(index),), 1 << 30, 10, None)
        done = subprocess.run(
            [sys.executable, "-P", "-m", "esctl.engine.sandbox"], input=json.dumps(asdict(request)).encode(),
            capture_output=True, env=surroundings(), check=False,
        )  # fmt: skip
        assert done.returncode == FAILED, (query, done)
        assert SECRET.encode() not in done.stdout + done.stderr
    assert dict(contents(store)) == before
