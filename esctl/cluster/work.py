"""The work that engines run, wherever it is, and its results."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from msgspec import Struct

from esctl import __version__
from esctl.ask.scope.lookups import Spooled
from esctl.engine.duckdb import duckdb_version
from esctl.errors import EsctlError, UsageError


class Work(Protocol):
    """Work for an engine: it can be pickled, and names the file that it made only at its end."""

    @property
    def number(self) -> int:
        """Return its number among the works that are run together."""

    @property
    def folder(self) -> Path:
        """Return the folder that it writes to."""

    def run(self) -> WorkPart | Failure:
        """Do the work on whatever machine this is; an EsctlError is returned as a Failure."""


class WorkPart(Struct, frozen=True):
    """The result of a task: a file, and the names that came up for a spool."""

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
    """Raise UsageError if the versions of this worker are not the driver's."""
    for name, own, wanted in zip(("esctl", "DuckDB"), versions(), driver, strict=True):
        if own != wanted:
            raise UsageError(
                f"a worker has {name} {own}, and this is {wanted}", "install the same versions on all workers"
            )
