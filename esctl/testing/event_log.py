"""An event log in a test, with assertions about it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from esctl.api.store import Store
from esctl.errors import NotFoundError, UsageError
from esctl.output.text import visible
from esctl.testing.lines import Lines
from esctl.testing.values import differences, value_text

if TYPE_CHECKING:
    from esctl.intake.intake import Outcome
    from esctl.model import AsOf

MOST_TOLD = 10
"""The most failures that a message lists."""


class EventLog:
    """Logs in a store of their own. `store` answers every other question."""

    def __init__(self, store: Store, lines: Lines) -> None:
        self.store = store
        self._lines = lines

    @classmethod
    def of(
        cls,
        *logs: str | Path | Iterable[Mapping[str, Any]],
        folder: Path | str,
        config: Path | str | None = None,
        **options: Any,
    ) -> Self:
        """Read logs into a new store in a folder: files, globs, folders, or events as dicts.

        `options`: those of `Store.ingest` (`map`, `preset`, `time_format`, ...).
        Events are written to `events.jsonl` in the folder. Raises UsageError if that is there already, if no event has
        an entity, or if the entity or time is a guess, on which a test must not rest.
        """
        from esctl.sources.files.finding import expand

        __tracebackhide__ = True
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        named = [
            str(each) if isinstance(each, str | Path) else _write_events(each, folder, i) for i, each in enumerate(logs)
        ]
        sources = expand(named)
        store = Store.create(folder / ".esctl", config)
        outcome = store.ingest(*sources, **options)
        try:
            _check_understood(outcome, store.overrides)
        except UsageError as error:
            error.add_note(f"hint: {error.hint}")  # pytest shows it below the message
            raise
        return cls(store, Lines(store, sources))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def assert_never(
        self,
        predicate: str,
        *entities: str,
        from_: str = "",
        to: str = "",
        each_event: bool = False,
        projection: str = "",
    ) -> None:
        """Fail if a condition on the state ever held. The message names each entity, and the event that made it so.

        Arguments are those of `esctl when`. Raises UsageError for an invalid condition.
        """
        __tracebackhide__ = True
        bounds: dict[str, Any] = {"from_": from_, "to": to, "projection": projection}
        count, lines = self.moments(predicate, *entities, each_event=each_event, **bounds)
        if count:
            raise AssertionError(f"{predicate} held, and never should:\n{_list_lines(lines, count)}")

    def moments(self, predicate: str, *entities: str, most: int = MOST_TOLD, **options: Any) -> tuple[int, list[str]]:
        """Return how many entities a condition held for, and for `most` of them where and by which event it began.

        If it turned true for none between the bounds but held at their beginning, these are the entities for which it
        began earlier.
        """
        found = self.store.when(predicate, *entities, **options)
        rows = found.rows()
        if not rows and found.held():  # it turned true before the bounds begin
            earlier = {**options, "from_": "", "to": options["from_"]}
            rows = _lasting_past(self.store.when(predicate, *entities, which="last", **earlier).rows(), found.points[0])
        return len(rows), [
            f"{self._lines.place_of(row['position'])}: {row['entity']}: {predicate} from {row['start']} on, "
            f"by event {_describe_event(row)}{_until_text(row)}"
            for row in rows[:most]
        ]

    def findings(self, check: str, *, most: int = MOST_TOLD) -> list[str]:
        """Return a line for each event that fails a check of `esctl doctor`: at most `most`, and one for the rest."""
        rows = self.store.occurrences(check).rows()
        lines = [
            f"{self._lines.place_of(row['position'])}: {check}: {row['detail'] or row['id'] or ''}"
            for row in rows[:most]
        ]
        return lines + [f"{check}: and {len(rows) - most} more"] * (len(rows) > most)

    def assert_state(
        self,
        entity: str,
        expected: Mapping[str, Any],
        *,
        at: str = "",
        before: str = "",
        known_at: str = "",
        projection: str = "",
        exact: bool = False,
    ) -> None:
        """Fail if the state of an entity is not as expected. The message names the event that set each wrong field.

        Fields that `expected` does not name may have any value, unless `exact`. None means that a field is missing or
        null. Numbers are compared exactly: write Decimal("0.1"), or 0.1, which is read as it is written.
        """
        __tracebackhide__ = True
        bounds: dict[str, Any] = {"at": at, "before": before, "known_at": known_at, "projection": projection}
        moment = at or before or "the end"
        try:
            states = self.store.replay(entity, **bounds).rows()
        except NotFoundError as error:
            raise AssertionError(f"{error.message}{f' ({error.hint})' if error.hint else ''}") from None
        if len(states) != 1:
            raise AssertionError(f"{entity} has {len(states) or 'no'} state{'s' * (len(states) > 1)} at {moment}")
        wrong = differences(states[0]["state"], expected, exact=exact)
        if wrong:
            causes = self._causes(entity, [field for field, _, _ in wrong], bounds)
            lines = [
                f"{name} is {value_text(actual)}, not {value_text(wanted)}{causes.get(name, '')}"
                for name, actual, wanted in wrong
            ]
            raise AssertionError(f"the state of {entity} at {moment} is another:\n{_list_lines(lines, len(lines))}")

    def _causes(self, entity: str, fields: Sequence[str], bounds: Mapping[str, Any]) -> dict[str, str]:
        """Return a phrase for each field that names the event that set it."""
        known = {row["field"]: row for row in self.store.blame(entity, **bounds)}
        return {
            field: f", since event {_describe_event(row)}, {self._lines.place_of(row['position'])}"
            for field in fields
            if (row := known.get(field)) is not None
        }


def _check_understood(outcome: Outcome, options: Sequence[str]) -> None:
    """Raise UsageError if no event has an entity, or if the entity or time is a guess or can be read in two ways.

    `options`: those that set the mapping, whose fields are no guess.
    """
    from esctl.index.envelope.mapping import split_option

    __tracebackhide__ = True
    given = {key.partition(".")[0] for _, key, _ in map(split_option, options)}
    for name, detection in outcome.detections:
        for row in detection.rows:
            if row.sure and row.field in {"entity", "time"} - given:
                path = f"{row.field}={row.path}" if row.path != "?" else f"{row.field}=PATH"
                raise UsageError(f"{name}: {row.field} is a guess: {row.path} ({row.why})", f"say it: map='{path}'")
        if detection.doubt is not None:
            raise UsageError(f"{name}: {detection.doubt.why}", "say which: time_format='day-first', or 'month-first'")
    if outcome.summary.new and outcome.homeless >= outcome.summary.new:
        names = ", ".join(name for name, _ in outcome.detections)
        raise UsageError(f"{names}: no event has an entity", "say where it is: map='entity=PATH', or config=PATH")


def _write_events(events: Iterable[Mapping[str, Any]], folder: Path, number: int) -> str:
    """Write events to a new file as JSON Lines, decimals with their digits; return its path."""
    from esctl.output.sink import write_bytes
    from esctl.testing.values import as_json

    path = folder / f"events{f'-{number + 1}' if number else ''}.jsonl"
    if os.path.lexists(path):
        raise UsageError(f"{path} is there already", "give the log a folder of its own: folder=tmp_path")
    write_bytes((f"{as_json(event)}\n".encode() for event in events), path)
    return str(path)


def _describe_event(row: Mapping[str, Any]) -> str:
    """Name an event by its id, or by its position if it has none."""
    by = f" by {row['actor']}" if row.get("actor") else ""
    return f"{row['id'] or '@' + str(row['position'])} ({row['type']}{by})"


def _lasting_past(rows: Sequence[dict[str, Any]], point: AsOf | None) -> list[dict[str, Any]]:
    """Return the intervals that had not ended at a point in time; all of them if the point is not a time."""
    if point is None or point.instant is None:
        return [*rows]
    then = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=point.instant)
    return [row for row in rows if row["end"] is None or datetime.fromisoformat(row["end"]) > then]


def _until_text(row: Mapping[str, Any]) -> str:
    return f", until {row['end']}" if row.get("end") else ""


def _list_lines(lines: Sequence[str], count: int) -> str:
    """Return the first lines one below another, and how many more of `count` there are."""
    first = [f"  {visible(line)}" for line in lines[:MOST_TOLD]]
    return "\n".join(first + [f"  and {count - len(first)} more"] * (count > len(first)))
