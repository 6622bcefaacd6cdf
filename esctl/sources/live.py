"""Sources that are systems and not files, found by the scheme of their URL; the module of a kind is loaded by need."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from msgspec import Struct, field

from esctl.cloud.address import SCHEMES
from esctl.errors import UsageError, did_you_mean
from esctl.sources.protocol import FollowedSource, SourceReader

if TYPE_CHECKING:
    from esctl.sources.files.reading import SourceOptions

Note = Callable[[str], None]
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


class Kind(Struct, frozen=True):
    """A kind of live source: the module whose `connect` opens one, its schemes, and the options that it takes.

    `is_key`: [sources.NAME] may name it by its own key and leave the scheme out.
    """

    module: str
    schemes: tuple[str, ...]
    options: frozenset[str]
    is_key: bool = True


KINDS: Mapping[str, Kind] = {
    "kafka": Kind(
        "esctl.sources.kafka.connect",
        ("kafka",),
        frozenset({"from", "until", "property", "properties", "registry", "schema-dir", "on-recreated"}),
    ),
    "postgres": Kind("esctl.sources.postgres.connect", ("postgres", "postgresql"), frozenset({"create", "snapshot"})),
    "objects": Kind("esctl.sources.objects.connect", tuple(SCHEMES), frozenset(), is_key=False),
}
"""The kinds of live sources by their names."""
KEYS = ("url", *(name for name, kind in KINDS.items() if kind.is_key))
"""What names the place of a source in [sources.NAME] of esctl.toml."""
OPTIONS = tuple(sorted({option for kind in KINDS.values() for option in kind.options}))


class Live(Struct, frozen=True):
    """A live source as it was asked for.

    `where` names it in errors; `options` are texts by the name of the option; `properties` are those of the client.
    Either may hold secrets: neither is told, recorded or logged.
    """

    kind: str
    url: str
    where: str
    options: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)


class Connection(Protocol):
    """A live source that is there. `holds_files`: what it has is read as files are, as `how` says."""

    @property
    def holds_files(self) -> bool:
        """Return whether the options of files are for it too."""

    def readers(self, how: SourceOptions | None = None) -> Iterable[SourceReader]:
        """Return what is read to its end, which is pinned now; each is done with before the next is asked for."""

    def followed(self, how: SourceOptions | None = None) -> Sequence[FollowedSource]:
        """Return what is read on as it grows."""


def kind_of(argument: str) -> str:
    """Return the kind of live source that a URL is of, "" for one of none and for what is no URL."""
    scheme = _SCHEME.match(argument)
    return next((name for name, kind in KINDS.items() if scheme and scheme[1].lower() in kind.schemes), "")


def from_url(url: str, options: Mapping[str, str], properties: Mapping[str, str]) -> Live:
    """Return the live source of a URL whose kind is known."""
    return Live(kind_of(url), url, without_secrets(url), options, properties)


def without_secrets(url: str) -> str:
    """Return a URL as it may be told: without user, password and parameters."""
    scheme, _, rest = url.partition("://")
    place = rest if kind_of(url) == "objects" else rest.partition("?")[0]  # there ? is a part of patterns
    authority, slash, path = place.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def connect(live: Live, note: Note) -> Connection:
    """Connect to a live source. Raises UsageError for options that it does not take, InputError if it is not there."""
    kind = KINDS[live.kind]
    for option in (*live.options, *(["property"] if live.properties else [])):
        if option not in kind.options:
            named = [f"--{each}" for each in sorted(kind.options)] or ["none of these"]
            raise UsageError(f"{live.where}: --{option} is not for {live.kind}", f"it takes {', '.join(named)}")
    opening = cast(Callable[[Live, Note], Connection], import_module(kind.module).connect)
    return opening(live, note)


def parse_source(name: str, table: object, where: str) -> Live:
    """Read [sources.NAME] of an esctl.toml, which `where` names. Raises UsageError where it is wrong."""
    place = f"{where}: [sources.{name}]"
    if not isinstance(table, Mapping):
        raise UsageError(f"{place} is not a table", f'write [sources.{name}] and kafka = "host:9092/topic" below it')
    keys = [key for key in KEYS if key in table]
    if len(keys) != 1:
        raise UsageError(f"{place} has to say one of {', '.join(KEYS)}", 'as in kafka = "host:9092/topic"')
    properties = table.get("property", {})
    if not isinstance(properties, Mapping):
        raise UsageError(f"{place}.property is not a table", f"write [sources.{name}.property]")
    texts = {key: value for key, value in table.items() if key != "property"}
    for key, value in (*texts.items(), *((f"property.{key}", value) for key, value in properties.items())):
        if not isinstance(value, str):
            raise UsageError(f"{place}.{key} is not a text", f'write {key} = "..."')
    url = texts.pop(keys[0])
    kind = kind_of(url) if keys[0] == "url" else keys[0]
    if not kind:
        schemes = [f"{scheme}://" for each in KINDS.values() for scheme in each.schemes]
        raise UsageError(f"{place}.url is of no kind of source that is known", f"it begins with {', '.join(schemes)}")
    for key in texts:
        if key not in KINDS[kind].options:
            near = sorted(KINDS[kind].options) or ["none"]
            raise UsageError(f"{place}.{key} is not a setting", did_you_mean([], f"settings are {', '.join(near)}"))
    url = url if kind_of(url) == kind else f"{KINDS[kind].schemes[0]}://{url}"
    return Live(kind, url, name, texts, dict(properties))
