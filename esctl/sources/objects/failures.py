"""Errors of objects as sources: which to wait out, and which to pass over."""

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
    """Report that an object does not exist (exit code 3)."""


class ChangedError(InputError):
    """Report that an object is no longer what was listed (exit code 3)."""


class AwayError(InputError):
    """Report that a server does not answer now (exit code 3)."""


_ERRORS = {GONE: VanishedError, CHANGED: ChangedError, AWAY: AwayError}


@contextmanager
def explaining(name: str, scheme: str) -> Iterator[None]:
    """Turn what a client raises in the block into errors for people. `name`: what was requested."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, FileNotFoundError, PermissionError, TimeoutError, ValueError) as error:
        raise explain(name, scheme, error) from None


def explain(name: str, scheme: str, error: Exception) -> EsctlError:
    """Return the error for people in place of what a client raised."""
    failure = failure_of(error)
    kind = AwayError if failure.status.startswith("5") else _ERRORS.get(failure.kind, InputError)
    return kind(f"{name}: {failure.message('read')}", _HINTS.get(failure.kind) or failure.hint(scheme))
