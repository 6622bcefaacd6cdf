"""What engines run, wherever it is, and what comes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from msgspec import Struct

from esctl import __version__
from esctl.ask.scope.lookups import Spooled
from esctl.engine.duckdb import duckdb_version
from esctl.errors import EsctlError, UsageError


class Work(Protocol):
    """What an engine runs: it can be pickled, and names what it has made only at its end."""

    @property
    def number(self) -> int:
        """Return its place among those that are run together."""

    @property
    def folder(self) -> Path:
        """Return where it writes."""

    def run(self) -> Part | Failure:
        """Do it, wherever this is; an error for people is returned."""


class Part(Struct, frozen=True):
    """What came of a task: a file, and the names that were found for a spool."""

    number: int
    made: Spooled


class Failure(Struct, frozen=True):
    """Why a task failed: an error for people, and the event that it names, if any."""

    number: int
    kind: type[EsctlError]
    message: str
    hint: str
    position: int | None = None

    def error(self) -> EsctlError:
        """Return the error to be raised."""
        return self.kind(self.message, self.hint)


def versions() -> tuple[str, str]:
    """Return the versions that a driver and its workers must have in common: of esctl and of DuckDB."""
    return __version__, duckdb_version()


def check_versions(driver: tuple[str, str]) -> None:
    """Raise UsageError where those of this worker are not the driver's."""
    for name, own, wanted in zip(("esctl", "DuckDB"), versions(), driver, strict=True):
        if own != wanted:
            raise UsageError(
                f"a worker has {name} {own}, and this is {wanted}", "install the same versions on all workers"
            )
