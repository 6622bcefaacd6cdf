"""Find the file and line that an event came from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from esctl.errors import EsctlError

if TYPE_CHECKING:
    from esctl.api.store import Store
    from esctl.sources.files.finding import Source

_LINES = frozenset({"jsonl", "csv", "tsv", "text"})
_BLOCK = 1 << 20


class Lines:
    """Finds events in the files that they came from."""

    def __init__(self, store: Store, sources: Sequence[Source]) -> None:
        self._store = store
        self._sources = {source.name: source for source in sources}

    def place_of(self, position: int) -> str:
        """Return the file and line of a record, as FILE:LINE; its offset instead of the line for other formats."""
        from esctl.ask.events.log import events_at
        from esctl.output import to_rows

        rows = to_rows(events_at(self._store.scope(), [position]))
        if not rows:
            return f"@{position}"
        name, offset = str(rows[0]["source"]), int(rows[0]["offset"])
        cursor = self._store.store_state.cursors.get(name)
        line = self._line(name, offset) if cursor is not None and cursor.format in _LINES else 0
        return f"{name}:{line}" if line else f"{name} at {offset}"

    def _line(self, name: str, offset: int) -> int:
        """Return the number of the line at an offset of a file; 0 if it cannot be read any more."""
        from esctl.sources.files.finding import open_stream

        source = self._sources.get(name)
        if source is None or source.path is None:
            return 0
        line, left = 1, offset
        try:
            stream = open_stream(source)
            try:
                while left > 0 and (block := stream.read(min(left, _BLOCK))):
                    line += block.count(b"\n")
                    left -= len(block)
            finally:
                stream.close()
        except EsctlError:
            return 0
        return line if not left else 0
