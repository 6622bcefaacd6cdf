"""Follow a topic while it is written to, in a folder of its own: `make demo-live`, `python sample_logs/live.py FOLDER`.

It starts a broker and, where there is one, a database on loopback, and ends both.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from tests.support import apache, postgres  # noqa: E402
from tests.support.kafka import BINARY, Broker, Record  # noqa: E402

ESCTL = str(Path(sys.executable).parent / "esctl")
ACCOUNT, PATIENCE = "account-017", 60.0
QUIET = {**os.environ, "ESCTL_FORMAT": "table", "ESCTL_NO_PAGER": "1"}


def main() -> None:
    """Walk through it."""
    here = Path(sys.argv[1] if len(sys.argv) > 1 else "build/demo-live").resolve()
    shutil.rmtree(here, ignore_errors=True)
    here.mkdir(parents=True)
    shutil.copy(HERE / "esctl.toml", here)
    if not BINARY.exists() and not apache.is_there():
        sys.exit("demo-live needs a broker: make interop (needs Go), or make apache (needs Java and Maven)")
    if not BINARY.exists():
        os.environ["ESCTL_BROKER"] = "apache"
    kind = "Kafka's protocol, in memory" if BINARY.exists() else "Apache Kafka"
    told = "a table of PostgreSQL" if not postgres.why_not() else "a table of SQLite"
    print("A bank emits events to a topic, and esctl follows it. This starts, on this machine alone:")
    print(f"  a broker ({kind}), a producer of the bank's log, `esctl ingest --follow`, and")
    print(f"  `esctl view refresh --follow`, which keeps the balances in {told}.")
    print("While they run it asks what changed, and who did that. All of it ends by itself, in less than a minute.")
    with ExitStack() as running:
        _walk(here, running)
    print("\n# Broker, database and followers have ended; the evidence stays. What to type next:")
    print(f"cd {os.path.relpath(here)}")
    for line in (f"esctl audit {ACCOUNT} --from 2024-03-05 --to 2024-03-08", "esctl status", "esctl verify --full"):
        print(line)
    print("To do it with your own topic: docs/guides/kafka.md")


def _walk(here: Path, running: ExitStack) -> None:
    lines = (HERE / "bank.jsonl").read_bytes().splitlines()
    broker = Broker()
    running.callback(broker.stop)
    topic = broker.topic(1, name="bank")
    to, row = running.enter_context(_database())
    half, rest = lines[: len(lines) // 2], lines[len(lines) // 2 :]
    broker.produce(topic, (Record(line) for line in half))
    say("The first half of the quarter is in the topic. Follow it:")
    running.enter_context(_followed(here, "ingest", broker.url(topic), "--follow"))
    _until(lambda: _head(here) >= len(half), "the topic was not read")
    say("Keep the accounts as a view, and keep that fresh:")
    shown(here, "view", "create", "accounts", "-p", "account", "--to", to)
    running.enter_context(_followed(here, "view", "refresh", "accounts", "--follow"))
    say(f"What the database says of {ACCOUNT}:")
    before = row(ACCOUNT)
    print(before)
    say("The bank goes on: the second half is emitted now, while all of this runs.")
    producer = threading.Thread(target=_emit, args=(broker, topic, rest))
    producer.start()
    _until(lambda: _head(here) > len(half) + len(rest) // 2, "the topic was not followed")
    _ask(here)
    producer.join()
    _until(lambda: _head(here) == len(lines), "the topic was not followed to its end")
    _until(lambda: _is_fresh(here), "the view did not come to the end")
    say("The database followed, too:")
    print(row(ACCOUNT))
    say("Is the view what a replay of the log gives? It is, if no difference is listed.")
    shown(here, "view", "check", "accounts", "-q")


def _ask(here: Path) -> None:
    say("Meanwhile: what did 5 March change, of what is here so far?")
    shown(here, "diff", "2024-03-04", "2024-03-05", ACCOUNT, "-q")
    say("And how did it get there?")
    shown(here, "audit", ACCOUNT, "--from", "2024-03-05", "--to", "2024-03-08", "-q")


def _emit(broker: Broker, topic: str, lines: list[bytes]) -> None:
    for at in range(0, len(lines), 200):
        broker.produce(topic, (Record(line) for line in lines[at : at + 200]))
        time.sleep(0.2)


def say(text: str) -> None:
    """Print what comes."""
    print(f"\n# {text}", flush=True)


def shown(here: Path, *arguments: str) -> None:
    """Print a command, and run it. Exits where it fails."""
    print(f"\n$ esctl {' '.join(arguments)}", flush=True)
    if (code := subprocess.run([ESCTL, *arguments], cwd=here, env=QUIET, check=False).returncode) != 0:
        raise SystemExit(f"it ended with {code}")


@contextmanager
def _followed(here: Path, *arguments: str) -> Iterator[None]:
    """Run a command that goes on, until the end of the walk."""
    print(f"\n$ esctl {' '.join(arguments)} &", flush=True)
    with (here / f"{arguments[0]}.log").open("wb") as log:
        process = subprocess.Popen([ESCTL, *arguments], cwd=here, env=QUIET, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            if process.poll() is None:
                process.kill()


@contextmanager
def _database() -> Iterator[tuple[str, Callable[[str], object]]]:
    """Return a target for a view, and what reads a row of it."""
    if postgres.why_not():
        import sqlite3

        with tempfile.TemporaryDirectory() as name:
            path = f"{name}/bank.db"

            def row(entity: str) -> object:
                with sqlite3.connect(path) as connection:
                    return connection.execute(
                        "SELECT owner, balance FROM accounts WHERE entity = ?", [entity]
                    ).fetchone()

            yield f"sqlite:{path}/accounts", row
        return
    import psycopg

    with postgres.server() as end:
        address = f"postgres://{postgres.USER}@/postgres/accounts{end}"

        def found(entity: str) -> object:
            with psycopg.connect(f"postgresql://{postgres.USER}@/postgres{end}") as connection:
                sql = "SELECT owner, balance FROM accounts WHERE entity = %s"
                return connection.execute(sql, [entity]).fetchone()

        yield address, found


def _head(here: Path) -> int:
    from esctl.errors import EsctlError
    from esctl.log.commits import open_log

    with suppress(EsctlError, OSError):
        return open_log(here / ".esctl").read().head
    return 0


def _is_fresh(here: Path) -> bool:
    command = [ESCTL, "view", "status", "accounts", "-q", "--columns", "state", "-f", "csv"]
    return b"fresh" in subprocess.run(command, cwd=here, check=False, capture_output=True).stdout


def _until(holds: Callable[[], object], otherwise: str) -> None:
    until = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > until:
            raise SystemExit(otherwise)
        time.sleep(0.1)


if __name__ == "__main__":
    main()
