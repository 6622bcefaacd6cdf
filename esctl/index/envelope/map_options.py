"""The `--map` options that were last given, kept in the store for later commands, and what they override."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from esctl.errors import InputError
from esctl.log.lines import from_line, sealed, to_line, unsealed
from esctl.model import Stanza
from esctl.storage.depots import LocalDepot
from esctl.storage.local import read_regular
from esctl.storage.places import explained_writing

if TYPE_CHECKING:
    from esctl.index.envelope.detect import Detection

FILE = "mapping.json"
KEPT_OPTIONS = "--map, kept in the store, before all others"
_LARGEST = 1 << 20


def read_overrides(store: Path) -> tuple[str, ...]:
    """Return the `--map` options that a store keeps, if any. Raises InputError for a damaged file."""
    path = store / FILE
    try:
        data = read_regular(path, _LARGEST)
        value = from_line(data)
        if to_line(value) != data:
            raise ValueError("not as it was written")
        return tuple(unsealed(value)["map"])
    except FileNotFoundError:
        return ()
    except (ValueError, LookupError, TypeError) as error:
        raise InputError(f"{path} is not as it was written", "give it again: esctl reindex --map KEY=PATH") from error


def write_overrides(store: Path, overrides: Sequence[str]) -> None:
    """Keep `--map` options in place of earlier ones. Raises InputError if the file cannot be written."""
    with explained_writing(store / FILE):
        LocalDepot(store).replace(FILE, to_line(sealed({"map": list(overrides)})))


def merge_options(
    kept: Sequence[str], mapping: Sequence[str] | None, **own_options: Sequence[str] | None
) -> list[str] | None:
    """Return the `--map` options to keep, including those given as options of their own; None to leave them as kept.

    `own_options` has the values of these options by key: `time_format`, `pattern`, `dedupe_by`.
    """
    if mapping is not None:
        kept = _replace_kept(kept, mapping)
    given = {key: values for key, values in own_options.items() if values is not None}
    if not given:
        return None if mapping is None else list(kept)
    own = [each for each in kept if each.partition("=")[0] not in given]
    return [*own, *(f"{key}={value}" for key, values in given.items() for value in values if value)]


def split_paths(given: Sequence[str] | None) -> list[str] | None:
    """Return the paths of an option that takes several, separated by commas; None if it was not given."""
    return None if given is None else [path.strip() for each in given for path in each.split(",")]


def _replace_kept(kept: Sequence[str], mapping: Sequence[str]) -> list[str]:
    """Put options in place of kept ones for the same sources; an empty option drops all that are kept."""
    from esctl.index.envelope.mapping import source_of

    if "" in mapping:
        return [each for each in mapping if each]
    anew = {source_of(each) for each in mapping}
    return [*(each for each in kept if source_of(each) not in anew), *mapping]


class Overruled(Struct, frozen=True):
    """A key of esctl.toml that a `--map` option overrides: the option, the place of the key, and its value there."""

    option: str
    place: str
    value: object


def list_overruled(table: Mapping[str, Any], overrides: Sequence[str], names: Iterable[str]) -> list[Overruled]:
    """List the keys of a configuration's [mapping] table that `--map` options override for the named sources."""
    from esctl.index.envelope.mapping import is_named, split_option

    parts = [(option, *split_option(option)) for option in overrides]
    found: dict[tuple[str, str], Overruled] = {}
    for source in names:
        for place, key, value in _configured_values(table, source):
            for option, glob, own, path in parts:
                if (not glob or is_named(glob, source)) and _overrides_key(own, key) and path != value:
                    found[option, f"{place}.{key}"] = Overruled(option, f"{place}.{key}", value)
    return list(found.values())


def _configured_values(table: Mapping[str, Any], source: str) -> Iterator[tuple[str, str, object]]:
    """Yield the place, key and value of all that a [mapping] table says for a source."""
    from esctl.index.envelope.mapping import is_named, says_where_fields_are

    stanzas = table.get("sources")
    chosen = next((glob for glob in stanzas if is_named(glob, source)), None) if isinstance(stanzas, Mapping) else None
    own = stanzas[chosen] if isinstance(stanzas, Mapping) and chosen is not None else {}
    place = f"mapping.sources.{json.dumps(chosen, ensure_ascii=False)}"
    yield from ((place, key, value) for key, value in own.items())
    if chosen is None or not says_where_fields_are(own):
        yield from (("mapping", key, value) for key, value in table.items() if key != "sources")


def _overrides_key(key: str, name: str) -> bool:
    """Return whether an option for `key` overrides the key `name` of a mapping."""
    group, _, _ = key.partition(".")
    return key == "preset" or name == group or {name, group} == {"entity", "entities"}


def with_overrides(detection: Detection, stanza: Stanza, why: str = "--map says so") -> Detection:
    """Return a detection with its stanza replaced, and a row with the reason for each field that changed."""
    from esctl.index.envelope.finding.search import Choice

    changed = [
        name
        for name in Stanza.__struct_fields__
        if name != "name" and getattr(stanza, name) != getattr(detection.stanza, name)
    ]
    rows = [row for row in detection.rows if row.field not in changed]
    rows += [Choice(name, _format_value(getattr(stanza, name)), why) for name in changed]
    return replace(detection, stanza=stanza, rows=tuple(rows))


def _format_value(value: str | int | tuple[Any, ...] | None) -> str:
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, int):  # a bool among them
        return json.dumps(value)
    parts = (part if isinstance(part, str) else f"{part[0]}: {_format_alternatives(part[1])}" for part in value)
    return " | ".join(parts) or "none"


def _format_alternatives(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else " | ".join(value)
