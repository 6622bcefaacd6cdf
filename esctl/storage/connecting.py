"""Stores named by a URL, and where their mirrors are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from esctl.config import mirror_folders
from esctl.errors import InputError, UnavailableError, UsageError
from esctl.storage.mirrors import is_registered, register

if TYPE_CHECKING:
    from esctl.cloud.client import Patience
    from esctl.storage.protocol import Depot


def store_url(given: str) -> str:
    """Return the URL of a store that is kept in objects; empty for a path. Raises UsageError for a wrong URL."""
    scheme, found, place = given.partition(":/")
    if not found:
        return ""
    from esctl.cloud.address import SCHEMES, parse_address

    place = place.strip("/")  # a Path has lost one slash
    if scheme.lower() not in SCHEMES or not place:
        return ""
    if "@" in place.partition("/")[0] or "?" in place or "#" in place:
        raise UsageError("--store is a URL with more than a bucket and a path", "keys are read from the environment")
    try:
        return str(parse_address(f"{scheme}://{place}")).rstrip("/")
    except UsageError:  # its hint is about objects, not stores
        raise UsageError(f"--store {scheme}://... names no place", f"write it like {scheme}://bucket/path") from None


def located(given: Path | str, mirrors: str = "") -> Path:
    """Return the folder of a store: the path given, or the mirror of the store at a URL.

    `mirrors` names a set of mirrors apart from the usual ones of this machine. Raises UsageError if the URL is wrong or
    the extra for it is not installed, UnavailableError if there are no credentials.
    """
    url = store_url(str(given))
    if not url:
        return Path(given)
    from hashlib import sha256

    root = mirrors_folder() / sha256((_url_and_service(url) + mirrors).encode()).hexdigest()[:32] / "store"
    if not is_registered(root):
        attach(root, url, connect(url))
    return root


def attach(root: Path, url: str, depot: Depot) -> None:
    """Make a folder the mirror of the store in a depot."""
    from esctl.storage.mirror import Mirror

    register(Mirror(root, url, depot))
    mirror_folders.add(root)


def mirrors_folder() -> Path:
    """Return the folder of all mirrors: `esctl/stores` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache").resolve() / "esctl" / "stores"


def _url_and_service(url: str) -> str:
    """Return a text that differs between stores of the same URL at different services."""
    from esctl.cloud.credentials import service_identity

    return f"{service_identity(url.partition(':')[0])} {url}"


def patience() -> Patience:
    """Return how long to wait for a store in objects."""
    from esctl.cloud.client import Patience

    return Patience(connect=20, silence=20, whole=3600, retries=4, retrying=30)


def connect(url: str) -> Depot:
    """Return the depot of a URL; it looks up credentials, and asks the service nothing yet.

    Raises UsageError if the extra is not installed, UnavailableError if there are no credentials.
    """
    from esctl.cloud.address import parse_address
    from esctl.cloud.client import open_bucket
    from esctl.storage.objects import ObjectDepot

    try:
        return ObjectDepot(open_bucket(parse_address(url), patience(), is_below=True), url)
    except InputError as error:
        raise UnavailableError(error.message, error.hint) from None
