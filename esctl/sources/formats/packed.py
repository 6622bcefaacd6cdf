"""Files of records that optional libraries read: Avro (fastavro) and Windows event logs (evtx), as exact JSON text.

Values are written as those of Parquet are: decimals as numbers, bytes as base64, instants as RFC 3339.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import math
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa

from esctl.errors import InputError
from esctl.sources.formats.columnar import Bounds
from esctl.sources.pieces import Piece

PACKED = {"avro": "fastavro", "evtx": "evtx"}
"""Format (which is also the name of its extra) -> the library that reads it."""
MAGIC = {"avro": b"Obj\x01", "evtx": b"ElfFile\0"}
_TITLES = {"avro": "Avro", "evtx": "a Windows event log (EVTX)"}
_ROWS = 4096


def missing_library(kind: str) -> tuple[str, str] | None:
    """Return what people call a format and the command that installs its library, or None if it is installed."""
    library = PACKED[kind]
    if importlib.util.find_spec(library) is not None:
        return None
    return _TITLES[kind], f"pip install 'esctl-audit[{kind}]'"


def sniff_packed(head: bytes) -> str | None:
    """Return which of these formats a file has by its first bytes, or None."""
    return next((kind for kind, magic in MAGIC.items() if head.startswith(magic)), None)


class PackedReader:
    """Yields the records of an Avro or EVTX file from number `first` on, some bytes at a time, as Pieces.

    `opener` returns the file as a pyarrow NativeFile. Raises InputError for damage, after the records before it.
    """

    def __init__(self, name: str, opener: Callable[[], Any], kind: str, first: int, bounds: Bounds) -> None:
        self.pending = 0
        self._name = name
        self._opener = opener
        self._kind = kind
        self._first = first
        self._bounds = bounds

    def __iter__(self) -> Iterator[Piece]:
        row, given = self._first, 0
        held: list[bytes] = []
        size = 0
        for text in self._texts():
            if isinstance(text, InputError):
                if held:
                    yield _piece(held, row)
                raise text
            given, size = given + len(text), size + len(text)
            self._bounds.limits.check(self._name, given, self._bounds.size)
            held.append(text)
            if size >= self._bounds.batch or len(held) >= _ROWS:
                yield _piece(held, row)
                row, held, size = row + len(held), [], 0
        if held:
            yield _piece(held, row)

    def _texts(self) -> Iterator[bytes | InputError]:
        """Yield the records as JSON text, and last, if one cannot be read, the error."""
        at = self._first
        try:
            with self._opener() as file:
                file.seek(0)
                for text in islice(_READERS[self._kind](file), self._first, None):
                    if len(text) > self._bounds.longest:
                        longest = f"{self._name}: record {at} is longer than {self._bounds.longest:,} bytes"
                        yield InputError(longest, "raise the limit with --max-record")
                        return
                    yield text
                    at += 1
        except Exception as error:  # whatever a library raises for a file that lies about itself
            reason = (str(error) or type(error).__name__).splitlines()[0]
            yield InputError(f"{self._name}: damaged {self._kind} file: {reason}", "fetch the file again")


def _piece(texts: list[bytes], row: int) -> Piece:
    numbers = np.arange(row, row + len(texts) + 1, dtype=np.int64)
    return Piece(pa.array(texts, pa.large_binary()), numbers[:-1], numbers[1:], row + len(texts))


def _read_avro(file: Any) -> Iterator[bytes]:
    import fastavro

    for record in fastavro.reader(file):
        yield write_value(record).encode()


def _read_evtx(file: Any) -> Iterator[bytes]:
    import evtx

    for record in evtx.PyEvtxParser(file, 1).records_json():
        if record is not None:
            yield record["data"].encode()


_READERS: dict[str, Callable[[Any], Iterator[bytes]]] = {"avro": _read_avro, "evtx": _read_evtx}


def write_value(value: Any) -> str:
    """Write a value of Avro as JSON text, exactly."""
    if isinstance(value, dict):
        members = (f"{json.dumps(str(key), ensure_ascii=False)}:{write_value(each)}" for key, each in value.items())
        return "{" + ",".join(members) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(write_value, value)) + "]"
    if isinstance(value, Decimal) and value.is_finite():
        return f"{value:f}"
    if isinstance(value, float) and not math.isfinite(value):
        return '"NaN"' if math.isnan(value) else '"Infinity"' if value > 0 else '"-Infinity"'
    return json.dumps(_json_value(value), ensure_ascii=False)


def _json_value(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, UUID | Decimal):
        return str(value)
    return value // timedelta(microseconds=1) if isinstance(value, timedelta) else value
