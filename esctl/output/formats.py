"""The formats an answer can be written in: one row each, with all that other code needs to know of a format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from msgspec import Struct

from esctl.errors import UsageError


class Format(Struct, frozen=True):
    """One output format.

    `writer` is "module:function" in `output/writers/`, loaded with the first answer in the format: some need modules
    that take longer to load than a small answer. The function takes (Selection, connection, Target, Zone, sink), where
    the format `takes_findings` (Answer, connection, Target, sink), and returns Written.
    """

    name: str
    writer: str
    suffixes: tuple[str, ...] = ()  # of output paths, which choose the format
    binary: bool = False  # not to be read on a terminal
    flat: bool = False  # a state's fields are columns of their own
    for_reading: bool = False  # by a person: shows the columns that matter, unless others are asked for
    takes_findings: bool = False  # for checks: only an answer that has findings can be written so

    def load(self) -> Callable[..., Any]:
        """Import the writer."""
        module, _, function = self.writer.partition(":")
        writer: Callable[..., Any] = getattr(import_module(f"esctl.output.writers.{module}"), function)
        return writer


_ALL = (
    Format("table", "table:write_table", for_reading=True),
    Format("json", "json:write_json", (".json",)),
    Format("jsonl", "jsonl:write_jsonl", (".jsonl", ".ndjson")),
    Format("csv", "delimited:write_csv", (".csv",), flat=True),
    Format("tsv", "delimited:write_tsv", (".tsv",), flat=True),
    Format("markdown", "markdown:write_markdown", (".md", ".markdown"), for_reading=True),
    Format("parquet", "parquet:write_parquet", (".parquet",), binary=True, flat=True),
    Format("arrow", "arrow:write_arrow", (".arrow", ".feather"), binary=True, flat=True),
    Format("sarif", "sarif:write_sarif", (".sarif",), takes_findings=True),
    Format("junit", "junit:write_junit", (".xml",), takes_findings=True),
)
FORMATS: Mapping[str, Format] = {form.name: form for form in _ALL}
SUFFIXES: Mapping[str, str] = {suffix: form.name for form in _ALL for suffix in form.suffixes}


def parse_format(name: str, origin: str) -> str:
    """Read a format name; `origin` (an option, a variable, a file) is named in the error.

    Raises UsageError for an unknown name.
    """
    if name.lower() in FORMATS:
        return name.lower()
    close = get_close_matches(name.lower(), list(FORMATS), n=1)
    hint = f"did you mean {close[0]}?" if close else "the formats are: " + ", ".join(FORMATS)
    raise UsageError(f"unknown format {name!r} in {origin}", hint)


def formats_phrase() -> str:
    """Return the names of the formats as a phrase: those for every answer, then those for checks."""
    plain = [form.name for form in _ALL if not form.takes_findings]
    checks = [form.name for form in _ALL if form.takes_findings]
    return f"{', '.join(plain[:-1])} or {plain[-1]}, for checks {' or '.join(checks)} too"


def format_named(name: str) -> Format:
    """Return the format of a target. Raises UsageError for an unknown name."""
    return FORMATS[parse_format(name, "the target")]
