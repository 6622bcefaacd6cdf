"""Find the files and the live sources that a command line names."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import Struct
from msgspec.structs import asdict

from esctl.cli import diagnostics
from esctl.cli.groups import Group
from esctl.errors import UsageError

if TYPE_CHECKING:
    from esctl.cli.options import Shared
    from esctl.sources.files.finding import Source
    from esctl.sources.files.reading import SourceOptions
    from esctl.sources.live import Connection, Live
    from esctl.sources.streams import Limits

PANEL = "Live sources"
_PLACE = re.compile(r"beginning|end|[0-9]+:[0-9]+(,[0-9]+:[0-9]+)*")


def _option(name: str, metavar: str | None, text: str, *more: str) -> typer.models.OptionInfo:
    info: typer.models.OptionInfo = typer.Option(f"--{name}", *more, metavar=metavar, help=text, rich_help_panel=PANEL)
    return info


From = Annotated[
    str, _option("from", "PLACE", "Where to begin what is not known yet: beginning, end, a time, or 0:12,1:40.")
]
Until = Annotated[str, _option("until", "PLACE", "Where to end: end, which is where it ends now, or a time.")]
Property = Annotated[list[str] | None, _option("property", "NAME=VALUE", "A property of the client; repeatable.", "-X")]
Properties = Annotated[str, _option("properties", "FILE", "A file of properties, with ${ENV} in values.", "-F")]
Key = Annotated[str, typer.Option("--key", metavar="KEY", help="The key of records in Kafka: entity, or kind,entity.")]
Registry = Annotated[str, _option("registry", "URL", "The schema registry that decodes the records.")]
SchemaDir = Annotated[str, _option("schema-dir", "FOLDER", "The schemas that decode the records, as files.")]
Create = Annotated[bool, _option("create", None, "Make the slot of a PostgreSQL database, if it is not there.")]
Snapshot = Annotated[bool, _option("snapshot", None, "Read the tables of a PostgreSQL database before their changes.")]
OnRecreated = Annotated[str, _option("on-recreated", "WHAT", "If it was deleted and made anew: stop, or new.")]


class LiveOptions(Group, frozen=True):
    """Where the reading of live sources begins and ends, and how they are reached."""

    from_: From = ""
    until: Until = ""
    property_: Property = None
    properties: Properties = ""
    registry: Registry = ""
    schema_dir: SchemaDir = ""
    on_recreated: OnRecreated = ""
    create: Create = False
    snapshot: Snapshot = False

    def given(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return the options and the properties given. Raises UsageError for a property that is not NAME=VALUE."""
        given = {name: value for name, value in asdict(self).items() if name != "property_" and value}
        options = {name.rstrip("_").replace("_", "-"): "yes" if each is True else each for name, each in given.items()}
        return options, properties_of(self.property_)


class NamedSources(Struct, frozen=True):
    """What a command line names: files, and live sources that are connected."""

    files: list[Source]
    live: list[Connection]

    @property
    def paths(self) -> list[Path | None]:
        """List the paths of the files."""
        return [source.path for source in self.files]

    @property
    def size(self) -> int | None:
        """Return the number of bytes to be read; None if it is not known."""
        sizes = [each.size for each in self.files]
        return None if None in sizes or self.live else sum(size or 0 for size in sizes)


def check_options(found: NamedSources, source: SourceOptions) -> None:
    """Raise UsageError for options of files if a live source is named that holds no files."""
    from esctl.sources.files.reading import SourceOptions

    names, usual = ("input_format", "records_path", "encoding", "header", "decimal", "null", "final"), SourceOptions()
    given = [name for name in names if getattr(source, name) != getattr(usual, name)]
    if given and not all(each.holds_files for each in found.live):
        option = ("no-" if getattr(source, given[0]) is False else "") + given[0].replace("_", "-")
        raise UsageError(f"--{option} is for files, and a live source is named", "read them one after the other")


def properties_of(pairs: Sequence[str] | None) -> dict[str, str]:
    """Return the properties given. Raises UsageError for one that is not NAME=VALUE."""
    found = {}
    for each in pairs or ():
        name, equals, value = each.partition("=")
        if not equals or not name.strip():
            raise UsageError("-X is not NAME=VALUE", "as in -X security.protocol=SSL")  # its text may be a secret
        found[name.strip()] = value
    return found


def find_sources(
    names: Sequence[str],
    live: tuple[dict[str, str], dict[str, str]],
    follow: bool,
    limits: Limits,
    shared: Shared,
) -> NamedSources:
    """Find the files, and connect to the live sources: URLs, and names of [sources.NAME] in the esctl.toml.

    Raises UsageError for options of live sources if none is named, and what `expand` and `connect` raise.
    """
    from esctl.cli.opening import input_zone
    from esctl.sources.files.finding import expand, expand_followed
    from esctl.sources.live import connect

    def note(text: str) -> None:
        diagnostics.note(f"note: {text}", shared.quiet)

    zone, unzoned = input_zone(shared), _live_sources(names, live, shared)
    asked = {name: _with_utc_times(source, zone) for name, source in unzoned.items()}
    if not asked and (options := [*live[0], *(["property"] if live[1] else [])]):
        raise UsageError(f"--{options[0]} is for live sources, and none is named", "as in kafka://host:9092/topic")
    files = [name for name in names if name not in asked]
    found = expand_followed(files) if follow else expand(files, limits, note)
    return NamedSources(found, [connect(each, note) for each in asked.values()])


def _live_sources(names: Sequence[str], live: tuple[dict[str, str], dict[str, str]], shared: Shared) -> dict[str, Live]:
    from msgspec.structs import replace

    from esctl.sources.live import from_url, kind_of

    found = {name: from_url(name, *live) for name in names if kind_of(name)}
    configured = _configured_sources(shared) if any(name not in found and "/" not in name for name in names) else {}
    for name in names:
        if name in configured:
            if os.path.lexists(name):
                raise UsageError(f"{name} is a file and a source of esctl.toml", f"the file is ./{name}")
            own = configured[name]
            found[name] = replace(own, options={**own.options, **live[0]}, properties={**own.properties, **live[1]})
    return found


def _with_utc_times(live: Live, tz: str) -> Live:
    """Return a live source with the times in `from` and `until` written in UTC. Raises UsageError for other text."""
    from msgspec.structs import replace

    from esctl.timespec import format_instant, parse_as_of

    found = {}
    for name in ("from", "until"):
        text = live.options.get(name, "")
        if text and not _PLACE.fullmatch(text):
            at = parse_as_of(text, f"--{name}", inclusive=False, tz=tz)
            found[name] = text if at.instant is None else format_instant(at.instant)
    return replace(live, options={**live.options, **found})


def _configured_sources(shared: Shared) -> dict[str, Live]:
    """Return the live sources of the esctl.toml that the store is read with."""
    from esctl.cli.opening import read_configuration
    from esctl.sources.live import parse_source

    config = read_configuration(shared)
    return {name: parse_source(name, table, config.name) for name, table in config.sources.items()}
