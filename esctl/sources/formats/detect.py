"""Detection of the format of a source by its first bytes."""

from __future__ import annotations

import re

from esctl.sources.formats.json.text import first_value, is_json, is_json_object, parse_leniently
from esctl.sources.formats.packed import sniff_packed
from esctl.sources.formats.prefixes import CONSOLE, KEYS, find_prefix
from esctl.sources.formats.scripts import without_script
from esctl.sources.formats.tables import find_dialect, is_separated
from esctl.sources.formats.text.consoles import is_dump
from esctl.sources.formats.text.csvlog import csvlog_columns
from esctl.sources.formats.text.known import MOSTLY, RUNTIME, count_lines, find_text_format, text_format
from esctl.sources.formats.text.split_lines import CRI, DOCKER, complete_lines, is_docker
from esctl.sources.formats.wrappers import parse_beginning, path_of_lines, path_to_records
from esctl.sources.pieces import BLANKS, BOM, NOISE

HEAD = 1 << 20
"""How many first bytes of a source `sniff` needs."""

_LINES_LOOKED_AT = 50
_TAGGED = re.compile(rb"\[[^\[\]{}\"]+\] *[^\s,\]]")
_STRAYS = 5


def sniff(head: bytes, whole: bool = True) -> str:
    """Return the format by the first bytes: jsonl, json, csv, tsv, text, parquet, arrow, avro or evtx.

    `whole`: the source has no more bytes. Other content is text, or jsonl if it is indented or has NUL bytes: each
    line, of text with those that continue it, is then kept as an invalid record.
    """
    columnar = sniff_columnar(head)
    if columnar is not None:
        return columnar
    text = head.removeprefix(BOM).lstrip(NOISE)
    if not text:
        return "jsonl"
    lines = _first_lines(text, whole)
    if text[:1] in b"[{":
        if find_prefix(lines) in KEYS:
            return "jsonl"
        return "text" if _is_tagged(lines) else _json_or_lines(text, lines, whole)
    if without_script(text) is not None:
        return "json"
    if not is_separated(head) and (_is_record(lines[0]) or any(is_json_object(line) for line in lines[1:])):
        return "jsonl"
    return "csv" if csvlog_columns(head) else _table_or_text(head, text, lines, whole)


def _is_record(line: bytes) -> bool:
    """Return whether a line is JSON, but not a string, which may be a title in quotes."""
    return is_json(line) and not line.startswith(b'"')


def _table_or_text(head: bytes, text: bytes, lines: list[bytes], whole: bool) -> str:
    prefix = find_prefix(lines)
    has_prefix = prefix is not None
    if not has_prefix and not is_separated(head) and find_text_format(lines):
        return "text"
    table = None if prefix in (CONSOLE, *KEYS) else find_dialect(head, whole)
    if table is not None:
        return "tsv" if table.delimiter == "\t" else "csv"
    if has_prefix:
        return "jsonl"
    if _has_strays(text, lines, whole):
        return "json"
    # If lines are indented from the first one on, or have NUL bytes, nothing shows which lines continue others.
    return "jsonl" if head.removeprefix(BOM).lstrip(b"\r\n")[:1] in b" \t" or b"\0" in head else "text"


def _is_tagged(lines: list[bytes]) -> bool:
    """Return whether lines are those of a log that begins them with something in brackets, like a time or a level."""
    tagged = sum(_TAGGED.match(line) is not None for line in lines)
    return tagged >= MOSTLY * len(lines) and not any(map(is_json, lines)) and find_prefix(lines) is None


def is_text(head: bytes, whole: bool, pattern: str) -> bool:
    """Return whether a pattern matches any of the first lines of a source; False if the pattern is ""."""
    lines = _first_lines(head.removeprefix(BOM).lstrip(NOISE), whole) if pattern else []
    texts = [line.decode(errors="replace") for line in lines]
    return bool(texts) and count_lines(text_format(pattern), texts) > 0


def text_dialect(head: bytes, whole: bool, pattern: str) -> dict[str, str]:
    """Return the dialect of a text log by its first bytes; `pattern` is the one that is set for it, or "".

    A container runtime's prefix is not a part of the lines, unless the pattern matches it.
    """
    lines = _first_lines(head.removeprefix(BOM).lstrip(NOISE), whole)
    inside = complete_lines(lines, CRI)
    if inside and not is_text(head, whole, pattern):
        return {"prefix": CRI, "pattern": pattern or find_text_format(inside) or RUNTIME}
    found = pattern or find_text_format(lines)
    return {"pattern": found} if found else {}


def line_prefix(head: bytes, whole: bool = True) -> str | None:
    """Return the kind of prefix that lines of JSON have, by the first bytes of a source, or None if they have none."""
    lines = _first_lines(head.removeprefix(BOM).lstrip(NOISE), whole)
    if not lines or is_json(lines[0]):
        return DOCKER if is_docker(lines) else None
    return find_prefix(lines)


def has_header_lists(head: bytes, whole: bool = True) -> bool:
    """Return whether lines of JSON are messages whose headers are lists, by the first bytes of a source."""
    return is_dump(_first_lines(head.removeprefix(BOM).lstrip(NOISE), whole))


def _has_strays(text: bytes, lines: list[bytes], whole: bool) -> bool:
    """Return whether JSON over several lines begins after a few other lines, like those between dumped records."""
    at = next((line for line in lines if line[:1] in (b"{", b"[")), None)
    if at is None or lines.index(at) > _STRAYS or is_json(at):
        return False
    value = first_value(text[text.index(b"\n" + at) + 1 :].decode(errors="replace"))
    return value.state == "complete" or (value.state == "incomplete" and not whole)


def sniff_columnar(head: bytes) -> str | None:
    """Return the format of a file of rows, parquet, arrow, avro or evtx, by its first bytes, or None."""
    if packed := sniff_packed(head):
        return packed
    if head.startswith(b"PAR1"):
        return "parquet"
    is_arrow = head.startswith((b"ARROW1\x00\x00", b"FEA1")) or _is_arrow_stream(head)
    return "arrow" if is_arrow else None


def _is_arrow_stream(head: bytes) -> bool:
    # Arrow IPC stream: a continuation marker, the metadata's length, then a flatbuffer's small root offset.
    return head.startswith(b"\xff\xff\xff\xff") and len(head) >= 12 and head[6:8] == b"\0\0" and head[9:12] == b"\0\0\0"


def _first_lines(text: bytes, whole: bool) -> list[bytes]:
    """Return the first lines that are not blank; the last of them only if it is complete."""
    lines = text.split(b"\n", 4 * _LINES_LOOKED_AT)
    cut_off = not whole or len(lines) > 4 * _LINES_LOOKED_AT
    if cut_off and len(lines) > 1:
        lines.pop()
    return [line for line in lines if line.strip(BLANKS)][:_LINES_LOOKED_AT]


def _json_or_lines(text: bytes, lines: list[bytes], whole: bool) -> str:
    first, alone = lines[0], len(lines) == 1
    if is_json(first):
        return "json" if _are_wrapped(lines) else "jsonl"
    value = first_value(text.decode(errors="replace"))
    if alone and not whole and len(first) == len(text) and value.state == "incomplete":
        # One line longer than the head: an array or a wrapper, else a very long record.
        return "json" if path_to_records(parse_beginning(text)) or text.startswith(b"[") else "jsonl"
    later_objects = any(is_json_object(line) for line in lines[1:] if line.startswith(b"{"))
    first_length = len(first.decode(errors="replace"))
    if value.state == "complete":
        concatenated = text.decode(errors="replace")[value.end :].lstrip(NOISE.decode())[:1] in ("{", "[", "")
        on_first_line = value.end <= first_length
        return "jsonl" if on_first_line and (later_objects or not concatenated) else "json"
    if value.state == "incomplete":
        return "jsonl" if whole and later_objects and text.startswith(b"{") else "json"
    return "jsonl" if later_objects or value.end <= first_length else "json"


def _are_wrapped(lines: list[bytes]) -> bool:
    """Return whether lines, the first of which is JSON, wrap records, and are not records themselves."""
    if len(lines) == 1:
        return lines[0].startswith(b"[") or bool(path_to_records(parse_beginning(lines[0])))
    return bool(path_of_lines([parse_leniently(line.strip(NOISE)) if is_json(line) else None for line in lines]))
