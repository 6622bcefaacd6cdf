"""What object stores answer, in one line each, with nothing of it repeated but its code."""

from __future__ import annotations

import pytest

from esctl.errors import UnavailableError
from esctl.storage.refusals import error_for, is_lost

SECRET = "AKIAEXAMPLE"


def answer(status: str = "", code: str = "", rest: str = "", url: str = "http://127.0.0.1/bucket/a") -> Exception:
    """Make an error as obstore has it."""
    body = f"<Error><Code>{code}</Code><AWSAccessKeyId>{SECRET}</AWSAccessKeyId></Error>" if code else ""
    said = f"Server returned non-2xx status code: {status}: {body}" if status else ""
    return RuntimeError(f"Generic S3 error: Error performing PUT {url} in 1ms - {said}{rest}\n{SECRET}")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (answer("404 Not Found", "NoSuchBucket"), "s3://bucket: there is no such bucket"),
        (answer("400 Bad Request", "ExpiredToken"), "s3://bucket/a: the credentials have expired"),
        (RuntimeError("Token has expired and refresh failed"), "s3://bucket/a: the credentials have expired"),
        (
            answer("403 Forbidden", "SignatureDoesNotMatch"),
            "s3://bucket/a: the credentials are not accepted (SignatureDoesNotMatch)",
        ),
        (answer("401 Unauthorized"), "s3://bucket/a: the credentials are not accepted"),
        (
            answer("403 Forbidden", url="http://169.254.169.254/latest/api/token"),
            "s3://bucket/a: no credentials were found",
        ),
        (
            answer(rest="error sending request", url="http://169.254.170.2/v2/credentials"),
            "s3://bucket/a: no credentials were found",
        ),
        (answer("403 Forbidden", "AccessDenied"), "s3://bucket/a: the credentials do not allow to read it"),
        (answer("301 Moved", "PermanentRedirect"), "s3://bucket: the bucket is in another region"),
        (answer("503 Slow", "SlowDown"), "s3://bucket/a: the server refused to read: 503 Slow, SlowDown"),
        (answer(rest="error sending request"), "s3://bucket/a: the server does not answer"),
        (RuntimeError(f"something {SECRET}"), "s3://bucket/a: the server failed to read"),
    ],
)
def test_each_answer_is_one_line(error: Exception, line: str) -> None:
    found = error_for(error, "read", "s3://bucket/a", "log/b")
    assert isinstance(found, UnavailableError)
    assert found.message == line
    assert found.hint
    assert SECRET not in f"{found.message} {found.hint}"


def test_what_is_not_there_and_what_may_not_be_written() -> None:
    missing = FileNotFoundError("Object at location a not found: status code: 404")
    assert isinstance(error_for(missing, "read", "s3://bucket/a", "b"), FileNotFoundError)
    assert "no such bucket" in str(error_for(missing, "write", "s3://bucket/a", "b"))
    denied = error_for(answer("403 Forbidden", "AccessDenied"), "write", "s3://bucket/a", "b")
    assert isinstance(denied, PermissionError)
    assert str(denied.filename) == "s3://bucket/a/b"


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (answer("500 Internal", "InternalError"), True),
        (answer("409 Conflict", "ConditionalRequestConflict"), True),
        (answer("403 Forbidden", "AccessDenied"), False),
        (answer(rest="error sending request"), True),
        (RuntimeError("Not an URL"), False),
    ],
)
def test_of_which_requests_nobody_knows_what_became(error: Exception, lost: bool) -> None:
    assert is_lost(error) is lost
