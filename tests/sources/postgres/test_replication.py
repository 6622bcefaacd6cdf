"""The connection of a slot: what is refused is told, and a server is kept waiting as long as need be."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest

from esctl.sources.postgres import replication as module
from esctl.sources.postgres.pgoutput import Insert, decode
from esctl.sources.postgres.replication import Alive, Replication, ServerError, Streamed
from tests.support.pg_workload import conninfo
from tests.support.postgres import LOGICAL, Server, running, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "there is one")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(**LOGICAL, wal_sender_timeout="1s") as found:
        with psycopg.connect(conninfo(found), autocommit=True) as connection:
            connection.execute("CREATE TABLE t (id int PRIMARY KEY)")
            connection.execute("CREATE PUBLICATION pub FOR ALL TABLES")
            connection.execute("SELECT pg_create_logical_replication_slot('s', 'pgoutput')")
        yield found


def inserted(replication: Replication, messages: int) -> list[str]:
    """Return what was inserted, of the next messages; a server in a hurry asks time and again whether we are there."""
    for _ in range(messages):
        told = replication.receive(1)
        if isinstance(told, Streamed) and isinstance(message := decode(told.data), Insert):
            return [str(message.new[0])]
    return []


def test_a_server_is_kept_waiting_while_nobody_receives(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONFIRM_SECONDS", 0.2)
    replication = Replication(conninfo(server), "db")
    replication.start("s", ["pub"], 0)
    time.sleep(2.5)  # the server gives up after one second
    with psycopg.connect(conninfo(server), autocommit=True) as connection:
        connection.execute("INSERT INTO t VALUES (1)")
    assert inserted(replication, 60) == ["1"]
    replication.ping()
    answers = [told for _ in range(3) if isinstance(told := replication.receive(5), Alive)]
    replication.confirm(answers[-1].end)
    replication.close()
    again = Replication(conninfo(server), "db")
    again.start("s", ["pub"], 0)
    assert inserted(again, 3) == []
    again.close()


def test_what_is_refused_is_told_with_its_state(server: Server) -> None:
    replication = Replication(conninfo(server), "db")
    with pytest.raises(ServerError, match=r"^db: replication slot .* does not exist$") as caught:
        replication.start("none", ["pub"], 0)
    assert caught.value.state == "42704"
    assert replication.ask("SELECT 1 AS one, NULL AS none") == [{"one": "1", "none": None}]
    assert list(replication.copy_out("COPY (SELECT 1, E'a\\tb', NULL) TO STDOUT")) == [b"1\ta\\tb\t\\N\n"]
    with pytest.raises(ServerError, match="division by zero"):
        list(replication.copy_out("COPY (SELECT 1 / (2 - i) FROM generate_series(1, 3) i) TO STDOUT"))
    assert replication.ask("SELECT 'it''s' AS said") == [{"said": "it's"}]
    replication.close()


def test_a_connection_that_is_lost_is_told(server: Server) -> None:
    replication = Replication(conninfo(server), "db")
    replication.start("s", ["pub"], 0)
    with psycopg.connect(conninfo(server), autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots")
    with pytest.raises(ServerError) as caught:
        [replication.receive(5) for _ in range(20)]
    assert caught.value.state in ("", "57P01")
    replication.close()
