"""The states of a log against the tables of a database, as of one place in its log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli_harness import esctl, good, refused
from tests.support.pg_workload import Work, url, working
from tests.support.postgres import LOGICAL, USER, Server, running, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "there is one")
NAMES = ["orders", "pairs", "whole", 'odd%20"one.a%20bag%25', "lines", "codes", "parted_low"]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(**LOGICAL) as found:
        yield found


@pytest.fixture(scope="module")
def work(server: Server) -> Iterator[Work]:
    with working(server, 11) as found:
        for _ in range(150):
            found.step()
        found("DELETE FROM orders")
        for i in range(20):
            found(f"INSERT INTO orders (id, total, note, at, ok) VALUES ({i}, 1.50, 'n{i}', now(), true)")
            found("""INSERT INTO "odd ""one"."a bag%" VALUES ('a', 1), (NULL, NULL)""")
            found(f"INSERT INTO pairs VALUES ('x/%', {i}, {i + 10})")
        yield found


@pytest.fixture(scope="module")
def folder(work: Work, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("live")
    good("ingest", url(work.server), "--create", "--snapshot", "--quiet", cwd=made)
    return made


def table(server: Server, name: str, user: str = USER) -> str:
    return f"postgres://{user}@/postgres/{name}?host={server.folder}"


@pytest.mark.parametrize("name", NAMES)
def test_a_table_that_is_as_the_log_says(work: Work, folder: Path, name: str) -> None:
    done = good("reconcile", table(work.server, name), "--all-fields", cwd=folder)
    assert done.rows == []
    assert "as of 0/" in done.err
    assert " equal, 0 missing, 0 extra, 0 different" in done.err


def test_what_was_not_read_yet_is_told_and_found(work: Work, folder: Path) -> None:
    work("BEGIN")
    work("UPDATE orders SET total = 2 WHERE id = 3; DELETE FROM orders WHERE id = 4")
    work("INSERT INTO orders (id) VALUES (700); COMMIT")
    done = esctl("reconcile", table(work.server, "public.orders"), cwd=folder)
    assert done.code == 1
    assert {(row["entity"], row["difference"], row["field"]) for row in done.rows} == {
        ("public.orders/3", "different", "total"),
        ("public.orders/4", "missing", None),
        ("public.orders/700", "extra", None),
    }
    assert "bytes of its log after what was read: esctl ingest" in done.err
    one = esctl("reconcile", table(work.server, "orders"), "public.orders/3", "--ignore", "total", cwd=folder)
    assert one.code == 0
    good("ingest", url(work.server), "--quiet", cwd=folder)
    good("reconcile", table(work.server, "orders"), cwd=folder)


def test_a_table_of_states_that_are_no_rows(work: Work, tmp_path: Path) -> None:
    lines = "".join(
        f'{{"id":"e{i}","type":"Changed","time":"2024-01-01T00:00:{i:02}Z","entity":"acc-{i}","data":{{"v":{i}}}}}\n'
        for i in range(3)
    )
    (tmp_path / "log.jsonl").write_text(lines)
    good("ingest", "log.jsonl", "--quiet", cwd=tmp_path)
    work("CREATE TABLE accounts (n int, v numeric(9,2)); INSERT INTO accounts VALUES (0, 0), (1, 1), (2, 7)")
    done = esctl("reconcile", table(work.server, "accounts"), "--key", "acc-{n}", cwd=tmp_path)
    assert [(row["entity"], row["field"], row["log"], row["file"]) for row in done.rows] == [("acc-2", "v", 2, 7)]
    work("DROP TABLE accounts")


def test_who_may_not_replicate_reads_the_table_all_the_same(work: Work, folder: Path) -> None:
    work("CREATE ROLE reader LOGIN; GRANT SELECT ON orders TO reader")
    done = good("reconcile", table(work.server, "orders", "reader"), cwd=folder)
    assert "as of about 0/" in done.err
    message, _ = refused("reconcile", table(work.server, "pairs", "reader"), code=3, cwd=folder)
    assert "permission denied" in message


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("nothing", 3, "there is no such table"),
        ("", 2, "does not name one table"),
        ("a/b/c", 2, "does not name one table"),
    ],
)
def test_a_table_that_is_not_there(work: Work, folder: Path, name: str, code: int, said: str) -> None:
    assert said in refused("reconcile", table(work.server, name), code=code, cwd=folder)[0]


def test_a_password_is_refused(folder: Path) -> None:
    message, _ = refused("reconcile", "postgres://me:hush@h/db/public.t", code=2, cwd=folder)
    assert "hush" not in message
