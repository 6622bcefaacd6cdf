"""The pools that drawn logs take their values from, and what a drawn log is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.reference import MISSING
from tests.reference.mapping import Record, dump

JANUARY = 1_704_067_200_000_000
"""2024-01-01T00:00:00Z in microseconds."""
HOUR = 3_600_000_000
INSTANTS = (JANUARY, JANUARY + 24 * HOUR, JANUARY + 24 * HOUR + 1, JANUARY + 48 * HOUR, JANUARY + 72 * HOUR + 500_000)

TYPES = ("Opened", "Deposited", "Withdrawn", "Odd type/1.0", "opened")
PLAIN_ENTITIES = ("account-1", "account-2", "order/7")
ODD_ENTITIES = ('o\'brien "x"', "ünïcödé", "100%", 42, "\x1b[31mred")
INVALID = (
    b"not json", b'{"id": "i", "stream": "account-1",}', b'{"stream": NaN}', b'{"stream": "\xff"}', b'{"type": "Op',
    b'{"stream": "account-1", "type": "Opened", "time": "yesterday", "seq": 7, "meta": {"lsn": 7}}',
    b'{"stream": "account-1", "n": 01}',
)  # fmt: skip

EXACT_NUMBERS = (
    0, 1, -1, 5, 100, 2**53 + 1, Decimal("1.0"), Decimal("0.1"), Decimal("0.2"), Decimal("-2.50"),
    Decimal("0.00000001"), Decimal("12345678901234567890.12345678"), 1234567890123456789012345678, Decimal("1E+3"),
    Decimal("2.5e-7"),
)  # fmt: skip
NUMBER_TEXTS = ("12.50", "-3", "1e2", "9")
TEXTS = (
    "a", "b", "A", "", " pad ", "é", "1", "null", "it's", 'q"q', "\x1b[1m", "\u202e", "\ue000mark", "%", "true", "10",
)  # fmt: skip
OBJECTS: tuple[dict[str, Any], ...] = (
    {"k": 1},
    {"k": Decimal("1.0")},
    {"k": None},
    {"b": {"c": None, "d": [1, {"e": "x"}]}},
    {},
    {"b": {"c": 2}},
)
NOT_NUMBERS = ("abc", "", True, [1], {"k": 1}, "NaN", "1_000", "12,50")

PAYLOAD: dict[str, tuple[Any, ...]] = {
    "amount": (*EXACT_NUMBERS, *NUMBER_TEXTS, None, MISSING),
    "limit": (*EXACT_NUMBERS[:10], "9", None, MISSING, MISSING),
    "Amount": (7, Decimal("7.5"), MISSING),
    "note": (*TEXTS, None, MISSING, MISSING, 5, Decimal("1.0"), True, {"k": Decimal("1.0")}),
    "flag": (True, False, None, MISSING),
    "tag": ("a", "b", 1, Decimal("1.0"), "1", None, {"k": 1}, {"k": Decimal("1.0")}, [1], True, MISSING),
    "tags": (["a"], ["a", 1, None], [], MISSING),
    "balance": (10, Decimal("0.5"), MISSING, MISSING),
    "profile": (*OBJECTS, None, MISSING),
    "a": ({"b": 1}, {"b": None}, {"b": "x"}, MISSING),
    "a.b": (2, "two", None, MISSING),
    "user name": ("ann", None, MISSING, 3),
    'say "hi"': ("x", 1, MISSING),
    "it's": (1, Decimal("1.5"), None, MISSING),
    "ключ": ("z", 1, MISSING),
    "x/y~1": (1, None, MISSING),
    "back\\slash": ("b", MISSING),
    "$": (1, MISSING),
    "*": ([1, 2], MISSING),
}
KEYS = (*PAYLOAD, "limit", "tag", "tag", "flag", "profile", "profile", "balance", "a", "a.b", "a.b")


@dataclass(frozen=True)
class Log:
    """One drawn example: what arrives, in which batches and when, how it is read and folded, what is asked.

    `batches` are the sizes of successive ingests; `recorded_at` (microseconds) has one entry per record, equal within
    a batch, growing from batch to batch. `bounds` are keyword arguments of Reference.replay, the first without any.
    """

    records: tuple[Record, ...]
    mapping: dict[str, Any]
    projection: dict[str, Any] | None
    bounds: tuple[dict[str, Any], ...]
    batches: tuple[int, ...]
    recorded_at: tuple[int, ...]


def to_jsonl(records: Sequence[Record]) -> bytes:
    """Give the bytes of a JSON Lines file: one record a line, numbers exactly as drawn."""
    return b"".join(dump(record) + b"\n" for record in records)
