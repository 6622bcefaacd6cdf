"""The definitions of views: those created and kept in the store, and those of `[views.NAME]` in esctl.toml."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from esctl.config import Config
from esctl.errors import InputError, NotFoundError, UsageError, did_you_mean, shell_word
from esctl.log.lines import from_line, sealed, to_line, unsealed
from esctl.log.lock import store_lock
from esctl.storage.depots import LocalDepot
from esctl.storage.local import read_regular
from esctl.storage.places import explained_writing
from esctl.views.targets import Options, ViewTarget, parse_target, same_place

FILE = "views.json"
_LARGEST = 16 << 20
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}")


class Definition(Struct, frozen=True):
    """A view: the projection whose states it has (empty: each entity's own), and the target that it is kept in."""

    name: str
    projection: str
    to: str
    base: Path  # the folder that relative paths in `to` start from
    source: str  # `store`, or the esctl.toml that defines it
    options: Options = Options()


def definitions(store: Path, config: Config) -> dict[str, Definition]:
    """Return the views by name. Raises UsageError if one is wrong, InputError for a damaged file."""
    base = (config.path or Path()).absolute().parent
    found = {}
    for name, body in config.views.items():
        where = f"{config.name}: views.{name}"
        _check_name(name, where)
        if (
            not isinstance(body, Mapping)
            or set(body) - {"projection", "to", *Options.__struct_fields__}
            or not _are_texts({**body, "property": ""})
            or not _are_texts(_properties(body))
            or "to" not in body
        ):
            raise UsageError(
                f"{where} is not a view", 'write [views.NAME], to = "duckdb:states.db/name", projection = "..."'
            )
        found[name] = Definition(name, body.get("projection", ""), body["to"], base, config.name, _options(body))
    for name, kept in _read(store).items():
        found.setdefault(
            name, Definition(name, kept["projection"], kept["to"], Path(kept["base"]), "store", _options(kept))
        )
    return dict(sorted(found.items()))


def find(known: Mapping[str, Definition], name: str) -> Definition:
    """Find a view by name. Raises NotFoundError with the nearest name."""
    from difflib import get_close_matches

    if name in known:
        return known[name]
    near = get_close_matches(name, known, 1)
    raise NotFoundError(f"no view {name!r}", did_you_mean(near, "list views with: esctl view list"))


def check_alone(known: Mapping[str, Definition], view: Definition) -> None:
    """Check that no other view has the same target and would overwrite it. Raises UsageError naming both."""
    own = _target(view)
    for other in known.values():
        if other.name != view.name and own is not None and (found := _target(other)) and same_place(own, found):
            raise UsageError(
                f"the views {other.name} and {view.name} have one target, {view.to}: each would overwrite the other",
                f"drop one of them (esctl view drop {shell_word(view.name)}), or give it another target with --to",
            )


def _target(view: Definition) -> ViewTarget | None:
    """Return the target of a view; None if it is not valid, which is reported elsewhere."""
    try:
        return parse_target(view.to, view.name, view.base, view.options)
    except UsageError:
        return None


def add(store: Path, known: Mapping[str, Definition], new: Definition) -> None:
    """Keep a new view in the store. Raises UsageError if its name is invalid or taken, or its target taken."""
    _check_name(new.name, "NAME")
    if new.name in known:
        raise UsageError(f"there is a view {new.name} already", f"refresh it with: esctl view refresh {new.name}")
    check_alone(known, new)
    with store_lock(store):
        kept = _read(store)
        options = msgspec.to_builtins(new.options)
        kept[new.name] = {"projection": new.projection, "to": new.to, "base": str(new.base), **options}
        _write(store, kept)


def discard(store: Path, name: str) -> None:
    """Forget a view that is kept in the store."""
    with store_lock(store):
        kept = _read(store)
        if kept.pop(name, None) is not None:
            _write(store, kept)


def _check_name(name: str, where: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{where}: {name[:80]!r} is not a name of a view", "letters, digits, '_', '-' and '.', at most 63"
        )


def _options(body: Mapping[str, Any]) -> Options:
    own = {name: body[name] for name in ("key", "properties") if name in body}
    return Options(**own, property=dict(_properties(body)))


def _properties(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the properties of a view; if they are not a table, one that is no text, which is then refused."""
    found = body.get("property", {})
    return found if isinstance(found, Mapping) else {"": None}


def _are_texts(body: Mapping[str, Any]) -> bool:
    return all(isinstance(value, str) for value in body.values())


def _read(store: Path) -> dict[str, dict[str, Any]]:
    path = store / FILE
    try:
        data = read_regular(path, _LARGEST)
        value = from_line(data)
        views: dict[str, dict[str, Any]] = unsealed(value)["views"]
        if to_line(value) != data or not all(_is_kept(name, view) for name, view in views.items()):
            raise ValueError
        return views
    except FileNotFoundError:
        return {}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} is not as it was written", "remove it, and create the views anew") from error


def _is_kept(name: str, body: Any) -> bool:
    """Return whether a value is a view as `add` keeps it. Raises ValueError if its base cannot be a path."""
    if not isinstance(body, dict) or not _NAME.fullmatch(name) or not body.keys() >= {"projection", "to", "base"}:
        return False
    if not _are_texts({**body, "property": ""}) or not _are_texts(_properties(body)):
        return False
    return b"\0" not in os.fsencode(body["base"])


def _write(store: Path, kept: Mapping[str, Mapping[str, Any]]) -> None:
    with explained_writing(store / FILE):
        LocalDepot(store).replace(FILE, to_line(sealed({"views": kept})))
