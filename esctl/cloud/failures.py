"""Failures of object storage, read from a client's errors, whose own text is not shown: it may hold signatures.

Callers report them as errors of their own kinds.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from msgspec import Struct

from esctl.cloud.credentials import CREDENTIAL_HINTS


class Kind(Struct, frozen=True):
    """A kind of failure: the pattern of its signs, its message and its hint. `{doing}`: what was asked for, as a verb.

    The hint is empty if it depends on what the caller is doing.
    """

    sign: str
    message: str
    hint: str = ""


class Failure(Struct, frozen=True):
    """A failure as a client reports it: its kind, and the status and the code of the server's answer, if one came."""

    kind: Kind
    status: str = ""
    code: str = ""
    key: str = ""

    @property
    def is_lost(self) -> bool:
        """Return whether it is unknown if the request was carried out: no answer came, or the server failed."""
        return self.status.startswith(("5", "408", "409")) if self.status else self.kind is AWAY

    def message(self, doing: str) -> str:
        """Return the message, which follows the name of what was asked for."""
        codes = ", ".join(each for each in (self.status, self.code) if each)
        more = f": {codes}" if self.kind is OTHER else f" ({self.code})" if self.kind is REFUSED and self.code else ""
        return self.kind.message.format(doing=doing, key=repr(self.key)) + more

    def hint(self, scheme: str) -> str:
        """Return the hint for the cloud of a scheme."""
        return self.kind.hint.format(credentials=CREDENTIAL_HINTS.get(scheme, ""))


UNNAMED = Kind(
    "",
    "the key {key} has an empty part, . or .., or a control character, and cannot be read",
    "nothing listed after it is read: name what is beside it by a narrower pattern",
)
NO_CREDENTIALS = Kind(
    r"metadata server|token request|Account must be specified|Missing \w*Key|(?i:missing ?credentials)",
    "no credentials were found",
    "{credentials}",
)
NO_BUCKET = Kind(
    r"NoSuchBucket|ContainerNotFound|InvalidBucketName",
    "there is no such bucket",
    "check its name, the region and the endpoint",
)
EXPIRED = Kind(
    r"ExpiredToken|RequestExpired|TokenRefreshRequired|words:.*[Ee]xpired",
    "the credentials have expired",
    "sign in again; or {credentials}",
)
SKEWED = Kind(
    r"RequestTimeTooSkewed", "the server's clock differs too much from this one", "set the clock of this machine"
)
REFUSED = Kind(
    r"InvalidAccessKeyId|SignatureDoesNotMatch|InvalidToken|InvalidClientTokenId|AuthenticationFailed"
    r"|Invalid Access Key|XAdminUserNotFound|status:401|UnauthenticatedError",
    "the credentials are not accepted",
    "{credentials}",
)
ELSEWHERE = Kind(
    r"without LOCATION|AuthorizationHeaderMalformed|PermanentRedirect|TemporaryRedirect|IllegalLocation|status:301",
    "the bucket is in another region",
    "name that by AWS_REGION",
)
ARCHIVED = Kind(r"InvalidObjectState|BlobArchived", "it is archived, and has no bytes at hand", "restore it first")
DENIED = Kind(
    r"status:403|PermissionDenied|AccessDenied|AllAccessDisabled|AuthorizationPermissionMismatch|AuthorizationFailure",
    "the credentials do not allow to {doing} it",
)
CHANGED = Kind(r"status:412|PreconditionError", "it changed since it was listed")
GONE = Kind(
    r"code:(NoSuchKey|BlobNotFound)\Z|status:404.* code:\Z", "it is not there", "it may have been deleted meanwhile"
)
UNPACKED = Kind(  # Google unpacks what is stored compressed, and then sends no length: its docs/transcoding
    r"Content-Length Header missing",
    "it is served in another form than it is stored in",
    "if it is stored with Content-Encoding: gzip, take that from it: "
    "gcloud storage objects update --clear-content-encoding",
)
FOREIGN = Kind(r"invalid list response|invalid response", "the server is none of object storage", "check the endpoint")
AWAY = Kind(
    r"TimeoutError|words:.*(error sending request|Connection|timed out|TimedOut|dns error|HTTP error)",
    "the server does not answer",
    "check the network, and the endpoint if one is told",
)
OTHER = Kind("", "the server refused to {doing}", "run the same command again")
UNTOLD = Kind("", "the server failed to {doing}", "check its name, its endpoint and the credentials")
_KINDS_WITH_SIGNS = (
    *(NO_CREDENTIALS, NO_BUCKET, EXPIRED, SKEWED, REFUSED, ELSEWHERE, ARCHIVED, DENIED, CHANGED, GONE, UNPACKED),
    *(FOREIGN, AWAY),
)
"""The kinds that have signs, in the order in which these are looked for."""
_BAD_KEY = re.compile(r'[Pp]ath "(.*?)"(?: contained|: Encountered)', re.DOTALL)
_REQUEST = re.compile(r"Error performing [A-Z]+ (\S+)(.*)", re.DOTALL)
_ANSWER = re.compile(r"status code: ([1-5]\d\d)( [A-Za-z' -]{1,40})?[^:]{0,40}(?::(.*))?", re.DOTALL)
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_MACHINE = "metadata server"
_METADATA = ("169.254.169.254", "169.254.170.2", "metadata.google.internal")
"""The hosts that a machine in a cloud asks for credentials, if it found them nowhere else."""


def failure_of(error: Exception) -> Failure:
    """Return the failure that a client's exception reports."""
    text = str(error).partition("\n\nDebug source")[0]
    if bad := _BAD_KEY.search(text):
        return Failure(UNNAMED, key=bad[1])
    words, status, code = _signs(text)
    if isinstance(error, FileNotFoundError) and not code and words != _MACHINE:
        return Failure(GONE, status)
    name = "" if code else type(error).__name__  # a code says more than the client makes of the status
    signs = f"{name} words:{words} status:{status} code:{code}"
    kinds = (kind for kind in _KINDS_WITH_SIGNS if re.search(kind.sign, signs, re.DOTALL))
    return Failure(next(kinds, OTHER if status or code else UNTOLD), status, code)


def _signs(text: str) -> tuple[str, str, str]:
    """Return a client's own words, the status and the code, without names, which anyone may choose."""
    request = _REQUEST.search(text)
    if request is None:
        return text, "", ""
    if _asks_the_machine(request[1]):
        return _MACHINE, "", ""
    answer = _ANSWER.search(request[2])
    if answer is None:
        return request[2], "", ""
    code = _CODE.search(answer[3] or "")
    return "", f"{answer[1]}{(answer[2] or '').rstrip()}", code[1] if code else ""


def _asks_the_machine(url: str) -> bool:
    try:
        return urlsplit(url).hostname in _METADATA
    except ValueError:
        return False
