"""Keep snapshots of states: make them where they are worth it, list them, remove them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from esctl.ask.scope.scope import Claim, Scope
    from esctl.model import Answer, AsOf
    from esctl.saved_states.files import StateSnapshot
    from esctl.store import OpenStore

LEAST = 1_000_000
"""Events after the newest snapshot that make another one worth it, if they are also this share of all events."""
SHARE = 0.1
KEPT = 2
"""How many of the snapshots that ingests made are kept, the newest ones."""


def take(store: OpenStore, at: AsOf | None = None, origin: str = "user") -> list[StateSnapshot]:
    """Make a snapshot of every projection that can have one, at a time, a position or the head.

    Raises UsageError for another point or if the states are wrong, InputError if the store cannot be written.
    """
    from esctl.ask.states import save as snapshot

    if store.engine is None:
        return snapshot.save_snapshots(_unfiltered_scope(store), at, origin, _render)
    from esctl.cluster.question import ask_in_parts

    return snapshot.save_snapshots(_unfiltered_scope(store), at, origin, _render, ask=ask_in_parts)


def take_every(store: OpenStore, events: int) -> list[StateSnapshot]:
    """Make a snapshot at every position that is a multiple of `events`, each from the one before."""
    from esctl.model import AsOf

    made = []
    for position in range(events, store.store_state.head + 1, events):
        made += take(store, AsOf(f"@{position}", "position", number=position))
    return made


def take_after_ingest(store: OpenStore) -> list[StateSnapshot]:
    """Make a snapshot at the head after an ingest, if it is worth it.

    None is made if the states are wrong or do not fit into memory. Raises InputError if it cannot be written.
    """
    from esctl.ask.scope.scope import claims
    from esctl.ask.states import save as snapshot
    from esctl.errors import InputError, OutOfMemoryError, UsageError, with_more

    if store.snapshots == "off" or (store.snapshots == "auto" and store.view.manifest.events < LEAST):
        return []
    scope = _unfiltered_scope(store)
    try:
        always = store.snapshots == "always"
        possible = [claim for claim in claims(scope) if snapshot.can_keep(claim)]
        wanted = [claim for claim in possible if always or _is_worth_it(scope, claim)]
        made = snapshot.save_snapshots(scope, None, "ingest", _render, wanted)
    except (OutOfMemoryError, UsageError):
        return []  # the ingest is done, and the question that needs the states will say what is wrong with them
    except InputError as error:
        raise with_more(error, "what was ingested is kept", "make the snapshot with: esctl snapshot") from error
    _drop_older(store, made)
    return made


def list_snapshots(store: OpenStore) -> list[tuple[Path, StateSnapshot | None]]:
    """List the snapshots of a store, each after the path of its manifest; None for a damaged one."""
    from esctl.saved_states import files as shelf

    return shelf.list_snapshots(store.path)


def drop_all(store: OpenStore) -> None:
    """Remove all snapshots of a store."""
    from esctl.saved_states import files as shelf

    shelf.drop_all(store.path)


def _is_worth_it(scope: Scope, claim: Claim) -> bool:
    from esctl.ask.states.resume import uncovered

    return uncovered(scope, claim) >= max(LEAST, SHARE * scope.view.manifest.events)


def _drop_older(store: OpenStore, made: Iterable[StateSnapshot]) -> None:
    """Remove the snapshots that ingests made where new ones were made, except the newest."""
    from esctl.saved_states.files import drop

    names = {snapshot.name for snapshot in made}
    for folder in {path.parent for path, kept in list_snapshots(store) if kept and kept.name in names}:
        here = [(path, kept) for path, kept in list_snapshots(store) if path.parent == folder and kept]
        own = sorted((kept.extent.position, path) for path, kept in here if kept.origin == "ingest")
        drop([path for _, path in own[:-KEPT]])


def _unfiltered_scope(store: OpenStore) -> Scope:
    return replace(store.scope(), shelf=store.shelf)


def _render(answer: Answer, path: Path) -> None:
    from esctl.output import Target, write

    write(answer, Target("jsonl", path))
