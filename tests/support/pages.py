"""Pages read back in Python, apart from the script in them."""

from __future__ import annotations

import base64
import json
import re
from hashlib import sha256
from typing import Any

_BLOCK = re.compile(r'<script id="(data|bytes)" type="[a-z/]+">\n(.*?)\n</script>', re.DOTALL)


def told(page: bytes) -> dict[str, Any]:
    """What a page says, its records with their bytes under `bytes`, by position (None: erased)."""
    blocks = dict(_BLOCK.findall(page.decode("utf-8")))
    found: dict[str, Any] = json.loads(blocks["data"])
    found["bytes"] = dict(map(_record, blocks["bytes"].split("\n"))) if blocks["bytes"] else {}
    return found


def _record(line: str) -> tuple[int, bytes | None]:
    leaf, _, text = line.partition("\t")
    position, *rest = json.loads(leaf)
    raw = json.loads('"' + text.replace('"', '\\"') + '"')
    if len(rest) == 1:
        return position, None
    return position, base64.b64decode(raw[1:]) if raw.startswith("~") else raw[1:].encode()


def stepped(page: dict[str, Any], entity: int) -> list[dict[str, str]]:
    """The states of an entity, by the trail of a page: before the first event, and after each. Values are JSON text."""
    state = dict(next((fields or [] for each, _, _, _, fields in page["states"] if each == entity), []))
    known: dict[int, str | None] = {}
    changes = []
    for row in page["trail"]:
        if row[2] == entity:
            whole = [(field, rest[0] if rest else known[field], after) for field, after, *rest in row[7]]
            known.update((field, after) for field, _, after in whole)
            changes.append(whole)
    found = [state]
    for whole in reversed(changes):
        state = {**state, **{field: before for field, before, _ in whole}}
        state = {field: value for field, value in state.items() if value is not None}
        found.append(state)
    names = page["fields"]
    return [{names[field]: value for field, value in each.items()} for each in reversed(found)]


def policy(page: bytes) -> dict[str, list[str]]:
    """The Content-Security-Policy of a page."""
    (found,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page.decode())
    parts = [part.split() for part in found.split("; ")]
    return {name: values for name, *values in parts}


def inline(page: bytes, tag: str) -> list[str]:
    """The hashes of a page's inline scripts or styles, as its policy has to name them."""
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", page.decode(), re.DOTALL)
    return [f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'" for text in found]
