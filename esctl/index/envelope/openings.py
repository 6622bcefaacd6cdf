"""Find the texts of sampled records that hold JSON, and open them in the samples."""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from esctl.engine.exact_text import is_shallow
from esctl.index.decode.encodings import EXTENDED, WHOLE, Opening
from esctl.index.decode.structs import struct_json
from esctl.index.envelope.envelope_sql import mapped_paths, record_path
from esctl.index.envelope.finding import field_names
from esctl.index.envelope.finding.sampled_fields import plain_name
from esctl.index.envelope.homes import is_change_log
from esctl.index.envelope.paths import format_path
from esctl.model import Stanza

_NEARLY_ALL, _MANY = 0.9, 0.5
_LEAST_SHARE = 0.3
"""Share of the records that must have such a text; if fewer have it, it is an ordinary value."""
_MOST_ROUNDS = 4
_LARGEST = 1 << 24
_EMPTY_TEXTS = ("", "null")
_PAYLOADS = {*field_names.DATA, *field_names.META, *field_names.CARRIERS}

_JSON_START = re.compile(r'\s*[{["]')
_STRUCT_START = re.compile(r"\[?\{[A-Za-z_][A-Za-z0-9_.$]*=")
_HEX_START = re.compile(r"(?:\\x|0x)?(?:7b|5b)", re.IGNORECASE)
_GZIP_START = re.compile(r"(?:\\x|0x)?1f8b08|H4sI|(?:\\x|0x)?78(?:01|5e|9c|da)|eJ|eN", re.IGNORECASE)
_BASE64_START = re.compile(r"ey|ew|W[19ywk3]|e3|e[01]")


def find_openings(samples: Sequence[object]) -> tuple[tuple[Opening, ...], Sequence[object]]:
    """Return the texts of a sample that nearly all hold JSON objects or arrays, and the sample with these opened.

    The fields of a record are looked at, and those of its metadata, of carriers of events, and of opened texts.
    """
    openings: list[Opening] = []
    if 2 * sum(_has_extended(sample) for sample in samples) > len(samples):
        openings = [((), EXTENDED)]
        samples = [open_sample(sample, openings) for sample in samples]
    for _ in range(_MOST_ROUNDS):
        found = _openings_in(samples, {path for path, _ in openings})
        if not found:
            break
        openings += found
        samples = [open_sample(sample, found) for sample in samples]
    return tuple(openings), samples


def open_sample(sample: object, openings: Iterable[Opening]) -> object:
    """Return a sampled record with its texts opened; texts that do not hold JSON stay."""
    for path, encoding in openings:
        if encoding == EXTENDED:
            sample = _without_extended(sample)
            continue
        if encoding in WHOLE:
            continue
        sample = _decode_at(sample, path, _DECODERS.get(encoding, _unchanged))
    return sample


_SCALARS = {"$oid", "$date", "$numberLong", "$numberInt", "$numberDecimal", "$numberDouble"}
_DEEPEST = 100


def _has_extended(value: object, depth: int = 0) -> bool:
    """Return whether a record has a value of extended JSON at its top or in an object there."""
    if not isinstance(value, dict):
        return False
    if len(value) == 1 and _SCALARS & value.keys():
        return depth > 0
    return depth < 2 and any(_has_extended(each, depth + 1) for each in value.values())


def _without_extended(value: object, depth: int = 0) -> object:
    """Return a sampled value with extended JSON as plain JSON, much as records are read."""
    if depth > _DEEPEST:
        return value
    if isinstance(value, list):
        return [_without_extended(each, depth + 1) for each in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and (name := next(iter(value))) in _SCALARS:
        inner = _without_extended(value[name], depth + 1)
        is_number = name.startswith("$number") and isinstance(inner, str)
        read = _parse_json(str(inner)) if is_number else inner
        return value if read is None else read
    return {key: _without_extended(each, depth + 1) for key, each in value.items()}


def with_needed_openings(stanza: Stanza, openings: Sequence[Opening]) -> Stanza:
    """Return a stanza that also opens the texts that its paths lead into or that are its payload."""
    if is_change_log(stanza):
        return stanza  # its records are decoded as a whole
    named = {path for path, _ in stanza.opened}
    reached = [record_path(path) for path in mapped_paths(stanza)]
    base = record_path(stanza.unwrap) if stanza.unwrap else ()
    wanted = [base, *((*base, *path) for path in reached), *((*base, *record_path(path)) for path in stanza.data)]
    more = [
        (format_path(path), encoding)
        for path, encoding in openings
        if format_path(path) not in named
        and any(len(path) <= len(each) and each[: len(path)] == path for each in wanted)
    ]
    return replace(stanza, opened=(*stanza.opened, *more)) if more else stanza


def _unchanged(text: str) -> object:
    return text


def _decode_at(value: object, path: Sequence[str | int], decode: Callable[[str], object]) -> object:
    if not path:
        found = decode(value) if isinstance(value, str) else None
        return value if found is None else found
    if not isinstance(value, dict) or path[0] not in value:
        return value
    return {**value, path[0]: _decode_at(value[path[0]], path[1:], decode)}


def _openings_in(samples: Sequence[object], known: set[tuple[str | int, ...]]) -> list[Opening]:
    texts: dict[tuple[str, ...], list[str]] = {}
    for sample in samples:
        for path, text in _list_texts(sample, known):
            texts.setdefault(path, []).append(text)
    found: list[Opening] = []
    for path, values in sorted(texts.items()):
        if len(values) >= _LEAST_SHARE * len(samples) and (encoding := _find_encoding(path, values)):
            found.append((path, encoding))
    return found


def _list_texts(sample: object, known: set[tuple[str | int, ...]]) -> Iterable[tuple[tuple[str, ...], str]]:
    """Yield the non-empty texts of a record with their paths; a record that is itself a text is at path ()."""
    if isinstance(sample, str):
        yield (), sample
    for key, value in sample.items() if isinstance(sample, dict) else ():
        if isinstance(value, str) and value not in _EMPTY_TEXTS:
            yield (key,), value
    holders = [(key,) for key in sample if plain_name(key) in _HOLDERS] if isinstance(sample, dict) else []
    for holder in {*holders, *known}:
        value = sample
        for part in holder:
            value = value.get(part) if isinstance(value, dict) else None
        for key, inner in value.items() if isinstance(value, dict) else ():
            if isinstance(inner, str) and inner not in _EMPTY_TEXTS:
                yield (*map(str, holder), key), inner


_HOLDERS = {*field_names.META, *field_names.CARRIERS}


def _find_encoding(path: Sequence[str], values: Sequence[str]) -> str | None:
    """Name the encoding in which enough of some texts hold JSON; None for plain texts."""
    needed = _MANY if path and plain_name(path[-1]) in _PAYLOADS else _NEARLY_ALL
    for encoding, start in _STARTS:
        if _enough_begin_with(values, start, needed):
            held = [inner for inner in map(_DECODERS[encoding], values) if _holds_json(inner)]
            # Short ids (e30, 7b7d) may also be an encoded object without members.
            if any(held) and len(held) >= needed * len(values):
                return encoding
    return None


def _enough_begin_with(values: Sequence[str], start: re.Pattern[str], needed: float) -> bool:
    """Return whether enough texts begin with a pattern; stop as soon as too few can."""
    likely = len(values)
    for value in values:
        likely -= not start.match(value)
        if likely < needed * len(values):
            return False
    return True


def _holds_json(value: object) -> bool:
    # JSON inside a JSON string is opened in the next round.
    return isinstance(value, dict | list) or (isinstance(value, str) and value.lstrip()[:1] in ("{", "["))


def _parse_json(text: str) -> object:
    if len(text) > _LARGEST or not is_shallow(text):
        return None
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError, ArithmeticError):  # the last: an exponent too long for a Decimal
        return None


def _no_constant(text: str) -> Any:
    raise ValueError(text)


def _parse_bytes(raw: bytes | None) -> object:
    try:
        return None if raw is None else _parse_json(raw.decode())
    except UnicodeDecodeError:
        return None


def _decode_hex(text: str) -> bytes | None:
    try:
        return bytes.fromhex(re.sub(r"^(?:\\x|0[xX])", "", text))
    except ValueError:
        return None


def _decode_base64(text: str) -> bytes | None:
    bare = re.sub(r"\s", "", text).translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        raw = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (ValueError, binascii.Error):
        return None
    # If bits are set that no encoder sets, the text only looks like base64.
    return raw if base64.b64encode(raw).decode().rstrip("=") == bare else None


def _decode_gzip(text: str) -> object:
    raw = _decode_hex(text)
    raw = _decode_base64(text) if raw is None else raw
    stream = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        found = None if raw is None else stream.decompress(raw, _LARGEST)
    except zlib.error:
        return None
    return _parse_bytes(found if stream.eof else None)


_STARTS = (
    ("json", _JSON_START),
    ("struct", _STRUCT_START),
    ("hex", _HEX_START),
    ("gzip", _GZIP_START),
    ("base64", _BASE64_START),
)
_DECODERS: dict[str, Callable[[str], object]] = {
    "json": _parse_json,
    "struct": lambda text: _parse_bytes(struct_json(text.encode(errors="replace"))),
    "hex": lambda text: _parse_bytes(_decode_hex(text)),
    "base64": lambda text: _parse_bytes(_decode_base64(text)),
    "gzip": _decode_gzip,
}
OPENED_IN_SAMPLES = frozenset({EXTENDED, *_DECODERS})
"""The encodings that `opened` opens; texts in others stay as they are in a sample."""
