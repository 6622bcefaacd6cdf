"""Case files: what an investigation asks, and what somebody noted about its events."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Any

from msgspec import Struct

from esctl.errors import InputError, UsageError
from esctl.named import read_named

_LARGEST = 4 << 20
"""Most bytes of a case file."""
_TEXTS = ("title", "question", "at", "from", "to", "known_at", "projection")
_KEYS = (*_TEXTS, "entities", "notes")
_FORM = 'write [[notes]] with event = "@12" and text = "..."'


class Note(Struct, frozen=True):
    """What somebody wrote about an event, which is named by its id or `@POSITION`."""

    event: str
    text: str


class Case(Struct, frozen=True):
    """A case file as read; what it leaves out is empty."""

    title: str = ""
    question: str = ""
    entities: tuple[str, ...] = ()
    at: str = ""
    start: str = ""
    end: str = ""
    known_at: str = ""
    projection: str = ""
    notes: tuple[Note, ...] = ()


def read_case(path: Path) -> Case:
    """Read a case file (TOML).

    Raises UsageError if it is missing, not TOML, or has a wrong key or value; InputError if it cannot be read.
    """
    try:
        table = tomllib.loads(read_named(path, _LARGEST).decode("utf-8"))
    except FileNotFoundError:
        raise UsageError(f"--case {path}: no such file", "name a TOML file with a title, a question, notes") from None
    except OSError as error:
        raise InputError(f"--case {path}: {error.strerror}", "it must be a file that you may read") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--case {path}: {error}", "it must be TOML (https://toml.io)") from None
    for key in table:
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, 1)
            hint = f"did you mean {near[0]}?" if near else f"a case has {', '.join(_KEYS)}"
            raise UsageError(f"--case {path}: unknown key {key!r}", hint)
    texts = {key: _text(path, table, key) for key in _TEXTS}
    return Case(
        texts["title"], texts["question"], _names(path, table.get("entities", [])), texts["at"], texts["from"],
        texts["to"], texts["known_at"], texts["projection"], _notes(path, table.get("notes", [])),
    )  # fmt: skip


def _text(path: Path, table: dict[str, Any], key: str) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise UsageError(f"--case {path}: {key} is {value!r}, not a text", f'write {key} = "..."')
    return value


def _names(path: Path, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise UsageError(f"--case {path}: entities is {value!r}, not a list of names", 'write entities = ["account-1"]')
    return tuple(value)


def _notes(path: Path, value: Any) -> tuple[Note, ...]:
    if not isinstance(value, list):
        raise UsageError(f"--case {path}: notes is {value!r}, not a list", _FORM)
    for each in value:
        if not isinstance(each, dict) or set(each) != {"event", "text"} or not all(map(_is_text, each.values())):
            raise UsageError(f"--case {path}: {each!r} is not a note", _FORM)
    return tuple(Note(each["event"], each["text"]) for each in value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)
