"""What is read from a client's errors: what the server says, never what something there is called."""

from __future__ import annotations

import pytest

from esctl.cloud.failures import AWAY, DENIED, EXPIRED, GONE, NO_CREDENTIALS, OTHER, REFUSED, UNTOLD, Kind, failure_of

SECRET = "AKIAEXAMPLE"


def answer(status: str, code: str = "", url: str = "http://127.0.0.1/logs/a") -> str:
    body = f"<Error><Code>{code}</Code><AWSAccessKeyId>{SECRET}</AWSAccessKeyId></Error>" if code else ""
    return f"Error performing GET {url} in 1ms - Server returned non-2xx status code: {status}: {body}"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (FileNotFoundError("Object at location expired/dns error/401 not found"), GONE),
        (FileNotFoundError(answer("404 Not Found", "NoSuchKey")), GONE),
        (FileNotFoundError(answer("404 Not Found")), GONE),
        (FileNotFoundError(answer("404 Not Found", "NoSuchAccount")), OTHER),  # of which nothing follows for the object
        (FileNotFoundError(answer("404 Not Found", url="http://169.254.169.254/latest/api/token")), NO_CREDENTIALS),
        (RuntimeError(answer("403 Forbidden", "SignatureDoesNotMatch")), REFUSED),
        (RuntimeError(answer("403 Forbidden", "SomethingNew")), DENIED),
        (RuntimeError(answer("599 <unknown status code>")), OTHER),
        (RuntimeError(answer("418 I'm a teapot")), OTHER),
        (RuntimeError("Error performing GET http://127.0.0.1/expired/401 in 1ms - HTTP error: request"), AWAY),
        (RuntimeError("External AWS credential provider: RuntimeError: Token has expired"), EXPIRED),
        (RuntimeError(f"something {SECRET}"), UNTOLD),
    ],
)
def test_a_failure_is_told_by_what_the_server_says(error: Exception, kind: Kind) -> None:
    found = failure_of(error)
    assert found.kind == kind
    for scheme in ("s3", "gs", "az"):
        told = f"{found.message('read')} {found.hint(scheme)}"
        assert SECRET not in told
        assert not {"{", "}", "\n"} & set(told)


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (answer("599 <unknown status code>"), True),
        (answer("408 Request Timeout"), True),
        (answer("409 Conflict", "ConditionalRequestConflict"), True),
        (answer("400 Bad Request"), False),
        ("Generic S3 error: HTTP error: error sending request", True),
        (answer("200 OK", url="http://metadata.google.internal/token"), False),
    ],
)
def test_of_what_nobody_knows_whether_it_was_done(error: str, lost: bool) -> None:
    assert failure_of(RuntimeError(error)).is_lost is lost


def test_a_key_that_cannot_be_named_is_told() -> None:
    error = ValueError('Path "c//d{x}" contained empty path segment')
    assert failure_of(error).message("read").startswith("the key 'c//d{x}' has an empty part")
