"""Compare engines with one process: `python -m reliability.cluster [EVENTS]`, by `make cluster`.

A generated log is ingested into a store on disk and, if `make interop` has built the object store, one in a bucket.
Each installed engine then answers the questions, and its answers must have the same bytes as those of one process.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from reliability.report import ROOT, keep

if TYPE_CHECKING:
    from esctl.api import Store
    from esctl.api.relation import Relation
    from esctl.cluster.engines import Engine

EVENTS, FILES = 200_000, 4
ALONE = "one process"
BINARY = ROOT / "build" / "s3"
CONFIG = ROOT / "bench" / "esctl.toml"
Ask = Callable[["Store", int], "Relation"]
QUESTIONS: Mapping[str, Ask] = {
    "replay": lambda store, events: store.replay(),
    "diff": lambda store, events: store.diff(f"@{events // 3}", f"@{events * 2 // 3}"),
    "blame": lambda store, events: store.blame("account-1*"),
    "when": lambda store, events: store.when("balance > 500"),
    "audit": lambda store, events: store.audit("account-1*"),
    "series": lambda store, events: store.series("sum(balance)", every="1d"),
}
ENGINES: Mapping[str, tuple[str, str]] = {
    "local:2": ("esctl", "local:2"),
    "Spark local[2]": ("pyspark", "spark:local[2]"),
    "Ray": ("ray", "ray:local"),
    "Dask": ("distributed", "dask"),
}
"""By title: the module that is needed, and the engine's name for esctl."""
TimedDigest = tuple[str, float]
"""The digest of an answer, and how many seconds it took."""


def generate_log(folder: Path, events: int) -> list[Path]:
    """Write a log of `events` events in several files; return their paths."""
    whole = folder / "whole.jsonl"
    subprocess.run([sys.executable, ROOT / "bench" / "generate.py", str(events), whole], check=True)
    command = ["split", "-n", f"l/{FILES}", "--additional-suffix=.jsonl", whole, folder / "part-"]
    subprocess.run(command, check=True)
    whole.unlink()
    return sorted(folder.glob("part-*.jsonl"))


def time_digest(digest: Callable[[], str]) -> TimedDigest:
    """Return the digest that a call returns, and how many seconds it took."""
    started = time.monotonic()
    return digest(), time.monotonic() - started


def answer_digest(store: Store, ask: Ask, events: int) -> str:
    """Return the digest of an answer as JSON Lines."""
    from esctl.output import Target, write

    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        write(ask(store, events).answer, Target("jsonl", Path(file.name)))
        with open(file.name, "rb") as written:
            return hashlib.file_digest(written, "sha256").hexdigest()


def findings_digest(store: Store) -> str:
    """Return the digest of the findings of `verify --full`, without what each check compares with."""
    rows = [{**row, "against": ""} for row in store.verify(full=True).rows()]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def ask_all(place: str, engine: Engine | None, events: int) -> dict[str, TimedDigest]:
    """Ask a store every question, by an engine or by one process (None); return the digests and seconds by question."""
    from esctl.api import Store

    with Store.open(place, CONFIG) as store:
        store.engine = engine
        found = {
            name: time_digest(lambda ask=ask: answer_digest(store, ask, events)) for name, ask in QUESTIONS.items()
        }
        return {**found, "verify --full": time_digest(lambda: findings_digest(store))}


def ingest_log(place: str, engine: Engine | None, sources: Sequence[Path], events: int) -> TimedDigest:
    """Ingest the log into a new store; return the digest of its bytes, states and intactness, and the seconds taken."""
    from esctl.api import Store
    from esctl.log.reader import export_raw

    started = time.monotonic()
    with Store.create(place, CONFIG) as store:
        store.engine = engine
        store.ingest(*sources)
        seconds = time.monotonic() - started
        store.engine = None
        found = hashlib.sha256(answer_digest(store, QUESTIONS["replay"], events).encode())
        for name in sorted(store.store_state.cursors):
            for piece in export_raw(store.store_state, name):
                found.update(piece)
        if not store.verify(full=True).verified.is_intact:
            found.update(b"not intact")
    return found.hexdigest(), seconds


@contextmanager
def places(folder: Path) -> Iterator[dict[str, str]]:
    """Yield the places for stores: on disk, and in a bucket if the object store is built."""
    found, kept = {"disk": f"{folder / 'stores'}"}, dict(os.environ)
    os.environ |= {"XDG_CACHE_HOME": f"{folder / 'cache'}", "XDG_STATE_HOME": f"{folder / 'state'}"}
    with ExitStack() as stack:
        if BINARY.exists():
            from tests.support.s3 import ObjectServer

            server = ObjectServer(folder / "objects")
            stack.callback(server.stop)
            os.environ |= server.environment
            found["bucket"] = f"s3://{server.bucket()}"
        yield found
    os.environ.clear()
    os.environ |= kept


@contextmanager
def start_engine(name: str) -> Iterator[Engine]:
    """Yield an engine that has this machine as its cluster."""
    from esctl.cluster.engines import engine_of

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with ExitStack() as stack:
        if name == "dask":
            import distributed

            cluster = distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1", silence_logs=50
            )
            name = stack.enter_context(cluster).scheduler_address.replace("tcp://", "dask://")
        engine = engine_of(name, None, "--engine")
        assert engine is not None
        stack.callback(getattr(engine, "close", lambda: None))
        yield engine


def why_not_tried(module: str) -> str:
    """Return why an engine cannot be tried; empty if it can."""
    if find_spec(module) is None:
        return f"{module} is not installed"
    return "there is no Java" if module == "pyspark" and shutil.which("java") is None else ""


def comparison_cell(given: TimedDigest, wanted: TimedDigest) -> str:
    """Return how long an answer took, or that it differs from what is wanted."""
    return f"{given[1]:.1f} s" if given[0] == wanted[0] else "**differs**"


def main() -> int:
    """Run the campaign; return 1 if something differs, else 0."""
    events, started = int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS, time.monotonic()
    rows: dict[str, Sequence[object]] = {}
    lines: list[str] = []
    with tempfile.TemporaryDirectory(prefix="esctl-cluster-") as name, places(Path(name)) as where:
        sources = generate_log(Path(name), events)
        for kind, root in where.items():
            store = f"{root}/one"
            took = ingest_log(store, None, sources, events)
            wanted = {**ask_all(store, None, events), "ingest": took}
            rows[f"{ALONE}, {kind}"] = [comparison_cell(each, each) for each in wanted.values()]
            for title, (module, engine) in ENGINES.items():
                if why := why_not_tried(module):
                    lines.append(f"Not tried: {title}, as {why}.")
                    continue
                with start_engine(engine) as lent:
                    given = ask_all(store, lent, events)
                    given["ingest"] = ingest_log(f"{root}/{module}", lent, sources, events)
                rows[f"{title}, {kind}"] = [comparison_cell(given[each], wanted[each]) for each in wanted]
                print(title, kind, *rows[f"{title}, {kind}"], flush=True)
    keep_figures(events, rows, list(dict.fromkeys(lines)), time.monotonic() - started)
    return 1 if any("differs" in str(cell) for row in rows.values() for cell in row) else 0


def keep_figures(events: int, rows: Mapping[str, Sequence[object]], lines: Sequence[str], seconds: float) -> None:
    """Keep the figures for the page."""
    modules = sorted({module for module, _ in ENGINES.values() if module != "esctl" and not why_not_tried(module)})
    versions = ", ".join(f"{module} {importlib.metadata.version(module)}" for module in modules)
    cells = [str(cell) for name, row in rows.items() if not name.startswith(ALONE) for cell in row]
    differs = sum("differs" in cell for cell in cells)
    line = f"{events:,} events; load {os.getloadavg()[2]:.0f}; {versions}. Of {len(cells)} answers, {differs} differ."
    keep("cluster", "make cluster", seconds, [line, *lines], ("", *QUESTIONS, "verify --full", "ingest"), rows)


if __name__ == "__main__":
    sys.exit(main())
