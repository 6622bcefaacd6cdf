"""What goes wrong in object storage, in one line; a client's own text may hold signatures, and is not told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

from esctl.cloud.credentials import MISSING
from esctl.errors import EsctlError, InputError

AGAIN = "run the same command again: it goes on from there"


class VanishedError(InputError):
    """Report an object that is not there (exit code 3)."""


class ChangedError(InputError):
    """Report an object that is no longer what was listed (exit code 3)."""


class AwayError(InputError):
    """Report a server that does not answer now (exit code 3)."""


class _Case(Struct, frozen=True):
    """A kind of failure: how a client tells it, and what is said of it."""

    sign: str
    message: str
    hint: str
    error: type[InputError] = InputError


_CASES = (
    _Case(
        r"metadata server|token request|Account must be specified|Missing \w*Key",
        "no credentials were found",
        "MISSING",
    ),
    _Case(
        r"NoSuchBucket|ContainerNotFound",
        "there is no such bucket",
        "check its name, the region and the endpoint",
    ),
    _Case(r"ExpiredToken|RequestExpired|TokenRefreshRequired", "the credentials have expired", "sign in again"),
    _Case(
        r"RequestTimeTooSkewed", "the server's clock differs too much from this one", "set the clock of this machine"
    ),
    _Case(
        r"InvalidAccessKeyId|SignatureDoesNotMatch|InvalidToken|AuthenticationFailed|Invalid Access Key"
        r"|401 Unauthorized|UnauthenticatedError",
        "the credentials are not accepted",
        "they are those of the environment, or of the profile that it names",
    ),
    _Case(
        r"without LOCATION|AuthorizationHeaderMalformed|PermanentRedirect|IllegalLocation",
        "the bucket is in another region",
        "name that by AWS_REGION",
    ),
    _Case(r"InvalidObjectState|BlobArchived", "it is archived, and has no bytes at hand", "restore it first"),
    _Case(
        r"403 Forbidden|PermissionDenied",
        "the credentials do not allow it",
        "to list a bucket and to get its objects have to be allowed: s3:ListBucket, s3:GetObject",
    ),
    _Case(r"412 Precondition", "it changed since it was listed", AGAIN, ChangedError),
    _Case(r"404 Not Found|FileNotFoundError", "it is not there", "it may have been deleted meanwhile", VanishedError),
    _Case(
        r"error sending request",
        "the server cannot be reached",
        "check the network, and the endpoint if one is told",
        AwayError,
    ),
    _Case(  # Google unpacks what is stored so, and then says no length: its docs/transcoding
        r"Content-Length Header missing",
        "it is served in another form than it is stored in",
        "if it is stored with Content-Encoding: gzip, take that from it: "
        "gcloud storage objects update --clear-content-encoding",
    ),
    _Case(r"invalid list response|invalid response", "the server is none of object storage", "check the endpoint"),
)
_BAD_KEY = re.compile(r'[Pp]ath "(.*?)"(?: contained|: Encountered)', re.DOTALL)
_REQUEST = re.compile(r"Error performing [A-Z]+ (\S+)(.*)", re.DOTALL)
_ANSWER = re.compile(r"status code: ([1-5][0-9]{2} [A-Za-z -]{1,40})(?::(.*))?", re.DOTALL)
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_METADATA = "http://169.254."


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
    told = str(error).partition("\n\nDebug source")[0]
    if bad := _BAD_KEY.search(told):
        return InputError(
            f"{name}: the key {bad[1]!r} has an empty part, . or .., or a control character, and cannot be read",
            "nothing listed after it is read: name what is beside it by a narrower pattern",
        )
    words, status, code = _signs(told)
    signs = f"{type(error).__name__} {words} {status} {code}"
    for case in _CASES:
        if re.search(case.sign, signs):
            hint = MISSING[scheme] if case.hint == "MISSING" else case.hint
            return case.error(f"{name}: {case.message}", hint)
    codes = ", ".join(each for each in (status, code) if each)
    kind = AwayError if status.startswith("5") else InputError
    return kind(f"{name}: cannot be read from the server{f': {codes}' if codes else ''}", AGAIN)


def _signs(told: str) -> tuple[str, str, str]:
    """Return what a client says apart from names, which are anyone's: its own words, the status and the code."""
    request = _REQUEST.search(told)
    if request is None:
        return told, "", ""
    answer = _ANSWER.search(request[2])
    words = "metadata server" if request[1].startswith(_METADATA) else request[2] if answer is None else ""
    code = _CODE.search(answer[2] or "") if answer else None
    return words, answer[1].strip() if answer else "", code[1] if code else ""
