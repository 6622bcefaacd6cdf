"""Make hostile inputs out of good ones: the same seed gives the same inputs."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence

INTERESTING = (0, 1, 9, 10, 13, 32, 34, 39, 43, 45, 47, 58, 91, 92, 93, 123, 125, 127, 128, 192, 237, 255)
TOKENS = (
    b"\n", b"\r\n", b"\n\n", b'"', b"'", b"\\", b"\\u0000", b"\\ud800", b"\\", b"{", b"}", b"[", b"]", b"{}", b"[]",
    b"null",
    b"true", b"NaN", b"-Infinity", b"1e999", b"-0", b"0.1", b"9223372036854775808", b"-1", b"1e-400", b"\x00",
    b"\xef\xbb\xbf", b"\xff", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x80\xae", b"\x1b[31m", b",", b";", b"\t",
    b"--", b"/*", b";--",
    b"../", b"%s", b"=", b"'''", b'"""', b"(", b")", b"\xee\x80\x80", b"#", b"@", b"+", b"9" * 5000, b" " * 300,
)  # fmt: skip
_PIECES = re.compile(rb"[A-Za-z0-9_.]+|\s+|[^A-Za-z0-9_.\s]+")
_ODD: tuple[object, ...] = (
    None, True, False, 0, -1, 1 << 63, 1 << 200, 0.5, "", "x", "\x00", "\ud800", "../../x", [], {}, [[]], {"": ""},
    [None], "0" * 64,
)  # fmt: skip

Mutation = Callable[[random.Random, bytes, Sequence[bytes]], bytes]


def mutate(random_: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Change bytes in one to six ways; `others` are further good inputs, to be spliced in."""
    for _ in range(random_.choice((1, 1, 1, 2, 2, 3, 6))):
        data = random_.choice(_MUTATIONS)(random_, data, others)
    return data


def mutate_json(random_: random.Random, data: bytes) -> bytes:
    """Replace some values of a JSON text by odd ones, leave some out, nest some deeply."""
    value = json.loads(data)
    for _ in range(random_.choice((1, 1, 2, 4))):
        value = _mutate_value(random_, value)
    text = json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    if random_.random() < 0.02:
        depth = random_.choice((100, 2000, 100_000))
        text = text.replace(b'""', b"[" * depth + b"]" * depth, 1)
    return text


def _mutate_value(random_: random.Random, value: object) -> object:
    """Walk to a random node and give it another value."""
    if random_.random() < 0.15 or not isinstance(value, dict | list) or not value:
        return random_.choice(_ODD)
    if isinstance(value, list):
        at = random_.randrange(len(value))
        kept = list(value)
        if random_.random() < 0.2:
            kept.insert(at, kept[at])
        elif random_.random() < 0.2:
            del kept[at]
        else:
            kept[at] = _mutate_value(random_, kept[at])
        return kept
    key = random_.choice(sorted(value))
    if random_.random() < 0.1:
        return {name: item for name, item in value.items() if name != key}
    if random_.random() < 0.1:
        return {**value, random_.choice(("x", "", "\x00", "sha256", "__class__")): value[key]}
    return {**value, key: _mutate_value(random_, value[key])}


def _flip(random_: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    if not data:
        return b"\x00"
    changed = bytearray(data)
    for _ in range(random_.choice((1, 1, 3))):
        changed[random_.randrange(len(data))] ^= 1 << random_.randrange(8)
    return bytes(changed)


def _set_byte(random_: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    at = random_.randrange(len(data) + 1)
    return data[:at] + bytes([random_.choice(INTERESTING)]) + data[at + random_.randrange(2) :]


def _insert_token(random_: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    at = random_.randrange(len(data) + 1)
    return data[:at] + random_.choice(TOKENS) + data[at + random_.choice((0, 0, 1, 4)) :]


def _cut_out(random_: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    start, end = _span(random_, data)
    return data[:start] + data[end:]


def _truncate(random_: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    return data[: random_.randrange(len(data) + 1)]


def _repeat(random_: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    start, end = _span(random_, data)
    times = random_.choice((2, 2, 5, 50, 3000 if end - start < 4 else 2))
    return data[:start] + data[start:end] * times + data[end:]


def _splice(random_: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    other = random_.choice(others)
    start, end = _span(random_, other)
    at, upto = _span(random_, data)
    return data[:at] + other[start:end] + data[upto:]


def _swap(random_: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    pieces = _PIECES.findall(data[:4096])
    if len(pieces) < 2:
        return data
    one, two = random_.randrange(len(pieces)), random_.randrange(len(pieces))
    pieces[one], pieces[two] = pieces[two], pieces[one]
    return b"".join(pieces) + data[4096:]


def _span(random_: random.Random, data: bytes) -> tuple[int, int]:
    start = random_.randrange(len(data) + 1)
    return start, min(len(data), start + random_.choice((1, 1, 2, 4, 16, 100)))


_MUTATIONS: tuple[Mutation, ...] = (
    _flip, _flip, _set_byte, _insert_token, _insert_token, _cut_out, _truncate, _repeat, _splice, _swap,
)  # fmt: skip
