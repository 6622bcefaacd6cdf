"""Prefixes of JSON on each line, as containers, collectors and brokers write them: detected, and cut off.

The bytes of a record keep the prefix; only its text, as it is read, lacks it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from esctl.sources.formats.json.text import is_json
from esctl.sources.formats.text.consoles import is_console, objects_of
from esctl.sources.formats.text.known import MOSTLY
from esctl.sources.formats.text.split_lines import CRI, CRI_PREFIX, DOCKER, complete_lines
from esctl.sources.pieces import NOISE

ANY, KEY, CONSOLE = "any", "key", "console"
"""Kinds of prefixes: any text up to the first brace; the key of a record and a tab, as brokers' consoles print it; all
that the console of Kafka prints of a message."""
_SEPARATORS = {KEY: "\t", **{f"{KEY}{sign}": sign for sign in ":|;#"}}
"""Kind -> what follows the key; signs other than a tab only follow a key that is an object."""
KEYS = frozenset(_SEPARATORS)
_PAIRS = {
    kind: re.compile(rf"\A(\{{.*?\}}){re.escape(sign)}(\{{.*|null|NULL|\s*)\Z".encode(), re.DOTALL)
    for kind, sign in _SEPARATORS.items()
}

_TIME = (
    r"\A(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})[T ](?P<clock>[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?)[0-9]*"
    r"(?P<zone>Z|[+-][0-9]{2}:?[0-9]{2})[ \t]"
)


def find_prefix(lines: list[bytes]) -> str | None:
    """Return the kind of prefix that lines have, or None if they have none or no JSON after it."""
    if whole := complete_lines(lines, CRI):
        return CRI if sum(map(is_json, whole)) >= MOSTLY * len(whole) else None
    if lines and all(map(is_console, lines)):
        return CONSOLE
    for kind in _SEPARATORS:
        if lines and all(_is_keyed(line, kind) for line in lines) and any(_has_value(line, kind) for line in lines):
            return kind
    behind = [line for line in lines if is_json(_from_brace(line)) and not line.lstrip(NOISE).startswith(b"{")]
    if not behind:
        return None
    return ANY if len(behind) >= MOSTLY * len(lines) else None


def _from_brace(line: bytes) -> bytes:
    start = line.find(b"{")
    return line[start:] if start >= 0 else b""


def _split_key(line: bytes, kind: str) -> tuple[bytes, bytes] | None:
    """Return the key and the value of a line, or None if it does not have both."""
    if found := _PAIRS[kind].match(line.strip(NOISE)):
        return (found[1], found[2].strip(NOISE)) if is_json(found[1]) else None
    key, tab, value = line.partition(b"\t") if kind == KEY else (b"", b"", b"")
    return (key, value.strip(NOISE)) if tab and key and b"{" not in key else None


def _is_keyed(line: bytes, kind: str) -> bool:
    found = _split_key(line, kind)
    return found is not None and (found[1] in _NO_VALUES or is_json(found[1]))


def _has_value(line: bytes, kind: str) -> bool:
    """Return whether a line has a key and a value that is not that of a tombstone."""
    found = _split_key(line, kind)
    return found is not None and found[1] not in _NO_VALUES


_NO_VALUES = (b"", b"null", b"NULL")
"""What is printed as the value of a tombstone."""


def without_runtime_prefix(texts: Any) -> Any:
    """Return lines (large_string) without the prefix of a container runtime."""
    return pc.replace_substring_regex(texts, rf"\A\s*{CRI_PREFIX}", "")


def has_json(line: bytes, kind: str | None) -> bool:
    """Return whether a line, with its parts, is complete JSON after its prefix."""
    if kind is None:
        return is_json(line)
    if kind in (CRI, DOCKER):
        whole = complete_lines(line.strip(NOISE).split(b"\n"), kind)
        return len(whole) == 1 and (kind == DOCKER or is_json(whole[0]))
    return _is_keyed(line, kind) if kind in KEYS else is_json(_from_brace(line))


def without_prefix(texts: Any, kind: str) -> tuple[Any, dict[int, str]]:
    """Return texts (large_string) without their prefix, and the reasons why some have none, by row.

    A record with a key becomes an object of `key` and `payload`, which is null for a tombstone.
    """
    if kind == CONSOLE:
        written, strays = objects_of(pc.ascii_trim(texts, NOISE.decode()))
        return written, dict.fromkeys(
            pc.indices_nonzero(strays).to_pylist(), "it is not as the console prints messages"
        )
    pattern = r"\A[^{]*(?P<json>\{(?s:.*))\z"
    if kind in KEYS:
        sign = re.escape(_SEPARATORS[kind])
        pattern = rf"\A(?P<key>\{{(?s:.*?)\}}){sign}(?P<json>(?s:\{{.*|(?:null|NULL)?\s*))\z"
    pattern = r"\A(?P<key>[^\t]*)\t(?P<json>(?s:.*))\z" if kind == KEY else pattern
    texts = pc.ascii_ltrim(texts, NOISE.decode())
    found = pc.extract_regex(texts, pattern)
    missing = pc.and_(pc.is_valid(texts), pc.is_null(found))
    reasons = dict.fromkeys(pc.indices_nonzero(missing).to_pylist(), "no JSON behind what begins the line")
    json = pc.struct_field(found, "json").cast(pa.large_string())
    return (_write_keyed(pc.struct_field(found, "key"), json) if kind in KEYS else json), reasons


def _write_keyed(keys: Any, texts: Any) -> Any:
    from esctl.sources.formats.json.write import join_members, quote_texts

    null = pa.scalar("null", pa.large_string())
    nothing = pc.is_in(pc.utf8_trim_whitespace(texts), value_set=pa.array(["", "NULL"], pa.large_string()))
    whole = pc.if_else(nothing, null, texts)
    names = pc.if_else(pc.is_in(keys, value_set=pa.array(["null", "NULL"], keys.type)), null, quote_texts(keys))
    written = join_members(["key", "payload"], [names, whole])
    return pc.if_else(pc.is_valid(texts), written, pa.scalar(None, pa.large_string()))


def times_before(raws: Any) -> Any:
    """Return the times (UTC) that records begin with, null if a record begins with no time that has a zone."""
    heads = pc.binary_slice(raws.cast(pa.large_binary()), 0, 48)
    try:
        found = pc.extract_regex(heads.cast(pa.large_string()), _TIME)
    except pa.ArrowInvalid:  # a character that was cut in two, or no text
        found = pc.extract_regex(heads, _TIME.encode().decode())
    parts = [pc.struct_field(found, name).cast(pa.large_string()) for name in ("day", "clock", "zone")]
    zone = pc.replace_substring_regex(parts[2], r"([+-][0-9]{2})([0-9]{2})\z", r"\1:\2")
    between, nothing = pa.scalar("T", pa.large_string()), pa.scalar("", pa.large_string())
    texts = pc.binary_join_element_wise(pc.binary_join_element_wise(parts[0], parts[1], between), zone, nothing)
    try:
        return texts.cast(pa.timestamp("us", "UTC"))
    except pa.ArrowInvalid:  # a time of no calendar among them
        return pa.array(map(_instant, texts.to_pylist()), pa.timestamp("us", "UTC"))


def _instant(text: str | None) -> datetime | None:
    """Return the instant of a time, None for one of no calendar. A leap second is the next, as in records."""
    is_leap = text is not None and text[17:19] == "60"
    try:
        found = None if text is None else datetime.fromisoformat(re.sub(r":60(\.[0-9]+)?", ":59", text))
        return None if found is None else found.astimezone(UTC) + timedelta(seconds=is_leap)
    except (ValueError, OverflowError):
        return None
