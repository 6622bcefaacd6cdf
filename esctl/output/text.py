"""Make text from a log harmless: no character that acts on a terminal is ever written as itself.

The characters are Unicode's control, format, surrogate and private-use ones (Cc, Cf, Cs, Co), its line and paragraph
separators, noncharacters and default-ignorable blocks. They are listed here, not asked of `unicodedata`, so that an
answer is the same bytes under every Python.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_ACTING = (
    r"\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    r"\ud800-\uf8ff\ufeff\ufff0-\ufffb\ufffe-\uffff\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    r"\U0001d173-\U0001d17a\U0001fffe-\U0001ffff\U000e0000-\U000e00ff\U000e01f0-\U000e0fff\U000f0000-\U0010ffff"
)
# Compiled only when needed: that takes longer than loading this module, and most answers have no such character.
_IN_JSON = f"[{_ACTING}]"
_IN_LINES = rf"[\x00-\x08\x0b\x0c\x0e-\x1f{_ACTING}]|\r(?!\n)"
_ANYWHERE = rf"[\x00-\x1f{_ACTING}]"
_HARMLESS = bytes([0x0A, *range(0x20, 0x7F), *range(0x80, 0xC0), *range(0xC3, 0xD8), *range(0xE3, 0xED)])
"""Bytes that begin no acting character in UTF-8: LF, printable ASCII, continuations, the first bytes of alphabets."""
_NAMED = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def _escape_json(match: re.Match[str]) -> str:
    units = match.group().encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))


def _escape_visibly(match: re.Match[str]) -> str:
    character = match.group()
    code = ord(character)
    if character in _NAMED:
        return _NAMED[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _is_harmless(text: str, encoded: bytes) -> bool:
    # Both tests reject all that the patterns find, and more, but are a hundred and ten times as fast.
    return not encoded.translate(None, _HARMLESS) or text.replace("\n", "").isprintable()


def _encode(text: str, acting: str, escape: Callable[[re.Match[str]], str]) -> bytes:
    encoded = text.encode("utf-8", "surrogatepass")
    return encoded if _is_harmless(text, encoded) else re.sub(acting, escape, text).encode()


def encode_json(text: str) -> bytes:
    """Return JSON text as UTF-8, with every acting character written as `\\uXXXX`; the JSON value stays the same.

    `text` is JSON, one or many lines, in which C0 characters are escaped already (RFC 8259, section 7).
    """
    return _encode(text, _IN_JSON, _escape_json)


def escape_json(text: str) -> str:
    """Return JSON text with every acting character written as by `encode_json`."""
    return encode_json(text).decode()


def encode_lines(text: str) -> bytes:
    """Return text as UTF-8, with acting characters shown as by `visible_lines`."""
    return _encode(text, _IN_LINES, _escape_visibly)


def visible_lines(text: str) -> str:
    """Show acting characters as `\\x1b` or `\\u202e`, keeping tabs and line ends (LF, CRLF)."""
    return encode_lines(text).decode()


def visible(text: str) -> str:
    """Show acting characters, tabs and line ends too, as `\\x1b`, `\\u202e`, `\\t`, `\\n`: one line of text."""
    if text.isprintable():
        return text
    return re.sub(_ANYWHERE, _escape_visibly, text)
