"""DuckDB files of others, attached to a session for as long as they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from esctl.engine.duckdb import Session, _duckdb_module
from esctl.engine.quoting import literal
from esctl.errors import EsctlError, InputError

ALIAS = "esctl_target"
_HINT = "it must be a DuckDB file that you may write"


@contextmanager
def naming_file(path: Path, hint: str = _HINT) -> Iterator[None]:
    """Turn DuckDB's errors about a file or folder of others into InputErrors that name it."""
    try:
        yield
    except _duckdb_module().Error as error:
        raise _explain(path, str(error), hint) from error


def attach(session: Session, path: Path, *, writing: bool) -> None:
    """Attach a DuckDB file as `ALIAS`; one that does not exist is made, if it is for `writing`.

    Raises InputError if it is not a DuckDB file, or another process has it open.
    """
    options = "TYPE duckdb" if writing else "TYPE duckdb, READ_ONLY"
    with naming_file(path):
        session.connection.execute(f"ATTACH {literal(str(path))} AS {ALIAS} ({options})")


@contextmanager
def transaction(session: Session, path: Path) -> Iterator[None]:
    """Run the block as one transaction on the attached file, which is rolled back if the block raises."""
    with naming_file(path):
        session.connection.execute("BEGIN")
        try:
            yield
            session.connection.execute("COMMIT")
        except BaseException:
            with suppress(_duckdb_module().Error):
                session.connection.execute("ROLLBACK")
            raise


def detach(session: Session) -> None:
    """Detach the file; what was begun in it and not committed is rolled back."""
    with suppress(_duckdb_module().Error):
        session.connection.execute("ROLLBACK")
    with suppress(_duckdb_module().Error):
        session.connection.execute(f"DETACH {ALIAS}")


def _explain(path: Path, text: str, hint: str) -> EsctlError:
    first = text.splitlines()[0] if text else "it cannot be read"
    if "lock" in first or "already attached" in first or "file handle conflict" in first:
        return InputError(f"{path} is open in another process", "wait until it is done, or stop it")
    return InputError(f"{path}: {first}", hint)
