"""Engines that the user runs: Spark, by its own protocol or Connect, Ray and Dask.

Each maps a function over the tasks, and runs a task again if its worker is lost. Tasks and results are sent as bytes.
"""

from __future__ import annotations

import atexit
import json
import os
import pickle
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from esctl.ask.scope.lookups import Spooled
from esctl.cluster.engines import ManyWorkers
from esctl.cluster.work import Failure, Work, WorkPart
from esctl.errors import (
    EsctlError,
    InputError,
    NotFoundError,
    OutOfMemoryError,
    TamperedError,
    UnavailableError,
    UsageError,
)

FOLDER = "ESCTL_ENGINE_FOLDER"
"""The variable that names a folder which this machine and all workers see."""
SEEN_HINT = f"name a folder that this machine and all workers see: {FOLDER}=/shared/tmp"
DEFAULT_WORKERS = 16
"""The number of workers of an engine that does not tell how many tasks it runs at once."""

CONNECT_PORT = 15002

MapTasks = Callable[[Sequence[bytes]], Iterable[bytes]]
"""Runs `run_bytes` over tasks."""

Connected = tuple[int, MapTasks, Callable[[], object]]
"""How many tasks an engine runs at once, what runs them, and what ends the connection."""


def run_bytes(text: bytes) -> bytes:
    """Run a task that the driver pickled; its result goes back as JSON, which cannot run code in the driver."""
    task: Work = pickle.loads(text)
    result = task.run()
    report: dict[str, Any] = {"number": result.number}
    if isinstance(result, WorkPart):
        report |= {"file": result.made.path.name, "names": sorted(result.made.names)}
    else:
        report |= {"kind": _kind(result.kind), "message": result.message, "hint": result.hint}
        report["position"] = result.position
    return json.dumps(report).encode()


def _read_result(text: bytes, folder: Path) -> WorkPart | Failure:
    """Read the result of a task. Raises ValueError or KeyError for bytes that no task gives back."""
    report = json.loads(text)
    if "kind" in report:
        return Failure(report["number"], _ERRORS[report["kind"]], report["message"], report["hint"], report["position"])
    if _FILE.fullmatch(report["file"]) is None:
        raise ValueError("a worker names a file that is no part")
    return WorkPart(report["number"], Spooled(folder / report["file"], frozenset(report["names"])))


def _kind(error: type[EsctlError]) -> str:
    """Return the name of the nearest kind of error that the driver knows."""
    return next(kind.__name__ for kind in error.__mro__ if kind.__name__ in _ERRORS)


_ERRORS = {
    kind.__name__: kind
    for kind in (
        EsctlError, UsageError, InputError, UnavailableError, OutOfMemoryError, NotFoundError, TamperedError,
    )
}  # fmt: skip
_FILE = re.compile(r"[0-9a-f]{16}\.(parquet|json)", re.ASCII)


class Remote(ManyWorkers):
    """Runs tasks on workers of other machines, or of this one."""

    def __init__(
        self,
        name: str,
        workers: int,
        map_tasks: MapTasks,
        memory_limit: str | None = None,
        close: Callable[[], object] = lambda: None,
    ) -> None:
        self.name = name
        self.workers = workers
        self.memory_limit = memory_limit
        self.folder: Path | None = _make_folder()
        self._map_tasks = map_tasks
        self.close = close
        atexit.register(close)

    def keep_workers(self) -> AbstractContextManager[None]:
        """Do nothing: the engine stays connected."""
        return nullcontext()

    def stop(self) -> None:
        """Do nothing: the engine runs what it has begun to the end."""

    def run(self, tasks: Sequence[Work]) -> Iterator[WorkPart | Failure]:
        """Run tasks. Raises InputError if the engine fails, or writes where this machine does not see it."""
        try:
            texts = self._map_tasks([pickle.dumps(task) for task in tasks])
            results = [_read_result(text, tasks[0].folder) for text in texts]
            if sorted(result.number for result in results) != [task.number for task in tasks]:
                raise ValueError("it gave back other tasks than it was given")
        except Exception as error:  # of whatever kind the engine's library has
            raise InputError(f"{self.name} failed: {_first_line(error)}", "see it whole with --debug") from error
        for result in results:
            if isinstance(result, WorkPart) and not result.made.path.exists():
                raise InputError(
                    f"{self.name} wrote a part of the answer where this machine does not see it", SEEN_HINT
                )
            yield result


def _first_line(error: Exception, address: str = "") -> str:
    """Return the first line of an engine's error, without the address, which may hold a token."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return (lines[0].replace(address, "its address") if address else lines[0])[:300]


def _make_folder() -> Path:
    try:
        folder = Path(tempfile.mkdtemp(prefix="esctl-parts-", dir=os.environ.get(FOLDER)))
    except OSError as error:
        raise UsageError(f"{FOLDER}: {error.filename}: {error.strerror}", SEEN_HINT) from error
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def connect(scheme: str, address: str, memory_limit: str | None) -> Remote:
    """Connect to an engine.

    Raises UsageError if its library is not installed, InputError if it is not reached.
    """
    extra, name, begin = _KINDS[scheme]
    try:
        workers, map_tasks, close = begin(address)
    except ImportError as error:
        hint = f"pip install 'esctl-audit[{extra}]'"
        raise UsageError(f"--engine {scheme}: needs {error.name or extra}, which is not installed", hint) from None
    except Exception as error:  # of whatever kind the engine's library has
        raise InputError(
            f"{name} is not reached: {_first_line(error, address)}", "see it whole with --debug"
        ) from error
    return Remote(name, workers, map_tasks, memory_limit, close)


def _spark(address: str) -> Connected:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("esctl")
    if address.startswith("sc:"):
        place = urlsplit(address)
        socket.create_connection((place.hostname or "", place.port or CONNECT_PORT), 10).close()  # Spark waits minutes
        spark = builder.remote(address).getOrCreate()
        workers = DEFAULT_WORKERS
    else:
        if "://" not in address:
            os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else Spark takes the first `python3`
        spark = builder.master(address if "://" in address else address.removeprefix("spark:")).getOrCreate()
        workers = spark.sparkContext.defaultParallelism

    def map_tasks(tasks: Sequence[bytes]) -> Iterable[bytes]:
        rows = spark.createDataFrame([(text,) for text in tasks], "task binary").repartition(len(tasks))
        return [bytes(row.result) for row in rows.mapInArrow(run_batches, "result binary").collect()]

    return workers, map_tasks, spark.stop


def run_batches(batches: Iterable[Any]) -> Iterator[Any]:
    """Run the tasks of batches of a Spark partition."""
    import pyarrow as pa

    for batch in batches:
        results = [run_bytes(text) for text in batch.column("task").to_pylist()]
        yield pa.RecordBatch.from_pydict({"result": pa.array(results, pa.binary())})


def _ray(address: str) -> Connected:
    import ray

    if address == "ray:local":
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=40, ignore_reinit_error=True)
    else:
        ray.init(address, log_to_driver=False, logging_level=40, ignore_reinit_error=True)
    task = ray.remote(run_bytes)

    def map_tasks(tasks: Sequence[bytes]) -> Iterable[bytes]:
        results: list[bytes] = ray.get([task.remote(text) for text in tasks])
        return results

    return int(ray.cluster_resources().get("CPU", DEFAULT_WORKERS)), map_tasks, ray.shutdown


def _dask(address: str) -> Connected:
    from distributed import Client

    client = Client(address.replace("dask://", "tcp://", 1), set_as_default=False)

    def map_tasks(tasks: Sequence[bytes]) -> Iterable[bytes]:
        results: list[bytes] = client.gather(client.map(run_bytes, list(tasks), pure=False))
        return results

    return sum(client.nthreads().values()) or DEFAULT_WORKERS, map_tasks, client.close


_KINDS: dict[str, tuple[str, str, Callable[[str], Connected]]] = {
    "sc": ("spark", "Spark Connect", _spark),
    "spark": ("spark", "Spark", _spark),
    "ray": ("ray", "Ray", _ray),
    "dask": ("dask", "Dask", _dask),
}
"""By scheme: the extra that the engine needs, its name, and the function that connects to it."""
