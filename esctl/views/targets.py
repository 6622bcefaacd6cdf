"""The targets that `--to` names: a kind and a place, as in `duckdb:FILE/TABLE`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from msgspec import Struct, field
from msgspec.structs import replace

from esctl.engine.duckdb import Session
from esctl.errors import UsageError
from esctl.sinks.protocol import Sink

_KINDS = ("duckdb", "sqlite", "parquet", "postgres", "postgresql", "kafka")
_HINT = (
    "write duckdb:FILE/TABLE, sqlite:FILE/TABLE, parquet:FOLDER, postgres://HOST/DATABASE/SCHEMA.TABLE "
    "or kafka://HOST:PORT/TOPIC"
)
_SECRET = re.compile(r"password|passphrase|secret|jaas|key\.pem|ssl_key|oauthbearer\.config", re.IGNORECASE)
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Options(Struct, frozen=True, omit_defaults=True):
    """Options besides `--to`, for topics only: the key of records, and the properties of the client."""

    key: str = ""
    properties: str = ""  # a file of them
    property: Mapping[str, str] = field(default_factory=dict)


class ViewTarget(Struct, frozen=True):
    """A target of a view. `place` is a file, a folder, the address of a database, or the URL of a topic."""

    kind: str
    place: str
    table: str = ""
    options: Options = Options()


def parse_target(text: str, name: str, base: Path, options: Options = Options()) -> ViewTarget:  # noqa: B008  # frozen
    """Read `--to`; relative paths start from `base`, and the table is `name` if none is given.

    Raises UsageError for a text that is not a target or has a password in it, which would be kept in the store.
    """
    if text.startswith("kafka://"):
        return _topic(text, base, options)
    if options != Options():
        raise UsageError(
            f"--to {_without_password(text)} takes no --key and no properties (-X, -F)", "they are for kafka://"
        )
    kind, colon, rest = text.partition(":")
    if not colon or kind not in _KINDS or not rest or "\0" in text:
        raise UsageError(f"--to {_without_password(text)} is not a target", _HINT)
    if kind in ("postgres", "postgresql"):
        return _database(text, name)
    if kind == "parquet":
        return ViewTarget(kind, str((base / rest).absolute()))
    file, slash, table = rest.rpartition("/")
    if not slash or not file or (base / file).is_dir():
        file, table = rest, name
    if not table or file.endswith("/"):
        raise UsageError(f"--to {text}: it names no {'table' if file else 'file'}", _HINT)
    return ViewTarget(kind, str((base / file).absolute()), table)


def open_view_sink(target: ViewTarget, session: Session, *, writing: bool) -> Sink:
    """Return the sink of a target, not yet entered. Raises UsageError if an extra is missing."""
    if target.kind == "duckdb":
        from esctl.sinks.duckdb_file import DuckdbFile

        return DuckdbFile(session, Path(target.place), target.table, writing=writing)
    if target.kind == "sqlite":
        from esctl.sinks.sqlite import SqliteFile

        return SqliteFile(session, Path(target.place), target.table, writing=writing)
    if target.kind == "postgres":
        from esctl.sinks.postgres import PostgresTable

        return PostgresTable(session, with_variables(target.place), target.table, writing=writing)
    if target.kind == "kafka":
        from esctl.sinks.kafka.destination import Destination
        from esctl.sinks.kafka.topic import KafkaTopic

        options = target.options
        destination = Destination(target.place, options.properties, options.property)
        return KafkaTopic(session, destination, key=options.key or "entity", writing=writing)
    from esctl.sinks.parquet_folder import ParquetFolder

    return ParquetFolder(session, Path(target.place), writing=writing)


def _database(text: str, name: str) -> ViewTarget:
    """Read `postgres://[USER@]HOST[:PORT]/[DATABASE/][SCHEMA.]TABLE[?OPTION=...]`."""
    try:
        parts = urlsplit(text)
        secret = parts.password
        port = parts.port
    except ValueError as error:
        raise UsageError(f"--to {_without_password(text)}: {error}", _HINT) from None
    if (secret and not _VARIABLE.fullmatch(secret)) or re.search(r"(^|&)(password|sslpassword)=", parts.query):
        raise UsageError(
            "--to has a password in it, which would be kept in the store",
            "leave it to PGPASSWORD or ~/.pgpass, or name a variable in its place: ${NAME}",
        )
    if "#" in text:
        raise UsageError(f"--to {_without_password(text)}: # ends it", "write %23 for a # in a name")
    database, _, table = parts.path.removeprefix("/").rpartition("/")
    if "/" in database:
        raise UsageError(f"--to {_without_password(text)}: it has a path of more than database and table", _HINT)
    user = parts.netloc.rpartition("@")[0]
    name_of_host = parts.hostname or ""
    host = f"{f'[{name_of_host}]' if ':' in name_of_host else name_of_host}{f':{port}' if port else ''}"
    query = f"?{parts.query}" if parts.query else ""
    return ViewTarget(
        "postgres", f"postgresql://{user}{'@' * bool(user)}{host}/{database}{query}", unquote(table) or name
    )


def _topic(text: str, base: Path, options: Options) -> ViewTarget:
    """Read `kafka://HOST[:PORT],.../TOPIC`. Raises UsageError also for properties that may be secrets."""
    from esctl.sinks.kafka.destination import Destination, topic_of
    from esctl.sinks.kafka.keys import check_key

    topic_of(Destination(text))
    check_key(options.key or "entity")
    for name, value in options.property.items():
        if is_secret(name, value):
            raise UsageError(
                f"-X {name}=... may be a secret, which would be kept in the store",
                f"put it into a file and name that by -F, or name a variable: -X '{name}=${{NAME}}'",
            )
    file = str((base / options.properties).absolute()) if options.properties else ""
    return ViewTarget("kafka", text, options=replace(options, properties=file))


def is_secret(name: str, value: str) -> bool:
    """Return whether a property of a client may be a secret; one that names a variable instead is not."""
    return _SECRET.search(name) is not None and not _VARIABLE.fullmatch(value)


def same_place(one: ViewTarget, other: ViewTarget) -> bool:
    """Return whether two targets are the same file and table, folder, database and table, or topic."""
    return _place(one) == _place(other)


def _place(target: ViewTarget) -> tuple[str, ...]:
    if target.kind == "kafka":
        from esctl.sinks.kafka.destination import Destination, topic_of

        brokers, topic = topic_of(Destination(target.place))
        return "kafka", ",".join(sorted(brokers.lower().split(","))), topic
    place = target.place.partition("?")[0] if target.kind == "postgres" else os.path.realpath(target.place)
    return target.kind, place, target.table if target.kind == "postgres" else target.table.lower()


def with_variables(address: str) -> str:
    """Return an address with the values of the variables that it names. Raises UsageError for one that is not set."""

    def value(found: re.Match[str]) -> str:
        from urllib.parse import quote

        if found[1] not in os.environ:
            raise UsageError(f"--to names the variable {found[1]}, which is not set", f"export {found[1]}=...")
        return quote(os.environ[found[1]], safe="")

    return _VARIABLE.sub(value, address)


def _without_password(text: str) -> str:
    """Return a target as it was given, without what may be a password."""
    return repr(re.sub(r"//[^/@]*@", "//...@", text)[:200])
