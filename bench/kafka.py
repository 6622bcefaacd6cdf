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

from measure import processor_time_of_children, time_command

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
        time_command([sys.executable, str(ROOT / "bench" / "generate.py"), str(given.events), str(log)])
        lines = log.read_bytes().splitlines()
        topics = {"bare": broker.topic(), "keyed": broker.topic(), "headers": broker.topic()}
        headers = ([("trace", b"00-%032x-b7ad6b7169203331-01" % at), ("kind", b"event")] for at in range(len(lines)))
        broker.produce(topics["bare"], (Record(line) for line in lines))
        keys = [str(json.loads(line).get("stream", "")).encode() for line in lines]
        broker.produce(topics["keyed"], (Record(line, key) for line, key in zip(lines, keys, strict=True)))
        broker.produce(topics["headers"], map(Record, lines, keys, headers))
        sources = {"file": str(log), **{name: broker.url(topic) for name, topic in topics.items()}}
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in sources}
        for _ in range(given.runs):
            for name, source in sources.items():
                taken[name].append(ingest(folder / "store", source))
        whole = [statistics.median(each) for each in zip(*taken["file"], strict=True)]
        for name, found in taken.items():
            seconds, processor = (statistics.median(each) for each in zip(*found, strict=True))
            print(
                f"{name:8} {seconds:6.2f} s  {given.events / seconds:9,.0f} events/s  {whole[0] / seconds:.2f} of the "
                f"file's  {processor:6.2f} s of processors, {whole[1] / processor:.2f}"
            )
    finally:
        broker.stop()
        shutil.rmtree(folder)


def ingest(store: Path, source: str) -> tuple[float, float]:
    """Read a source into a new store; return the seconds that the ingest itself took, and its processor time."""
    shutil.rmtree(store, ignore_errors=True)
    command = [sys.executable, "-m", "esctl", "--store", str(store), "ingest", source, *MARK, "-q", "-f", "json"]
    before = processor_time_of_children()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    return float(json.loads(done.stdout)[0]["seconds"]), processor_time_of_children() - before


if __name__ == "__main__":
    main()
