"""Addresses in object storage: `s3://bucket/key`, `gs://bucket/key`, `az://container/key`, and other names of these."""

from __future__ import annotations

import re

from msgspec import Struct

from esctl.errors import UsageError

SCHEMES = {"s3": "s3", "gs": "gs", "gcs": "gs", "az": "az", "azure": "az", "abfs": "az", "abfss": "az"}
"""The schemes that a URL may have, and the one that its address gets."""
_URL = re.compile(
    rf"(?P<scheme>{'|'.join(SCHEMES)})://(?P<bucket>[A-Za-z0-9$][A-Za-z0-9._-]{{0,254}})(?:/(?P<key>.*))?",
    re.IGNORECASE | re.DOTALL,
)
_UNREADABLE = re.compile(r"(\A|/)\.{0,2}(?=/)|(\A|/)\.{1,2}\Z|[\0-\x1f\x7f]")
"""Parts of a key that are empty, `.` or `..`, and control characters: no client of ours can name these."""


class Address(Struct, frozen=True):
    """A bucket (or container), and a key, the beginning of keys, or a pattern of them in it."""

    scheme: str
    bucket: str
    key: str = ""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.key}"

    def with_key(self, key: str) -> Address:
        """Return the address of another key in the same bucket."""
        return Address(self.scheme, self.bucket, key)


def parse_address(url: str) -> Address:
    """Read an address. Raises UsageError for another text, without the secrets that this may hold."""
    found = _URL.fullmatch(url)
    scheme, _, rest = url.partition("://")
    if found is None:
        if "@" in rest.partition("/")[0]:
            raise UsageError(
                f"{scheme}://...: an address in object storage has no user",
                "credentials are taken from the environment",
            )
        shown = re.split(r"[?#]", url)[0]  # a signature may follow
        raise UsageError(f"{shown} is no address in object storage", f"write it like {scheme}://bucket/logs/*.json.gz")
    key = found["key"] or ""
    if _UNREADABLE.search(key):
        raise UsageError(
            f"{url}: a key with an empty part, . or .., or a control character cannot be read",
            "name what is beside it by a pattern",
        )
    return Address(SCHEMES[found["scheme"].lower()], found["bucket"], key)
