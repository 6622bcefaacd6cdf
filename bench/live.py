"""Measure how long an event takes from a topic to a row of PostgreSQL: `python bench/live.py [RATE] [SECONDS]`.

A producer sends RATE events a second (default 5,000, for 30 seconds) to the broker of the tests. `ingest --follow` and
`view refresh --follow` run, and meanwhile the store and the table are queried. Twice a second an event of a new entity
is sent, whose row is waited for.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
ACCOUNTS, SLICE, PATIENCE = 5000, 0.05, 60.0
CONFIG = """\
[mapping]
id = "id"
type = "type"
entity = "account"
data = "data"
[projections.p.on."*"]
add = { n = "data.n" }
"""
ENV = {**os.environ, "PYTHONPATH": str(ROOT)}


def event(number: int, account: str) -> bytes:
    """Return an event as JSON."""
    return b'{"id":"%d","type":"Paid","account":"%s","data":{"n":1.25}}' % (number, account.encode())


def produce(broker: object, topic: str, rate: int, seconds: int, sent: dict[str, float]) -> None:
    """Send events at a rate; `sent` gets the times of those that are waited for."""
    from confluent_kafka import Producer

    producer = Producer({**broker.settings, "linger.ms": "5"})  # type: ignore[attr-defined]
    size, started, number = int(rate * SLICE), time.monotonic(), 0
    for turn in range(int(seconds / SLICE)):
        time.sleep(max(0.0, started + turn * SLICE - time.monotonic()))
        for _ in range(size):
            number += 1
            producer.produce(topic, event(number, f"account-{number % ACCOUNTS}"))
        if turn % 10 == 0:
            sent[f"probe-{turn}"] = time.monotonic()
            producer.produce(topic, event(-turn - 1, f"probe-{turn}"))
        producer.poll(0)
    producer.flush(30)


@contextmanager
def run_esctl(folder: Path, *arguments: str) -> Iterator[None]:
    """Run a command of esctl while the block runs, then interrupt it."""
    command = [sys.executable, "-m", "esctl", *arguments]
    with (folder / f"{arguments[0]}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=ENV, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def wait(address: str, sent: dict[str, float], producer: threading.Thread) -> dict[str, float]:
    """Query the table for the rows that are waited for; return how many seconds each took."""
    import psycopg

    took: dict[str, float] = {}
    until = time.monotonic() + PATIENCE + 60
    with psycopg.connect(address, autocommit=True) as connection:
        while producer.is_alive() or set(sent) - set(took):
            rows = connection.execute("SELECT entity FROM v WHERE entity LIKE 'probe-%'").fetchall()
            now = time.monotonic()
            took.update({name: now - sent[name] for (name,) in rows if name in sent and name not in took})
            if now > until:
                break
            time.sleep(0.05)
    return took


def ask(folder: Path, producer: threading.Thread, asked: list[float]) -> None:
    """Replay an entity again and again, as long as events come."""
    while True:
        started = time.monotonic()
        command = [sys.executable, "-m", "esctl", "replay", "account-0", "-q", "-f", "jsonl"]
        subprocess.run(command, cwd=folder, env=ENV, check=True, stdout=subprocess.DEVNULL)
        asked.append(time.monotonic() - started)
        if not producer.is_alive():
            return
        time.sleep(1)


def main() -> None:
    """Measure, and print the seconds that rows took."""
    rate, seconds = (int(given) for given in (*sys.argv[1:3], *("5000", "30")[len(sys.argv[1:3]) :]))
    from tests.support.kafka import Broker, Record
    from tests.support.postgres import USER, server

    broker = Broker()
    try:
        with tempfile.TemporaryDirectory() as name, server() as end:
            folder, topic = Path(name), broker.topic()
            (folder / "esctl.toml").write_text(CONFIG)
            broker.produce(topic, [Record(event(0, "account-0"))])
            first = [sys.executable, "-m", "esctl", "ingest", broker.url(topic), "-q"]
            subprocess.run(first, cwd=folder, env=ENV, check=True, stdout=subprocess.DEVNULL)
            target = f"postgres://{USER}@/postgres/v{end}"
            made = [sys.executable, "-m", "esctl", "view", "create", "v", "-p", "p", "--to", target]
            subprocess.run(made, cwd=folder, env=ENV, check=True, stderr=subprocess.DEVNULL)
            sent, asked = dict[str, float](), list[float]()
            producer = threading.Thread(target=produce, args=(broker, topic, rate, seconds, sent))
            with (
                run_esctl(folder, "ingest", broker.url(topic), "--follow", *sys.argv[3:]),
                run_esctl(folder, "view", "refresh", "v", "--follow"),
            ):
                time.sleep(3)
                producer.start()
                asking = threading.Thread(target=ask, args=(folder, producer, asked))
                asking.start()
                took = wait(f"postgresql://{USER}@/postgres{end}", sent, producer)
                asking.join()
    finally:
        broker.stop()
    found = sorted(took.values())
    print(f"{len(sent)} rows waited for, {len(sent) - len(found)} did not come within {PATIENCE:.0f} s")
    print(f"from the topic to the row: median {statistics.median(found):.2f} s, longest {found[-1]:.2f} s")
    print(f"an entity was replayed {len(asked)} times meanwhile, in {statistics.median(asked):.2f} s each")


if __name__ == "__main__":
    main()
