"""Errors of an object store, turned into the errors that a depot raises."""

from __future__ import annotations

from esctl.cloud.failures import DENIED, ELSEWHERE, GONE, NO_BUCKET, UNNAMED, Failure, failure_of
from esctl.errors import EsctlError, UnavailableError

_HINTS = {
    NO_BUCKET: "make it first, or look at the name and at the endpoint",
    DENIED: "the credentials must allow to list, read, write and delete there",
}
_DENIALS = {"", "AccessDenied", "AllAccessDisabled", "AuthorizationPermissionMismatch", "AuthorizationFailure"}
"""Codes for callers that may only read; any other refusal of a change is reported with its reason."""


def is_lost(error: Exception) -> bool:
    """Return whether it is unknown if a request was carried out: no answer came, or the server failed."""
    return failure_of(error).is_lost


def error_for(error: Exception, doing: str, url: str, name: str) -> Exception:
    """Return what to raise for an error of obstore: FileNotFoundError, PermissionError or UnavailableError."""
    if isinstance(error, EsctlError):
        return error
    failure = failure_of(error)
    if failure.kind is GONE and doing == "write":
        failure = Failure(NO_BUCKET)  # an object to write need not exist, but its bucket must
    if failure.kind is GONE or (failure.kind is UNNAMED and doing == "read"):
        return FileNotFoundError(2, "there is no such object", f"{url}/{name}")
    if failure.kind is DENIED and failure.code in _DENIALS and doing in ("write", "remove"):
        return PermissionError(13, "access is denied", f"{url}/{name}")
    place = "/".join(url.split("/")[:3]) if failure.kind in (NO_BUCKET, ELSEWHERE) else url
    hint = _HINTS.get(failure.kind) or failure.hint(url.partition(":")[0])
    return UnavailableError(f"{place}: {failure.message(doing)}", hint)
