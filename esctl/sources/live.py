"""Sources that are systems, not files, by the scheme of their URL; the module of a kind is loaded when needed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from msgspec import Struct, field

from esctl.cloud.address import SCHEMES
from esctl.errors import UsageError, did_you_mean
from esctl.sources.protocol import FollowedSource, Note, SourceReader

if TYPE_CHECKING:
    from esctl.sources.files.reading import SourceOptions

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


class Kind(Struct, frozen=True):
    """A kind of live source: the module whose `connect` opens one, its schemes, and the options that it takes.

    `is_key`: in [sources.NAME] the name of the kind may be a key, whose value leaves the scheme out.
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
"""The keys of [sources.NAME] in esctl.toml that say where a source is."""
OPTIONS = tuple(sorted({option for kind in KINDS.values() for option in kind.options}))


class Live(Struct, frozen=True):
    """A live source as it was asked for.

    `where` names it in errors; `options` are texts by the name of the option; `properties` are those of the client.
    `options` and `properties` may hold secrets: neither is shown, recorded or logged.
    """

    kind: str
    url: str
    where: str
    options: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)


class Connection(Protocol):
    """A connected live source. If it `holds_files`, these are read like local ones, as `how` says."""

    @property
    def holds_files(self) -> bool:
        """Return whether the options for files apply to it too."""

    def readers(self, how: SourceOptions | None = None) -> Iterable[SourceReader]:
        """Return readers up to the end that is there now; each is finished before the next is asked for."""

    def followed(self, how: SourceOptions | None = None) -> Sequence[FollowedSource]:
        """Return the sources to follow as they grow."""


def kind_of(argument: str) -> str:
    """Return the kind of live source that a URL names, or "" if it names none or is not a URL."""
    scheme = _SCHEME.match(argument)
    return next((name for name, kind in KINDS.items() if scheme and scheme[1].lower() in kind.schemes), "")


def from_url(url: str, options: Mapping[str, str], properties: Mapping[str, str]) -> Live:
    """Return the live source of a URL whose kind is known."""
    return Live(kind_of(url), url, without_secrets(url), options, properties)


def without_secrets(url: str) -> str:
    """Return a URL without what may be secret: user, password and parameters."""
    scheme, _, rest = url.partition("://")
    place = rest if kind_of(url) == "objects" else rest.partition("?")[0]  # in an object URL, ? belongs to a pattern
    authority, slash, path = place.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def connect(live: Live, note: Note) -> Connection:
    """Connect to a live source. Raises UsageError for options that it does not take, InputError if it is missing."""
    kind = KINDS[live.kind]
    for option in (*live.options, *(["property"] if live.properties else [])):
        if option not in kind.options:
            named = [f"--{each}" for each in sorted(kind.options)] or ["none of these"]
            raise UsageError(f"{live.where}: --{option} is not for {live.kind}", f"it takes {', '.join(named)}")
    opening = cast(Callable[[Live, Note], Connection], import_module(kind.module).connect)
    return opening(live, note)


def parse_source(name: str, table: object, where: str) -> Live:
    """Parse [sources.NAME] of the esctl.toml that `where` names. Raises UsageError if it is wrong."""
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
