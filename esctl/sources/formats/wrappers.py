"""Detection of the path to the records that a JSON document wraps."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np

from esctl.engine.exact_text import MOST_BRACKETS
from esctl.sources.formats.json.scan import START, State, scan
from esctl.sources.formats.json.text import LENIENT, parse_leniently
from esctl.sources.formats.shape import EACH, MEMBERS, Path, Shape, parse_records_path, shape_of
from esctl.sources.pieces import BOM, NOISE

CUSTOMARY = frozenset({"Records", "records", "events", "Events", "logEvents", "logs", "entries"})
"""Keys that hold events and hardly ever the parts of one."""

_IDS = {"id", "event_id", "eventid", "specversion"}
_TYPES = {"type", "event_type", "eventtype", "eventname", "event", "action"}
_TIMES = {"time", "timestamp", "@timestamp", "occurred_at", "eventtime"}
_TIME_NAME = re.compile(
    r"(?i:time|timestamp|ts|date|datetime|when|published|created|occurred)\Z"
    r"|.*(?:[_.@-](?i:time|timestamp|ts|date|datetime|at)|[Tt]ime|Timestamp|[Dd]ate|At|Nano|TimeStamp)\Z"
    r"|@timestamp\Z"
)
_DATE_AND_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}")
"""How a text begins that is a time, whatever its key."""
_FIRST_SECOND = 10**8  # seconds since 1970 that are a time
_LOOKED_AT = 50
_DEEPEST = 8


def parse_beginning(text: bytes) -> Any:
    """Return the JSON value that a text begins with; if it is cut off, up to its last closing bracket, all closed.

    None if that is not JSON.
    """
    try:
        return LENIENT.raw_decode(text.decode(errors="replace"))[0]
    except (ValueError, RecursionError):
        pass
    window = np.frombuffer(text, np.uint8)
    brackets, _ = scan(window, MOST_BRACKETS, State(*START))
    closings = np.flatnonzero(brackets.after < brackets.before)
    if not len(closings):
        return None
    last = int(closings[-1])
    stack: list[bytes] = []
    for at in brackets.at[: last + 1].tolist():
        if text[at : at + 1] in b"{[":
            stack.append(b"}" if text[at : at + 1] == b"{" else b"]")
        elif stack:
            stack.pop()
    closed = text[: int(brackets.at[last]) + 1] + b"".join(reversed(stack))
    try:
        return LENIENT.decode(closed.decode(errors="replace"))
    except (ValueError, RecursionError):
        return None


def find_shape(head: bytes, records_path: str | None) -> Shape:
    """Return which values of a JSON stream are its records, by its beginning (or as a path says)."""
    if records_path:
        return shape_of(parse_records_path(records_path))
    text = head.removeprefix(BOM).lstrip(NOISE)
    documents = [*_parse_lines(text)]
    if len(documents) > 1:
        return shape_of(path_of_lines(documents))
    path = path_to_records(parse_beginning(text))
    return Shape("array") if text.startswith(b"[") and not path else shape_of(path)


def _parse_lines(text: bytes) -> Iterable[Any]:
    """Yield the documents that a text begins with, one on each line, up to the first line that is not JSON."""
    for line in text.split(b"\n", _LOOKED_AT)[:_LOOKED_AT]:
        if line.strip(NOISE):
            try:
                yield parse_leniently(line.strip(NOISE))
            except (ValueError, RecursionError):
                return


def path_to_records(document: Any) -> Path:
    """Return the path to the records of a document, empty if it is a record itself.

    An object is opened if its top level holds exactly one array of objects and nothing that marks it as an event;
    further in, only if the objects there look like events.
    """
    if isinstance(document, list):
        return (EACH, *(_path_in_elements(document) or ()))
    return (_path_in_object(document, 0) or ()) if isinstance(document, dict) else ()


def path_of_lines(documents: list[Any]) -> Path:
    """Return the path to the records of documents on a line each, empty if they are records themselves.

    An event may hold an array as well, so each document must be a wrapper beyond doubt.
    """
    first = documents[0] if documents else None
    if isinstance(first, list):
        elements = [*chain(*documents)] if all(isinstance(one, list) for one in documents) else []
        return (EACH, *(_path_in_elements(elements) or ())) if _are_objects(elements) else ()
    path: Path = next((found for document in documents if (found := path_to_records(document))), ())
    for document in documents if path else ():
        if path == ("change", EACH) and (document is None or _is_transaction(document)):
            continue  # wal2json writes messages outside of transactions as invalid JSON
        if not isinstance(document, dict):
            return ()
        values = list(values_at(document, path))
        if _is_doubtful(path, values) and not (path[-1:] == (EACH,) and _has_empty_array(document, path)):
            return ()
    return path


def _is_doubtful(path: Path, found: list[Any]) -> bool:
    named = [step for step in path if isinstance(step, str)]
    return not (bool(named) and named[-1] in CUSTOMARY | {"_source"}) and not _are_events(found)


def _has_empty_array(document: Any, path: Path) -> bool:
    return any(value == [] for value in values_at(document, path[:-1]))


def values_at(value: Any, path: Path) -> Iterable[Any]:
    """Return the values that a path leads to."""
    found = [value]
    for step in path:
        found = [inner for each in found for inner in _take_step(each, step)]
    return found


def _take_step(value: Any, step: Any) -> list[Any]:
    if step is EACH:
        return value if isinstance(value, list) else []
    if not isinstance(value, dict):
        return []
    return list(value.values()) if step is MEMBERS else [value[step]] if step in value else []


def _path_in_object(value: dict[str, Any], level: int) -> Path | None:
    if level > _DEEPEST:
        return None
    if level == 0 and (
        source := _path_to_member(value)
        or _path_to_history(value)
        or _path_to_changes(value)
        or _path_to_hook_events(value)
    ):
        return source
    found = [key for key, inner in value.items() if _may_hold_records(key, inner, len(value))]
    if len(found) > 1:
        likely = [key for key in found if key in CUSTOMARY and _are_events(value[key])]
        likely = likely or [key for key in found if _are_events(value[key])]
        found = likely if len(likely) == 1 else found
    if len(found) == 1:
        elements = value[found[0]]
        if not _may_open(value, found[0], elements, level):
            return None
        return (found[0], EACH, *(_path_in_elements(elements) or ()))
    if found or _has_event_member(value):
        return None
    deeper = [(key, path) for key, inner in value.items() if (path := _path_in_member(inner, level))]
    if len(deeper) == 1:
        return (deeper[0][0], *deeper[0][1])
    return (MEMBERS,) if _is_keyed(value) else None


def _path_in_member(inner: Any, level: int) -> Path | None:
    return _path_in_object(inner, level + 1) if isinstance(inner, dict) else None


def _path_to_changes(value: dict[str, Any]) -> Path | None:
    """Return the path to the changes in a database's transaction as wal2json writes it, else None."""
    return ("change", EACH) if _is_transaction(value) else None


def _is_transaction(value: Any) -> bool:
    changes = value.get("change") if isinstance(value, dict) else None
    if not isinstance(changes, list) or not value.keys() <= {"xid", "timestamp", "nextlsn", "change", "origin"}:
        return False
    return all(isinstance(each, dict) and isinstance(each.get("kind"), str) for each in changes)


def _path_to_hook_events(value: dict[str, Any]) -> Path | None:
    """Return the path to the events in the `data` of a webhook's delivery, which also describes itself; else None."""
    data = value.get("data")
    ((name, inner),) = data.items() if isinstance(data, dict) and len(data) == 1 else (("", None),)
    is_delivery = (
        name in CUSTOMARY and isinstance(inner, list) and _are_events(inner) and all(map(_has_event_member, inner))
    )
    return ("data", name, EACH) if is_delivery else None


def _path_to_member(value: dict[str, Any]) -> Path | None:
    """Return the path in a document of a search index, or in a line of search results; else None."""
    if isinstance(value.get("_source"), dict) and ("_index" in value or "_id" in value):
        return ("_source",)
    if isinstance(value.get("result"), dict) and value.keys() <= {"preview", "offset", "lastrow", "result"}:
        return ("result",)
    return None


def _may_hold_records(key: str, value: Any, members: int) -> bool:
    return _are_objects(value) or (value == [] and key in CUSTOMARY and members == 1)


def _may_open(value: dict[str, Any], key: str, elements: list[Any], level: int) -> bool:
    names = {name.lower() for name in value}
    if {key, "links", "title"} <= value.keys() and key == "entries":
        return _are_events(elements)  # a page of a feed, which has an id and a time of its own
    if names & (_TYPES | _IDS):
        return False
    if _is_timed(value):
        return key in CUSTOMARY or (_are_events(elements) and not names & _TIMES)
    return level == 0 or key in CUSTOMARY or _are_events(elements) or bool(_path_in_elements(elements))


def _path_in_elements(elements: list[Any]) -> Path | None:
    """Return the path from elements of an array to the events in them, or None if they are records themselves."""
    some = [element for element in elements[:_LOOKED_AT] if isinstance(element, dict)]
    if len(some) < len(elements[:_LOOKED_AT]):
        return None
    if some and all(isinstance(one.get("changelog"), dict) for one in some):
        return next((path for one in some if (path := _path_to_history(one))), None)
    if any(_has_event_member(one) or _is_timed(one) for one in some):
        return None
    for one in some:
        path = _path_to_member(one) or _path_to_node(one) or _path_in_object(one, 1)
        if path and _are_events(list(values_at(one, path))):
            return path
    return None


def _path_to_history(value: dict[str, Any]) -> Path | None:
    """Return the path to the changes of something exported with its history, like an issue of Jira; else None."""
    history = value.get("changelog")
    changes = history.get("histories") if isinstance(history, dict) else None
    return ("changelog", "histories", EACH) if _are_events(changes if isinstance(changes, list) else []) else None


def _path_to_node(value: dict[str, Any]) -> Path | None:
    return ("node",) if isinstance(value.get("node"), dict) and value.keys() <= {"node", "cursor"} else None


def _is_keyed(value: dict[str, Any]) -> bool:
    """Return whether an object maps ids to events."""
    inner = list(value.values())
    if len(inner) < 2 or not _are_objects(inner) or not _are_events(inner):
        return False
    return all(_is_id(key) or key in _value_texts(each) for key, each in value.items())


def _is_id(key: str) -> bool:
    return any(character.isdigit() for character in key)


def _value_texts(value: dict[str, Any]) -> set[str]:
    return {str(inner) for inner in value.values() if isinstance(inner, str | int)}


def _are_objects(values: Any) -> bool:
    return isinstance(values, list) and bool(values) and all(isinstance(one, dict) for one in values[:_LOOKED_AT])


def _are_events(values: list[Any]) -> bool:
    """Return whether values are objects that nearly all have a time."""
    some = values[:_LOOKED_AT]
    return _are_objects(some) and sum(map(_is_timed, some)) >= 0.9 * len(some)


def _has_event_member(value: dict[str, Any]) -> bool:
    return any(name.lower() in _IDS | _TYPES | _TIMES for name in value)


def _is_timed(value: dict[str, Any]) -> bool:
    return any(
        _may_be_time(name, inner)
        if _TIME_NAME.match(name)
        else isinstance(inner, str) and bool(_DATE_AND_TIME.match(inner))
        for name, inner in value.items()
    )


def _may_be_time(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, int | float):
        return value > _FIRST_SECOND or not name.endswith("At")  # "startAt": 50 is a place among the pages
    return isinstance(value, str) and any(map(str.isdigit, value))
