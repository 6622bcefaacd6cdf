"""Records of a text log as JSON objects: the fields that its pattern names, as text or numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from esctl.sources.formats.json.write import join_members, quote_texts
from esctl.sources.formats.text.grok import Pattern, compile_pattern
from esctl.sources.formats.text.known import PatternPart, TextFormat, text_format, trim_lines
from esctl.sources.formats.text.pairs import pairs_of
from esctl.sources.formats.text.years import with_years

if TYPE_CHECKING:
    import duckdb

LONGEST = 1 << 20
"""The most bytes of a record that a pattern is tried on."""
UNMATCHED = "the line does not match the pattern"
TOO_LONG = f"longer than {LONGEST:,} bytes: no line of a text log"
_TEXT = pa.large_string()
_NUMBER = r"\A-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?\z"
_MESSAGE_NAMES = ("message", "msg")
_CONTINUED = "continued"

Path = tuple[str, ...]
Columns = dict[Path, Any]


def lines_to_json(
    texts: Any, dialect: Mapping[str, str], connection: duckdb.DuckDBPyConnection
) -> tuple[Any, dict[int, str]]:
    """Return records (large_string) as JSON objects, null for those without, and the reasons for nulls, by row.

    `dialect` is that of the source's cursor: `pattern`, and `year` if it is set. An empty field is left out. Lines that
    continue a record go to its message, or else to the field `continued`.
    """
    form = text_format(dialect["pattern"])
    texts = trim_lines(texts)
    fits = pc.less_equal(pc.binary_length(texts), LONGEST)
    heads, rests = _split_first_lines(pc.if_else(fits, texts, pa.scalar(None, _TEXT)))
    columns, numbers, matched = _extract_fields(heads, form)
    if form.spaced:
        columns = {path: _unescape(column) if path != (form.pairs,) else column for path, column in columns.items()}
    pairs = pairs_of(columns, form, connection) if form.pairs else None
    _append_continuing(columns, rests)
    for part in form.parts:
        columns |= _extract_part(columns[(part.field,)], part)
    columns = {path: with_years(column, dialect) for path, column in columns.items()}
    written = _write_objects(
        {path: _write_values(column, path in numbers) for path, column in columns.items()}, len(texts)
    )
    if pairs is not None:
        written = _merge_objects(pairs, written)
    reasons = dict.fromkeys(_row_numbers(pc.and_not(pc.is_valid(heads), matched)), UNMATCHED)
    reasons |= dict.fromkeys(_row_numbers(pc.invert(pc.fill_null(fits, True))), TOO_LONG)
    return pc.if_else(matched, written, pa.scalar(None, _TEXT)), reasons


def _row_numbers(mask: Any) -> list[int]:
    found: list[int] = pc.indices_nonzero(mask).to_pylist()
    return found


def _split_first_lines(texts: Any) -> tuple[Any, Any]:
    """Return the first lines of records, and the lines that continue them, or null."""
    many = pc.match_substring(texts, "\n")
    if not pc.any(many).as_py():
        return texts, pa.nulls(len(texts), _TEXT)
    heads = pc.replace_substring_regex(texts, r"\r?\n(?s:.*)\z", "")
    rests = pc.replace_substring_regex(texts, r"\A[^\n]*\n", "")
    return heads, pc.if_else(many, rests, pa.scalar(None, _TEXT))


def _extract_fields(heads: Any, form: TextFormat) -> tuple[Columns, set[Path], Any]:
    """Return the fields of lines by path, which of them are numbers, and which lines match."""
    columns: Columns = {}
    numbers: set[Path] = set()
    matched = pa.array([False] * len(heads), pa.bool_())
    for pattern in form.compiled:
        left = pc.if_else(matched, pa.scalar(None, _TEXT), heads)
        if left.null_count == len(left):
            break
        found = pc.extract_regex(left, pattern.regex)
        matched = pc.or_(matched, pc.is_valid(found))
        _gather_fields(columns, found, pattern)
        numbers |= {field.path for field in pattern.fields if field.kind == "number"}
    return columns, numbers, matched


def _gather_fields(columns: Columns, found: Any, pattern: Pattern) -> None:
    for field in pattern.fields:
        column = pc.struct_field(found, field.group).cast(_TEXT)
        column = pc.if_else(pc.equal(column, ""), pa.scalar(None, _TEXT), column)
        columns[field.path] = pc.coalesce(columns[field.path], column) if field.path in columns else column


def members_of(column: Any, part: PatternPart) -> Any:
    """Return what a part finds in a column as JSON objects, null for values where it finds nothing."""
    inside = {path[1:]: quote_texts(each) for path, each in _extract_part(column, part).items()}
    written = _write_objects(inside, len(column))
    return pc.if_else(pc.equal(written, "{}"), pa.scalar(None, _TEXT), written)


def _extract_part(column: Any, part: PatternPart) -> Columns:
    """Return the fields that a part finds in a column, by path."""
    pattern = compile_pattern(part.pattern)
    found: Columns = {}
    _gather_fields(found, pc.extract_regex(column, pattern.regex), pattern)
    if not part.into:
        return found
    return {(part.into, *path): _unquote(column) for path, column in found.items()}


def _unescape(column: Any) -> Any:
    """Return texts without the backslash before `|` and before a backslash."""
    return pc.replace_substring_regex(column, r"\\([|\\])", r"\1")


def _unquote(column: Any) -> Any:
    """Return texts without the quotes of CSV, null for empty ones."""
    is_quoted = pc.match_substring_regex(column, r'\A"(?s:.*)"\z')
    bare = pc.replace_substring(pc.utf8_slice_codeunits(column, 1, -1), '""', '"')
    text = pc.if_else(is_quoted, bare, column)
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, _TEXT), text)


def _append_continuing(columns: Columns, rests: Any) -> None:
    """Append the lines that continue records to their messages."""
    if rests.null_count == len(rests):
        return
    name = next((name for name in _MESSAGE_NAMES if (name,) in columns), _CONTINUED)
    before = columns.get((name,), pa.nulls(len(rests), _TEXT))
    joined = pc.binary_join_element_wise(before, rests, pa.scalar("\n", _TEXT))
    columns[(name,)] = pc.coalesce(joined, before, rests)


def _write_values(column: Any, is_number: bool) -> Any:
    text = quote_texts(column)
    return pc.if_else(pc.match_substring_regex(column, _NUMBER), column, text) if is_number else text


def _write_objects(columns: Columns, count: int) -> Any:
    """Return JSON objects of JSON texts by path."""
    members: dict[str, Any] = {}
    inside: dict[str, Columns] = {}
    for path, column in columns.items():
        if len(path) == 1:
            members[path[0]] = column
        else:
            inside.setdefault(path[0], {})[path[1:]] = column
    for name, below in inside.items():
        written = _write_objects(below, count)
        members[name] = pc.if_else(pc.equal(written, "{}"), pa.scalar(None, _TEXT), written)
    if not members:
        return pa.repeat(pa.scalar("{}", _TEXT), count)
    return join_members(list(members), list(members.values()))


def _merge_objects(first: Any, second: Any) -> Any:
    """Return two objects as one; of a name that both have, the second member counts when the JSON is read."""
    parts = (pc.utf8_slice_codeunits(first, 0, -1), pc.utf8_slice_codeunits(second, 1))
    both = pc.binary_join_element_wise(*parts, pa.scalar(",", _TEXT))
    return pc.if_else(pc.equal(first, "{}"), second, pc.if_else(pc.equal(second, "{}"), first, both))
