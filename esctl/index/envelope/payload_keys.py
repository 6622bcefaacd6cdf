"""The keys of a mapping that say how payloads and names are written: `encoding`, `data_without`, `absent`, ..."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from esctl.errors import UsageError
from esctl.index.decode.encodings import ENCODINGS, WHOLE, Opening
from esctl.index.envelope.paths import parse_path
from esctl.model import Stanza

TableKeys = tuple[tuple[str, tuple[str, ...]], ...]
"""Tables, each with the columns that name its rows."""
KEYS = ("encoding", "data_without", "absent", "ignore_case")
_HINT = 'write encoding = "json" for what is in data, or encoding = { payload = "json", headers = "base64" }'


def read_encoding(value: object, data: Sequence[str], unwrap: str, where: str) -> tuple[tuple[str, str], ...]:
    """Read `encoding`: one name for the paths of `data`, or a table by path (`""` is the record). Raises UsageError."""
    if isinstance(value, str) and value in WHOLE:
        return (("", value),)
    if isinstance(value, str):
        places = [f"{unwrap}.{path}" if unwrap else path for path in data if not path.startswith("=")]
        if not places or "record" in data:
            raise UsageError(f"{where} is of no field: data is the record", 'add data = PATH, as in data = "payload"')
        value = dict.fromkeys(places, value)
    if not isinstance(value, Mapping) or not value:
        raise UsageError(f"{where} is not an encoding", _HINT)
    found = []
    for path, named in value.items():
        parts = parse_path(path)
        for each in named if isinstance(named, list) else [named]:
            if each not in ENCODINGS or (each in WHOLE and parts):
                raise UsageError(f"{where}: {each!r} is not known", f"one of: {', '.join(ENCODINGS)}")
            found.append((path, each))
    return tuple(found)


def read_names(value: object, where: str) -> tuple[str, ...]:
    """Read a list of names, or one; raises UsageError."""
    names = value if isinstance(value, list) else [value]
    if not all(isinstance(name, str) and name for name in names):
        raise UsageError(
            f"{where} is not a list of names", f'write it like {where.rpartition(".")[2]} = ["one", "another"]'
        )
    return tuple(names)


def read_row_keys(value: object, where: str) -> TableKeys:
    """Read the columns that name the rows of each table; none for a table without a key. Raises UsageError."""
    if not isinstance(value, Mapping):
        raise UsageError(f"{where} is not a table", 'write it like row_keys = { "shop.lines" = ["order_nr", "line"] }')
    return tuple(
        (table, () if names == [] else read_names(names, f"{where}.{table}")) for table, names in value.items()
    )


def read_flag(value: object, where: str) -> bool:
    """Read true or false; raises UsageError."""
    if value not in (True, False, "true", "false"):  # as texts in --map
        raise UsageError(f"{where} is neither true nor false")
    return value in (True, "true")


def openings_of(stanza: Stanza) -> tuple[Opening, ...]:
    """Return the texts that a stanza opens, with parsed paths."""
    return tuple((parse_path(path), encoding) for path, encoding in stanza.opened)


def write_payload_keys(stanza: Stanza, base: Stanza, quoted: Any) -> list[str]:
    """Write these keys as lines of TOML if they differ from those of `base`; `quoted` writes a string."""
    lines = []
    if stanza.opened != base.opened and stanza.opened:
        by_path: dict[str, list[str]] = {}
        for path, encoding in stanza.opened:
            by_path.setdefault(path, []).append(encoding)
        items = (f"{quoted(path)} = {_write_list(names, quoted)}" for path, names in by_path.items())
        lines.append(f"encoding = {{ {', '.join(items)} }}")
    if stanza.ignore_case != base.ignore_case:
        lines.append(f"ignore_case = {str(stanza.ignore_case).lower()}")
    changed = [
        name for name in ("data_without", "ignore_types", "absent") if getattr(stanza, name) != getattr(base, name)
    ]
    return [*lines, *(f"{name} = [{', '.join(map(quoted, getattr(stanza, name)))}]" for name in changed)]


def _write_list(names: Sequence[str], quoted: Any) -> str:
    return str(quoted(names[0])) if len(names) == 1 else f"[{', '.join(map(quoted, names))}]"
