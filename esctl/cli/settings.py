"""Every setting with its origin: flag > ESCTL_* > esctl.toml > default."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from esctl.cli.options import Shared, is_given, parse_columns
from esctl.config import Config, Setting, find_config, find_store, read_config, unused_config
from esctl.errors import UsageError
from esctl.storage.mirrors import shown_in

if TYPE_CHECKING:
    from esctl.model import Answer

DEFAULTS = {
    "store": ".esctl, found upward",
    "config": "esctl.toml beside the store, or above it",
    "format": "table on a terminal, jsonl in a pipe",
    "tz": "UTC",
    "color": "auto",
    "memory_limit": "80% of memory",
    "limit": "",
    "columns": "",
    "quiet": "false",
    "no_pager": "false",
    "debug": "false",
}


def settings(shared: Shared) -> list[Setting]:
    """List the settings in force."""
    store = find_store(shared.store)
    path = find_config(shared.config, store)
    config = read_config(path)
    listed = [_setting(name, default, shared, config) for name, default in DEFAULTS.items()]
    return [
        *listed,
        _store_setting("snapshots", "auto", config),
        _store_setting("engine", "off", config),
        *_found_places(store, path, unused_config(shared.config, store)),
        *_mapping_settings(store, config),
        *_numberings(store, config),
        *_flatten("projections", config.projections, config),
        *_flatten("views", config.views, config),
        *_live_sources(config),
    ]


def _setting(name: str, default: str, shared: Shared, config: Config) -> Setting:
    value = getattr(shared, name)
    variable = f"ESCTL_{name.upper()}"
    if is_given(value):
        text = (
            ",".join(value)
            if isinstance(value, tuple)
            else str(value).lower()
            if isinstance(value, bool)
            else str(value)
        )
        from_variable = _is_meant_by(os.environ.get(variable, ""), value)
        text = shown_in(text) if name == "store" else text
        return Setting(name, text, variable if from_variable else f"--{name.replace('_', '-')}")
    if os.environ.get(variable):
        return Setting(name, os.environ[variable], variable)
    if name in config.output:
        return Setting(name, str(config.output[name]), config.name)
    return Setting(name, default, "default")


def _is_meant_by(text: str, value: object) -> bool:
    """Return whether a variable's text gives the value of a shared option, however it is written."""
    if isinstance(value, tuple):
        with suppress(UsageError):
            return parse_columns(text) == value
        return False
    if isinstance(value, Path):
        return bool(text) and Path(text) == value
    return bool(text) and (value is True or text.strip() == str(value))


def _store_setting(name: str, default: str, config: Config) -> Setting:
    variable = f"ESCTL_{name.upper()}"
    if given := os.environ.get(variable):
        return Setting(name, _without_parameters(given), variable)
    configured = config.store.get(name)
    return Setting(name, _without_parameters(configured or default), config.name if configured else "default")


def _without_parameters(address: str) -> str:
    """Return the name of an engine without the parameters after its address, which may hold a token."""
    place, more, _ = address.partition(";")
    return f"{place};(not shown)" if more else place


def _found_places(store: Path | None, config: Path | None, other: Path | None) -> Iterator[Setting]:
    yield Setting("store found", shown_in(str(store or "none")), "search")
    yield Setting("config found", str(config or "none"), "search")
    if other is not None:
        yield Setting("config not used", str(other), "search: of the folder you are in, not of the store")


def _mapping_settings(store: Path | None, config: Config) -> Iterator[Setting]:
    """Yield the mapping of esctl.toml and of `--map`, and how each source in the index is read by it."""
    from esctl.api import Store
    from esctl.cli.intake.overruling import configured_settings, kept_settings, reading_settings
    from esctl.errors import EsctlError
    from esctl.index.envelope.map_options import read_overrides
    from esctl.index.files.manifest import read_manifest

    options = read_overrides(store) if store is not None else ()
    opened, manifest = Store(store, config) if store is not None else None, None
    with suppress(EsctlError):  # reported by the commands that need the index
        manifest = read_manifest(opened.index_folder) if opened is not None else None
    names = manifest.sources if manifest is not None else ()
    yield from configured_settings(_flatten("mapping", config.mapping, config), config, options, names)
    yield from kept_settings(options)
    if opened is not None and manifest is not None:
        yield from reading_settings(manifest, opened.mapping, config.name)


def _numberings(store: Path | None, config: Config) -> Iterator[Setting]:
    """Yield the numberings of ids that the index of the mapping in force has recognised."""
    from esctl.api import Store
    from esctl.engine.exact_text import json_string
    from esctl.errors import EsctlError
    from esctl.index.files.manifest import read_manifest
    from esctl.index.seen_ids.apart import apart

    try:
        manifest = read_manifest(Store(store, config).index_folder) if store is not None else None
    except EsctlError:  # reported by the commands that need the index
        manifest = None
    for numbering in apart(manifest).values() if manifest is not None else ():
        value = f"source, shared with {', '.join(numbering.kin)}" if numbering.kin else "source"
        name = f"mapping.sources.{json_string(numbering.source)}.scope"
        yield Setting(name, value, f"recognised, kept in the store: {numbering.why}")


def _live_sources(config: Config) -> Iterator[Setting]:
    """Yield the live sources, leaving out what is or may be a secret."""
    from esctl.sources.live import KEYS, parse_source, without_secrets
    from esctl.views.targets import is_secret

    for name, table in config.sources.items():
        live, prefix = parse_source(name, table, config.name), f"sources.{name}"
        yield Setting(f"{prefix}.{next(key for key in KEYS if key in table)}", without_secrets(live.url), config.name)
        for key, value in live.options.items():
            yield Setting(f"{prefix}.{key}", without_secrets(value) if "://" in value else value, config.name)
        for key, value in live.properties.items():
            shown = "(not shown)" if is_secret(key, value) else value
            yield Setting(f"{prefix}.property.{key}", shown, config.name)


def _flatten(prefix: str, value: object, config: Config) -> Iterator[Setting]:
    import json

    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flatten(f"{prefix}.{key}", item, config)
    else:
        yield Setting(prefix, value if isinstance(value, str) else json.dumps(value, default=str), config.name)


def settings_answer(shared: Shared) -> Answer:
    """Return the settings as an answer: setting, value, origin."""
    from esctl.engine.duckdb import open_session
    from esctl.model import Column
    from esctl.reports.rows import answer_of_rows

    columns = tuple(Column(name, "text") for name in ("setting", "value", "origin"))
    rows = [(each.name, each.value, each.origin) for each in settings(shared)]
    return answer_of_rows(open_session(), columns, rows, "settings")
