"""Where an answer goes, in which format, and how the format is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import BinaryIO, Literal, get_args

from msgspec import Struct

from esctl.errors import UsageError

Format = Literal["table", "json", "jsonl", "csv", "tsv", "markdown", "parquet", "arrow", "sarif", "junit"]
FORMATS: tuple[Format, ...] = get_args(Format)
BINARY_FORMATS: frozenset[Format] = frozenset({"parquet", "arrow"})
FLAT_FORMATS: frozenset[Format] = frozenset({"csv", "tsv", "parquet", "arrow"})
"""Formats of cells: a state's fields are columns of their own in these."""
FINDINGS_FORMATS: frozenset[Format] = frozenset({"sarif", "junit"})
"""Formats of checks: only an answer that has findings can be written so."""

SUFFIXES: Mapping[str, Format] = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".md": "markdown",
    ".markdown": "markdown",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".sarif": "sarif",
    ".xml": "junit",
}
_COMPRESSED = frozenset({".gz", ".zst", ".bz2", ".xz", ".zip"})


class Target(Struct, frozen=True):
    """Format, place and looks of one written answer."""

    format: Format = "table"
    destination: Path | BinaryIO | None = None  # None: stdout
    tz: str = "UTC"  # an IANA name or an offset such as +05:45; display only
    columns: tuple[str, ...] = ()  # () = all
    table_columns: tuple[str, ...] = ()  # what a table shows when `columns` is empty; () = all
    limit: int | None = None  # rows; None = all, in a table the first 1,000
    width: int = 80  # characters, of a table
    color: bool = False


class Written(Struct, frozen=True):
    """How many rows were written, and whether a limit kept others back (known for tables only)."""

    rows: int
    more: bool = False


def parse_format(name: str, origin: str) -> Format:
    """Read a format name; `origin` (an option, a variable, a file) is named in the error.

    Raises UsageError for an unknown name.
    """
    for known in FORMATS:
        if name.lower() == known:
            return known
    close = get_close_matches(name.lower(), FORMATS, n=1)
    hint = f"did you mean {close[0]}?" if close else "the formats are: " + ", ".join(FORMATS)
    raise UsageError(f"unknown format {name!r} in {origin}", hint)


def choose_format(
    flag: str | None, path: Path | None, environ: Mapping[str, str], configured: str | None, terminal: bool
) -> Format:
    """Choose the format: flag, suffix of the output path, ESCTL_FORMAT, esctl.toml, else by what reads it.

    `terminal` says whether a person reads the output as it is written. Raises UsageError for an unknown format.
    """
    if flag:
        return parse_format(flag, "--format")
    if path is not None:
        suffix = path.suffix.lower()
        if suffix in SUFFIXES:
            return SUFFIXES[suffix]
        if suffix in _COMPRESSED:
            raise UsageError(f"{path}: output is not compressed by esctl", f"write to stdout and pipe it: ... > {path}")
    if environ.get("ESCTL_FORMAT"):
        return parse_format(environ["ESCTL_FORMAT"], "ESCTL_FORMAT")
    if configured:
        return parse_format(configured, "[output] format of esctl.toml")
    return "table" if terminal and path is None else "jsonl"
