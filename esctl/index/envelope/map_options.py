"""What `--map` said when it was last given, kept in the store for later commands, and what it then stands for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from esctl.errors import InputError
from esctl.log.lines import from_line, sealed, to_line, unsealed
from esctl.model import Stanza
from esctl.storage.local import LocalStorage, describe_failure, read_regular

if TYPE_CHECKING:
    from esctl.index.envelope.detect import Detection

FILE = "mapping.json"
_LARGEST = 1 << 20


def read_overrides(store: Path) -> tuple[str, ...]:
    """Read `--map` options back; none where none were ever given. Raises InputError for a damaged file."""
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
        raise InputError(f"{path} is not as it was written", "give it anew: esctl reindex --map KEY=PATH") from error


def write_overrides(store: Path, overrides: Sequence[str]) -> None:
    """Keep `--map` options in place of those before. Raises InputError."""
    with describe_failure(f"write {store / FILE}"):
        LocalStorage(store).put(FILE, to_line(sealed({"map": list(overrides)})))


def with_options(kept: Sequence[str], mapping: Sequence[str] | None, **said: Sequence[str] | None) -> list[str] | None:
    """Return what to keep of `--map`, and of options that stand for a key of it; None for what was there before.

    `said` has what these say, by key: `time_format`, `pattern`.
    """
    given = {key: values for key, values in said.items() if values is not None}
    if not given:
        return None if mapping is None else list(mapping)
    own = [each for each in (kept if mapping is None else mapping) if each.partition("=")[0] not in given]
    return [*own, *(f"{key}={value}" for key, values in given.items() for value in values if value)]


def with_overrides(detection: Detection, stanza: Stanza, why: str = "--map says so") -> Detection:
    """Return what was recognised with what is said in its place: `stanza`, and why."""
    from esctl.index.envelope.search import Choice

    changed = [
        name
        for name in Stanza.__struct_fields__
        if name != "name" and getattr(stanza, name) != getattr(detection.stanza, name)
    ]
    rows = [row for row in detection.rows if row.field not in changed]
    rows += [Choice(name, _shown(getattr(stanza, name)), why) for name in changed]
    return replace(detection, stanza=stanza, rows=tuple(rows))


def _shown(value: str | tuple[Any, ...]) -> str:
    if isinstance(value, str):
        return value
    parts = (part if isinstance(part, str) else f"{part[0]}: {_alternatives(part[1])}" for part in value)
    return " | ".join(parts) or "none"


def _alternatives(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else " | ".join(value)
