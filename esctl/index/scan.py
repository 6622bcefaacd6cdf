"""Read the index as a relation of just the columns and payload paths asked for, however payloads are stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from esctl.engine.exact_text import json_string
from esctl.engine.quoting import identifier, literal, text_list
from esctl.index.edits import Edits
from esctl.index.envelope.envelope_sql import ALIASES_TYPE, sortable_text
from esctl.index.files.groups import RowGroup
from esctl.index.files.layouts import Layout, layouts
from esctl.index.files.levels import REBUILD as REBUILD
from esctl.index.files.levels import groups_in, with_groups
from esctl.index.files.manifest import IndexFile, Manifest, PayloadPath
from esctl.index.files.payload_columns import PayloadColumn, json_of, json_type_of, null_mark, text_of
from esctl.index.files.readers import ReaderShare
from esctl.index.payload_reads import Form as Form
from esctl.index.payload_reads import Read as Read
from esctl.index.payload_reads import read_json as read_json
from esctl.index.pruning import ALWAYS, Predicate, Reach, Test, predicate
from esctl.log.ranges import Checked, require

ENVELOPE: tuple[str, ...] = (
    "position", "source", "offset", "role", "role_order", "time", "undated", "tie", "wall", "recorded_at", "id",
    "scope", "stanza", "type", "kind", "entity", "actor", "correlation", "causation", "aliases", "sequence",
    "sequence_key", "ordering", "invalid", "duplicate_of", "conflict",
)  # fmt: skip

EVENT_COLUMNS: tuple[str, ...] = (
    "type", "time", "recorded_at", "id", "actor", "entity", "kind", "role", "position", "correlation", "causation",
    "sequence",
)  # fmt: skip
"""The columns that expressions may name."""

_STORED_TYPES = {
    "position": "BIGINT", "offset": "BIGINT", "role_order": "UTINYINT", "time": "TIMESTAMPTZ",
    "recorded_at": "TIMESTAMPTZ", "stanza": "USMALLINT", "sequence_key": "BIGINT", "tie": "BIGINT",
    "duplicate_of": "BIGINT", "conflict": "BOOLEAN", "aliases": ALIASES_TYPE,
}  # fmt: skip
"""The types of the envelope columns that are not text."""

OWN_TIME_VALUE = "CASE WHEN undated IS NULL AND invalid IS NULL THEN time END"
OWN_TIME = f"{OWN_TIME_VALUE} AS time"
"""The time that is shown for an event: NULL if it has none of its own, and is folded at that of a neighbour, or if the
record is invalid: its column `time` holds when it was recorded."""
OWN_RANGE = "min(time) FILTER (undated IS NULL) AS first, max(time) FILTER (undated IS NULL) AS last"
FIRST_DELIVERY = "duplicate_of IS NULL AND invalid IS NULL"
"""An event that is no duplicate, not in conflict with an earlier one, and can be read; it may be homeless."""
FOLDABLE = f"{FIRST_DELIVERY} AND entity IS NOT NULL"
KEY_SHIFT = "9223372036854775808::HUGEINT"  # 2**63
PLACE = "(position * 256 + role_order)::HUGEINT"


class IndexView(Struct, frozen=True):
    """The index of one mapping at one head."""

    folder: Path
    manifest: Manifest
    upto: int | None = None  # the head of the reader's own store state, if the index reaches further
    unread: frozenset[str] = frozenset()  # files whose rows a question does not need, also that of edits
    checked: Checked = field(default_factory=Checked)
    edits: Edits | None = None
    within: Predicate = ALWAYS  # the rows that show, for a question about a part of the entities
    reading: ReaderShare | None = None  # held for as long as the view is used

    @property
    def fields(self) -> tuple[str, ...]:
        """List the payload fields seen anywhere."""
        added = () if self.edits is None else self.edits.fields
        return tuple(dict.fromkeys((*self.manifest.fields, *added)))

    def static_type(self, path: PayloadPath) -> str:
        """Return the only JSON type, besides NULL, that a top-level field has; "" if there is not just one.

        Objects and arrays are CONTAINER.
        """
        if self.edits is not None and len(path) == 1 and path[0] in self.edits.made:
            return ""
        found = self.manifest.kinds.get(str(path[0]), frozenset()) - {"NULL"} if len(path) == 1 else frozenset()
        return next(iter(found)) if len(found) == 1 else ""

    def columns_of(self, path: PayloadPath) -> list[PayloadColumn]:
        """List the typed columns that keep the top-level field of a path, one per file that has it."""
        return [c for file in self.manifest.files for c in file.columns if path and c.field == path[0]]

    def may_be_loose(self, path: PayloadPath) -> bool:
        """Return whether any file may have a payload path in a payload that is kept as JSON text."""
        if self.edits is not None and path and path[0] in self.edits.made:
            return True
        return any(file.may_be_loose(path) for file in self.manifest.files)

    def by_columns(self) -> list[tuple[IndexView, tuple[PayloadColumn, ...]]]:
        """Return for each set of typed columns a view of the files that have it, without edits, with the set."""
        alike: dict[tuple[PayloadColumn, ...], set[str]] = {}
        for file in self.manifest.files:
            alike.setdefault(file.columns, set()).add(file.file)
        every = frozenset(file.file for file in self.manifest.files)
        stored = replace(self, edits=None)
        return [(replace(stored, unread=self.unread | (every - names)), columns) for columns, names in alike.items()]

    def with_loose(self, paths: Iterable[PayloadPath]) -> IndexView:
        """Return a view of the files that may have one of these payload paths in JSON text."""
        asked = list(paths)
        others = {file.file for file in self.manifest.files if not any(map(file.may_be_loose, asked))}
        return replace(self, unread=self.unread | others)

    @property
    def orderings(self) -> frozenset[str]:
        """Return the orders that the indexed events are folded by."""
        return frozenset(o for file in self.manifest.files for o in file.orderings)

    @property
    def has_roles(self) -> bool:
        """Return whether an event may have more than one row."""
        return any(file.roles for file in self.manifest.files)

    @property
    def has_twice(self) -> bool:
        """Return whether an event may have more than one row of the same entity."""
        return any(file.twice for file in self.manifest.files)

    @property
    def has_ties(self) -> bool:
        """Return whether some events of one microsecond are not in order of arrival."""
        return any(file.ties for file in self.manifest.files)

    @property
    def has_text_sequences(self) -> bool:
        """Return whether sequences are compared as encoded text."""
        return self.sequence_form == "text"

    @property
    def sequence_form(self) -> str:
        """Name the form in which sequences of all files are compared: none, bigint or text."""
        forms = {file.sequence_key for file in self.manifest.files}
        return next((form for form in ("text", "bigint") if form in forms), "none")

    @property
    def has_struct_keys(self) -> bool:
        """Return whether fold keys are structs of a text and a number, as some sequences fit no number."""
        return self.has_text_sequences and "sequence" in self.orderings

    @property
    def has_places(self) -> bool:
        """Return whether fold keys are numbers that end in position and role."""
        return not (self.has_ties or self.has_struct_keys)

    def split(self) -> tuple[IndexView, ...]:
        """Return a view of the largest file, where most rows are, and one of the others, with edits, if any."""
        files = sorted(self.manifest.files, key=lambda file: file.rows)
        if len(files) < 2:
            return (self,)
        largest, others = files[-1].file, {file.file for file in files[:-1]}
        edits = () if self.edits is None else (self.edits.name,)
        return replace(self, unread=self.unread.union(others, edits)), replace(self, unread=self.unread | {largest})

    def key(self) -> str:
        """Return the SQL of the fold key: unique per row of an entity, ordered as events are folded."""
        return self._key(PLACE)

    def event_key(self) -> str:
        """Return the SQL of the fold key without the role: equal for the rows of one event."""
        return self._key("(position * 256)::HUGEINT")

    def key_parts(self, key: str) -> dict[str, str]:
        """Return by name, in order, the SQL of the values that a column of fold keys is sorted by."""
        return {"key_s": f"{key}.s", "key_n": f"{key}.n"} if self.has_struct_keys else {"key_n": key}

    def _key(self, place: str) -> str:
        tied = place.replace("position", "coalesce(tie, position)") if self.has_ties else place
        by_time = f"epoch_us(time)::HUGEINT * {KEY_SHIFT} + {tied}"
        by_number = f"sequence_key::HUGEINT * {KEY_SHIFT} + {place}"
        orderings = self.orderings
        if orderings <= {"time"}:
            return by_time
        if orderings == {"position"}:
            return place
        if not self.has_struct_keys:
            if orderings == {"sequence"}:
                return by_number
            return f"CASE ordering WHEN 'time' THEN {by_time} WHEN 'sequence' THEN {by_number} ELSE {place} END"
        number = f"CASE ordering WHEN 'time' THEN {by_time} ELSE {place} END"
        return f"{{'s': CASE ordering WHEN 'sequence' THEN sequence_key ELSE '' END, 'n': {number}}}"

    def relation(
        self,
        columns: Iterable[str],
        reads: Mapping[str, Read] | None = None,
        where: Sequence[Test] = (),
        extra: str = "",
    ) -> str:
        """Write a SELECT of envelope columns and payload reads (alias -> read).

        `where` are conditions over envelope columns as stored (`time`, `recorded_at`: TIMESTAMPTZ); `extra` is more
        SQL for the select list, over the same columns. Times come out as naive UTC TIMESTAMP. The parts of the index
        that the conditions reach are checked by their digests. Raises InputError, naming the file, if one is damaged.
        """
        names = list(columns)
        aliases = dict(reads or {})
        tests = [predicate(test) for test in where] + ([] if self.within == ALWAYS else [self.within])
        files = self._files_in_reach([test.reach for test in tests])
        selects = [self._select(layout, names, aliases, tests, extra) for layout in layouts(files)]
        if self.edits is not None and files and self.edits.name not in self.unread:
            items = [*envelope_items(names), *self.edits.reads(aliases), *([extra] if extra else [])]
            selects.append(f"SELECT {', '.join(items)} FROM {self.edits.source}{self._filters(tests, [])}")
        return "\nUNION ALL ".join(selects) if selects else self._empty(names, aliases, extra)

    def _files_in_reach(self, limits: Sequence[Reach]) -> Sequence[IndexFile]:
        """Return the files in which all limits may be met, after checking the parts of them that will be read.

        DuckDB leaves out the same row groups, by the bounds of names in the footers. At least one file stays, so
        that a relation has its columns.
        """
        files = [file for file in self.manifest.files if file.file not in self.unread]
        near = [file for file in files if all(limit.may_lie_in(file) for limit in limits)] or files[:1]

        def fits(group: RowGroup) -> bool:
            return all(limit.may_lie_in_group(group) for limit in limits)

        groups = groups_in(self.folder, near, self.manifest.runs, fits, self.checked)
        reached = [file for file in near if groups[file.file]] or files[:1]
        parts = []
        for file in reached:
            ranges = [group.range for group in groups.get(file.file, ())]
            parts.append((self.folder / file.file, file.bytes, [*ranges, file.footer]))
        self.checked.require_all(parts, REBUILD)
        return reached

    def grouped(self) -> Manifest:
        """Return the manifest with the row groups of all files. Raises InputError if a part of it is damaged."""
        return replace(self.manifest, files=with_groups(self.folder, self.manifest.files, self.manifest.runs), runs=())

    def _select(
        self, layout: Layout, names: Sequence[str], reads: Mapping[str, Read], where: Sequence[Predicate], extra: str
    ) -> str:
        items = envelope_items(names)
        items += [f"{_read(read, layout)} AS {identifier(alias)}" for alias, read in reads.items()]
        items += [extra] if extra else []
        paths = text_list([str(self.folder / file.file) for file in layout.files])
        by_name = ", union_by_name = true" if layout.is_mixed else ""
        source = f"read_parquet({paths}{by_name})"
        if layout.sequence_key != self.sequence_form:
            key = sequence_key_as(self.sequence_form, layout.sequence_key)
            source = f"(SELECT * REPLACE ({key} AS sequence_key) FROM {source})"
        stays = [] if self.edits is None else [self.edits.stays]
        if all(file.is_foldable for file in layout.files):
            where = [test for test in where if test.sql != FOLDABLE]  # to test it, three columns would be read
        return f"SELECT {', '.join(items)} FROM {source}{self._filters(where, stays)}"

    def _filters(self, where: Sequence[Predicate], more: Sequence[str]) -> str:
        conditions = [*more, *(test.sql for test in where)]
        conditions += [] if self.upto is None else [f"position <= {self.upto}"]
        return f" WHERE {' AND '.join(f'({condition})' for condition in conditions)}" if conditions else ""

    def _empty(self, names: Sequence[str], reads: Mapping[str, Read], extra: str) -> str:
        stored = ", ".join(
            f"CAST(NULL AS {_STORED_TYPES.get(name, 'VARCHAR')}) AS {identifier(name)}" for name in ENVELOPE
        )
        items = envelope_items(names)
        items += [f"CAST(NULL AS VARCHAR) AS {identifier(alias)}" for alias in reads]
        items += [extra] if extra else []
        return f"SELECT {', '.join(items)} FROM (SELECT {stored}) WHERE false"


def require_files(folder: Path, files: Sequence[IndexFile]) -> None:
    """Check whole index files against their digests. Raises InputError, naming the file."""
    for file in files:
        require(folder / file.file, file.bytes, file.ranges, REBUILD)


def envelope_items(names: Iterable[str]) -> list[str]:
    """Write items of a select list: envelope columns as stored, but times as naive UTC TIMESTAMP."""
    return [f"{_envelope(name)} AS {identifier(name)}" for name in names]


def sequence_key_as(form: str, stored: str) -> str:
    """Write SQL that converts `sequence_key` from its stored form (none, bigint, text) to a form that holds it too."""
    if stored == form:
        return "sequence_key"
    if stored == "none":
        return f"CAST(NULL AS {'VARCHAR' if form == 'text' else 'BIGINT'})"
    return sortable_text("CAST(sequence_key AS VARCHAR)")


def _envelope(name: str) -> str:
    return f"make_timestamp(epoch_us({name}))" if name in ("time", "recorded_at") else identifier(name)


def _read(read: Read, layout: Layout) -> str:
    if read.form == "number":
        return _read_number(read, layout)
    typed = _typed_read(read, layout)
    if not layout.may_be_loose(read.path):
        return typed or "CAST(NULL AS VARCHAR)"
    untyped = read_json("data", read.path, read.form, marked=True)
    if typed is None:
        return untyped
    return f"CASE WHEN data IS NULL THEN {typed} ELSE {untyped} END"


def _read_number(read: Read, layout: Layout) -> str:
    column = layout.column(read.path[0]) if len(read.path) == 1 else None
    if column is None or column.kind not in ("bigint", "decimal"):
        return f"try_cast({_read(Read(read.path, 'text'), layout)} AS {read.sql_type})"
    typed = f"CAST({identifier(column.name)} AS {read.sql_type})"
    if not layout.may_be_loose(read.path):
        return typed
    text = read_json("data", read.path, "text", marked=True)
    return f"CASE WHEN data IS NULL THEN {typed} ELSE try_cast({text} AS {read.sql_type}) END"


def _typed_read(read: Read, layout: Layout) -> str | None:
    if not read.path:
        return _read_payload(layout, read.form)
    column = layout.column(read.path[0])
    if column is None:
        return None
    if len(read.path) == 1:
        return _column_read(column, read.form, layout)
    if column.kind != "container":
        return None
    return read_json(identifier(column.name), read.path[1:], read.form, marked=False)


def _column_read(column: PayloadColumn, form: Form, layout: Layout) -> str:
    value = {"json": json_of, "text": text_of, "type": json_type_of}[form](column)
    if form == "text" or not layout.is_nullable(column):
        return value
    null = "'null'" if form == "json" else "'NULL'"
    return f"CASE WHEN contains(nulls, {literal(null_mark(column))}) THEN {null} ELSE {value} END"


def _read_payload(layout: Layout, form: Form) -> str | None:
    columns = sorted(layout.columns.values(), key=lambda column: column.field)
    if not columns:
        return None
    present = " OR ".join(["nulls IS NOT NULL", *(f"{identifier(column.name)} IS NOT NULL" for column in columns)])
    if form == "type":
        return f"CASE WHEN {present} THEN 'OBJECT' END"
    members = [
        f"{literal(json_string(column.field) + ':')} || {_column_read(column, 'json', layout)}" for column in columns
    ]
    return f"CASE WHEN {present} THEN '{{' || concat_ws(',', {', '.join(members)}) || '}}' END"
