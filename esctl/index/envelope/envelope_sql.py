"""SQL that reads the envelope (id, type, time, entity, ...) of a record through a stanza."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

from msgspec import Struct, field
from msgspec.structs import replace

from esctl.engine.exact_text import unmark_text_sql
from esctl.engine.quoting import like_pattern, literal, text_list
from esctl.index.decode.log_positions import is_position_sql, position_number_sql
from esctl.index.envelope.paths import EACH, IN_BRACES, json_pointer, parse_path, paths_in
from esctl.model import Stanza

_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_ULID = r"[0-9A-HJKMNP-TV-Z]{26}"
IDENTIFIER_TAIL = rf"(?:[0-9]+|{_UUID}|{_ULID}|[0-9a-f]{{24,64}}|[A-Z]+-?[0-9]+)"
KIND_PATTERN = rf"^([A-Za-z][A-Za-z0-9_]*)[-/:]{IDENTIFIER_TAIL}$"
"""The word before a separator, if the rest is a number, a UUID, a ULID, a long hex id, or letters and a number."""

DEFAULT_KIND = "entity"


class TextSql(str):
    """SQL for the unchanged text at one of an Extractor's pointers."""

    __slots__ = ()


class PlainSql(str):
    """SQL for a column that is an unchanged text, or null: with the texts at hand, it needs no query.

    `text` names the column of the text, or is empty if the whole column is null. An empty text is null, too.
    """

    __slots__ = ("text",)
    text: str

    def __new__(cls, sql: str, text: str = "") -> PlainSql:  # noqa: D102
        made = super().__new__(cls, sql)
        made.text = text
        return made


NULL_TEXT = PlainSql("CAST(NULL AS VARCHAR)")

ALIASES_TYPE = "STRUCT(name VARCHAR, value VARCHAR)[]"
"""The type of the index column `aliases`: the further ids of an event, in mapping order; NULL if it has none."""
NO_ALIASES = f"CAST(NULL AS {ALIASES_TYPE})"
TRACEPARENT = "traceparent"
"""The alias whose value is read as W3C Trace Context says: its trace id links events."""
_TRACE_ID = "^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}"


class Extractor(Struct):
    """Collects the JSON Pointers a query needs, so that one parse of the record reads them all."""

    name: str = "x"  # of the list of texts
    pointers: list[str] = field(default_factory=list)
    absent: tuple[str, ...] = ()  # texts that mean nothing

    def text(self, path: str) -> str:
        """Return SQL for the text at a path (numbers and containers as their JSON text, null as NULL)."""
        found = self.at(json_pointer(record_path(path)))
        return (
            f"CASE WHEN NOT list_contains({text_list(self.absent)}, {found}) THEN {found} END" if self.absent else found
        )

    def at(self, pointer: str) -> TextSql:
        """Return SQL for the text at a JSON Pointer."""
        if pointer not in self.pointers:
            self.pointers.append(pointer)
        return TextSql(f"{self.name}_{self.pointers.index(pointer) + 1}")

    def columns(self) -> list[str]:
        """Write each text of the list as a column, so that it is taken out once however often it is used."""
        return [f"{self.name}[{i}] AS {self.name}_{i}" for i in range(1, len(self.pointers) + 1)]

    def sql(self, json: str) -> str:
        """Write the list of the texts at the pointers in a JSON text."""
        return f"json_extract_string({json}, {text_list(self.pointers)})" if self.pointers else "[]::VARCHAR[]"


def record_path(path: str) -> tuple[str | int, ...]:
    """Parse a mapping path; a leading `record` means the record itself."""
    parts = parse_path(path)
    return parts[1:] if parts and parts[0] == "record" else parts


def first_present_sql(extractor: Extractor, alternatives: Sequence[str]) -> str:
    """Return SQL for the first alternative that is present; NULL for none. Empty text counts as absent."""
    if not alternatives:
        return NULL_TEXT
    values = [_without_empty(alternative_sql(extractor, alternative)) for alternative in alternatives]
    return values[0] if len(values) == 1 else f"coalesce({', '.join(values)})"


def _without_empty(value: str) -> str:
    sql = f"nullif({value}, '')"
    return PlainSql(sql, value) if isinstance(value, TextSql) else sql


def alternative_sql(extractor: Extractor, alternative: str) -> str:
    """Return SQL for a path, a template (`{a}/{b}`, NULL if one of its parts is absent), or a constant (`=text`)."""
    if alternative.startswith("="):
        return literal(alternative[1:])
    if "{" not in alternative:
        return extractor.text(alternative)
    pieces = IN_BRACES.split(alternative)
    sql = [
        f"nullif({extractor.text(piece)}, '')" if i % 2 else literal(piece) for i, piece in enumerate(pieces) if piece
    ]
    return "(" + " || ".join(sql) + ")"


def each_present_sql(extractor: Extractor, alternatives: Sequence[str]) -> str:
    """Return SQL for a LIST of the texts of the first alternative that is present, each once, in order; NULL for none.

    Of successive alternatives through the same array, the first present one is taken for each element.
    """
    groups: list[tuple[str, list[str]]] = []
    for alternative in alternatives:
        array = _array_path(alternative)
        if groups and array and groups[-1][0] == array:
            groups[-1][1].append(alternative)
        else:
            groups.append((array, [alternative]))
    lists = [
        _element_list_sql(extractor, array, own) if array else _single_list_sql(first_present_sql(extractor, own))
        for array, own in groups
    ]
    return lists[0] if len(lists) == 1 else f"coalesce({', '.join(lists)})"


def _single_list_sql(value: str) -> str:
    return f"CASE WHEN {value} IS NOT NULL THEN [{value}] END"


def _array_path(alternative: str) -> str:
    """Return the path of the array, up to its last `[*]`, that an alternative goes through; empty for none."""
    arrays = {path[: path.rindex(EACH)] for path in paths_in(alternative) if EACH in path}
    return next(iter(arrays), "")


def _element_list_sql(extractor: Extractor, array: str, alternatives: Sequence[str]) -> str:
    """Return SQL for the LIST of the texts that alternatives give for the elements of an array, each once."""
    found = "j"
    for depth, part in enumerate(array.split(EACH)):
        pointer = literal(json_pointer(record_path(part) if depth == 0 else parse_path(part.removeprefix("."))))
        inner = f"json_extract(json_extract({'j' if depth == 0 else 'o'}, {pointer}), '$[*]')"
        found = inner if depth == 0 else f"flatten(list_transform({found}, lambda o: {inner}))"
    texts = [f"nullif({_element_sql(extractor, array, alternative)}, '')" for alternative in alternatives]
    value = texts[0] if len(texts) == 1 else f"coalesce({', '.join(texts)})"
    once = "list_filter(q, lambda x, i: x IS NOT NULL AND list_position(q, x) = i)"
    return f"nullif(list_transform([list_transform({found}, lambda e: {value})], lambda q: {once})[1], [])"


def _element_sql(extractor: Extractor, array: str, alternative: str) -> str:
    def text(path: str) -> str:
        if not path.startswith(f"{array}{EACH}"):
            return extractor.text(path)
        pointer = literal(json_pointer(parse_path(path.removeprefix(f"{array}{EACH}").removeprefix("."))))
        bare = f"json_extract_string(e, {pointer})"
        found = f"CASE WHEN marked THEN {unmark_text_sql(bare)} ELSE {bare} END"
        absent = f"list_contains({text_list(extractor.absent)}, {found})"
        return f"CASE WHEN NOT {absent} THEN {found} END" if extractor.absent else f"({found})"

    if "{" not in alternative:
        return text(alternative)
    pieces = IN_BRACES.split(alternative)
    parts = [f"nullif({text(piece)}, '')" if i % 2 else literal(piece) for i, piece in enumerate(pieces) if piece]
    return "(" + " || ".join(parts) + ")"


def kind_sql(entity: str) -> str:
    """Return SQL for the default kind of an entity: `account` of `account-42`, else `entity`."""
    return f"coalesce(nullif(regexp_extract({entity}, {literal(KIND_PATTERN)}, 1), ''), {literal(DEFAULT_KIND)})"


def sequence_display(parts: Sequence[str]) -> str:
    """Write a sequence as users see it: its parts joined by commas; NULL if the first part is missing."""
    if not parts:
        return NULL_TEXT
    rest = "".join(f" || ',' || coalesce({part}, '')" for part in parts[1:])
    return f"({parts[0]}{rest})"


def sequence_text_key(parts: Sequence[str]) -> str:
    """Encode a sequence as text whose byte order is its order: numbers by value, before texts by code point."""
    keys = [f"coalesce({sortable_text(part)}, '')" for part in parts]
    return f"CASE WHEN {parts[0]} IS NOT NULL THEN {' || chr(1) || '.join(keys)} END"


def sortable_text(text: str) -> str:
    """Encode one part of a sequence (SQL text) so that byte order is its order. A position in a log is a number."""
    position = f"CAST({position_number_sql(text)} AS VARCHAR)"
    counted = f"'2' || lpad(CAST(length({position}) AS VARCHAR), 5, '0') || {position} || '.'"
    number = f"regexp_matches({text}, '^-?[0-9]+([.][0-9]+)?$')"
    whole = f"ltrim(regexp_extract({text}, '^-?([0-9]+)', 1), '0')"
    fraction = f"rtrim(regexp_extract({text}, '[.]([0-9]+)$', 1), '0')"
    body = f"{whole} || '.' || {fraction}"
    up = f"'2' || lpad(CAST(length({whole}) AS VARCHAR), 5, '0') || {body}"
    # Of two negative numbers the longer is the smaller: length and digits are complemented.
    complement = f"translate({body}, '0123456789', '9876543210')"
    down = f"'1' || lpad(CAST(99999 - length({whole}) AS VARCHAR), 5, '0') || {complement} || '~'"
    negative = f"(starts_with({text}, '-') AND {body} <> '.')"
    signed = f"CASE WHEN {negative} THEN {down} ELSE {up} END"
    return f"CASE WHEN {number} THEN ({signed}) WHEN {is_position_sql(text)} THEN {counted} ELSE '3' || {text} END"


def aliases_sql(extractor: Extractor, aliases: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Return SQL for the list of an event's aliases that are present; NULL for none."""
    if not aliases:
        return NO_ALIASES
    items = [
        f"{{'name': {literal(name)}, 'value': {_alias_sql(name, first_present_sql(extractor, paths))}}}"
        for name, paths in aliases
    ]
    return f"nullif(list_filter([{', '.join(items)}], lambda a: a.value IS NOT NULL), [])"


def _alias_sql(name: str, value: str) -> str:
    if name != TRACEPARENT:
        return value
    return f"coalesce(nullif(regexp_extract({value}, {literal(_TRACE_ID)}, 1), ''), {value})"


class EnvelopeSql(Struct, frozen=True):
    """SQL over the texts that an Extractor takes from a record."""

    columns: tuple[tuple[str, str], ...]  # (name, SQL)
    entities: tuple[tuple[str, str], ...]  # (entity SQL, SQL of the kind the record gives it) by role, in mapping order


def listed_roles(stanzas: Iterable[Stanza]) -> frozenset[int]:
    """Return the numbers of the roles in which an event of some stanza may have several entities."""
    return frozenset(
        number
        for stanza in stanzas
        for number, (_, alternatives) in enumerate(stanza_roles(stanza))
        if any(map(_array_path, alternatives))
    )


def envelope_sql(stanza: Stanza, extractor: Extractor, listed: Set[int] = frozenset()) -> EnvelopeSql:
    """Compile a stanza to SQL, over the texts of the extractor and the event's JSON text `j`.

    In the roles that are `listed`, entity and kind are LISTs.
    """
    extractor.absent = stanza.absent
    identity, others = _identity_sql(stanza, extractor)
    sequence = [first_present_sql(extractor, [part]) for part in stanza.sequence]
    kind = first_present_sql(extractor, stanza.kind)
    columns = (
        ("id", identity),
        ("scope", " || '\x1f' || ".join(others) or NULL_TEXT),
        ("type", first_present_sql(extractor, stanza.type)),
        ("time_text", first_present_sql(extractor, stanza.time)),
        ("actor", first_present_sql(extractor, stanza.actor)),
        ("correlation", first_present_sql(extractor, stanza.correlation)),
        ("causation", first_present_sql(extractor, stanza.causation)),
        ("aliases", aliases_sql(extractor, stanza.aliases)),
        ("sequence", sequence_display(sequence)),
        ("sequence_key", sequence_text_key(sequence) if sequence else NULL_TEXT),
    )
    roles = enumerate(stanza_roles(stanza))
    found = [
        (each_present_sql if number in listed else first_present_sql)(extractor, own) for number, (_, own) in roles
    ]
    if stanza.ignore_types:
        test = ignored_type_sql(first_present_sql(extractor, stanza.type), stanza.ignore_types)
        found = [f"CASE WHEN NOT coalesce({test}, false) THEN {entity} END" for entity in found]
    found = _in_lower_case(found, listed) if stanza.ignore_case else found
    tenant = first_present_sql(extractor, stanza.tenant) if stanza.tenant else ""
    entities = tuple(
        _list_with_tenant(tenant, entity, kind)
        if number in listed
        else (_with_tenant(tenant, entity, kind) if tenant else (entity, kind))
        for number, entity in enumerate(found)
    )
    return EnvelopeSql(columns, entities)


def _identity_sql(stanza: Stanza, extractor: Extractor) -> tuple[str, list[str]]:
    """Return SQL for an event's id, NULL if a part of it is, and for the other texts that identify the event."""
    if stanza.id:
        return first_present_sql(extractor, stanza.id), []
    parts = [first_present_sql(extractor, [part]) for part in stanza.id_parts or stanza.dedupe_by]
    if len(parts) < 2:
        return parts[0] if parts else NULL_TEXT, []
    complete = " AND ".join(f"{part} IS NOT NULL" for part in parts[:-1])
    whole = parts[-1] if stanza.id_parts else " || ' ' || ".join(parts)
    return f"CASE WHEN {complete} THEN {whole} END", parts[:-1]


def _in_lower_case(entities: Sequence[str], listed: Set[int]) -> list[str]:
    each = "list_transform({}, lambda n: lower(n))"
    return [each.format(sql) if number in listed else f"lower({sql})" for number, sql in enumerate(entities)]


def _list_with_tenant(tenant: str, entities: str, kind: str) -> tuple[str, str]:
    name, own = _with_tenant(tenant, "n", kind) if tenant else ("n", kind)
    return tuple(f"list_transform({entities}, lambda n: {sql})" for sql in (name, own))  # type: ignore[return-value]


def _with_tenant(tenant: str, entity: str, kind: str) -> tuple[str, str]:
    """Put a tenant before an entity's name; its kind stays that of the name alone."""
    return f"(coalesce({tenant} || '/', '') || {entity})", f"coalesce({kind}, {kind_sql(entity)})"


def ignored_type_sql(kind: str, globs: Sequence[str]) -> str:
    """Write SQL that is true for the types that a stanza ignores."""
    return "(" + " OR ".join(f"{kind} LIKE {like_pattern(glob)}" for glob in globs) + ")"


def stanza_roles(stanza: Stanza) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """List the roles of a stanza's entities, each with its alternatives; the plain entity has the role ""."""
    return (*((("", stanza.entity),) if stanza.entity else ()), *stanza.entities)


def payload_paths(stanza: Stanza) -> tuple[tuple[str | int, ...], ...]:
    """Return the alternatives for the payload's place; empty if it is the record without its mapped fields."""
    return tuple(record_path(path) for path in stanza.data)


def mapped_fields(stanza: Stanza) -> tuple[str, ...]:
    """List the record's top-level fields that the stanza maps whole, so that the rest is the payload."""
    paths = map(record_path, mapped_paths(replace(stanza, dedupe_by=(), aliases=())))  # these name content
    return tuple(dict.fromkeys(path[0] for path in paths if len(path) == 1 and isinstance(path[0], str)))


def reads_surroundings(stanza: Stanza) -> bool:
    """Return whether a stanza reads what stood around its records."""
    paths = (*mapped_paths(stanza), *stanza.data, *(path for path, _ in stanza.opened))
    return any(path.startswith("wrapper") and record_path(path)[:1] == ("wrapper",) for path in paths)


def mapped_paths(stanza: Stanza) -> tuple[str, ...]:
    """List the paths of a stanza, also those in templates; without those of payload and tombstone."""
    groups = [stanza.id, stanza.id_parts, stanza.type, stanza.time, stanza.entity, stanza.kind, stanza.actor]
    groups += [stanza.tenant, stanza.dedupe_by]
    groups += [stanza.correlation, stanza.causation, stanza.sequence]
    groups += [paths for _, paths in (*stanza.entities, *stanza.aliases)]
    given = (path for group in groups for alternative in group for path in paths_in(alternative))
    return tuple(path.replace(EACH, "[0]") for path in given if path)
