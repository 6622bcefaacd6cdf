"""The user's mapping: where in a record each envelope field is found (TOML and `--map`)."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import to_builtins
from msgspec.structs import replace

from esctl.errors import UsageError
from esctl.index.envelope.paths import EACH, IN_BRACES, parse_path, paths_in
from esctl.index.envelope.payload_keys import KEYS as PAYLOAD_KEYS
from esctl.index.envelope.payload_keys import TableKeys, read_encoding, read_flag, read_names, read_row_keys
from esctl.index.envelope.text.keys import TEXT_KEYS, read_text_key
from esctl.index.envelope.times.keys import TIME_KEYS, read_time_key
from esctl.model import MappingConfig, Stanza

CUSTOM = "custom"
"""Name of a stanza that is based on no preset."""
RECOGNISED = ""
"""Name of a stanza that does not say where fields are, so that they are recognised."""

FIELDS = ("id", "type", "time", "entity", "tenant", "kind", "actor", "correlation", "causation", "sequence", "data")
EMPTY_STANZA = Stanza(CUSTOM)
"""The base of a mapping that names no preset."""
_NO_ID: dict[str, Any] = {"id": (), "id_parts": (), "dedupe_by": ()}
_PARTS = ("id", "sequence")  # a list of paths means parts here, alternatives elsewhere
TABLES = ("entities", "aliases", "row_keys")
_ORDERS = ("time", "position", "sequence")
_SCOPES = ("source", "store")
_KEYS_BESIDE_RECOGNISED = ("scope", "ignore", "ignore_types", "dedupe_by", "row_keys", *TEXT_KEYS, *TIME_KEYS)
"""Keys that do not say where fields are, and so may be added to what is recognised."""
_KEYS = (
    "preset",
    *FIELDS,
    *TABLES,
    "tombstone",
    "order",
    "unwrap",
    *PAYLOAD_KEYS,
    *_KEYS_BESIDE_RECOGNISED,
    "day_first",
)

_GENERATION = re.compile(r"#[0-9]+\Z")


def parse_mapping(table: Mapping[str, Any], file: str = "esctl.toml") -> MappingConfig:
    """Read the `[mapping]` table of a configuration file.

    Raises UsageError naming the file and the key at fault.
    """
    if not isinstance(table, Mapping):
        raise UsageError(f"{file}: mapping is not a table", "write [mapping] and below it: id = PATH, type = PATH, ...")
    own = {key: value for key, value in table.items() if key != "sources"}
    stanzas = table.get("sources", {})
    if not isinstance(stanzas, Mapping):
        raise UsageError(f"{file}: mapping.sources is not a table", 'write [mapping.sources."audit/*.json.gz"]')
    default = _read_stanza(own, f"{file}: mapping", _base_of(own)) if own else None
    sources = []
    for glob, stanza in stanzas.items():
        where = f"{file}: mapping.sources.{json.dumps(glob, ensure_ascii=False)}"
        if not isinstance(stanza, Mapping):
            raise UsageError(f"{where} is not a table")
        base = _base_of(stanza)
        sources.append((glob, _read_stanza(stanza, where, (default or base) if base else None)))
    return MappingConfig(default, tuple(sources))


def _base_of(table: Mapping[str, Any]) -> Stanza | None:
    """Return the base of a table that does not say where any field is; None for one that does."""
    return None if says_where_fields_are(table) else Stanza(RECOGNISED)


def says_where_fields_are(table: Mapping[str, Any]) -> bool:
    """Return whether a table says where fields are; if so, nothing else does for its sources."""
    return not set(table) <= {*_KEYS_BESIDE_RECOGNISED, "day_first"}


def laid_over_recognised(stanza: Stanza, recognised: Stanza) -> Stanza:
    """Lay a stanza that does not say where fields are over what was recognised."""
    values = {name: getattr(stanza, name) for name in _KEYS_BESIDE_RECOGNISED}
    changes = {
        name: value
        for name, value in values.items()
        if name not in (*TIME_KEYS, *TEXT_KEYS, "dedupe_by") or value not in ((), None, "")
    }
    changes["row_keys"] = with_row_keys(recognised.row_keys, stanza.row_keys)
    return replace(recognised, **{**(_NO_ID if stanza.dedupe_by else {}), **changes})


def with_row_keys(known: TableKeys, given: TableKeys) -> TableKeys:
    """Return the columns that name rows, by table: those in `given`, and for other tables those in `known`."""
    kept = {table: names for table, names in known if not any(is_table(table, one) for one, _ in given)}
    return tuple(sorted({**kept, **dict(given)}.items()))


def is_table(full: str, name: str) -> bool:
    """Return whether `name` is a table's full name, or the end of it."""
    return full == name or full.endswith(f".{name}")


_KEY = rf"(?:{'|'.join(_KEYS)})(?:\.[^=]*)?"
_OPTION = rf"(?s:(?:(?P<source>.+?):)??(?P<key>{_KEY})=(?P<value>.*))"


def source_of(assignment: str) -> str:
    """Return the glob of the sources that a `--map` option is for (`SOURCE:key=path`); empty for all sources."""
    return split_option(assignment)[0]


def split_option(assignment: str) -> tuple[str, str, str]:
    """Split a `--map` option into the glob of its sources, its key and its value."""
    if found := re.fullmatch(_OPTION, assignment):
        return found["source"] or "", found["key"], found["value"]
    left, _, value = assignment.partition("=")
    source, _, key = left.rpartition(":")
    return source, key.strip(), value


def override(stanza: Stanza | None, assignments: Sequence[str], source: str | None = None) -> Stanza:
    """Lay `--map key=path` options over a stanza; the same key again adds an alternative (a part, for id and sequence).

    `key==text` gives a constant, `preset=NAME` starts from that preset, `SOURCE:key=path` is for sources of that name
    only (for any if `source` is None), and overrides options for all sources. Raises UsageError.
    """
    scopes: dict[str, list[str]] = {"": []}
    for assignment in assignments:
        scopes.setdefault(source_of(assignment), []).append(assignment)
    for glob, own in scopes.items():
        if own and (not glob or source is None or is_named(glob, source)):
            stanza = _lay_options_over(stanza, own, f"--map {glob}" if glob else "--map")
    return stanza or EMPTY_STANZA


def _lay_options_over(stanza: Stanza | None, assignments: Sequence[str], where: str) -> Stanza:
    table: dict[str, Any] = {}
    for assignment in assignments:
        _, key, value = split_option(assignment)
        if not key or not value:
            hint = "write it like --map entity=data.account, or for one source --map b.jsonl:entity=data.account"
            raise UsageError(f"--map {assignment!r} is not KEY=PATH", hint)
        read: Any = {"const": value[1:]} if value.startswith("=") else value
        group, dot, name = key.partition(".")
        if dot and group in (*TABLES, "encoding", "zone_names"):
            into, name = table.setdefault(group, {}), name
        else:
            into, name = table, key
        into[name] = [*_as_list(into[name]), read] if name in into else read
    return _read_stanza(table, where, stanza)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def stanza_for(config: MappingConfig, source_name: str) -> Stanza | None:
    """Return the stanza of the first glob that matches a source's name or the end of its path, else the default."""
    return next((stanza for glob, stanza in config.sources if is_named(glob, source_name)), config.default)


def is_named(glob: str, source_name: str) -> bool:
    """Return whether a glob matches a source's name or the end of its path."""
    names = (source_name, _GENERATION.sub("", source_name))
    return any(fnmatch.fnmatchcase(name, pattern) for name in names for pattern in (glob, f"*/{glob}"))


def mapping_hash(config: MappingConfig) -> str:
    """Return a digest of a mapping: 16 hex digits."""
    text = json.dumps(to_builtins(config), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read_stanza(table: Mapping[str, Any], where: str, base: Stanza | None = None) -> Stanza:
    _check_keys(table, where)
    if "preset" in table:
        base = _read_preset(table["preset"], where)
    changes: dict[str, Any] = {}
    for key, value in table.items():
        changes |= _read_key(key, value, f"{where}.{key}")
    if "encoding" in table:
        data, unwrap = (changes.get(name, getattr(base or EMPTY_STANZA, name)) for name in ("data", "unwrap"))
        changes["opened"] = read_encoding(table["encoding"], data, unwrap, f"{where}.encoding")
    # Who maps the entity anew does not want the preset's entities as well.
    if base and "entities" in changes:
        changes.setdefault("entity", ())
    elif base and "entity" in changes:
        changes["entities"] = ()
    if base and "row_keys" in changes:
        changes["row_keys"] = with_row_keys(base.row_keys, changes["row_keys"])
    if changes.get("sequence"):
        changes.setdefault("order", "sequence")
    elif changes.get("time") and base and not base.time and base.order == "position":
        changes.setdefault("order", "time")  # it was by arrival only because no time was known
    stanza = replace(base or EMPTY_STANZA, **changes)
    if stanza.order == "sequence" and not stanza.sequence and not _has_sequences(stanza.name):
        hint = f"add sequence = PATH beside {where}.order"
        raise UsageError(f'{where}.order is "sequence", but no sequence is mapped', hint)
    return stanza


def _check_keys(table: Mapping[str, Any], where: str) -> None:
    for key in table:
        if key not in _KEYS:
            raise UsageError(f"{where}.{key} is not a mapping key", _did_you_mean(key, _KEYS))
    if {"id", "dedupe_by"} <= set(table):
        raise UsageError(f"{where} has id and dedupe_by", "an event is the same one by its id, or else by its content")


def _read_key(key: str, value: Any, where: str) -> dict[str, Any]:
    """Return the fields of Stanza that one key of a mapping changes."""
    if key in FIELDS:
        return _read_field(key, value, where)
    if key in _READERS:
        return {key: _READERS[key](value, where)}
    if key in TABLES:
        return {key: _read_roles(value, where)}
    if key in ("dedupe_by", "tombstone"):
        return {**(_NO_ID if key == "dedupe_by" else {}), key: _read_alternatives(value, where)}
    if key in ("order", "scope"):
        return {key: _read_choice(value, _ORDERS if key == "order" else _SCOPES, where)}
    if key in TIME_KEYS or key == "day_first":
        return read_time_key(key, value, where)
    if key in TEXT_KEYS:
        return read_text_key(key, value, where)
    return {key: _read_path(value, where)} if key == "unwrap" else {}


def _read_condition(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{where} is not a condition", "write it like ignore = \"type = 'marker'\"")
    return value


_READERS: Mapping[str, Callable[[Any, str], Any]] = {
    "data_without": read_names,
    "ignore_types": read_names,
    "absent": read_names,
    "ignore_case": read_flag,
    "ignore": _read_condition,
    "row_keys": read_row_keys,
}


def _has_sequences(name: str) -> bool:
    from esctl.index.envelope.presets import PRESETS

    preset = PRESETS.get(name)
    return preset is not None and bool(preset.sequences)


def _read_preset(name: object, where: str) -> Stanza:
    from esctl.index.envelope.presets import PRESETS  # loaded only if a preset is named

    if not isinstance(name, str) or name not in PRESETS:
        raise UsageError(f"{where}.preset: there is no preset {name!r}", _did_you_mean(str(name), tuple(PRESETS)))
    return PRESETS[name].stanza


def _read_field(key: str, value: Any, where: str) -> dict[str, Any]:
    if isinstance(value, Mapping) and set(value) == {"parts"} and key in _PARTS:
        value = value["parts"] if isinstance(value["parts"], list) else [value["parts"]]
    elif isinstance(value, Mapping) and set(value) == {"first"}:
        value = value["first"] if isinstance(value["first"], list) else [value["first"]]
        return {**(_NO_ID if key == "id" else {}), key: _read_alternatives(value, where, each=key == "entity")}
    found = _read_alternatives(value, where, each=key == "entity")
    return {**_NO_ID, "id" if len(found) < 2 else "id_parts": found} if key == "id" else {key: found}


def _read_roles(value: Any, where: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if not isinstance(value, Mapping):
        raise UsageError(
            f"{where} is not a table", f'write [{where.rpartition(" ")[2]}] and below it: from = "data.from"'
        )
    return tuple(
        (role, _read_alternatives(paths, f"{where}.{role}", each=where.endswith("entities")))
        for role, paths in value.items()
    )


def _read_alternatives(value: Any, where: str, *, each: bool = False) -> tuple[str, ...]:
    """Read a value, or a list of them. `each`: paths may lead to each element of an array."""
    found = tuple(_read_alternative(one, where) for one in (value if isinstance(value, list) else [value]))
    for one in found:
        arrays = {path.rpartition(EACH)[0] for path in paths_in(one) if EACH in path}
        if arrays and not each:
            raise UsageError(f"{where}: {one!r} is of several values", f"{EACH} is for entity and [entities] alone")
        if len(arrays) > 1:
            raise UsageError(f"{where}: {one!r} is of several arrays", "name each in a role of its own")
    return found


def _read_alternative(value: Any, where: str) -> str:
    if isinstance(value, Mapping) and set(value) == {"const"} and isinstance(value["const"], str | int):
        return f"={value['const']}"
    if not isinstance(value, str) or not value:
        raise UsageError(
            f"{where} is not a path", 'a value is a path, a template "{a}/{b}", a list of those, or { const = "text" }'
        )
    if "{" not in value and "}" not in value:
        return _read_path(value, where)
    if re.search(r"[{}]", IN_BRACES.sub("", value)):
        raise UsageError(
            f"{where}: the braces of {value!r} do not match", 'write a template like "{data.table}/{data.pk}"'
        )
    for path in IN_BRACES.findall(value):
        _read_path(path, where)
    return value


def _read_path(value: Any, where: str) -> str:
    if not isinstance(value, str) or value.startswith("="):
        raise UsageError(f"{where}: {value!r} is not a path", 'a constant is written { const = "text" }')
    try:
        parse_path(value.replace(EACH, "[0]"))
    except UsageError as error:
        raise UsageError(f"{where}: {error.message}", error.hint) from None
    return value


def _read_choice(value: object, choices: Sequence[str], where: str) -> str:
    if not isinstance(value, str) or value not in choices:
        raise UsageError(f"{where}: {value!r} is not known", f"one of: {', '.join(choices)}")
    return value


def _did_you_mean(name: str, choices: Sequence[str]) -> str:
    import difflib

    near = next(iter(difflib.get_close_matches(name, choices, n=1)), None)
    return f"one of: {', '.join(choices)}" if near is None else f"did you mean {near!r}?"
