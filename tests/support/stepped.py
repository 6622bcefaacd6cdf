"""The ways a fold can take: as a set, or step by step for each reason that there is, with the same meaning."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from esctl.projection.spec import Projection
from tests.ask.states.test_engine_reference import PORT
from tests.support.ground import projection_of
from tests.support.wide_digits import RULES, Commits, Spread

MANY = 501
Table = dict[str, Any]
MERGE: Table = {"on": {"*": {"merge": "data"}}}
UNMATCHED: dict[str, Table] = {
    "patched": {"merge_patch": "data"},
    "wide": {"set": {f"field{number}": "position" for number in range(MANY)}},
    "merged": {"merge": "data"},
    "counted": {"count": {"n": True, "unseen": "data.n"}},
    "other": {"set": {"unseen": "data.m"}, "delete": True},
}
"""Bodies of a rule that no event matches; the first two make a fold stepped."""
WAYS = ("set", "shared", "patched", "wide", "keys", "python")


def with_rule(rules: str, body: str) -> Table:
    """Give a projection's table with one more rule, for events that never come."""
    table = RULES[rules] or MERGE
    families = {name for rule in table["on"].values() for name in rule}
    # One accumulating operation per field: `n` cannot be counted where it is added to.
    extra = (
        UNMATCHED[body]
        if not (body == "counted" and families & {"add", "min", "max", "append"})
        else {"count": {"unseen": True}}
    )
    return {**table, "on": {**table["on"], "Never": extra}}


def rules_of(way: str) -> tuple[str, ...]:
    """Name the rules that can be folded this way."""
    return {"python": ("merge",), "keys": ("merge",)}.get(way, tuple(RULES))


def taken(way: str, log: Spread, folder: Path) -> tuple[Commits, Projection | None, Path | None]:
    """Give what arrives, and the projection with its configuration, so that the fold goes this way."""
    if way == "python":
        (folder / "ported.py").write_text(PORT, encoding="utf-8")
        return log.commits, Projection(name="p", python="ported:merge"), folder / "esctl.toml"
    if way == "keys":
        record = {**log.records[0], "id": "zz", "stream": "zz-9", "data": many_keys()}
        return (*log.commits, (("z.jsonl", (record,)),)), None, None
    if way == "shared":
        return log.commits, projection_of({**(RULES[log.rules] or MERGE), "entities": "a-*"}), None
    table = RULES[log.rules] if way == "set" else with_rule(log.rules, way)
    return log.commits, projection_of(table), None


def many_keys() -> dict[str, Any]:
    """Give a payload with more keys than a set-wise fold has fields, and with digits far apart."""
    return {**{f"key{number}": number for number in range(MANY)}, "n": Decimal("1E-40"), "m": 10**50}
