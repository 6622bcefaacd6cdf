"""Hypothesis strategies of projections: every operation, most of them without errors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

NUMERIC_KEYS = ("amount", "limit", "Amount")
GLOBS = ("*", "*", "*ed", "?pened", "Dep*", "No*", "O*")
PLAIN_FIELDS = ("status", "Status", "user name", 'say "hi"', "a.b", "position", "ключ", "it's")
FAMILIES = {
    "additive": ("balance", "Balance", "n.n"),
    "min": ("low", "lo w"),
    "max": ("high", "select"),
    "list": ("tags", 'odd "list"'),
}
RESETS = {"additive": ("0", "10.5", 3), "min": ("50", "0"), "max": ("-5", "0"), "list": ("[]", "['first']", "[1, 2]")}


def path(key: str) -> str:
    """Write the expression path of a payload key, quoted where it has to be."""
    return f"data.{key}" if re.fullmatch(r"[A-Za-z_]\w*", key, re.ASCII) else 'data."' + key.replace('"', '""') + '"'


def _numbers(keys: Sequence[str]) -> tuple[Any, ...]:
    found: list[Any] = ["1", "2.5", "position", "length(type)", 3, "-(1 + 2) * 3"]
    for p in (path(key) for key in keys if key in NUMERIC_KEYS):
        found += [p, p, p, f"{p} + 1", f"{p} * 2", f"-{p}", f"{p} - 0.1", f"coalesce({p}, 0)", f"round({p}, 2)"]
        found += [f"abs({p})", f"greatest({p}, 10)", f"least({p}, 10)", f"nullif({p}, 5)", f"{p} % 7", f"floor({p})"]
        found += [f"case when type = 'Opened' then {p} else 1 end", f"ceil({p})"]
    return tuple(found)


def _values(keys: Sequence[str], roles: bool) -> tuple[Any, ...]:
    found: list[Any] = ["'text'", "null", "1.50", True, "actor", "type", "lower(type)", "id", "entity", "kind", "time"]
    found += ["position", "{'id': id, 'by': actor}", "[]", "correlation", "case when actor = 'ann' then 'a' end"]
    found += ["role"] * roles
    for p in map(path, keys):
        found += [p, p, p, f"{{'v': {p}, 'n': position}}", f"[{p}]", f"coalesce({p}, actor)", f"{p} || '!'"]
        found += [f"upper({p})", f"concat({p}, '-', actor)", f"substr({p}, 1, 2)", f"trim({p})"]
        found += [f"replace({p}, 'a', 'b')", f"case when {p} is null then 'none' else 'some' end"]
    return tuple(found)


def _conditions(keys: Sequence[str], roles: bool, dirty: bool) -> tuple[Any, ...]:
    """Give conditions; those that may err stand alone, for what `and` and `or` pass over is not defined."""
    safe = ["actor = 'ann'", "type like '%ed'", "position > 3", "time < '2024-01-02T12:00:00Z'", "actor is null"]
    safe += ["type in ('Opened', 'x')", "not starts_with(type, 'O')", "true", "null", "ends_with(type, 'd')"]
    safe += ["correlation = 'c1'"]
    safe += ["role = 'from'"] * roles
    alone: list[Any] = []
    for key in keys:
        p = path(key)
        safe += [f"{p} is not null", f"{p} is null", f"{p} = 'a'", f"{p} <> 'a'", f"{p} in ('a', '1')"]
        safe += [f"contains({p}, 'a')", f"{p} like '%1_'"]
        safe += [f"{p} = {path(other)}" for other in keys[:2] if other != key]
        if key in NUMERIC_KEYS:
            alone += [f"{p} > 10", f"{p} between 0 and 10", f"{p} = 1", f"{p} / 2 > 1", f"{p} + 1 <= 6"]
            alone += [f"{p} not in (1, 5)"]
        if key == "flag":
            alone += [p, f"not {p}", f"{p} = true"]
    alone += ["data.flag"] if dirty else []
    compound = [f"{safe[0]} or {p}" for p in safe[1:]] + [f"not ({p}) and {safe[2]}" for p in safe[3:]]
    return (*safe, *alone, *alone, *compound)


@st.composite
def _operation(draw: DrawFn, keys: Sequence[str], roles: bool, dirty: bool, families: Sequence[str]) -> tuple[str, Any]:
    kind = draw(st.sampled_from(["plain", *families, "plain", *families, "whole", *families]))
    if kind == "whole":
        objects = [path(key) for key in keys if key in ("profile", "a")]
        whole = draw(st.sampled_from(["merge", "merge_patch", "replace"]))
        return whole, draw(st.sampled_from(["data", *objects, "{'status': type, 'position': null}"]))
    if kind == "plain":
        field = draw(st.sampled_from(PLAIN_FIELDS))
        if not draw(st.integers(0, 5)):
            return "unset", draw(st.lists(st.sampled_from(PLAIN_FIELDS), min_size=1, max_size=3, unique=True))
        return "set", {field: draw(st.sampled_from(_values(keys, roles)))}
    field = draw(st.sampled_from(FAMILIES[kind]))
    reset = draw(st.sampled_from([0, 1, 1, 2, 2] if dirty else range(7)))
    if reset == 0:
        return "unset", [field]
    if reset == 1:
        return "set", {field: draw(st.sampled_from((*RESETS[kind], *(path(k) for k in keys if dirty))))}
    return draw(_accumulation(kind, field, keys, roles))


@st.composite
def _accumulation(draw: DrawFn, kind: str, field: str, keys: Sequence[str], roles: bool) -> tuple[str, Any]:
    if kind == "list":
        tags = [path(key) for key in keys if key in ("tag", "note")] * 4
        values = st.sampled_from((*tags, *_values(keys, roles)))
        return draw(st.sampled_from(["append", "append", "remove"])), {field: draw(values)}
    if kind != "additive":
        return kind, {field: draw(st.sampled_from(_numbers(keys)))}
    name = draw(st.sampled_from(["add", "subtract", "count"]))
    counted = (True, "1", *_values(keys, roles)) if name == "count" else _numbers(keys)
    return name, {field: draw(st.sampled_from(counted))}


@st.composite
def _body(draw: DrawFn, keys: Sequence[str], roles: bool, dirty: bool, families: Sequence[str]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if draw(st.sampled_from([False, True, False, False])):
        body["when"] = draw(st.sampled_from(_conditions(keys, roles, dirty)))
    for _ in range(draw(st.sampled_from([3, 2, 4, 1]))):
        name, value = draw(_operation(keys, roles, dirty, families))
        merged = {**body[name], **value} if isinstance(body.get(name), dict) and isinstance(value, dict) else value
        body[name] = merged
    if draw(st.sampled_from([False] * 9 + [True])):
        body["delete"] = True
    return body


def _listed(on: dict[str, Any]) -> Any:
    """List rules by pattern, several of one pattern, or one after another; their text says which, and none is drawn."""
    bodies = list(on.items())
    chosen = len(repr(on))
    again = bodies[chosen % len(bodies)]
    if chosen % 3 == 0:
        return on
    if chosen % 3 == 1:
        return {**on, again[0]: [again[1], again[1]]}
    return [{"type": pattern, **body} for pattern, body in [*bodies, again]]


def rules_of(on: Any) -> list[tuple[str, dict[str, Any]]]:
    """List the rules of a projection's `on`, each with its pattern."""
    if isinstance(on, list):
        return [(body["type"], {name: value for name, value in body.items() if name != "type"}) for body in on]
    return [
        (pattern, body) for pattern, bodies in on.items() for body in (bodies if isinstance(bodies, list) else [bodies])
    ]


@st.composite
def projections(draw: DrawFn, types: Sequence[str], keys: Sequence[str], roles: bool, dirty: bool) -> dict[str, Any]:
    """Draw the table of one projection of these event types and payload keys, one accumulating family per field."""
    weighted = ("additive", "additive", "list", "list", "min", "max")
    families = draw(st.lists(st.sampled_from(weighted), min_size=1, max_size=4))
    on: dict[str, Any] = {}
    for _ in range(draw(st.sampled_from([3, 2, 4, 1, 5]))):
        suffix = draw(st.sampled_from(["", "", "[from]", "[to]"])) if roles else ""
        on[draw(st.sampled_from((*types, *types, *GLOBS))) + suffix] = draw(_body(keys, roles, dirty, families))
    if draw(st.booleans()):
        on["Closed"] = {"delete": True}
    table: dict[str, Any] = {"on": on}
    wholes = any(name in body for body in on.values() for name in ("merge", "merge_patch", "replace"))
    if not wholes and not draw(st.integers(0, 3)):
        table["types"] = dict.fromkeys(FAMILIES["additive"][:2] + FAMILIES["min"], "decimal(38,8)")
        table["types"]["status"] = "varchar"
    scope = draw(st.integers(0, 9))
    if scope in (0, 1):
        table |= {"entities": "account-*"} if scope else {"kinds": ["account"]}
    return {**table, "on": _listed(on)}
