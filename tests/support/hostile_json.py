"""Texts that are nearly JSON, drawn from a seed: what readers that ought to agree are likely to see differently."""

from __future__ import annotations

import random

from esctl.model import MARK

NUMBERS = (
    "0", "-0", "1", "-1", "12", "0.5", "1.50", "-0.0", "0.00001", "0.0001", "1e5", "1E-7", "123456789012345678",
    "12345678901234567890", "9223372036854775808", "-9223372036854775809", "-9999999999999999999",
    "0.1234567890123456", "0.30000000000000004", "1.7976931348623157e308", "123456789012345.6", "1234567890123456.5",
    "12345678901234567.5", "100000000000000.0", "591426448792566.2", "591426448792566.3", "1e400",
    "1e999999999999999999", "1e9999999999999999999", "00", "01", ".5", "5.", "-", "+1", "1e", "1e+", "NaN",
    "Infinity", "-Infinity", "nan", "0x1",
)  # fmt: skip
TEXTS = (
    '""', '"a"', '"\\u0061"', '"\\ud83d\\ude00"', '"\\ud800"', '"\\udc00"', '"\\ud800\\ud800\\udc00"', f'"{MARK}"',
    f'"{MARK}5"', '"\\ue0005"', '"\\uE000"', f'"x{MARK}"', '"é€😀"', '"a\tb"', '"\x00"', '"\\q"', '"\\"', '"\\\\"',
    '",]"', '": 1e5,"', '"{"', '"[[["', '"\\/"', '"\x7f\u2028"', '"nan]"', '"\\u00e"', '"\ufeff"', '"1.0"',
)  # fmt: skip
KEYS = (*TEXTS, *('"a"', '"b"') * 12)
BLANKS = ("", "", "", " ", "\n", "\t ", "\r\n")
LETTERS = '{}[]:,"\\ue0dD1.-+eEntfx \n\x01aN/'
INSERTED = ("\\ud800", MARK, ",]", "\ufeff", " ")
BEFORE, BEHIND = (b"\xef\xbb\xbf", b" ", b"\x1e", b"\0", b"\r\n"), (b"\n", b" \r\n", b"\xef\xbb\xbf")


def value(drawn: random.Random, depth: int = 4) -> str:
    """Draw a value as text: in most cases JSON."""
    kind = drawn.random()
    if kind < 0.3:
        return drawn.choice(NUMBERS)
    if kind < 0.34:
        places = drawn.randint(-8, 25)
        return repr(drawn.uniform(-1e6, 1e6)) if drawn.random() < 0.5 else str(drawn.random() * 10**places)
    if kind < 0.55:
        return drawn.choice(TEXTS)
    if kind < 0.65 or depth == 0:
        return drawn.choice(("true", "false", "null"))
    blank = drawn.choice(BLANKS)
    values = [value(drawn, depth - 1) for _ in range(drawn.randint(0, 4))]
    if kind < 0.8:
        return f"[{blank}{f'{blank},{drawn.choice(BLANKS)}'.join(values)}{blank}]"
    members = (f"{drawn.choice(KEYS)}{blank}:{drawn.choice(BLANKS)}{each}" for each in values)
    return f"{{{blank}{f'{blank},{drawn.choice(BLANKS)}'.join(members)}{blank}}}"


def record(drawn: random.Random) -> bytes | None:
    """Draw the bytes of a record: a value, often damaged, now and then none."""
    text, kind = value(drawn), drawn.random()
    if kind > 0.98:
        return None
    if kind < 0.35:
        for _ in range(drawn.randint(1, 3)):
            text = _changed(drawn, text)
    raw = text.encode("utf-8", "surrogatepass")
    if kind > 0.95 and raw:
        at = drawn.randrange(len(raw))
        raw = raw[:at] + bytes([drawn.randrange(256)]) + raw[at + 1 :]
    return drawn.choice(BEFORE) + raw + drawn.choice(BEHIND) if 0.9 < kind < 0.93 else raw


def _changed(drawn: random.Random, text: str) -> str:
    at = drawn.randrange(len(text) + 1)
    before, behind = text[:at], text[at:]
    letter, inserted = drawn.choice(LETTERS), drawn.choice(INSERTED)
    return drawn.choice((before + letter + behind, before + behind[1:], before, before + inserted + behind))
