"""What is not what it was is told: slots that are gone, made anew or read by another, and databases put back."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from esctl.sources.postgres.lsn import lsn_number
from tests.support.cli_harness import ESCTL, esctl, good, refused, surroundings
from tests.support.pg_workload import conninfo
from tests.support.postgres import LOGICAL, USER, Server, running, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "there is one")


@pytest.fixture
def server() -> Iterator[Server]:
    with running(**LOGICAL) as found:
        run(found, "CREATE TABLE t (id int PRIMARY KEY, v text)")
        run(found, "CREATE PUBLICATION pub FOR ALL TABLES")
        yield found


def run(server: Server, sql: str) -> None:
    with psycopg.connect(conninfo(server), autocommit=True) as connection:
        connection.execute(sql.encode())


def url(server: Server, slot: str = "s") -> str:
    return f"postgres://{USER}@/postgres?host={server.folder}&slot={slot}&publication=pub"


def begin(server: Server, folder: Path) -> None:
    run(server, "INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    good("ingest", url(server), "--create", "--snapshot", "--quiet", cwd=folder)
    run(server, "INSERT INTO t VALUES (3, 'c')")
    good("ingest", url(server), "--quiet", cwd=folder)


def states(folder: Path) -> list[tuple[str, str]]:
    return [(row["entity"], row["state"]["v"]) for row in good("replay", "-f", "jsonl", cwd=folder).rows]


def test_a_slot_that_was_dropped(server: Server, tmp_path: Path) -> None:
    begin(server, tmp_path)
    run(server, "SELECT pg_drop_replication_slot('s')")
    run(server, "DELETE FROM t WHERE id = 1")
    for options in ([], ["--create"], ["--follow"]):
        message, hint = refused("ingest", url(server), *options, code=3, cwd=tmp_path)
        assert "the slot s was read up to 0/" in message
        assert message.endswith("and the server has no such slot: changes since are lost")
        assert "make another slot" in hint
    good("ingest", url(server, "other"), "--create", "--snapshot", "--quiet", cwd=tmp_path)
    assert states(tmp_path) == [("public.t/2", "b"), ("public.t/3", "c")]
    assert "changes are missing before postgres:postgres/other" in esctl("replay", cwd=tmp_path).err
    (gap,) = esctl("doctor", "--gaps", cwd=tmp_path).rows
    assert gap["detail"].startswith("what was committed from 0/")
    assert gap["source"] == "postgres:postgres/other"


@pytest.mark.thorough
def test_a_slot_that_was_made_anew(server: Server, tmp_path: Path) -> None:
    begin(server, tmp_path)
    run(server, "SELECT pg_drop_replication_slot('s')")
    run(server, "INSERT INTO t VALUES (4, 'd')")
    run(server, "SELECT pg_create_logical_replication_slot('s', 'pgoutput')")
    message, _ = refused("ingest", url(server), code=3, cwd=tmp_path)
    assert "was read up to 0/" in message
    assert "and goes on from 0/" in message
    assert "what was committed in between is lost" in message


@pytest.mark.thorough
def test_a_slot_that_another_program_reads(server: Server, tmp_path: Path) -> None:
    begin(server, tmp_path)
    run(server, "INSERT INTO t VALUES (4, 'd')")
    options = "'proto_version', '1', 'publication_names', 'pub'"
    run(server, f"SELECT count(*) FROM pg_logical_slot_get_binary_changes('s', NULL, NULL, {options})")
    message, _ = refused("ingest", url(server), code=3, cwd=tmp_path)
    assert "another program has read it" in message


def test_a_database_that_was_put_back(server: Server, tmp_path: Path) -> None:
    begin(server, tmp_path)
    copied(server)
    run(server, "INSERT INTO t VALUES (4, 'd')")
    good("ingest", url(server), "--quiet", cwd=tmp_path)
    server.stop("fast")
    server.put_back()
    server.start(**LOGICAL)
    before = states(tmp_path)
    message, hint = refused("ingest", url(server), code=3, cwd=tmp_path)
    assert "restored from a copy" in message
    assert "--store" in hint
    run(server, "INSERT INTO t SELECT i, 'other' FROM generate_series(10, 500) i")  # its log is longer now
    for options in ([], ["--follow"]):
        message, _ = refused("ingest", url(server), *options, code=3, cwd=tmp_path)
        assert "last transaction" in message
        assert "restored from a copy" in message
    assert states(tmp_path) == before


@pytest.mark.thorough
def test_a_database_that_was_put_back_with_an_unread_past(server: Server, tmp_path: Path) -> None:
    begin(server, tmp_path)
    copied(server)
    # Nothing that is published, but a file of the server's log and more, which esctl passes over and keeps.
    run(server, "CREATE TABLE beside AS SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
    run(server, "CHECKPOINT")
    good("ingest", url(server), "--quiet", cwd=tmp_path)
    server.stop("fast")
    server.put_back()
    server.start(**LOGICAL)
    run(server, "INSERT INTO t VALUES (4, 'other')")
    run(server, "CREATE TABLE beside AS SELECT repeat('x', 1000) FROM generate_series(1, 40000)")
    message, _ = refused("ingest", url(server), code=3, cwd=tmp_path)
    assert "restored from a copy" in message


def copied(server: Server) -> None:
    server.stop("fast")
    server.keep()
    server.start(**LOGICAL)


@pytest.mark.thorough
def test_a_server_that_goes_on_from_another_timeline(server: Server, tmp_path: Path) -> None:
    begin(server, tmp_path)
    copied(server)
    run(server, "UPDATE t SET v = 'x'")
    promote(server)
    run(server, "INSERT INTO t VALUES (4, 'd')")
    good("ingest", url(server), "--quiet", cwd=tmp_path)
    assert states(tmp_path) == [(f"public.t/{i}", v) for i, v in ((1, "x"), (2, "x"), (3, "x"), (4, "d"))]
    (source,) = good("status", "-f", "json", cwd=tmp_path).rows[0]["sources"]
    assert source["timeline"] == 2
    server.stop("fast")
    server.put_back()  # as it was before, and promoted from there
    promote(server)
    run(server, "INSERT INTO t SELECT i, 'other' FROM generate_series(10, 500) i")
    message, _ = refused("ingest", url(server), code=3, cwd=tmp_path)
    assert "restored" in message


def promote(server: Server) -> None:
    """Let a server recover from its own log and go on in a new timeline."""
    if (server.folder / "data" / "postmaster.pid").exists():
        server.stop("fast")
    signal_file = server.folder / "data" / "recovery.signal"
    signal_file.touch()
    shutil.chown(signal_file, (server.folder / "data").owner())
    server.start(**LOGICAL, restore_command="false")
    with psycopg.connect(conninfo(server), autocommit=True) as connection:
        while connection.execute("SELECT pg_is_in_recovery()").fetchone() != (False,):
            time.sleep(0.05)


@pytest.mark.thorough
def test_another_server_of_the_same_names(server: Server, tmp_path: Path) -> None:
    begin(server, tmp_path)
    with running(**LOGICAL) as other:
        run(other, "CREATE TABLE t (id int PRIMARY KEY, v text)")
        run(other, "CREATE PUBLICATION pub FOR ALL TABLES")
        message, _ = refused("ingest", url(other), "--create", code=3, cwd=tmp_path)
    assert "was read from the database system" in message


def test_what_is_not_there_is_told_before_anything_is_made(server: Server, tmp_path: Path) -> None:
    message, hint = refused("ingest", url(server), code=2, cwd=tmp_path)
    assert message.endswith("there is no slot s")
    assert "--create" in hint
    message, hint = refused("ingest", url(server).replace("=pub", "=nope"), "--create", code=2, cwd=tmp_path)
    assert "there is no publication nope" in message
    assert "CREATE PUBLICATION" in hint
    assert "FATAL" in refused("ingest", url(server).replace(USER, "nobody"), code=3, cwd=tmp_path)[0]
    message, _ = refused("ingest", url(server).replace(str(server.folder), "/nowhere"), code=3, cwd=tmp_path)
    assert "/nowhere" in message
    run(server, "SELECT pg_create_logical_replication_slot('s', 'test_decoding')")
    assert "is one of test_decoding" in refused("ingest", url(server), code=3, cwd=tmp_path)[0]


def test_a_password_in_a_url_is_refused_and_kept_nowhere(server: Server, tmp_path: Path) -> None:
    told = url(server).replace(f"{USER}@", f"{USER}:hush@")
    message, hint = refused("ingest", told, "--create", code=2, cwd=tmp_path)
    assert "hush" not in message + hint
    assert "PGPASSWORD" in hint
    good("ingest", url(server), "--create", cwd=tmp_path, PGPASSWORD="hush")
    found = [path for path in tmp_path.rglob("*") if path.is_file() and b"hush" in path.read_bytes()]
    assert not found


class Follower:
    """esctl following a slot in a process of its own."""

    def __init__(self, server: Server, folder: Path) -> None:
        command = [*ESCTL, "ingest", url(server), "--follow", "--commit-every", "20ms"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=folder, env=surroundings(), stdout=pipe, stderr=pipe)

    def until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not true():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def stop(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate()
        assert self.process.returncode == 0, said
        return said.decode()


@pytest.mark.thorough
def test_a_server_that_goes_away_is_waited_for(server: Server, tmp_path: Path) -> None:
    begin(server, tmp_path)
    follower = Follower(server, tmp_path)
    run(server, "UPDATE t SET v = 'x'")
    follower.until(lambda: ("public.t/1", "x") in states(tmp_path))
    server.stop()
    server.start(**LOGICAL)
    run(server, "UPDATE t SET v = 'y'")
    follower.until(lambda: ("public.t/1", "y") in states(tmp_path))
    said = follower.stop()
    assert said.count(": waiting for it") == 1
    assert "the server is back" in said
    assert [state for _, state in states(tmp_path)] == ["y"] * 3


@pytest.mark.thorough
def test_what_was_committed_is_confirmed_when_it_stops(server: Server, tmp_path: Path) -> None:
    begin(server, tmp_path)
    follower = Follower(server, tmp_path)
    run(server, "UPDATE t SET v = 'x'")
    follower.until(lambda: ("public.t/1", "x") in states(tmp_path))
    follower.stop()
    with psycopg.connect(conninfo(server)) as connection:
        row = connection.execute("SELECT confirmed_flush_lsn - '0/0' FROM pg_replication_slots").fetchone()
    (source,) = good("status", "-f", "json", cwd=tmp_path).rows[0]["sources"]
    assert row is not None
    assert int(row[0]) == lsn_number(source["lsn"])


@pytest.mark.thorough
def test_a_transaction_that_is_larger_than_a_commit(server: Server, tmp_path: Path) -> None:
    begin(server, tmp_path)
    run(server, "INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series(10, 30000) i")
    process = Follower(server, tmp_path).process
    deadline = time.monotonic() + 60
    while good("status", "-f", "json", cwd=tmp_path).rows[0]["head"] < 5000 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    good("ingest", url(server), "--quiet", cwd=tmp_path)
    counted = good("log", "--type", "insert", "-f", "jsonl", "--columns", "entity", cwd=tmp_path).text.splitlines()
    assert len(counted) == len(set(counted)) == 29992


def test_text_in_no_encoding_is_one_invalid_record(server: Server, tmp_path: Path) -> None:
    run(server, "CREATE DATABASE raw ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    with psycopg.connect(conninfo(server).replace("dbname=postgres", "dbname=raw"), autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
        connection.execute("CREATE PUBLICATION pub FOR ALL TABLES")
        there = url(server).replace("@/postgres", "@/raw")
        good("ingest", there, "--create", "--quiet", cwd=tmp_path)
        connection.execute(r"INSERT INTO t VALUES (1, 'a'), (2, E'\xff\xfe'), (3, 'c')")
    good("ingest", there, "--quiet", cwd=tmp_path)
    assert states(tmp_path) == [("public.t/1", "a"), ("public.t/3", "c")]
    (bad,) = good("log", "--invalid", cwd=tmp_path).rows
    assert "UTF-8" in bad["invalid"]
    assert b'"v":"\xff\xfe"' in good("export", "--raw", "--source", "postgres:raw/s", cwd=tmp_path).out


def test_a_database_in_the_configuration(server: Server, tmp_path: Path) -> None:
    (tmp_path / "esctl.toml").write_text(
        f'[sources.shop]\npostgres = "{url(server)}"\ncreate = "yes"\nsnapshot = "yes"\n', encoding="utf-8"
    )
    run(server, "INSERT INTO t VALUES (1, 'a')")
    good("ingest", "shop", "--quiet", cwd=tmp_path)
    assert states(tmp_path) == [("public.t/1", "a")]
