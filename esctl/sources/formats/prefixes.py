"""What stands before the JSON on each line, as containers, collectors and brokers write it: told, and cut off.

The bytes of a record keep it; only its text, as it is read, has it not.
"""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from esctl.sources.formats.jsontext import is_json
from esctl.sources.pieces import NOISE

ANY, KEY, CRI = "any", "key", "cri"
"""Kinds of prefixes: any text up to the first brace; the key of a record and a tab, as brokers' consoles print it; that
of containerd and CRI-O, which cuts long lines in parts."""

_MOSTLY = 0.8
_CRI = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[^ ]+ std(?:out|err) [PF](?::[^ ]*)? "
_CRI_LINE = re.compile(_CRI.encode())
PARTIAL = r"\A\s*[0-9]{4}-[0-9]{2}-[0-9]{2}T[^ ]+ std(?:out|err) P(?::[^ ]*)? "
"""What begins a part of a line that goes on in the next one."""
_PARTIAL_LINE = re.compile(PARTIAL.encode())
_TIME = (
    r"\A(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})[T ](?P<clock>[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?)[0-9]*"
    r"(?P<zone>Z|[+-][0-9]{2}:?[0-9]{2})[ \t]"
)


def find_prefix(lines: list[bytes]) -> str | None:
    """Return the kind of prefix that lines have, None where they have none or no JSON behind it."""
    if whole := without_prefixes(lines):
        return CRI if sum(map(is_json, whole)) >= _MOSTLY * len(whole) else None
    behind = [line for line in lines if is_json(_behind(line)) and not line.lstrip(NOISE).startswith(b"{")]
    keyed = [line for line in lines if _is_keyed(line)]
    if not behind:
        return None
    if len(keyed) == len(lines):
        return KEY
    return ANY if len(behind) >= _MOSTLY * len(lines) else None


def _joined(lines: list[bytes]) -> list[bytes]:
    """Return what containers wrote, without the prefixes, by lines that came in parts, as far as they are whole."""
    found, parts = [], b""
    for line in lines:
        parts += _CRI_LINE.sub(b"", line, count=1).rstrip(b"\r\n")
        if not is_part(line):
            found.append(parts)
            parts = b""
    return found


def _behind(line: bytes) -> bytes:
    start = line.find(b"{")
    return line[start:] if start >= 0 else b""


def _is_keyed(line: bytes) -> bool:
    key, tab, value = line.partition(b"\t")
    text = value.strip(NOISE)
    return bool(tab) and bool(key) and b"{" not in key and (text in (b"", b"null") or is_json(text))


def without_prefixes(lines: list[bytes]) -> list[bytes]:
    """Return what containers wrote, by their lines, where all lines are those of a container runtime; else none."""
    return _joined(lines) if lines and all(map(_CRI_LINE.match, lines)) else []


def bare(texts: Any) -> Any:
    """Cut off what a container runtime wrote before each line (large_string)."""
    return pc.replace_substring_regex(texts, rf"\A\s*{_CRI}", "")


def is_part(line: bytes) -> bool:
    """Return whether a line is a part of one that goes on."""
    return _PARTIAL_LINE.match(line) is not None


def has_json(line: bytes, kind: str | None) -> bool:
    """Return whether a line, with its parts, is JSON, without what stands before it."""
    if kind is None:
        return is_json(line)
    if kind == CRI:
        whole = _joined(line.strip(NOISE).split(b"\n"))
        return len(whole) == 1 and is_json(whole[0])
    return _is_keyed(line) if kind == KEY else is_json(_behind(line))


def with_parts_joined(raws: Any) -> Any:
    """Join the parts of lines (binary), before they are read as text: a character may be cut through."""
    return pc.replace_substring_regex(raws.cast(pa.large_binary()), rf"\r?\n{_CRI}", "")


def behind(texts: Any, kind: str) -> tuple[Any, dict[int, str]]:
    """Cut the prefix off texts (large_string); returns them, and the reasons why some have none, by row.

    A record with a key becomes an object of `key` and `payload`, null where there is no more.
    """
    pattern = r"\A(?P<key>[^\t]*)\t(?P<json>(?s:.*))\z" if kind == KEY else r"\A[^{]*(?P<json>\{(?s:.*))\z"
    texts = pc.ascii_ltrim(texts, NOISE.decode())
    found = pc.extract_regex(texts, pattern)
    missing = pc.and_(pc.is_valid(texts), pc.is_null(found))
    reasons = dict.fromkeys(pc.indices_nonzero(missing).to_pylist(), "no JSON behind what begins the line")
    json = pc.struct_field(found, "json").cast(pa.large_string())
    return (_keyed(pc.struct_field(found, "key"), json) if kind == KEY else json), reasons


def _keyed(keys: Any, texts: Any) -> Any:
    from esctl.sources.formats.jsonwrite import objects, quoted

    whole = pc.if_else(pc.equal(pc.utf8_trim_whitespace(texts), ""), pa.scalar("null", pa.large_string()), texts)
    written = objects(["key", "payload"], [quoted(keys), whole])
    return pc.if_else(pc.is_valid(texts), written, pa.scalar(None, pa.large_string()))


def times_before(raws: Any) -> Any:
    """Return the times (UTC) that records begin with, null where one begins with none that names its zone."""
    heads = pc.binary_slice(raws.cast(pa.large_binary()), 0, 48)
    try:
        found = pc.extract_regex(heads.cast(pa.large_string()), _TIME)
    except pa.ArrowInvalid:  # a character that was cut through, or no text
        found = pc.extract_regex(heads, _TIME.encode().decode())
    parts = [pc.struct_field(found, name).cast(pa.large_string()) for name in ("day", "clock", "zone")]
    zone = pc.replace_substring_regex(parts[2], r"([+-][0-9]{2})([0-9]{2})\z", r"\1:\2")
    between, nothing = pa.scalar("T", pa.large_string()), pa.scalar("", pa.large_string())
    texts = pc.binary_join_element_wise(pc.binary_join_element_wise(parts[0], parts[1], between), zone, nothing)
    try:
        return texts.cast(pa.timestamp("us", "UTC"))
    except pa.ArrowInvalid:  # of no calendar
        return pa.nulls(len(raws), pa.timestamp("us", "UTC"))
