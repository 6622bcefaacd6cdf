"""SQL that replaces the value at a path of a JSON text; everything else keeps its bytes and its order."""

from __future__ import annotations

from esctl.engine.exact_text import member_sql, members_sql, pointer_token
from esctl.engine.quoting import literal
from esctl.index.decode.encodings import Path as Path
from esctl.model import MARK


def pointer_of(path: Path) -> str:
    """Return the JSON Pointer of a path."""
    return "".join(f"/{pointer_token(_judged_name(step))}" for step in path)


def leads_there_sql(json: str, path: Path) -> str:
    """Write SQL that is true if a path leads through objects, and through arrays where it has an index."""
    types = [
        ("ARRAY" if isinstance(step, int) else "OBJECT", pointer_of(path[:depth])) for depth, step in enumerate(path)
    ]
    return " AND ".join(f"json_type({json}, {literal(place)}) = '{kind}'" for kind, place in types) or "true"


def with_value_sql(json: str, path: Path, value: str, depth: int = 0) -> str:
    """Write SQL for a JSON text with another value at a path for which `leads_there_sql` is true."""
    if depth == len(path):
        return value
    step, member = path[depth], f"m{depth}"
    if isinstance(step, int):
        inner = with_value_sql(member, path, value, depth + 1)
        each = f"CASE WHEN i{depth} = {step + 1} THEN {inner} ELSE {member}::VARCHAR END"
        elements = f"list_transform(json_extract({json}, '$[*]'), lambda {member}, i{depth}: {each})"
        return f"'[' || array_to_string({elements}, ',') || ']'"
    inner = with_value_sql(f"{member}.value", path, value, depth + 1)
    replaced = f"to_json({member}.key)::VARCHAR || ':' || {inner}"
    each = f"CASE WHEN {member}.key = {literal(_judged_name(step))} THEN {replaced} ELSE {member_sql(member)} END"
    return f"'{{' || array_to_string(list_transform({members_sql(json)}, lambda {member}: {each}), ',') || '}}'"


def _judged_name(step: str | int) -> str:
    """Return a name as it is in judged text, where a name that begins with MARK has another one in front."""
    return MARK + step if isinstance(step, str) and step.startswith(MARK) else str(step)
