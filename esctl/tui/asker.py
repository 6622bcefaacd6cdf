"""Ask in threads, so that the screen never waits; of questions that wait under one name, only the latest is asked."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from threading import Condition, Thread
from typing import Any

from msgspec import Struct

from esctl.api import Store

Ask = Callable[[Store], Any]


class Job(Struct, frozen=True):
    """A question under its name. `number` grows with each question that is asked."""

    name: str
    number: int
    ask: Ask


class Answered(Struct, frozen=True):
    """What a job gave: a value, or what went wrong."""

    job: Job
    asker: Asker
    value: Any = None
    problem: Exception | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether the question was not dropped, which it may have been while its answer was on its way."""
        return self.asker.wants(self.job)


class Asker:
    """One thread that asks one store. It calls `tell` with each answer that is still wanted."""

    def __init__(self, store: Store, tell: Callable[[Answered], None]) -> None:
        self.store = store
        self._tell = tell
        self._waiting: dict[str, Job] = {}
        self._running: Job | None = None
        self._count = 0
        self._dropped: dict[str, int] = {}  # by name, the number up to which questions are not wanted
        self._cancelled = 0  # the same for all names
        self._changed = Condition()
        self._ended = False
        Thread(target=self._run, daemon=True, name="esctl-ask").start()

    @property
    def busy(self) -> bool:
        """Whether anything is asked that has no answer yet."""
        with self._changed:
            return self._running is not None or bool(self._waiting)

    def ask(self, name: str, ask: Ask) -> None:
        """Ask a question; one of the same name that waits is dropped, one that runs is answered first."""
        with self._changed:
            self._count += 1
            self._waiting.pop(name, None)
            self._waiting[name] = Job(name, self._count, ask)
            self._changed.notify_all()

    def drop(self, *names: str) -> None:
        """Forget questions: their answers are not delivered."""
        with self._changed:
            for name in names:
                self._waiting.pop(name, None)
                self._dropped[name] = self._count

    def wants(self, job: Job) -> bool:
        """Return whether a question was neither dropped nor cancelled since it was asked."""
        return job.number > max(self._cancelled, self._dropped.get(job.name, 0))

    def cancel(self) -> None:
        """Stop what runs and forget what waits."""
        with self._changed:
            self._waiting.clear()
            self._cancelled = self._count
            running = self._running
        if running is not None:
            with contextlib.suppress(Exception):  # it may just have ended
                self.store.session.connection.interrupt()

    def end(self) -> None:
        """End the thread."""
        self.cancel()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or bool(self._waiting))
                if self._ended:
                    return
                job = self._running = self._waiting.pop(next(iter(self._waiting)))
            answered = self._answer(job)
            with self._changed:
                wanted = self.wants(job) and not self._ended
            if wanted:
                self._tell(answered)
            with self._changed:
                self._running = None
                self._changed.notify_all()

    def _answer(self, job: Job) -> Answered:
        try:
            return Answered(job, self, job.ask(self.store))
        except Exception as problem:
            return Answered(job, self, problem=problem)
