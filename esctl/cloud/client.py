"""Clients of object storage, by obstore."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from esctl.cloud.address import Address
from esctl.cloud.credentials import access_to
from esctl.cloud.failures import explained
from esctl.errors import UsageError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

RETRIES = 6
_PATIENCE = timedelta(minutes=2)
_CLIENT = {"connect_timeout": "10s", "read_timeout": "60s", "timeout": "7days"}
"""A request may take as long as it goes on: what is timed is the wait for the next bytes."""


def open_bucket(address: Address) -> ObjectStore:
    """Return a client for a bucket, which was not asked for anything yet.

    Raises UsageError where the library is missing, InputError where there are no credentials.
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
    settings = {**access.settings, **({place: access.endpoint} if access.endpoint else {})}
    plain = {"allow_http": True} if access.endpoint.lower().startswith("http://") else {}
    with explained(name, address.scheme):
        client: ObjectStore = kind(
            address.bucket,
            client_options={**_CLIENT, **plain},
            retry_config={"max_retries": RETRIES, "retry_timeout": _PATIENCE},
            credential_provider=access.provider,
            **settings,
        )
    return client
