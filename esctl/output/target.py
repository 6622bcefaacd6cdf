"""Where an answer goes, and how its format is chosen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from esctl.errors import UsageError, shell_word
from esctl.output.formats import FORMATS, SUFFIXES, parse_format

_COMPRESSED = frozenset({".gz", ".zst", ".bz2", ".xz", ".zip"})


_SUFFIX = re.compile(r"\.[a-z][a-z0-9]*")
"""A suffix that may name a format, unlike a date or a number at the end of a file's name."""
_PLAIN = frozenset({".txt", ".log", ".out"})
"""Suffixes that name no particular format of text."""


class Target(Struct, frozen=True):
    """Format, place and looks of one written answer."""

    format: str = "table"
    destination: Path | BinaryIO | None = None  # None: stdout
    tz: str = "UTC"  # an IANA name or an offset such as +05:45; display only
    columns: tuple[str, ...] = ()  # () = all
    table_columns: tuple[str, ...] = ()  # what a table shows when `columns` is empty; () = all
    limit: int | None = None  # rows; None = all, in a table the first 1,000
    width: int = 80  # characters, of a table
    color: bool = False


class Written(Struct, frozen=True):
    """How many rows were written, and whether a limit left out others (known for tables only)."""

    rows: int
    more: bool = False


def choose_format(
    flag: str | None, path: Path | None, environ: Mapping[str, str], configured: str | None, terminal: bool
) -> str:
    """Choose the format: by flag, suffix of the output path, ESCTL_FORMAT, esctl.toml, else by `terminal`.

    `terminal`: a person reads stdout as it is written. Raises UsageError for an unknown format.
    """
    if flag:
        return parse_format(flag, "--format")
    if path is not None:
        suffix = path.suffix.lower()
        if suffix in SUFFIXES:
            return SUFFIXES[suffix]
        if suffix in _COMPRESSED:
            raise UsageError(f"{path}: output is not compressed by esctl", f"write to stdout and pipe it: ... > {path}")
        if _SUFFIX.fullmatch(suffix) and suffix not in _PLAIN:
            raise _no_format(path, suffix)
    if environ.get("ESCTL_FORMAT"):
        return parse_format(environ["ESCTL_FORMAT"], "ESCTL_FORMAT")
    if configured:
        return parse_format(configured, "[output] format of esctl.toml")
    return "table" if terminal and path is None else "jsonl"


def _no_format(path: Path, suffix: str) -> UsageError:
    near = get_close_matches(suffix, [end for end in SUFFIXES if not FORMATS[SUFFIXES[end]].takes_findings], 1, 0.75)
    other = near[0] if near else ".csv"
    return UsageError(
        f"{path}: no format has the suffix {suffix}; these have: {', '.join(SUFFIXES)}",
        f"did you mean -o {shell_word(str(path.with_suffix(other)))}? -f says the format whatever the suffix",
    )
