"""Tables of PostgreSQL keep the contract of sinks, and what only they promise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from esctl.api import Store
from esctl.engine.duckdb import Session
from esctl.errors import InputError, UsageError
from esctl.sinks.postgres import PostgresTable
from esctl.sinks.protocol import Sink
from tests.sinks.contract import SinkContract, grow_store
from tests.support.postgres import USER, running, server, why_not
from tests.views.test_refresh import Log, assert_is

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "there is one")
TABLE = 'odd "schema".it\'s %s\n'


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    with server() as found:
        yield found


def address(host: str) -> str:
    return f"postgresql://{USER}@/postgres{host}"


def ask(host: str, sql: str) -> list[tuple[Any, ...]]:
    import psycopg

    with psycopg.connect(address(host), autocommit=True) as connection:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []


class TestPostgres(SinkContract):
    @pytest.fixture(autouse=True)
    def empty(self, host: str) -> None:
        self.host = host
        ask(host, 'DROP SCHEMA IF EXISTS "odd ""schema""" CASCADE')
        ask(host, 'CREATE SCHEMA "odd ""schema"""')

    def make(self, folder: Path, session: Session, *, writing: bool = True) -> Sink:
        return PostgresTable(session, address(self.host), TABLE, writing=writing)

    def read_basis(self, folder: Path) -> Any:
        (row,) = ask(self.host, 'SELECT basis FROM "odd ""schema""".esctl_progress')
        return row[0]

    def test_columns_have_the_types_of_their_values(self, tmp_path: Path) -> None:
        self.put(tmp_path, grow_store(tmp_path, 4))
        columns = "SELECT column_name, data_type FROM information_schema.columns WHERE table_name LIKE 'it%'"
        assert dict(ask(self.host, columns)) == {
            "entity": "text", "kind": "text", "n": "numeric", "owner": "text", "version": "bigint",
            "position": "bigint", "time": "timestamp with time zone",
        }  # fmt: skip

    def test_what_is_damaged_is_made_anew(self, tmp_path: Path) -> None:
        store = grow_store(tmp_path, 4)
        for anew in (True, False):
            self.put(tmp_path, store)
            ask(self.host, 'UPDATE "odd ""schema""".esctl_progress SET basis = to_json(5)')
            with self.make(tmp_path, store.session) as sink:
                with pytest.raises(InputError, match="not as esctl wrote it"):
                    sink.progress()
                with pytest.raises(InputError, match="not as esctl wrote it"):
                    self.apply(sink, store, 0)
                if not anew:
                    sink.drop()
            self.put(tmp_path, store, whole=anew)
            self.assert_is(tmp_path, store)


def test_a_view_in_a_database(host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    to = f"postgres://{USER}@/postgres/public.v{host}"
    log = Log(tmp_path)
    log.open().create_view("v", to=to, projection="p")
    steps = [
        [("a1", "Changed", {"n": 1.005, "o": "x"}, 1)],
        "sums",
        [("a2", "Closed", {"n": 7}, 9)],
        "merge",
        "redact",
        [("a2", "Changed", {"n": "7", "q": [1]}, 9)],
    ]
    for step in steps:
        log.take(step)
        log.open().find_view("v").refresh()
        assert_is(log, to)


def test_times_are_those_of_the_log_whatever_zone_a_session_has(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    to = f"postgres://{USER}@/postgres/zoned{host}"
    log = Log(tmp_path)
    ask(host, "ALTER DATABASE postgres SET timezone = 'Europe/Vienna'")
    try:
        log.open().create_view("v", to=to, projection="p")
        log.take([("a1", "Changed", {"n": 7}, 9)])
        log.open().find_view("v").refresh()
        assert_is(log, to)
    finally:
        ask(host, "ALTER DATABASE postgres RESET timezone")


@pytest.mark.parametrize(
    "change", ["DROP TABLE t", "ALTER TABLE t RENAME COLUMN n TO m", "ALTER TABLE t DROP COLUMN version"]
)
def test_what_others_changed_is_told_and_made_anew(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.chdir(tmp_path)
    table = f"changed{len(change)}"
    to = f"postgres://{USER}@/postgres/public.{table}{host}"
    log = Log(tmp_path)
    log.open().create_view("v", to=to, projection="p")
    ask(host, change.replace(" t", f" {table}", 1))
    log.take([("a1", "Changed", {"n": 7}, 9)])
    with pytest.raises(InputError) as told:
        log.open().find_view("v").refresh()
    assert told.value.hint == "others changed it; to make it anew: esctl view rebuild"
    log.open().find_view("v").refresh(anew=True)
    assert_is(log, to)


def test_a_text_that_no_database_holds_is_named(host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    to = f"postgres://{USER}@/postgres/nul{host}"
    log = Log(tmp_path)
    log.open().create_view("v", to=to, projection="p")
    before = log.open().find_view("v").progress()
    log.take([("a2", "Changed", {"o": "a\0b"}, 1)])
    with pytest.raises(UsageError, match='the states of "a2"'):
        log.open().find_view("v").refresh()
    assert log.open().find_view("v").progress() == before


def test_passwords_are_kept_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store: Store = grow_store(tmp_path, 1)
    for to in ("postgres://u:s3cret@127.0.0.1:1/d/t", "postgres://u@127.0.0.1:1/d/t?password=s3cret"):
        with pytest.raises(UsageError, match="password") as failed:
            store.create_view("v", to=to)
        assert "s3cret" not in failed.value.message + failed.value.hint
    monkeypatch.setenv("SECRET", "s3cret")
    with pytest.raises(InputError) as refused:
        store.create_view("v", to="postgres://u:${SECRET}@127.0.0.1:1/d/t", projection="a")
    assert "s3cret" not in refused.value.message + refused.value.hint
    kept = b"".join(path.read_bytes() for path in (tmp_path / ".esctl").rglob("*") if path.is_file())
    assert b"s3cret" not in kept
    assert json.loads((tmp_path / ".esctl" / "views.json").read_text())["views"] == {}


@pytest.mark.parametrize("when", ["__enter__", "_copy", "_keep"])
def test_a_database_that_goes_away_leaves_all_or_nothing(
    when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with running() as made:
        to = f"postgres://{USER}@/postgres/v{made.end}"
        log = Log(tmp_path)
        log.open().create_view("v", to=to, projection="p")
        before = log.open().find_view("v").progress()
        log.take([("a1", "Changed", {"n": 7}, 1), ("a2", "Changed", {"n": 2}, 1)])
        real = getattr(PostgresTable, when)

        def gone(*given: Any, **more: Any) -> Any:
            made.stop()
            return real(*given, **more)

        with monkeypatch.context() as patch:
            patch.setattr(PostgresTable, when, gone)
            with pytest.raises(InputError) as failed:
                log.open().find_view("v").refresh()
        assert failed.value.hint
        made.start()
        assert log.open().find_view("v").progress() == before
        log.open().find_view("v").refresh()
        assert_is(log, to)
