"""Patterns of keys, which work as the shell's patterns of paths do."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import translate
from glob import has_magic

from esctl.sources.files.finding import SKIPPED_IN_FOLDERS

_ANY = "**"


def is_pattern(key: str) -> bool:
    """Return whether a key is a pattern."""
    return has_magic(key)


def fixed_part(pattern: str) -> str:
    """Return the folder that contains all keys that a pattern can match."""
    parts = pattern.split("/")
    return "/".join(parts[: next(number for number, part in enumerate(parts) if has_magic(part))])


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return a function that says whether a key matches: `*` stays within a part, `**` spans any number of parts.

    A part that begins with a dot is matched only by one of the pattern that does. A key equal to the pattern matches.
    """
    parts = pattern.split("/")
    parts += ["*"] if parts[-1] == _ANY else []
    wanted = [None if part == _ANY else (re.compile(translate(part)), part.startswith(".")) for part in parts]

    def after(states: set[int]) -> set[int]:
        """Return the states with those after each `**` that spans no part."""
        for state in sorted(states):
            while state < len(wanted) and wanted[state] is None:
                state += 1
                states.add(state)
        return states

    def is_match(key: str) -> bool:
        states = after({0})
        for part in key.split("/"):
            is_hidden, held = part.startswith("."), set()
            for state in states:
                want = wanted[state] if state < len(wanted) else ()
                if want is None:
                    held |= set() if is_hidden else {state}
                elif want and want[0].match(part) and (want[1] or not is_hidden):
                    held.add(state + 1)
            states = after(held)
        return len(wanted) in states or key == pattern

    return is_match


def is_read_in_folder(folder: str, key: str) -> bool:
    """Return whether a key is read when its folder is named: it must not be hidden, nor an esctl.toml."""
    parts = key.removeprefix(folder).lstrip("/").split("/")
    return not any(part.startswith(".") for part in parts) and parts[-1] not in SKIPPED_IN_FOLDERS
