"""What goes wrong with objects as sources: which of it is worth to wait for, or to pass by."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from esctl.cloud.failures import AWAY, CHANGED, DENIED, GONE, OTHER, failure_of
from esctl.errors import EsctlError, InputError

AGAIN = "run the same command again: it goes on from there"
_HINTS = {
    CHANGED: AGAIN,
    OTHER: AGAIN,
    DENIED: "to list a bucket and to get its objects have to be allowed: s3:ListBucket, s3:GetObject",
}


class VanishedError(InputError):
    """Report an object that is not there (exit code 3)."""


class ChangedError(InputError):
    """Report an object that is no longer what was listed (exit code 3)."""


class AwayError(InputError):
    """Report a server that does not answer now (exit code 3)."""


_ERRORS = {GONE: VanishedError, CHANGED: ChangedError, AWAY: AwayError}


@contextmanager
def explained(name: str, scheme: str) -> Iterator[None]:
    """Turn what a client raises in the block into errors for people. `name`: what was asked for."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, FileNotFoundError, PermissionError, TimeoutError, ValueError) as error:
        raise explain(name, scheme, error) from None


def explain(name: str, scheme: str, error: Exception) -> EsctlError:
    """Return the error for people of what a client raised."""
    failure = failure_of(error)
    kind = AwayError if failure.status.startswith("5") else _ERRORS.get(failure.kind, InputError)
    return kind(f"{name}: {failure.message('read')}", _HINTS.get(failure.kind) or failure.hint(scheme))
