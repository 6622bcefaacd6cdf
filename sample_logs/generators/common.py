"""What all generators share: exact JSON, reproducible gzip, seeded choices."""

from __future__ import annotations

import gzip
import io
import json
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

Event = dict[str, Any]
Item = TypeVar("Item")


def encode(value: Any) -> str:
    """Write compact JSON in which a Decimal keeps its digits: 4950.00 stays 4950.00."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{encode(str(key))}:{encode(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(encode(item) for item in value) + "]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)


def lines(events: Iterable[Event]) -> bytes:
    """Join events as JSON Lines."""
    return "".join(encode(event) + "\n" for event in events).encode()


def compressed(data: bytes) -> bytes:
    """Compress without a file name or the hour of compression, which would differ from run to run."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as stream:
        stream.write(data)
    return buffer.getvalue()


def stamp(moment: datetime) -> str:
    """Write an instant as RFC 3339 with milliseconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def at(text: str) -> datetime:
    """Read a zoneless instant as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def cents(amount: int) -> Decimal:
    """Turn whole cents into an amount with two decimals."""
    return Decimal(amount).scaleb(-2)


class Chance:
    """A seeded source of choices, made of the calls whose results are the same in every Python version."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def below(self, limit: int) -> int:
        """Give an integer from 0 to limit - 1."""
        return int(self._random.random() * limit)

    def between(self, low: int, high: int) -> int:
        """Give an integer from low to high."""
        return low + self.below(high - low + 1)

    def one(self, items: list[Item]) -> Item:
        """Give one of the items."""
        return items[self.below(len(items))]

    def moment(self, day: datetime, first_hour: int, last_hour: int) -> datetime:
        """Give an instant of the day between two hours, to the millisecond."""
        return day + timedelta(milliseconds=self.between(first_hour * 3_600_000, last_hour * 3_600_000))
