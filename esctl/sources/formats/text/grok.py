"""Patterns of text logs, grok expressions or regular expressions with named groups, in the syntax of RE2.

RE2 takes time in proportion to the text, whatever the pattern: neither a pattern nor a line can make it hang. What RE2
cannot do (looking ahead or behind, references to groups) is refused by name.
"""

from __future__ import annotations

import difflib
import re
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from esctl.errors import UsageError
from esctl.sources.formats.text.grok_names import NAMES

_LONGEST = 20_000
"""The most characters of a pattern, also after the names in it are written out."""
_KINDS = {"": "text", "string": "text", "int": "number", "long": "number", "float": "number", "number": "number"}
_GROK = re.compile(r"%\{(?P<syntax>\w+)(?::(?P<field>[\w@.\[\]-]+))?(?::(?P<kind>\w+))?\}")
_TOKEN = re.compile(
    r"\\(?P<escape>.)|(?P<set>\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\])|\(\?P?<(?P<name>[A-Za-z_][\w.@-]*)>"
    r"|(?P<special>\(\?(?:[=!>]|<[=!]|P=|P>|\(|R|&|#))|(?P<open>\((?!\?))",
    re.DOTALL,
)
_REFUSED = {
    "(?=": "looks ahead, (?=...)", "(?!": "looks ahead, (?!...)", "(?<=": "looks behind, (?<=...)",
    "(?<!": "looks behind, (?<!...)", "(?>": "has an atomic group, (?>...)", "(?#": "has a comment, (?#...)",
}  # fmt: skip
_BOUNDED = "patterns are matched by RE2, in time bounded by the line; write it without"


class Field(Struct, frozen=True):
    """A group of a pattern: its name there, and the path and kind (text or number) of the field that it fills."""

    group: str
    path: tuple[str, ...]
    kind: str = "text"


class Pattern(Struct, frozen=True):
    """A pattern for RE2, whose groups are fields; if a field has several groups, the first that is not empty counts."""

    regex: str
    fields: tuple[Field, ...]


@lru_cache(maxsize=64)
def compile_pattern(text: str) -> Pattern:
    """Compile a grok expression, or a regular expression with named groups. Raises UsageError if it is wrong."""
    fields: list[Field] = []
    regex = _expand(text, fields, ())
    pattern = Pattern(regex, tuple(fields))
    if not fields:
        raise UsageError(
            f"the pattern {text!r:.80} names no field", "name parts of the line: %{IP:client}, or (?P<client>\\S+)"
        )
    try:
        pc.extract_regex(pa.array([], pa.large_string()), regex)
    except pa.ArrowInvalid as error:
        reason = str(error).partition("Invalid regular expression: ")[2] or str(error)
        raise UsageError(f"the pattern {text!r:.80} is none: {reason}", "it is in the syntax of RE2, or grok") from None
    return pattern


def _expand(text: str, fields: list[Field], within: tuple[str, ...]) -> str:
    """Return a grok expression with its names written out, and add its fields to `fields`."""
    parts, at = [], 0
    for found in _GROK.finditer(text):
        parts += [_rename_groups(text[at : found.start()], fields, within), _expand_name(found, fields, within)]
        at = found.end()
    parts.append(_rename_groups(text[at:], fields, within))
    regex = "".join(parts)
    if len(regex) > _LONGEST:
        raise UsageError(f"the pattern {text!r:.80} is too long", f"it may have {_LONGEST:,} characters, written out")
    return regex


def _expand_name(found: re.Match[str], fields: list[Field], within: tuple[str, ...]) -> str:
    """Return one name, `%{SYNTAX:field:kind}`, written out."""
    syntax, name, kind = found["syntax"], found["field"], (found["kind"] or "").lower()
    if syntax not in NAMES:
        near = difflib.get_close_matches(syntax, NAMES, n=1)
        hint = f"did you mean %{{{near[0]}}}?" if near else "the names are listed by: esctl help text-logs"
        raise UsageError(f"%{{{syntax}}} is not a name of a grok pattern", hint)
    if kind not in _KINDS:
        raise UsageError(f"{found[0]}: {kind!r} is not a kind of field", "one of: int, float, string")
    group = f"g{len(fields)}"
    if name is None:
        return f"(?:{_expand(NAMES[syntax], fields, (*within, syntax))})"
    fields.append(Field(group, _path(name), _KINDS[kind]))
    return f"(?P<{group}>{_expand(NAMES[syntax], fields, (*within, syntax))})"


def _path(name: str) -> tuple[str, ...]:
    """Return the path of a field: `[client][ip]` is ip in client, any other name is one step."""
    parts = re.findall(r"\[([^\[\]]+)\]", name)
    return tuple(parts) if parts and "".join(f"[{part}]" for part in parts) == name else (name,)


def _rename_groups(text: str, fields: list[Field], within: tuple[str, ...]) -> str:
    """Return a part of a pattern with named groups renamed, others not capturing. Raises UsageError if RE2 cannot."""

    def replace_token(found: re.Match[str]) -> str:
        if found["name"]:
            fields.append(Field(f"g{len(fields)}", _path(found["name"])))
            return f"(?P<{fields[-1].group}>"
        if found["special"]:
            what = _REFUSED.get(found["special"], f"refers to a group, {found['special']}...")
            raise UsageError(f"the pattern {what}, which is not done", _BOUNDED)
        if found["escape"] and found["escape"] in "123456789k":
            raise UsageError(f"the pattern refers to a group, \\{found['escape']}, which is not done", _BOUNDED)
        if found["escape"] == "Z":
            return r"\z"
        return "(?:" if found["open"] else found[0]

    return _TOKEN.sub(replace_token, text)
