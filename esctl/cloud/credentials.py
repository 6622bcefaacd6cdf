"""Credentials for object storage, from where the tools of its cloud take them; they are neither kept nor shown."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from esctl.errors import InputError, UsageError

CREDENTIAL_HINTS = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; public buckets: AWS_SKIP_SIGNATURE=true",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS, or run: gcloud auth application-default login",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME, and AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN",
}
"""What to do, by scheme, if no credentials are found."""
_GOOGLE_VARIABLES = (
    "SERVICE_ACCOUNT",
    "SERVICE_ACCOUNT_PATH",
    "SERVICE_ACCOUNT_KEY",
    "APPLICATION_CREDENTIALS",
    "BEARER_TOKEN",
)
_NO_CREDENTIALS = ("ACCOUNT_NAME", "ENDPOINT")
_GOOGLE_DEFAULT = "gcloud/application_default_credentials.json"
_METADATA = ("169.254.169.254", 80)
_REREAD_AFTER = timedelta(minutes=5)
"""How long to use credentials before they are read again, as they may have been renewed meanwhile."""


class Access(Struct, frozen=True):
    """What a client is made with: settings, a function that returns credentials, and the endpoint, if one is set."""

    settings: Mapping[str, Any] = {}
    provider: Callable[[], dict[str, Any]] | None = None
    endpoint: str = ""


def access_to(scheme: str, name: str) -> Access:
    """Find what is needed to reach a bucket, which `name` names in errors.

    Raises UsageError for a wrong profile or endpoint, InputError if there are no credentials.
    """
    access = {"s3": _amazon, "gs": _google, "az": _azure}[scheme](name)
    if access.endpoint and not _is_server(access.endpoint):
        raise UsageError(f"{name}: the endpoint that is told is no URL of a server", "write it like https://HOST:PORT")
    return access


def service_identity(scheme: str) -> str:
    """Return what identifies the service that is set up: its endpoint, and for Azure also the account."""
    return {"s3": _amazon_endpoint, "gs": _google_endpoint, "az": _azure_identity}[scheme]().rstrip("/")


def missing_credentials(scheme: str, name: str) -> InputError:
    """Return the error for missing credentials."""
    return InputError(f"{name}: no credentials were found", CREDENTIAL_HINTS[scheme])


def _amazon_endpoint() -> str:
    endpoint = _first_variable("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    if endpoint:
        return endpoint
    with suppress(ImportError):
        import botocore.exceptions
        import botocore.session

        with suppress(botocore.exceptions.BotoCoreError):  # reported once credentials are asked for
            return str(botocore.session.Session().get_scoped_config().get("endpoint_url", ""))
    return ""


def _amazon(name: str) -> Access:
    import botocore.exceptions
    import botocore.session

    try:
        session = botocore.session.Session()
        session.get_scoped_config()  # report a missing profile now
        region = _first_variable("AWS_REGION") or session.get_config_variable("region")
        found = None if _is_set("AWS_SKIP_SIGNATURE") else session.get_credentials()
        if found is not None:
            found.get_frozen_credentials()  # report expired credentials now
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        raise UsageError(f"{name}: {_one_line(error)}", "see AWS_PROFILE and ~/.aws/config") from None
    if found is None and not _is_set("AWS_SKIP_SIGNATURE"):
        raise missing_credentials("s3", name)
    settings = {"disable_bulk_delete": True, **({"region": region} if region else {})}  # not all servers have it
    return Access(
        settings, None if found is None else lambda: _frozen_credentials(found), _amazon_endpoint().rstrip("/")
    )


def _frozen_credentials(found: Any) -> dict[str, Any]:
    now = found.get_frozen_credentials()
    return {
        "access_key_id": now.access_key,
        "secret_access_key": now.secret_key,
        "token": now.token,
        "expires_at": datetime.now(UTC) + _REREAD_AFTER,
    }


def _google(name: str) -> Access:
    home = Path(os.environ.get("CLOUDSDK_CONFIG") or Path("~/.config/gcloud").expanduser()).parent
    has_variables = any(_first_variable(f"GOOGLE_{each}") for each in _GOOGLE_VARIABLES) or _is_set(
        "GOOGLE_SKIP_SIGNATURE"
    )
    if not has_variables and not (home / _GOOGLE_DEFAULT).is_file() and not _is_in_cloud():
        raise missing_credentials("gs", name)
    return Access(endpoint=_google_endpoint())


def _google_endpoint() -> str:
    return _first_variable("GOOGLE_BASE_URL")


def _azure(name: str) -> Access:
    variables = [each for each in os.environ if each.startswith("AZURE_") and not each.endswith(_NO_CREDENTIALS)]
    if not variables and not _is_in_cloud():
        raise missing_credentials("az", name)
    return Access(endpoint=_azure_endpoint())


def _azure_endpoint() -> str:
    return _first_variable("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT")


def _azure_identity() -> str:
    return f"{_first_variable('AZURE_STORAGE_ACCOUNT_NAME', 'AZURE_ACCOUNT_NAME')} {_azure_endpoint()}".strip()


def _is_in_cloud() -> bool:
    """Return whether a cloud's own server for credentials answers; clients try for minutes before they give up."""
    import socket

    try:
        socket.create_connection(_METADATA, 1.0).close()
    except OSError:
        return False
    return True


def _first_variable(*names: str) -> str:
    return next((os.environ[name] for name in names if os.environ.get(name)), "")


def _is_set(name: str) -> bool:
    return os.environ.get(name, "").lower() in ("true", "1", "yes", "on")


def _is_server(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and not set(url) & set(" \t\r\n?#")
    except ValueError:
        return False


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
