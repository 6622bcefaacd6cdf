"""What stands before the JSON on each line, as containers, collectors and brokers write it: told, and cut off.

The bytes of a record keep it; only its text, as it is read, has it not.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from esctl.sources.formats.json.text import is_json
from esctl.sources.formats.text.consoles import is_console, objects_of
from esctl.sources.formats.text.parted import CRI, CRI_PREFIX, DOCKER, wholes
from esctl.sources.pieces import NOISE

ANY, KEY, CONSOLE = "any", "key", "console"
"""Kinds of prefixes: any text up to the first brace; the key of a record and a tab, as brokers' consoles print it; all
that the console of Kafka prints of a message."""

_MOSTLY = 0.8
_TIME = (
    r"\A(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})[T ](?P<clock>[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?)[0-9]*"
    r"(?P<zone>Z|[+-][0-9]{2}:?[0-9]{2})[ \t]"
)


def find_prefix(lines: list[bytes]) -> str | None:
    """Return the kind of prefix that lines have, None where they have none or no JSON behind it."""
    if whole := wholes(lines, CRI):
        return CRI if sum(map(is_json, whole)) >= _MOSTLY * len(whole) else None
    behind = [line for line in lines if is_json(_behind(line)) and not line.lstrip(NOISE).startswith(b"{")]
    if lines and all(map(is_console, lines)):
        return CONSOLE
    keyed = [line for line in lines if _is_keyed(line)]
    if not behind:
        return None
    if len(keyed) == len(lines):
        return KEY
    return ANY if len(behind) >= _MOSTLY * len(lines) else None


def _behind(line: bytes) -> bytes:
    start = line.find(b"{")
    return line[start:] if start >= 0 else b""


def _is_keyed(line: bytes) -> bool:
    key, tab, value = line.partition(b"\t")
    text = value.strip(NOISE)
    return bool(tab) and bool(key) and b"{" not in key and (text in (b"", b"null") or is_json(text))


def bare(texts: Any) -> Any:
    """Cut off what a container runtime wrote before each line (large_string)."""
    return pc.replace_substring_regex(texts, rf"\A\s*{CRI_PREFIX}", "")


def has_json(line: bytes, kind: str | None) -> bool:
    """Return whether a line, with its parts, is JSON, without what stands before it."""
    if kind is None:
        return is_json(line)
    if kind in (CRI, DOCKER):
        whole = wholes(line.strip(NOISE).split(b"\n"), kind)
        return len(whole) == 1 and (kind == DOCKER or is_json(whole[0]))
    return _is_keyed(line) if kind == KEY else is_json(_behind(line))


def behind(texts: Any, kind: str) -> tuple[Any, dict[int, str]]:
    """Cut the prefix off texts (large_string); returns them, and the reasons why some have none, by row.

    A record with a key becomes an object of `key` and `payload`, null where there is no more.
    """
    if kind == CONSOLE:
        written, strays = objects_of(pc.ascii_trim(texts, NOISE.decode()))
        return written, dict.fromkeys(
            pc.indices_nonzero(strays).to_pylist(), "it is not as the console prints messages"
        )
    pattern = r"\A(?P<key>[^\t]*)\t(?P<json>(?s:.*))\z" if kind == KEY else r"\A[^{]*(?P<json>\{(?s:.*))\z"
    texts = pc.ascii_ltrim(texts, NOISE.decode())
    found = pc.extract_regex(texts, pattern)
    missing = pc.and_(pc.is_valid(texts), pc.is_null(found))
    reasons = dict.fromkeys(pc.indices_nonzero(missing).to_pylist(), "no JSON behind what begins the line")
    json = pc.struct_field(found, "json").cast(pa.large_string())
    return (_keyed(pc.struct_field(found, "key"), json) if kind == KEY else json), reasons


def _keyed(keys: Any, texts: Any) -> Any:
    from esctl.sources.formats.json.write import objects, quoted

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
