"""Logs whose numbers have their digits far apart: no one DECIMAL holds what one field has had.

`spread()` draws a `Spread`: what arrives in which files and commits, under which rules, and what to ask about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.reference.values import is_number, rfc3339
from tests.support.drawn_values import HOUR, JANUARY

Record = dict[str, Any]
Commits = tuple[tuple[tuple[str, tuple[Record, ...]], ...], ...]
"""Of each commit the files that bring something, in order, each with its new records."""

DAY = 24 * HOUR
_EXACT = Context(prec=500)
MAPPING = {"id": "id", "type": "type", "time": "time", "entity": "stream", "actor": "actor", "data": "data"}
NARROW = (0, 1, 2, -1, 10, Decimal("2.5"), Decimal("0.4"), Decimal("2.55"), Decimal("-0.10"), Decimal("2.60"))
FAR = (
    10**40, Decimal("1E+40"), Decimal("1e21"), Decimal("1e-18"), Decimal("-1E-40"), Decimal("1e-12"), -(10**41) + 1,
    1234567890123456789012345678901234567890123, Decimal("1234567890123456789012345678.901234567890123456789"),
    Decimal("0.1234567890123456789012345678901234567890123"), Decimal("9999999999999999999999999999.9999999999"),
    Decimal("-0"), Decimal("-0.0"), Decimal("0E+50"), 2**63, -(2**63) - 1, 2**127, 10**38, 10**38 - 1,
    Decimal("0.00000000004"), Decimal("0.00000000000000000000000000000000000001"), Decimal("1e19"), Decimal("0.30"),
    10**40 + 1, Decimal("1E-19"), Decimal("123456789012345678.5"),
)  # fmt: skip
NUMBER_TEXTS = ("2.5", "1e40", "-0", "0.00000000000000000001", "12345678901234567890123456789012345678901")
OTHER = ("a", "", "1_0", "NaN", "it's", True, False, None, [1, Decimal("1E+40")], {"k": Decimal("1E-40")}, "\ue000m")
POOLS: dict[str, tuple[Any, ...]] = {
    "narrow": NARROW,
    "far": FAR,
    "spread": (*NARROW, *NARROW, *FAR, None),
    "whole": (0, 1, -1, 2**63, 10**40, 10**38, -(10**41), 7),
    "texts": (*NARROW, *FAR[:8], *NUMBER_TEXTS, None),
    "mixed": (*NARROW, *FAR, *NUMBER_TEXTS, *OTHER, *OTHER),
}
FIELDS = ("n", "m", "other name")
TYPES = ("Set", "Added", "Closed")
ENTITIES = ("a-1", "a-2", "b/3")

RULES: dict[str, dict[str, Any] | None] = {
    "merge": None,
    "set": {"on": {"*": {"set": {"n": "data.n", "m": "data.m"}}, "Closed": {"delete": True}}},
    "add": {"on": {"Set": {"set": {"n": "data.n"}}, "Added": {"add": {"n": "data.n"}, "count": {"m": True}}}},
    "extremes": {"on": {"*": {"min": {"n": "data.n"}, "max": {"m": "data.n"}}, "Closed": {"unset": ["n"]}}},
    "inner": {"on": {"*": {"set": {"n": "{'v': data.n}", "m": "[data.m]"}, "append": {"tags": "data.n"}}}},
    "sure": {"on": {"*": {"set": {"n": "data.n", "m": "coalesce(data.m, data.n)"}}}},
    "reckoned": {"on": {"*": {"set": {"n": "data.n * 2", "m": "coalesce(data.m, 0)"}, "add": {"total": "data.n + 1"}}}},
    "declared": {"types": {"n": "decimal(38,10)"}, "on": {"*": {"set": {"n": "data.n"}, "max": {"m": "abs(data.n)"}}}},
    "beside": {"on": {"*": {"when": "data.n > data.m", "set": {"n": "data.n", "m": "greatest(data.m, 0)"}}}},
    "when": {"on": {"*": {"when": "data.n <= 10", "set": {"n": "data.n"}, "count": {"m": True}}}},
}


@dataclass(frozen=True)
class Spread:
    """A log of widely different numbers and the projection it is folded by; `numeric`: all of it is numbers."""

    commits: Commits
    rules: str
    numeric: bool

    @property
    def records(self) -> list[Record]:
        """Give all records in order of position."""
        return [record for commit in self.commits for _, records in commit for record in records]

    @property
    def numbers(self) -> list[Decimal]:
        """Give the numbers that the field n has had, ascending."""
        values = {Decimal(value) for r in self.records if is_number(value := r["data"].get("n"))}
        return sorted(values)


@st.composite
def _payload(draw: DrawFn, pools: dict[str, str]) -> dict[str, Any]:
    payload = {}
    for field, pool in pools.items():
        if draw(st.integers(0, 3 if field == "n" else 1)):
            payload[field] = draw(st.sampled_from(POOLS[pool]))
    return payload


@st.composite
def _pools(draw: DrawFn) -> dict[str, str]:
    pools = {"n": draw(st.sampled_from(["spread", "spread", "far", "texts", "mixed", "whole", "narrow"]))}
    pools["m"] = draw(st.sampled_from(["spread", "narrow", "mixed", "far"]))
    if draw(st.booleans()):
        pools["other name"] = draw(st.sampled_from(["spread", "mixed"]))
    return pools


@st.composite
def records(draw: DrawFn, pools: dict[str, str], most: int = 9) -> list[Record]:
    """Draw events of a few entities, most of them later than the one before."""
    made: list[Record] = []
    hour = 0
    for number in range(draw(st.integers(2, most))):
        hour += draw(st.sampled_from([0, 7, 7, 24, 24, -5]))
        made.append(
            {
                "id": f"e{number}",
                "type": draw(st.sampled_from((*TYPES, *TYPES[:2]))),
                "time": rfc3339(JANUARY + 48 * HOUR + hour * HOUR),
                "stream": draw(st.sampled_from(ENTITIES)),
                "actor": "ann",
                "data": draw(_payload(pools)),
            }
        )
    # A field that no event has is an error of its own.
    made[0]["data"] = {field: made[0]["data"].get(field, 2) for field in FIELDS[:2]} | made[0]["data"]
    return made


@st.composite
def delivered(draw: DrawFn, made: Sequence[Record]) -> Commits:
    """Draw how records arrive: in one or two files, in one to three commits, in their order."""
    cuts = sorted(draw(st.sets(st.integers(1, max(len(made) - 1, 1)), max_size=3)) - {len(made)})
    pieces = [tuple(made[a:b]) for a, b in zip([0, *cuts], [*cuts, len(made)], strict=True)]
    files = [(draw(st.sampled_from(["x.jsonl", "x.jsonl", "y.jsonl"])), piece) for piece in pieces]
    commits: list[tuple[tuple[str, tuple[Record, ...]], ...]] = []
    for file in files:
        if commits and commits[-1][-1][0] < file[0] and draw(st.booleans()):
            commits[-1] = (*commits[-1], file)
        else:
            commits.append((file,))
    return tuple(commits)


@st.composite
def spread(draw: DrawFn, rules: Sequence[str] = tuple(RULES)) -> Spread:
    """Draw a log, its rules among `rules`, and how it arrives."""
    pools = draw(_pools())
    commits = draw(delivered(draw(records(pools))))
    return Spread(commits, draw(st.sampled_from(rules)), "mixed" not in pools.values())


def near(number: Decimal) -> list[Decimal]:
    """Give a number and what lies closest to it: a digit more, ten digits cut off, the other sign."""
    step = Decimal(1).scaleb(min(int(number.as_tuple().exponent), 0) - 1)
    cut = number.quantize(Decimal("1e-10"), context=_EXACT) if abs(number) < 10**50 else number
    return [number, _EXACT.add(number, step), _EXACT.subtract(number, step), cut, -number]


def written(number: Decimal, form: int = 0) -> str:
    """Write a number as SQL has it: plain, or with an exponent."""
    plain = format(number, "f")
    return plain if form == 0 or len(plain) < 4 else f"{number:e}".replace("e+", "e")
