"""Frozen values that pass between layers. No behaviour beyond small pure helpers, no imports from other layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Mapping as AbstractMapping
from typing import Any, Literal

from msgspec import Struct, field

MARK = "\ue000"
"""First character of a JSON string that holds an exact number (see docs/architecture.md, "Exact text")."""
SAMPLE_RECORDS = 1000
"""Records of a source that mapping detection looks at."""
TOMBSTONE = "(tombstone)"
"""The type of tombstones: events that only delete their entity, such as messages without a payload."""
TABLES = ("csv", "tsv")
"""The formats whose records are rows of cells, under a header."""
UNENDED = "unended"
"""The key in the dialect of a table whose last row was taken without a line end."""
MESSAGE = "message"
"""The format of sources whose records are messages of a broker: a value with a key, headers and a time."""
SCHEMA = "schema"
"""The format of sources whose records are schemas, which records of other sources name."""
CLOCK_SKEW_SECONDS = 300
"""How far the clocks of two machines may be apart before it is reported."""


class Cursor(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How far a source was read, and what reading its records again depends on; each kind adds its own place.

    A cursor is a value: it is kept in the commit of the records before it, and compared.
    """

    format: str  # jsonl | json | json-document | csv | tsv | text | parquet | arrow | avro | evtx | message
    records: int = 0  # records delivered so far from this source
    sampled: int = 0  # records in the first commit of the source, SAMPLE_RECORDS at most: all that detection looks at
    header: str = ""  # base64 of the bytes before the first record's own (CSV header line, with any BOM)
    dialect: AbstractMapping[str, str] = field(default_factory=dict)  # delimiter, null, ...: what parsing needs


class FileCursor(Cursor, frozen=True, forbid_unknown_fields=True):
    """How far a file was read, and the hashes of its bytes.

    `offset` counts bytes of the decompressed stream that are accounted for: `header`, all records, and `tail`.
    For tabular sources (parquet, arrow) it counts rows.
    """

    offset: int
    sha256: str  # of the decompressed bytes [0, offset), lower-case hex
    head_size: int  # min(offset, 65536) when the source was first read
    head_sha256: str  # of the bytes [0, head_size)
    tail: str = ""  # base64 of the blank bytes after the last record


class ObjectCursor(FileCursor, frozen=True, forbid_unknown_fields=True):
    """How far an object in object storage, or a member of an archive there, was read: the same as for a file.

    `etag` and `size` are those of the object once all of it is in the log but `pending` bytes at its end; "": not yet.
    """

    etag: str = ""
    size: int = 0
    pending: int = 0


class KafkaCursor(Cursor, frozen=True, forbid_unknown_fields=True):
    """How far a partition of a Kafka topic was read: `offset` is the next record's, control records counted."""

    cluster: str  # id
    topic: str
    topic_id: str  # differs if the topic was deleted and made anew; "" if the broker gives none
    partition: int
    offset: int
    since: int = 0  # the offset that reading began at
    epoch: int | None = None  # of the leader that gave the last record
    compacted: bool = False  # the broker drops records that later ones with the same key replace
    lost: tuple[tuple[int, int], ...] = ()  # (first, last) offsets that the broker no longer had


class PostgresCursor(Cursor, frozen=True, forbid_unknown_fields=True):
    """How far a slot of a PostgreSQL database was read: all that was committed before `lsn`.

    The last transaction of which anything was read is recognised by the place of its commit, its number and its time;
    `taken` counts the records that were read of it; None: all.
    """

    system: str  # identifier of the database cluster
    timeline: int
    database: str
    slot: str
    publications: tuple[str, ...]
    lsn: int
    commit: int = 0  # 0: nothing was read yet
    xid: int = 0  # 0: a message outside of transactions
    committed: str = ""
    taken: int | None = None
    tables: AbstractMapping[str, str] = field(default_factory=dict)  # by OID: a digest of the table's description
    missed: tuple[int, int] = (0, 0)  # places between which no slot was read: an earlier one was lost
    unread: Literal["", "tables", "missing"] = ""  # tables are still to be read; "missing": earlier changes are lost


class SchemasCursor(Cursor, frozen=True, forbid_unknown_fields=True):
    """Which schemas of a registry are kept, by their ids or GUIDs in the order of their records."""

    registry: str
    ids: tuple[str, ...]


CURSORS: AbstractMapping[str, type[Cursor]] = {
    "": FileCursor, "object": ObjectCursor, "kafka": KafkaCursor, "postgres": PostgresCursor, "schemas": SchemasCursor,
}  # fmt: skip
"""The kinds of cursors by the names that commits have for them; that of a file's is empty."""


class Stanza(Struct, frozen=True):
    """Where one family of records keeps each envelope field.

    A value is a tuple of alternatives, the first present wins; an alternative is a path ("data.id"), a template
    ("{data.table}/{data.pk}") or a constant ("=text"). An empty tuple means: not mapped.
    """

    name: str  # preset name or "custom"
    id: tuple[str, ...] = ()
    id_parts: tuple[str, ...] = ()  # several paths that together make the id (CloudEvents: source, id)
    dedupe_by: tuple[str, ...] = ()  # in place of an id: paths whose values make an event the same one
    type: tuple[str, ...] = ()
    time: tuple[str, ...] = ()
    entity: tuple[str, ...] = ()
    kind: tuple[str, ...] = ()
    actor: tuple[str, ...] = ()
    correlation: tuple[str, ...] = ()
    causation: tuple[str, ...] = ()
    sequence: tuple[str, ...] = ()  # several paths, compared left to right
    data: tuple[str, ...] = ()  # () = the record without its mapped top-level fields
    entities: tuple[tuple[str, tuple[str, ...]], ...] = ()  # (role, alternatives), in mapping order
    aliases: tuple[tuple[str, tuple[str, ...]], ...] = ()
    order: Literal["time", "position", "sequence", ""] = "time"  # "": that of the preset, fitted to a sample
    unwrap: str = ""  # path of the object that is the event inside each record ("event"), "" = the record itself
    scope: Literal["", "source", "store"] = ""  # within which an id names one event; "": a numbering
    ignore: str = ""  # a condition: homeless events for which it holds are meant to be homeless
    time_format: tuple[str, ...] = ()  # tried in order: strptime's letters, a unit, an order of day and month, "usual"
    zone_names: tuple[tuple[str, str], ...] = ()  # what abbreviations of zones in times mean: ("CET", "+01:00")
    newest_first: bool | None = None  # records run backwards in time, also those of one instant; None: find out
    ignore_types: tuple[str, ...] = ()  # globs: events of these types are meant to be homeless
    tenant: tuple[str, ...] = ()  # goes before an entity's name: "t-a/inv-1"
    absent: tuple[str, ...] = ()  # texts that mean a missing value, as "unknown" and "-"
    opened: tuple[tuple[str, str], ...] = ()  # (path, encoding) of texts that hold JSON: json, hex, base64, gzip; text
    ignore_case: bool = False  # entities whose names differ in case only are one: all are in lower case
    data_without: tuple[str, ...] = ()  # members of `data` that are envelope, and no part of the payload
    row_keys: tuple[tuple[str, tuple[str, ...]], ...] = ()  # (table, columns of its key), if no record tells the key
    row_home: tuple[str, ...] = ()  # of a change log: (server, database) whose tables have short names
    row_origin: tuple[str, ...] = ()  # (server, database) of rows whose records do not name it
    pattern: str = ""  # for the lines of a text log: patterns, one a line, of grok or named groups; or a known name
    year: str = ""  # of the first record of a text log whose times have none
    tombstone: tuple[str, ...] = ()  # paths: if one of these is null, the event is a tombstone
    old_times: bool = False  # times reach far back: 0001-01-01 and 1970-01-01 are times like others
    numbering: int = 0  # 0: that of all sources read alike; else a number of its own, which is a position


class MappingConfig(Struct, frozen=True):
    """The user's [mapping] of esctl.toml, or nothing (then presets and detection decide per source).

    `sources` are (glob, stanza) pairs tried in file order before `default`.
    """

    default: Stanza | None = None
    sources: tuple[tuple[str, Stanza], ...] = ()
    overrides: tuple[str, ...] = ()  # `--map key=path`, applied to whichever stanza a source gets


class AsOf(Struct, frozen=True):
    """A parsed point: an instant, a position, a sequence, a version or an event."""

    text: str
    kind: Literal["time", "position", "sequence", "version", "event"]
    inclusive: bool = True
    instant: int | None = None  # microseconds since the epoch, UTC
    number: int | None = None  # position or version
    value: str = ""  # sequence text ("9", "5,2") or event id
    option: str = ""  # the option or argument that it was given as


class Column(Struct, frozen=True):
    """One column of an answer: its name and how its values are to be shown.

    `scaled`: its numbers have a declared DECIMAL type, and are written with all digits of its scale.
    `spare`: a table that would be too wide leaves it out, and says so.
    """

    name: str
    kind: Literal["text", "integer", "number", "boolean", "time", "json", "value"]
    scaled: bool = False
    spare: bool = False


class Findings(Struct, frozen=True):
    """How each row of an answer reads as a finding of a check, for `-f sarif` and `-f junit`.

    `rule`, `message` and `place` are SQL over the answer's columns: the id of the rule that is broken, one line of
    text, and what it is about (an entity, an event, a file). `rules` are the ids that were checked, each with a line
    that describes it. `skipped` is SQL for the id of a rule that could not be checked, of which `message` says why.
    """

    rules: tuple[tuple[str, str], ...]
    rule: str
    message: str
    place: str
    skipped: str = "NULL"


class Ready(Struct, frozen=True):
    """Rows of an answer that exist already as JSON Lines (all columns, times in UTC), and what changed in them since.

    `changes` is SQL for the changed rows, in order: the answer's columns, then `line_start` and `line_end`, the bytes
    that the row replaces (an empty range: it is inserted there), and `gone`: the row is only removed.
    """

    lines: Callable[[], Iterator[bytes]]
    rows: int
    changes: str = ""


class Totals(Struct, frozen=True):
    """Partial results that an answer is computed from; those of several parts of the entities can be combined.

    `sql` gives a row for each value of the `keys`; `functions` (sum, min, max) combine the other columns of the rows of
    different parts. `finish` writes the answer's SELECT over a SELECT of these columns.
    """

    sql: str
    keys: tuple[str, ...]
    functions: AbstractMapping[str, str]
    finish: Callable[[str], str]


class Answer(Struct, frozen=True):
    """A question's answer as a DuckDB SELECT, not yet run.

    `session` is an `esctl.engine.duckdb.Session`. SQL types by column kind: text VARCHAR, integer BIGINT or HUGEINT,
    number DECIMAL or DOUBLE, boolean BOOLEAN, time TIMESTAMP (naive, UTC), json VARCHAR holding compact JSON text that
    may contain marked numbers, value the same, but a cell of text shows the content of a string. `flat_sql` and
    `flat_columns` give the same rows with one column per field (`state.balance`) for csv, tsv, parquet and arrow; empty
    when there is no difference. After those `flat_sql` has the columns `beside`, which are written only if they are
    asked for together with a field. `members` are the fields of the one flat column `state`, if they are too many to be
    columns. `inner` names, by column of JSON, all members that its objects have, if known: to ask for another is an
    error. `order` names the columns that the rows are sorted by, which together are unique; empty: there is no such
    order. `keyed` is the SQL of the rows with all columns of `order`, if some are not columns of the answer. `totals`
    is set if the rows are computed from partial results. `gather` is set if the rows are computed in parts: it gets the
    SQL that is about to run, and has the parts computed that this reads.
    """

    session: Any
    sql: str
    columns: tuple[Column, ...]
    flat_sql: str = ""
    flat_columns: tuple[Column, ...] = ()
    beside: tuple[Column, ...] = ()
    members: frozenset[str] = frozenset()
    inner: AbstractMapping[str, frozenset[str]] = {}
    notes: tuple[str, ...] = ()  # lines for stderr
    title: str = ""
    findings: Findings | None = None  # of the answers of checks
    ready: Ready | None = None
    order: tuple[str, ...] = ()
    keyed: str = ""
    totals: Totals | None = None
    gather: Callable[[str], None] | None = None

    def prepare(self, sql: str) -> str:
        """Return SQL over the answer's rows as it is, after computing the parts that it reads."""
        if self.gather is not None:
            self.gather(sql)
        return sql


class Basis(Struct, frozen=True):
    """What an answer rests on. The same basis gives the same answer."""

    position: int  # of the last record
    root: str  # of the tree over all records up to it, lower-case hex
    bounds: AbstractMapping[str, str]  # by option (`at`, `known_at`, `a`, `from`, ...), in UTC
    without: tuple[str, ...]  # the events supposed away, as they were asked for
    mapping: str  # digests of what the records were read and folded with
    projection: str
    version: str  # of esctl
    erased: int = 0  # records among them that had been erased
    tzdata: str = ""  # the release of the time zones


class IngestSummary(Struct, frozen=True):
    """Counts of one ingest run; the keys of the JSON document have the same names."""

    records: int
    new: int
    duplicates: int
    conflicts: int
    invalid: int
    head: int
    seconds: float
    events_per_second: float
