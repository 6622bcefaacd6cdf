"""Time the ingest of a topic against that of a file of the same records: `python bench/kafka.py N`.

Interleaved, medians. The broker is the one that `make interop` builds; it is filled once, and its own work counts.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import timed

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
MARK = ("--map", "entity=stream")


def main() -> None:
    """Fill a topic, and read it and the file in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("events", type=int, nargs="?", default=500_000, metavar="N")
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    from tests.support.kafka import Broker, Record

    folder = Path(tempfile.mkdtemp(prefix="esctl-bench-"))
    log, broker = folder / "log.jsonl", Broker()
    try:
        timed([sys.executable, str(ROOT / "bench" / "generate.py"), str(given.events), str(log)])
        lines = log.read_bytes().splitlines()
        topics = {"bare": broker.topic(), "keyed": broker.topic(), "headers": broker.topic()}
        headers = [("trace", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), ("kind", b"event")]
        broker.produce(topics["bare"], (Record(line) for line in lines))
        keys = [str(json.loads(line).get("stream", "")).encode() for line in lines]
        broker.produce(topics["keyed"], (Record(line, key) for line, key in zip(lines, keys, strict=True)))
        broker.produce(topics["headers"], (Record(line, b"k", headers) for line in lines))
        sources = {"file": str(log), **{name: broker.url(topic) for name, topic in topics.items()}}
        seconds: dict[str, list[float]] = {name: [] for name in sources}
        for _ in range(given.runs):
            for name, source in sources.items():
                seconds[name].append(ingest(folder / "store", source))
        for name, found in seconds.items():
            middle = statistics.median(found)
            share = statistics.median(seconds["file"]) / middle
            print(f"{name:8} {middle:6.2f} s  {given.events / middle:9,.0f} events/s  {share:.2f} of the file's")
    finally:
        broker.stop()
        shutil.rmtree(folder)


def ingest(store: Path, source: str) -> float:
    """Read a source into a new store; return the seconds that the ingest itself took."""
    shutil.rmtree(store, ignore_errors=True)
    command = [sys.executable, "-m", "esctl", "--store", str(store), "ingest", source, *MARK, "-q", "-f", "json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    return float(json.loads(done.stdout)[0]["seconds"])


if __name__ == "__main__":
    main()
