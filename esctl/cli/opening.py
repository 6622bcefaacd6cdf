"""Open what the shared options name: the store, its configuration, the engine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from esctl.cli import diagnostics
from esctl.cli.options import Shared

if TYPE_CHECKING:
    from esctl.api import Store
    from esctl.cluster.engines import Engine
    from esctl.config import Config


_open_stores: list[Store] = []
"""Keeps the store alive until the process ends: closing DuckDB just before takes as long as a small answer."""


def open_store(shared: Shared, engine: str | None = None) -> Store:
    """Open the store and its configuration, on the basis of `--basis-from` if it is given.

    `engine`: the option of a command that can answer in parts, None for other commands.
    """
    from esctl.api import Store

    store = Store.open(shared.store, shared.config, memory_limit=shared.memory_limit, tz=input_zone(shared))
    _open_stores[:] = [store]
    heed_config(shared, store)
    # Times that the user types are in the zone in which times are shown.
    store.tz = shared.tz or output_settings(store).get("tz") or "UTC"
    store.engine = None if engine is None else engine_for(shared, store, engine)
    if shared.basis_from is None:
        return store
    from esctl.ask.scope.basis import read_basis, zones_note

    basis = read_basis(shared.basis_from)
    if line := zones_note(basis, store.store_state):
        diagnostics.note(line, shared.quiet)
    return store.on_basis(basis)


def engine_for(shared: Shared, store: Store, given: str) -> Engine | None:
    """Return the engine that the option, else the variable, else esctl.toml names; None if none does."""
    configured = store.config.store.get("engine", "")
    origins = ("--engine", "ESCTL_ENGINE", f"{store.config.name}: store.engine")
    for text, origin in zip((given, os.environ.get("ESCTL_ENGINE"), configured), origins, strict=True):
        if text:
            from esctl.cluster.engines import engine_of

            return engine_of(text, shared.memory_limit, origin)
    return None


def closed_store(shared: Shared, engine: str | None = None) -> Store:
    """Find the store and its configuration without reading the store, which may be damaged.

    `engine`: as for `open_store`. Raises InputError if there is no store.
    """
    from esctl.api import Store
    from esctl.config import find_config, find_store, read_config
    from esctl.errors import InputError

    found = find_store(shared.store)
    if found is None:
        raise InputError("there is no store here or in a folder above", "name one with --store")
    config = read_config(find_config(shared.config, found))
    store = Store(found, config, shared.memory_limit, input_zone(shared))
    heed_config(shared, store)
    store.engine = None if engine is None else engine_for(shared, store, engine)
    return store


def read_configuration(shared: Shared) -> Config:
    """Read the esctl.toml that the shared options name or lead to, and colour stderr as it says."""
    from esctl.config import find_config, find_store, read_config

    config = read_config(find_config(shared.config, find_store(shared.store)))
    diagnostics.use_color(shared.color_choice(config.output))
    return config


def heed_config(shared: Shared, store: Store) -> None:
    """Colour stderr as the store's esctl.toml says; print which one is used, if the working folder has another."""
    from esctl.config import unused_config
    from esctl.errors import shell_word

    diagnostics.use_color(shared.color_choice(output_settings(store)))
    other = None if shared.quiet else unused_config(shared.config, store.path)
    if other is not None:
        used = f"{store.config.path} is used, as it is the store's" if store.config.path else "the store has none"
        diagnostics.note(
            f"note: {other} is not that of the store {store.path}, and is not used: {used}; to use it: "
            f"--config {shell_word(str(other))}"
        )


def input_zone(shared: Shared) -> str:
    """Return the zone that times without one are read in."""
    return shared.tz or "UTC"


def output_settings(store: Store) -> dict[str, str]:
    """Return the [output] table of esctl.toml."""
    return {name: str(value) for name, value in store.config.output.items()}
