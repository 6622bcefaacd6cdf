"""Clients of object storage, by obstore."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from esctl.cloud.address import Address
from esctl.cloud.credentials import access_to
from esctl.cloud.failures import failure_of
from esctl.errors import InputError, UsageError

if TYPE_CHECKING:
    from obstore.store import ObjectStore


class Patience(Struct, frozen=True):
    """How long a client waits, in seconds: to connect, for the next bytes, for a whole answer; and how it tries again.

    By default a transfer may take as long as it goes on: only the wait for the next bytes is limited.
    """

    connect: int = 10
    silence: int = 60
    whole: int = 7 * 86400
    retries: int = 6
    retrying: int = 120


PATIENCE = Patience()


def open_bucket(address: Address, patience: Patience | None = None, *, is_below: bool = False) -> ObjectStore:
    """Return a client for a bucket, without asking it for anything. `is_below`: only for what is below the key.

    Raises UsageError if the library is missing, or a profile or endpoint is wrong; InputError without credentials.
    """
    name = f"{address.scheme}://{address.bucket}"
    try:
        import botocore  # noqa: F401
        from obstore.store import AzureStore, GCSStore, S3Store
    except ImportError:
        raise UsageError(f"{address}: {address.scheme}:// needs obstore", "pip install 'esctl-audit[cloud]'") from None
    kinds: dict[str, tuple[Any, str]] = {
        "s3": (S3Store, "endpoint"), "gs": (GCSStore, "base_url"), "az": (AzureStore, "endpoint"),
    }  # fmt: skip
    kind, place = kinds[address.scheme]
    access = access_to(address.scheme, name)
    waits = patience or PATIENCE
    settings = {**access.settings, **({place: access.endpoint} if access.endpoint else {})}
    times = {"connect_timeout": waits.connect, "read_timeout": waits.silence, "timeout": waits.whole}
    client: dict[str, Any] = {which: timedelta(seconds=seconds) for which, seconds in times.items()}
    if access.endpoint.lower().startswith("http://"):
        client["allow_http"] = True
    try:
        opened: ObjectStore = kind(
            address.bucket,
            prefix=address.key if is_below and address.key else None,
            client_options=client,
            retry_config={"max_retries": waits.retries, "retry_timeout": timedelta(seconds=waits.retrying)},
            credential_provider=access.provider,
            **settings,
        )
    except Exception as error:  # obstore has no type of its own for settings that are wrong
        failure = failure_of(error)
        raise InputError(f"{name}: {failure.message('connect')}", failure.hint(address.scheme)) from None
    return opened
