"""URLs of a database, and of a slot in it. They hold no secrets: these are in the environment or in files."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlsplit

from msgspec import Struct

from esctl.errors import UsageError

_NAME = re.compile(r"[a-z0-9_]{1,63}")
_OURS = {"application_name", "client_encoding", "replication"}
_SECRETS = {"password", "sslpassword", "oauth_client_secret"}
_HINT = "write 'postgres://USER@HOST/DATABASE?slot=NAME&publication=NAME', quoted for the shell"
_SETTINGS = (
    ("datestyle", "ISO"),
    ("intervalstyle", "postgres"),
    ("extra_float_digits", "1"),
    ("bytea_output", "hex"),
    ("timezone", "UTC"),
    ("standard_conforming_strings", "on"),
)
"""Settings with which every server writes values as text in full and alike, and reads our quoting."""


class Address(Struct, frozen=True):
    """How to connect, without secrets. `parameters` are libpq's; `rest` are the URL's parameters for esctl."""

    parameters: tuple[tuple[str, str], ...]
    rest: tuple[tuple[str, str], ...]
    where: str

    def conninfo(self) -> str:
        """Return the connection string for libpq."""
        from psycopg.conninfo import make_conninfo

        found = {"connect_timeout": "10", **dict(self.parameters)}
        options = " ".join(f"-c {name}={value}" for name, value in _SETTINGS)
        found["options"] = f"{found.get('options', '')} {options}".strip()
        return make_conninfo("", **found)


class SlotAddress(Struct, frozen=True):
    """A slot of a database, and the publications through which it is read."""

    address: Address
    slot: str
    publications: tuple[str, ...]

    @property
    def where(self) -> str:
        """Return its name in errors."""
        return self.address.where


def parse_address(url: str, ours: frozenset[str]) -> Address:
    """Parse the URL of a database, which may have the parameters `ours` besides libpq's.

    Raises UsageError if it is wrong, or has a secret in it.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"postgres://...: {error}", _HINT) from None
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    if parts.password is not None or any(name in _SECRETS for name, _ in pairs):
        raise UsageError(
            "postgres://... has a password in it, which others can read in the list of processes",
            "leave it to PGPASSWORD, to ~/.pgpass or to a service file (?service=NAME)",
        )
    hosts = unquote(parts.hostname or "")
    if "," in parts.netloc:  # several hosts, which urlsplit does not separate
        raise UsageError("postgres://... names several hosts", "name them in a service file: ?service=NAME")
    database = unquote(parts.path.removeprefix("/"))
    settings = {"host": hosts, "port": str(port or ""), "user": unquote(parts.username or ""), "dbname": database}
    own = [(name, value) for name, value in pairs if name in ours]
    settings |= {name: value for name, value in pairs if name not in ours}
    if wrong := _OURS & settings.keys():
        raise UsageError(f"postgres://...: {min(wrong)} is not to be set", "leave it out")
    place = settings.get("host") or (f"service {settings['service']}" if settings.get("service") else "")
    where = f"postgres://{place}/{settings['dbname']}"
    return Address(tuple((name, value) for name, value in settings.items() if value), tuple(own), where)


def parse_slot_address(url: str) -> SlotAddress:
    """Parse the URL of a slot. Raises UsageError if it does not name one slot and a publication."""
    address = parse_address(url, frozenset({"slot", "publication"}))
    slots = [value for name, value in address.rest if name == "slot"]
    publications = [
        each for name, value in address.rest if name == "publication" for each in value.split(",") if each.strip()
    ]
    if len(slots) != 1 or not publications:
        missing = "one slot" if len(slots) != 1 else "a publication"
        raise UsageError(f"{address.where}: it does not name {missing}", _HINT)
    if not _NAME.fullmatch(slots[0]):
        raise UsageError(
            f"{address.where}: {slots[0][:80]!r} is no name of a slot", "it has lower-case letters, digits and _"
        )
    return SlotAddress(address, slots[0], tuple(dict.fromkeys(each.strip() for each in publications)))
