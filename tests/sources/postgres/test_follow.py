"""A database is followed: its states are its tables, and each change is there once, whatever comes in between."""

from __future__ import annotations

import random
import signal
import subprocess
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reliability.report import keep
from tests.support import effort
from tests.support.cli_harness import ESCTL, good, surroundings
from tests.support.pg_workload import TABLES, Work, assert_states_are_the_tables, kept, told, url, working
from tests.support.postgres import LOGICAL, Server, running, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "there is one")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(**LOGICAL) as found:
        yield found


@pytest.fixture
def work(server: Server, request: pytest.FixtureRequest) -> Iterator[Work]:
    import psycopg

    from tests.support.pg_workload import conninfo

    with psycopg.connect(conninfo(server), autocommit=True) as connection:
        connection.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
        connection.execute('DROP SCHEMA IF EXISTS "odd ""one" CASCADE')
        connection.execute("DROP PUBLICATION IF EXISTS pub")
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    with working(server, getattr(request, "param", 1)) as found:
        yield found


@pytest.mark.parametrize("work", effort.seeds(7), indirect=True)
def test_states_are_the_tables(work: Work, tmp_path: Path) -> None:
    good("ingest", url(work.server), "--create", "--quiet", cwd=tmp_path)
    for _ in range(4):
        for _ in range(60):
            work.step()
        good("ingest", url(work.server), "--quiet", cwd=tmp_path)
        assert_states_are_the_tables(work, tmp_path)
    assert kept(tmp_path) == told(work)
    assert good("ingest", url(work.server), cwd=tmp_path).row["records"] == 0
    good("verify", cwd=tmp_path)


@pytest.mark.parametrize("work", effort.seeds(8), indirect=True)
def test_tables_that_were_there_before_are_read_first(work: Work, tmp_path: Path) -> None:
    for _ in range(100):
        work.step()
    good("ingest", url(work.server), "--create", "--snapshot", "--quiet", cwd=tmp_path)
    assert_states_are_the_tables(work, tmp_path)
    for _ in range(60):
        work.step()
    good("ingest", url(work.server), "--quiet", cwd=tmp_path)
    assert_states_are_the_tables(work, tmp_path)
    before = good("audit", "public.orders/*", cwd=tmp_path).text
    good("ingest", url(work.server), "--snapshot", "--quiet", cwd=tmp_path)
    assert_states_are_the_tables(work, tmp_path)
    assert good("audit", "public.orders/*", cwd=tmp_path).text == before, "what is known is no event"


KILLS = 50 if effort.ALL else 2


@pytest.mark.parametrize("work", [3], indirect=True)
def test_killed_while_following(work: Work, tmp_path: Path) -> None:
    for _ in range(20):
        work.step()
    good("ingest", url(work.server), "--create", "--snapshot", "--quiet", cwd=tmp_path)
    chance = random.Random(5)
    follow = [*ESCTL, "ingest", url(work.server), "--follow", "--commit-every", "20ms", "--quiet"]
    killed, started = 0, time.monotonic()
    while killed < KILLS:
        process = subprocess.Popen(follow, cwd=tmp_path, env=surroundings(), stdout=-3, stderr=subprocess.PIPE)
        until = time.monotonic() + chance.uniform(0.3, 3)
        while time.monotonic() < until and process.poll() is None:
            work.step()
            time.sleep(0.01)  # so that there is no more to compare than is needed
        process.kill()
        _, said = process.communicate()
        assert process.returncode == -signal.SIGKILL, said
        killed += 1
    good("ingest", url(work.server), "--quiet", cwd=tmp_path)
    assert_states_are_the_tables(work, tmp_path)
    expected, found = told(work), kept(tmp_path)
    assert found == expected[len(expected) - len(found) :]
    assert len(found) > 100
    good("verify", cwd=tmp_path)
    if effort.ALL:
        line = (
            f"A follower was killed **{killed}** times while {len(expected):,} changes were made; each change is there "
            f"once, in the order of the server's log, and the states are the {len(TABLES)} tables."
        )
        command = "ESCTL_TESTS=all pytest tests/sources/postgres/test_follow.py -k killed"
        keep("followed", command, time.monotonic() - started, textwrap.wrap(line, 100), [], {})
