"""Settings and where each came from: flag > ESCTL_* > esctl.toml > default."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from esctl.errors import InputError, UsageError
from esctl.named import read_named
from esctl.owners import require_own, require_own_store

STORE = ".esctl"
FILE = "esctl.toml"
SECTIONS = ("mapping", "projections", "output", "store", "views", "sources")
OUTPUT = ("format", "tz", "color")
COLORS = ("auto", "always", "never")
_LARGEST = 16 << 20
"""The most bytes that an esctl.toml may have."""
SNAPSHOTS = ("auto", "always", "off")
mirror_folders: set[Path] = set()
"""The mirrors of stores in objects: the esctl.toml of such a store is the working directory's."""


class Setting(Struct, frozen=True):
    """One value with its origin (`default`, a flag, a variable or a file)."""

    name: str
    value: str
    origin: str


class Config(Struct, frozen=True):
    """An esctl.toml as read. `path` is None where there is none."""

    path: Path | None = None
    mapping: Mapping[str, Any] = field(default_factory=dict)
    projections: Mapping[str, Any] = field(default_factory=dict)
    output: Mapping[str, Any] = field(default_factory=dict)
    store: Mapping[str, Any] = field(default_factory=dict)
    views: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the name of the file for errors."""
        return str(self.path) if self.path is not None else FILE


def find_store(given: Path | None, start: Path | None = None) -> Path | None:
    """Find the store: the one given, else `.esctl` in the working directory or above it. None if there is none.

    Raises InputError for one that was found and is not the user's own.
    """
    if given is not None:
        return given
    here = (start or Path.cwd()).resolve()
    found = next(
        (folder / STORE for folder in (here, *here.parents) if (folder / STORE / "format.json").is_file()), None
    )
    if found is not None:
        require_own_store(found)
    return found


def follow_link(path: Path) -> Path:
    """Return the folder that a store's name leads to: the name may be a link, but no link inside it is followed."""
    return path.resolve() if path.is_symlink() else path


def find_config(given: Path | None, store: Path | None, start: Path | None = None) -> Path | None:
    """Find esctl.toml: the one given, else beside the store or above it; without a store, in the working directory.

    Raises InputError for one that was found and is not the user's own: it may hold code to run.
    """
    if given is not None:
        return given
    found = _search_upward(_folder_of(store) if store is not None else (start or Path.cwd()).resolve())
    if found is not None:
        require_own(found, "--config", "ESCTL_CONFIG")
    return found


def unused_config(given: Path | None, store: Path | None, start: Path | None = None) -> Path | None:
    """Return the esctl.toml of the working directory if the store does not use it and none was named; else None."""
    if given is not None or store is None:
        return None
    here, own = _search_upward((start or Path.cwd()).resolve()), _search_upward(_folder_of(store))
    return None if here is None or (own is not None and own.samefile(here)) else here


def _folder_of(store: Path) -> Path:
    """Return the folder that a store is in (its own name may be a link); for a mirror, the working directory."""
    if store in mirror_folders:
        return Path.cwd().resolve()
    return store.absolute().parent.resolve()


def config_path(store: Path) -> Path:
    """Return where the esctl.toml of a store is written."""
    return (Path.cwd() if store in mirror_folders else store.absolute().parent) / FILE


def _search_upward(folder: Path) -> Path | None:
    return next((place / FILE for place in (folder, *folder.parents) if (place / FILE).exists()), None)


def read_config(path: Path | None) -> Config:
    """Read an esctl.toml.

    Raises UsageError for TOML that is wrong or has an unknown section or setting, InputError if it is unreadable.
    """
    if path is None:
        return Config()
    try:
        document = tomllib.loads(read_named(path, _LARGEST, streams=False).decode("utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file", "write one with: esctl init") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", "it must be a file that you may read") from error
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, or a number of too many digits
        raise UsageError(f"{path}: {error}", "it must be TOML (https://toml.io)") from None
    for section, body in document.items():
        if section not in SECTIONS:
            hint = _suggest(section, SECTIONS, "sections are", "[{}]")
            raise UsageError(f"{path}: unknown section [{section}]", hint)
        if not isinstance(body, dict):
            raise UsageError(f"{path}: [{section}] is not a table", f"write [{section}] on a line of its own")
    output, store = document.get("output", {}), document.get("store", {})
    _check_settings("output", output, OUTPUT, path)
    _check_settings("store", store, ("snapshots", "engine"), path)
    if output.get("color", "auto") not in COLORS:
        raise UsageError(f"{path}: output.color is {output['color']!r}", "it is auto, always or never")
    check_snapshots(store.get("snapshots", "auto"), f"{path}: store.snapshots")
    return Config(path, **{section: document.get(section, {}) for section in SECTIONS})


def check_snapshots(value: str, where: str) -> str:
    """Return `value`, which says when snapshots are made. Raises UsageError naming `where` for another word."""
    if value not in SNAPSHOTS:
        raise UsageError(f"{where} is {value!r}", "it is auto, always or off")
    return value


def _check_settings(section: str, table: Mapping[str, Any], known: tuple[str, ...], path: Path) -> None:
    for key, value in table.items():
        if key not in known:
            raise UsageError(f"{path}: {section}.{key} is not a setting", _suggest(key, known, "settings are", "{}"))
        if not isinstance(value, str):
            raise UsageError(f"{path}: {section}.{key} is {value!r}, not a text", f'write {key} = "..."')


def _suggest(word: str, known: tuple[str, ...], listed: str, form: str) -> str:
    import difflib

    near = difflib.get_close_matches(word, known, 1)
    return f"did you mean {form.format(near[0])}?" if near else f"{listed}: {', '.join(known)}"
