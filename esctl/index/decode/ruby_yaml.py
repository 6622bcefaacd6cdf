"""Convert the YAML that Ruby writes of a record's attributes, or of their changes, to JSON.

It maps names to scalars or lists of scalars; a time may be an object, whose `utc` is taken. Anything else is not read:
its text stays. Numbers keep all their digits.
"""

from __future__ import annotations

import json
import re

import msgspec

_KEY = re.compile(r"""(?:"((?:[^"\\]|\\.)*)"|'((?:[^']|'')*)'|([^\s'"\[{&*!|>%@`#-][^:\n]*?))\s*:(?:\s+(.*))?$""")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,15})?")
_ANCHOR = re.compile(r"&\S+\s+")
_TAGGED = re.compile(r"(?:&\S+\s+)?!ruby/(?:object|hash):\S+\s*$")
_CONSTANTS = {"": None, "~": None, "null": None, "true": True, "false": False}
_LARGEST = 1 << 20


def yaml_json(raw: bytes | None) -> bytes | None:
    """Return the JSON of a text in Ruby's YAML; None if it cannot be read."""
    if raw is None or not raw.startswith(b"---") or len(raw) > _LARGEST:
        return None
    try:
        lines = raw.decode().split("\n")
        return msgspec.json.encode(_mapping(lines))
    except (ValueError, UnicodeDecodeError):
        return None


def _mapping(lines: list[str]) -> dict[str, object]:
    first = re.sub(r"^---\s*(?:!ruby/(?:hash|object):\S+)?\s*", "", lines[0])
    rest = [line for line in lines[1:] if line.strip() and line.strip() != "..."]
    if first not in ("", "{}"):
        raise ValueError(first)
    members: dict[str, object] = {}
    at = 0
    while at < len(rest):
        found = _KEY.match(rest[at])
        if found is None:
            raise ValueError(rest[at])
        name = next(
            _scalar(text, quote) for text, quote in zip(found.groups()[:3], "\"' ", strict=True) if text is not None
        )
        members[str(name)], at = _value(rest, at + 1, (found[4] or "").strip())
    return members


def _value(lines: list[str], at: int, text: str) -> tuple[object, int]:
    """Read a key's value from its line and those below it; return the value, and the line to continue at."""
    if text or at == len(lines) or not re.match(r"\s*-(?:\s|$)", lines[at]):
        return _item(lines, at, text, 0)
    found: list[object] = []
    indent = len(lines[at]) - len(lines[at].lstrip())
    while at < len(lines) and re.match(rf" {{{indent}}}-(?:\s|$)", lines[at]):
        value, at = _item(lines, at + 1, lines[at][indent + 1 :].strip(), indent)
        found.append(value)
    return found, at


def _item(lines: list[str], at: int, text: str, indent: int) -> tuple[object, int]:
    """Read a scalar, a block of text, or a time object; lines indented deeper than `indent` belong to it."""
    below = at
    while below < len(lines) and lines[below].startswith(" " * (indent + 1)):
        below += 1
    if _TAGGED.match(text):
        utc = next((line.strip()[5:] for line in lines[at:below] if line.strip().startswith("utc: ")), None)
        if utc is None:
            raise ValueError(text)
        return _ANCHOR.sub("", utc), below
    if text in ("|", "|-", "|+"):
        block = "\n".join(line[indent + 2 :] for line in lines[at:below])
        return block + ("" if text == "|-" else "\n"), below
    if below > at:
        raise ValueError(lines[at])
    return _plain(text), below


def _plain(text: str) -> object:
    if text[:1] in ('"', "'"):
        if len(text) < 2 or text[-1] != text[0]:
            raise ValueError(text)
        return _scalar(text[1:-1], text[0])
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text in ("[]", "{}"):
        return json.loads(text)
    if _NUMBER.fullmatch(text):
        return msgspec.Raw(text.encode())
    if text[:1] in "[{&*!|>%@`#":
        raise ValueError(text)
    return text


def _scalar(text: str, quote: str) -> object:
    if quote == '"':
        return json.loads(f'"{text}"')
    return text.replace("''", "'") if quote == "'" else text.strip()
