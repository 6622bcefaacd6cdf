"""The schemas that records name, as records of a source of their own, delivered before what they decode."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import replace

from esctl.model import SCHEMA as SCHEMA_RECORDS
from esctl.model import Cursor, KafkaCursor, SchemasCursor
from esctl.sources.kafka.registry import RegistryAwayError, RegistryBusyError, Schemas
from esctl.sources.pieces import SCHEMA
from esctl.sources.protocol import Delivery

SCHEMA_HEADERS = ("__value_schema_id", "__key_schema_id")
_PAUSE = 0.1
LONGEST_PAUSE = 5.0
"""The most seconds between two requests to a registry that went away; the pauses grow up to this."""


def schema_keys(batch: pa.RecordBatch) -> set[str]:
    """Return the ids and GUIDs of schemas that records name in values, keys and headers."""
    found: set[str] = set()
    for name in ("raw", "key"):
        column = batch.column(name)
        first = pc.binary_slice(column, 0, 1)
        framed = column.filter(pc.fill_null(pc.is_in(first, value_set=pa.array([b"\0"], column.type)), False))
        for each in pc.unique(pc.binary_slice(framed, 0, 5)).to_pylist():
            found |= {str(int.from_bytes(each[1:5], "big"))} if len(each) == 5 else set()
    headers = batch.column("headers")
    if headers.null_count < len(headers):
        inner = pc.list_flatten(headers)
        named = pc.is_in(inner.field("name"), value_set=pa.array(SCHEMA_HEADERS))
        for each in pc.unique(inner.field("value").filter(named)).to_pylist():
            found |= {str(UUID(bytes=each[1:17]))} if each is not None and len(each) > 16 and each[0] == 1 else set()
    return found


class Framing:
    """Adds to deliveries the schemas that they need, requesting each once."""

    def __init__(self, schemas: Schemas | None, note: Callable[[str], None]) -> None:
        self._schemas, self._note = schemas, note
        self._missing: set[str] = set()
        self._waiting: dict[str, frozenset[str]] = {}  # source -> the schemas that its records wait for
        self._held: deque[Delivery] = deque()
        self._has_answered = False
        self._away_since, self._ask_at, self._pause = 0.0, 0.0, _PAUSE

    @property
    def registry(self) -> str:
        """Return the name of the registry, or "" if there is none."""
        return self._schemas.name if self._schemas is not None else ""

    @property
    def is_held_up(self) -> bool:
        """Return whether deliveries wait for a registry that went away; no others may be read meanwhile."""
        return bool(self._held)

    @property
    def seconds_away(self) -> float:
        """Return for how many seconds the registry has not answered."""
        return time.monotonic() - self._away_since if self._away_since else 0.0

    def begin(self, known: Mapping[str, Cursor], sources: Iterable[str]) -> list[Delivery]:
        """Return the schemas that known records wait for, and all that can be listed, as deliveries."""
        for source in sources:
            waiting = known[source].dialect.get("waiting", "") if source in known else ""
            self._waiting[source] = frozenset(waiting.split(",")) - {""}
        if self._schemas is None:
            return []
        waited = frozenset().union(*self._waiting.values())
        found = self._fetch(waited | frozenset(self._schemas.list_ids()), known)
        came = sorted(waited & set(found[0].cursor.ids)) if found else []  # type: ignore[attr-defined]
        if came:
            self._note(f"schema {', '.join(came)} is here now; to decode the records that waited for it: esctl reindex")
        return found

    def with_schemas(self, deliveries: Iterable[Delivery], known: Mapping[str, Cursor]) -> list[Delivery]:
        """Return the deliveries, each after the schemas that it needs, with the missing schemas in its cursor.

        While the registry is away, deliveries are held back. Raises InputError if the registry never answered.
        """
        self._held.extend(deliveries)
        ready: list[Delivery] = []
        known = dict(known)
        while self._held and time.monotonic() >= self._ask_at:
            each = self._held[0]
            keys = schema_keys(each.batch) if each.batch.num_rows else set()
            try:
                found = self._fetch(keys, known) if keys and self._schemas is not None else []
            except RegistryAwayError as error:
                self._wait(error)
                break
            for schema in found:
                known[schema.source] = schema.cursor
            ready += [*found, self._with_waiting(self._held.popleft(), keys, known)]
        return ready

    def _with_waiting(self, delivery: Delivery, keys: set[str], known: Mapping[str, Cursor]) -> Delivery:
        """Return a delivery whose cursor has the schemas that its source waits for."""
        there = self._known_ids(known)
        lacking = keys - there
        before = self._waiting.get(delivery.source, frozenset())
        waiting = self._waiting[delivery.source] = frozenset((before | lacking) - there)
        if lacking - before:
            self._tell_lacking(delivery.source, sorted(lacking - before))
        cursor = delivery.cursor
        dialect = {name: text for name, text in cursor.dialect.items() if name != "waiting"}
        more = {"waiting": ",".join(sorted(waiting))} if waiting else {}
        return Delivery(delivery.source, delivery.batch, replace(cursor, dialect={**dialect, **more}), delivery.read)

    def _wait(self, error: RegistryAwayError) -> None:
        """Set the time of the next request; raise the error if the registry never answered."""
        if not self._has_answered and not isinstance(error, RegistryBusyError):
            raise error
        if not self._away_since:
            self._away_since = time.monotonic()
            self._note(f"{error.message}: waiting for it")
        self._ask_at = time.monotonic() + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def _note_answer(self) -> None:
        self._has_answered = True
        if self._away_since:
            self._away_since, self._ask_at, self._pause = 0.0, 0.0, _PAUSE
            self._note(f"{self.registry}: the registry answers again")

    def _tell_lacking(self, source: str, keys: list[str]) -> None:
        what = "not known: --registry, --schema-dir" if self._schemas is None else f"not in {self.registry}"
        self._note(f"{source}: schema {', '.join(keys)} is {what}; its records are kept, and wait for it")

    def _known_ids(self, known: Mapping[str, Cursor]) -> set[str]:
        cursors = (cursor for cursor in known.values() if isinstance(cursor, SchemasCursor))
        own = (each for each in cursors if not self.registry or each.registry == self.registry)
        return {key for each in own for key in each.ids}

    def _fetch(self, keys: Iterable[str], known: Mapping[str, Cursor]) -> list[Delivery]:
        """Fetch schemas that are neither known nor known to be missing, as one delivery."""
        assert self._schemas is not None
        source = f"schemas:{self.registry}"
        cursor = known.get(source)
        if not isinstance(cursor, SchemasCursor):
            cursor = SchemasCursor(self.registry, (), format=SCHEMA_RECORDS)
        records = []
        for key in sorted(set(keys) - set(cursor.ids) - self._missing):
            record = self._schemas.find(key)
            self._note_answer()
            if record is None:
                self._missing.add(key)
                continue
            records.append(record)
            cursor = replace(cursor, ids=(*cursor.ids, key), records=cursor.records + 1)
        if not records:
            return []
        return [Delivery(source, _batch(records, cursor.records - len(records)), cursor)]


def _batch(records: list[bytes], first: int) -> pa.RecordBatch:
    """Return schemas as a batch of records, whose time is now."""
    offsets = pa.array(range(first, first + len(records)), pa.int64())
    columns: list[Any] = [offsets, pa.array(records, pa.large_binary())]
    columns += [pa.nulls(len(records), SCHEMA.field(name).type) for name in ("key", "headers")]
    columns.append(pa.array([time.time_ns() // 1000] * len(records), SCHEMA.field("source_time").type))
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def with_registry(cursor: KafkaCursor, registry: str) -> KafkaCursor:
    """Return a cursor that names the registry of its records, if one is given."""
    return replace(cursor, dialect={**cursor.dialect, "registry": registry}) if registry else cursor
