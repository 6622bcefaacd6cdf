"""Properties of the client, as librdkafka names them: from a file, from options, and those that esctl fixes."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from esctl.errors import InputError, UsageError
from esctl.named import read_named

_LARGEST = 1 << 20
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
OWN: Mapping[str, object] = {
    "isolation.level": "read_committed",
    "auto.offset.reset": "error",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,
}
"""Properties that exactness depends on, which cannot be overridden."""
_USUAL: Mapping[str, object] = {
    "group.id": "esctl",  # the client wants one; nothing is ever committed to it
    "client.id": "esctl",
    "enable.metrics.push": False,
    "reconnect.backoff.max.ms": 5000,
    "fetch.wait.max.ms": 100,
    "fetch.queue.backoff.ms": 5,  # 1000 by default: fetching would pause that long whenever the queue is full
    "max.partition.fetch.bytes": 8 << 20,
    "queued.min.messages": 200_000,
    "socket.connection.setup.timeout.ms": 10_000,
}
_REFUSED: Mapping[str, str] = {
    "bootstrap.servers": "the brokers are in the URL: kafka://host:9092/topic",
    "metadata.broker.list": "the brokers are in the URL: kafka://host:9092/topic",
    "plugin.library.paths": "esctl loads no plugins",
    "debug": "esctl writes no log of the client: secrets might be in it",
    "log_cb": "it is no property",
}


def client_properties(brokers: str, file: str, given: Mapping[str, str], where: str) -> dict[str, object]:
    """Return the properties of a client: those of a file, then those given, then esctl's own.

    A value may name variables of the environment as `${NAME}`. Raises UsageError, naming the property and never its
    value, for one that esctl does not take.
    """
    found = {**(read_properties(Path(file)) if file else {}), **given}
    for name, value in found.items():
        if name in _REFUSED:
            raise UsageError(f"{where}: the property {name} is not taken", _REFUSED[name])
        if name in OWN and value.strip().lower() != str(OWN[name]).lower():
            raise UsageError(f"{where}: the property {name} has to be {str(OWN[name]).lower()}", "leave it out")
    expanded = {name: expand(value, f"{where}: the property {name}") for name, value in found.items()}
    return {**_USUAL, **expanded, **OWN, "bootstrap.servers": brokers}


def read_properties(path: Path) -> dict[str, str]:
    """Read a file of properties, `name=value` a line, as kcat's `-F` takes it. Raises UsageError, InputError."""
    try:
        text = read_named(path, _LARGEST).decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{path}: no UTF-8", "it has a property a line: name=value") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", "it must be a file that you may read") from error
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        name, equals, value = line.partition("=")
        if not line.strip() or line.lstrip().startswith(("#", "//")):
            continue
        if not equals or not name.strip():
            raise UsageError(f"{path}: line {number} is not NAME=VALUE", "as in security.protocol=SASL_SSL")
        found[name.strip()] = value.strip()
    return found


def expand(text: str, where: str) -> str:
    """Replace `${NAME}` in a text by variables of the environment. Raises UsageError for one that is not set."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in os.environ:
            raise UsageError(f"{where}: ${{{found[1]}}} is not set", f"set it: export {found[1]}=...")
        return os.environ[found[1]]

    return _VARIABLE.sub(value, text)
