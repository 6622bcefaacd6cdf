"""A store to which nothing is written, not even to bring its index up to date."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from esctl.api.store import Store
from esctl.errors import UsageError

if TYPE_CHECKING:
    from esctl.index.envelope.detect import Detection
    from esctl.index.scan import IndexView


class ReadOnlyStore(Store):
    """A store that can be asked but not changed. What its index lacks is built in a temporary folder."""

    @cached_property
    def view(self) -> IndexView:
        """Return the index up to the head of the store state; what it lacks is built in a temporary folder."""
        from esctl.engine.duckdb import explained
        from esctl.index.current import current_view

        view = current_view(self.index_folder, self.store_state) if self.basis is None else None
        if view is not None:
            return view
        with explained():
            return self.updater().as_if_ended_at(self.store_state)

    def refresh_if_grown(self) -> None:
        """Refresh the store if something was committed, or other `--map` options were kept, since it was last read."""
        from esctl.log.commits import open_log

        now = open_log(self.path).read()
        is_as_read = (now.seq, now.commit_sha256) == (self.store_state.seq, self.store_state.commit_sha256)
        if not is_as_read or self.overrides != self.mapping.overrides:
            self.refresh()

    def ingest(self, *sources: Any, **options: Any) -> NoReturn:
        """Raise UsageError: the store is read-only."""
        raise _refusal()

    def checkpoint(self, key: str = "") -> NoReturn:
        """Raise UsageError: the store is read-only."""
        raise _refusal()

    def create_view(self, name: str, **options: Any) -> NoReturn:
        """Raise UsageError: the store is read-only."""
        raise _refusal()

    def set_overrides(self, overrides: Sequence[str]) -> NoReturn:
        """Raise UsageError: the store is read-only."""
        raise _refusal()

    def rebuild_index(self) -> list[tuple[str, Detection]]:
        """Raise UsageError: the store is read-only."""
        raise _refusal()


def _refusal() -> UsageError:
    return UsageError("the store was opened to be read only", "open it with Store.open to change it")
