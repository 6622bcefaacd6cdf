"""A pool of processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread

from esctl.cluster.engines import ManyWorkers
from esctl.cluster.work import Failure, Work, WorkPart
from esctl.engine.sizes import parse_size
from esctl.errors import InputError

ATTEMPTS = 3
"""How often a task is tried if its worker is lost."""


class LocalPool(ManyWorkers):
    """Runs tasks in processes that end with this one."""

    folder: Path | None = None

    def __init__(self, workers: int, memory_limit: str | None = None) -> None:
        self.workers = workers
        self.memory_limit: str | None = _worker_memory(memory_limit, workers)
        self._pool: ProcessPoolExecutor | None = None
        self._keeps = self._stopped = False
        self._others: set[BaseProcess] = set()

    def run(self, tasks: Sequence[Work]) -> Iterator[WorkPart | Failure]:
        """Run tasks; those whose worker is lost are run again, in new processes. Raises InputError after `ATTEMPTS`.

        A task names the file that it made only at its end, so nothing of a lost one counts.
        """
        if len(tasks) == 1:
            yield tasks[0].run()
            return
        left = {task.number: task for task in tasks}
        for _ in range(ATTEMPTS):
            if self._stopped:
                break
            yield from self._attempt(left, tasks[0].folder)
            if not left:
                return
        raise InputError(
            f"{len(left)} of {len(tasks)} parts lost their process {ATTEMPTS} times",
            "there may be too little memory: give fewer processes, --engine local:2",
        )

    @contextmanager
    def keep_workers(self) -> Iterator[None]:
        """Keep the processes from one run to the next; they keep the folder of the first run."""
        self._keeps, self._stopped = True, False
        try:
            yield
        finally:
            self._keeps = False
            self._end()

    def stop(self) -> None:
        """End the processes that run tasks; the tasks are not run again."""
        self._stopped = True
        self._kill()

    def _kill(self) -> None:
        for process in set(multiprocessing.active_children()) - self._others if self._pool is not None else ():
            process.terminate()

    def _attempt(self, left: dict[int, Work], folder: Path) -> Iterator[WorkPart | Failure]:
        """Run the tasks that are left, and take those out that have a result."""
        pool, lost = self._start_pool(folder), False
        try:
            waiting: list[Future[WorkPart | Failure]] = [pool.submit(_run, task) for task in left.values()]
            for future in as_completed(waiting):
                try:
                    result = future.result()
                except BrokenProcessPool:
                    lost = True
                    continue
                del left[result.number]
                yield result
        except BaseException:
            self._kill()
            lost = True
            raise
        finally:
            if lost or not self._keeps:
                self._end()

    def _start_pool(self, folder: Path) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
            self._others = set(multiprocessing.active_children())
            self._pool = ProcessPoolExecutor(
                self.workers, context, _prepare_worker, (str(folder), os.getcwd(), {**os.environ})
            )
        return self._pool

    def _end(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)


def _run(task: Work) -> WorkPart | Failure:
    return task.run()


def _prepare_worker(folder: str, here: str, environment: Mapping[str, str]) -> None:
    """Prepare a worker: it works in the driver's directory, leaves interrupts to the driver, and ends with it.

    Its temporary files are in a folder that the driver removes, however the worker ends. It gets the driver's
    environment, as the process that it was forked from may have begun with other credentials.
    """
    os.chdir(here)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = folder
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def end() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    Thread(target=end, daemon=True).start()


def _worker_memory(memory_limit: str | None, workers: int) -> str:
    """Return the memory of one worker: its share of the limit, else of the machine's memory."""
    if memory_limit is None:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    else:
        whole = parse_size(memory_limit, "--memory-limit")
    return f"{int(whole / workers)}B"
