"""Stores named by a URL: which services there are, how they are reached, and where their mirrors are."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esctl.config import kept_elsewhere
from esctl.errors import UsageError
from esctl.storage.mirrors import register, registered

if TYPE_CHECKING:
    from esctl.storage.protocol import Depot

_URL = re.compile(r"(s3|gs|gcs|az|azure|abfs|abfss):/{1,2}([^/].*)", re.ASCII)  # a Path has lost one slash
_SCHEMES = {"gcs": "gs", "azure": "az", "abfs": "az", "abfss": "az"}
_INSTALL = "pip install 'esctl-audit[cloud]'"
_RETRIES, _RETRY_SECONDS = 4, 30
_WHOLE_SECONDS, _SILENT_SECONDS = 3600, 20
"""Seconds that one request may take, which may be a large file; and in which something must come."""


def store_url(given: str) -> str:
    """Return the URL of a store that is kept in objects; empty for a path. Raises UsageError for one that is wrong."""
    found = _URL.fullmatch(given)
    if found is None:
        return ""
    scheme, place = _SCHEMES.get(found[1], found[1]), found[2].strip("/")
    if "@" in place.partition("/")[0] or "?" in place or "#" in place:
        raise UsageError("--store is a URL with more than a bucket and a path", "keys are read from the environment")
    parts = place.split("/")
    if not {"", ".", ".."}.isdisjoint(parts):
        raise UsageError(f"--store {scheme}://{place} is not a place", "write it like s3://bucket/path")
    return f"{scheme}://{place}"


def located(given: Path | str) -> Path:
    """Return the folder of a store: its mirror for the URL of one that is kept in objects.

    Raises UsageError where the extra that reaches it is not installed, or the URL is wrong.
    """
    url = store_url(str(given))
    if not url:
        return Path(given)
    from hashlib import sha256

    root = mirrors_folder() / sha256(_told_apart(url).encode()).hexdigest()[:32] / "store"
    if not registered(root):
        attach(root, url, connect(url))
    return root


def attach(root: Path, url: str, depot: Depot) -> None:
    """Have a folder mirror the store in a depot."""
    from esctl.storage.mirror import Mirror

    register(Mirror(root, url, depot))
    kept_elsewhere.add(root)


def mirrors_folder() -> Path:
    """Return the folder of all mirrors: `esctl/stores` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache").resolve() / "esctl" / "stores"


def _told_apart(url: str) -> str:
    """Return what tells stores of one URL at different services apart."""
    return f"{_endpoint(_profile())} {url}" if url.startswith("s3:") else url


def connect(url: str) -> Depot:
    """Return the depot of a URL; nothing is asked of it yet. Raises UsageError where the extra is not installed."""
    try:
        from obstore.store import from_url
    except ImportError:
        raise UsageError("a store in objects needs obstore, which is not installed", _INSTALL) from None
    from datetime import timedelta

    from esctl.storage.objects import ObjectDepot

    settings: dict[str, Any] = _s3(_profile()) if url.startswith("s3:") else {}
    seconds = {"timeout": _WHOLE_SECONDS, "read_timeout": _SILENT_SECONDS, "connect_timeout": _SILENT_SECONDS}
    client: dict[str, Any] = {name: timedelta(seconds=each) for name, each in seconds.items()}
    if str(settings.get("endpoint", "")).startswith("http://"):
        client["allow_http"] = True
    retry: Any = {"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=_RETRY_SECONDS)}
    try:
        opened: Any = from_url(url, client_options=client, retry_config=retry, **settings)  # type: ignore[call-overload]
        return ObjectDepot(opened, url)
    except Exception as error:  # obstore has no type of its own for settings that are wrong
        from esctl.storage.refusals import told

        raise told(error, "read", url, "") from None


def _s3(profile: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings of S3 that obstore does not find by itself: those of a profile, and the endpoint."""
    settings: dict[str, Any] = {"disable_bulk_delete": True}  # which not every server has
    if endpoint := _endpoint(profile):
        settings["endpoint"] = endpoint
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or profile.get("region", "")
    settings["region"] = region or "us-east-1"
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        return settings
    if "aws_access_key_id" in profile and "aws_secret_access_key" in profile:
        settings["access_key_id"] = profile["aws_access_key_id"]
        settings["secret_access_key"] = profile["aws_secret_access_key"]
        if "aws_session_token" in profile:
            settings["session_token"] = profile["aws_session_token"]
    elif profile.keys() & {"sso_session", "sso_start_url", "role_arn", "credential_process", "login_session"}:
        settings["credential_provider"] = _by_boto3()
    return settings


def _by_boto3() -> Any:
    """Return what asks boto3 for the credentials of a profile that has none of its own (SSO, a role, a process)."""
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider

        return Boto3CredentialProvider()
    except ImportError:
        raise UsageError("the profile says how to get keys, which needs boto3", "pip install boto3") from None


def _endpoint(profile: Mapping[str, str]) -> str:
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    named = next((found for name in names if (found := os.environ.get(name))), "")
    return (named or profile.get("endpoint_url", "")).rstrip("/")


def _profile() -> dict[str, str]:
    """Return what the files of the AWS command line say of the profile in force; empty where there is none."""
    from configparser import ConfigParser, Error

    name = os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE") or "default"
    home = Path.home() / ".aws"
    config = os.environ.get("AWS_CONFIG_FILE") or home / "config"
    credentials = os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / "credentials"
    found: dict[str, str] = {}
    for file, section in ((config, name if name == "default" else f"profile {name}"), (credentials, name)):
        parser = ConfigParser(interpolation=None)
        with suppress(OSError, Error, UnicodeDecodeError):
            parser.read_string(Path(file).read_text("utf-8"))
            found |= dict(parser[section]) if section in parser else {}
    return found
