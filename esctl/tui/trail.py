"""The trail of one entity in memory, and the order in which its events are stepped through by either clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from esctl.output.writers.changes import Change, parse_changes
from esctl.tui.values import NO_EVENT, Clock, Entity, Event

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Numbers = npt.NDArray[np.int64]

TEXTS = ("type", "actor", "id", "role", "changes")


class Trail:
    """The events of an entity in fold order, as columns.

    `stepped` is false if no event changed anything, as if a query folds the entity: then the trail has no changes.
    """

    def __init__(self, entity: Entity, table: pa.Table) -> None:
        import numpy as np
        import pyarrow.compute as pc

        self.entity = entity
        self.stepped: bool = pc.any(pc.not_equal(table["changes"], "[]")).as_py() or False
        self.positions: Numbers = table["position"].to_numpy().astype(np.int64)
        self.times, self.dated = _instants(table["time"])
        self.recorded, self.dated_records = _instants(table["recorded_at"])
        self._texts = {name: table[name] for name in TEXTS}

    def __len__(self) -> int:
        return len(self.positions)

    def event(self, row: int) -> Event:
        """Return the event of a row."""
        return Event(
            int(self.positions[row]),
            int(self.times[row]) if self.dated[row] else None,
            int(self.recorded[row]) if self.dated_records[row] else None,
            *(self.text(name, row) for name in TEXTS),
        )

    def text(self, name: str, row: int) -> str:
        """Return a cell of a column of text; empty where there is none."""
        return self._texts[name][row].as_py() or ""

    def changes(self, row: int) -> list[Change]:
        """Return what the event of a row changed."""
        return parse_changes(self.text("changes", row)) or []


def _instants(column: Any) -> tuple[Numbers, npt.NDArray[np.bool_]]:
    import numpy as np
    import pyarrow as pa

    dated = column.is_valid().to_numpy()
    return column.cast(pa.int64()).fill_null(0).to_numpy().astype(np.int64), dated


class Steps:
    """The events of a trail in the order of a clock; a step is a number from 0, `NO_EVENT` is before the first."""

    def __init__(self, trail: Trail, clock: Clock) -> None:
        import numpy as np

        self.trail, self.clock = trail, clock
        count = len(trail)
        by_arrival = clock == "known"
        self.rows: Numbers = np.argsort(trail.positions, kind="stable") if by_arrival else np.arange(count)
        self.positions: Numbers = trail.positions[self.rows]
        self._straight = _straight(self.positions)

    def __len__(self) -> int:
        return len(self.rows)

    def spec(self, step: int) -> str:
        """Return the point right after a step, as `--at` takes it, or `--known-at` by the clock of what was known.

        By time, the events up to a step are those up to its position, unless some came late. Then the point is a
        version: the number of the entity's events up to the step.
        """
        if step == NO_EVENT:
            return "@0"
        return f"@{self.positions[step]}" if self._straight[step] else f"version:{step + 1}"

    def event(self, step: int) -> Event:
        """Return the event of a step."""
        return self.trail.event(int(self.rows[step]))

    def step_of(self, position: int | None) -> int:
        """Return the step of the event at a position of the log; `NO_EVENT` if it is none of these events."""
        steps: list[int] = [] if position is None else (self.positions == position).nonzero()[0].tolist()
        return steps[0] if steps else NO_EVENT

    def next_change(self, field: str, step: int, direction: int) -> int | None:
        """Return the next step (`direction` 1) or the one before (-1) that changes a field; None: there is none."""
        at = step + direction
        quoted = f'"{field}"' if field.isidentifier() else ""
        while 0 <= at < len(self):
            row = int(self.rows[at])
            if (not quoted or quoted in self.trail.text("changes", row)) and any(
                change.field == field for change in self.trail.changes(row)
            ):
                return at
            at += direction
        return None

    def next_match(self, wanted: str, step: int) -> int | None:
        """Return the next step, wrapping round, whose type, actor, id or changes hold a text in any case; or None."""
        text = wanted.casefold()
        count = len(self)
        for ahead in range(1, count + 1):
            at = (step + ahead) % count
            row = int(self.rows[at])
            if any(text in self.trail.text(name, row).casefold() for name in ("type", "actor", "id", "changes")):
                return at
        return None


def _straight(positions: Numbers) -> npt.NDArray[np.bool_]:
    """Return for each step whether the events up to it are exactly those up to its position."""
    import numpy as np

    if not len(positions):
        return np.zeros(0, dtype=bool)
    before = np.maximum.accumulate(positions)
    after = np.minimum.accumulate(positions[::-1])[::-1]
    beyond = np.append(after[1:], np.iinfo(np.int64).max)
    straight: npt.NDArray[np.bool_] = (before == positions) & (beyond > positions)
    return straight
