"""What an object store answers when it does not do as asked, in one line each.

Its own words are never shown: they may name keys, tokens and signatures.
"""

from __future__ import annotations

import re

from esctl.errors import EsctlError, UnavailableError

_CODE = re.compile(r"<Code>([A-Za-z]{1,60})</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
_METADATA = ("169.254.169.254", "169.254.170.2", "metadata.google.internal", "/latest/api/token")
_UNANSWERED = ("error sending request", "Connection", "timed out", "TimedOut", "dns error", "HTTP error")
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"}
_UNKNOWN = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "InvalidClientTokenId", "XAdminUserNotFound"}
_ELSEWHERE = {"PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraint"}
_NO_BUCKET = {"NoSuchBucket", "InvalidBucketName", "ContainerNotFound"}
_DENIED = {"AccessDenied", "AllAccessDisabled", "AuthorizationPermissionMismatch", "AuthorizationFailure"}
_NO_OBJECT = {"", "NoSuchKey", "BlobNotFound"}
_KEYS = {
    "s3": "give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile by AWS_PROFILE",
    "gs": "give the file of a service account by GOOGLE_APPLICATION_CREDENTIALS",
    "az": "give AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or a token",
}


def is_lost(error: Exception) -> bool:
    """Return whether nobody knows if what was asked was done: there was no answer, or one that the server failed."""
    text = str(error)
    status = _STATUS.search(text)
    if status is not None:
        return status[1].startswith("5") or status[1] in ("408", "409")
    return any(word in text for word in _UNANSWERED)


def told(error: Exception, doing: str, url: str, name: str) -> Exception:
    """Return what to raise for an error of obstore: FileNotFoundError, PermissionError or UnavailableError."""
    text = str(error)
    code = found[1] if (found := _CODE.search(text)) else ""
    status = found[1] if (found := _STATUS.search(text)) else ""
    if isinstance(error, EsctlError):
        return error
    if isinstance(error, (FileNotFoundError, ValueError)) and code in _NO_OBJECT:
        if doing != "write":
            return FileNotFoundError(2, "there is no such object", f"{url}/{name}")
        code = "NoSuchBucket"  # what is written need not be there, but the bucket
    denied = code in _DENIED or (status == "403" and not code and not _asks_the_machine(text))
    if denied and doing in ("write", "remove"):
        return PermissionError(13, "access is denied", f"{url}/{name}")
    return UnavailableError(*_line(text, code, status, doing, url, denied))


def _asks_the_machine(text: str) -> bool:
    """Return whether it was the machine that was asked for credentials: they were found nowhere else."""
    return any(word in text for word in _METADATA)


def _line(text: str, code: str, status: str, doing: str, url: str, denied: bool) -> tuple[str, str]:
    keys = _KEYS.get(url.partition(":")[0], "")
    bucket = "/".join(url.split("/")[:3])
    if code in _NO_BUCKET:
        return f"{bucket}: there is no such bucket", "make it first, or look at the name and at the endpoint"
    if code in _EXPIRED or (not code and "expired" in text.lower()):
        return f"{url}: the credentials have expired", f"renew them, or {keys}"
    if code in _UNKNOWN or status == "401":
        return f"{url}: the credentials are not accepted{f' ({code})' if code else ''}", keys
    if _asks_the_machine(text) or "missingcredentials" in text.lower().replace(" ", ""):
        return f"{url}: no credentials were found", keys
    if denied or status == "403":
        return f"{url}: access is denied to {doing}", "the credentials must allow to list, read, write and delete there"
    if code in _ELSEWHERE or status == "301":
        return f"{bucket}: the bucket is in another region", "name it by AWS_REGION"
    if code or status:
        return (
            f"{url}: the object store refused to {doing}: {' '.join(filter(None, [status, code]))}",
            "try again later",
        )
    if any(word in text for word in _UNANSWERED):
        return f"{url}: the object store does not answer", "is the network there, and the endpoint right?"
    return f"{url}: the object store failed to {doing}", "look at its name, its endpoint and the credentials"
