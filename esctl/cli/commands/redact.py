"""esctl redact."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from esctl.cli import diagnostics
from esctl.cli.completion import complete_entity
from esctl.cli.consent import require_consent
from esctl.cli.erasures import erasure_note
from esctl.cli.opening import open_store, output_settings
from esctl.cli.options import Shared, command
from esctl.cli.render import check_showable, show
from esctl.errors import EsctlError, InputError, UsageError, with_more

if TYPE_CHECKING:
    from esctl.api import Store
    from esctl.ask.events.erasable import ErasureSelection
    from esctl.ask.scope.scope import Scope

TABLE = ("position", "source", "id", "type", "entity", "role", "duplicate_of")
_LISTED = 5


Events = Annotated[
    list[str] | None, typer.Argument(metavar="[EVENT]...", help="Events: ids, or @POSITION for one record.")
]
Reason = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why; it stays in the store for good, as does the actor.")
]
Actor = Annotated[str, typer.Option("--actor", metavar="NAME", help="Who erases; by default the user's name.")]
Entity = Annotated[
    list[str] | None,
    typer.Option(
        "--entity",
        metavar="ENTITY",
        help="All events that concern this entity (name or glob; repeat for more).",
        autocompletion=complete_entity,
    ),
]
Where = Annotated[
    str, typer.Option("--where", metavar="CONDITION", help="All events for which this SQL condition holds.")
]
Duplicates = Annotated[
    bool | None,
    typer.Option("--duplicates/--no-duplicates", help="Erase other records with the same bytes too, or not."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="List what would be erased, and erase nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@command
def run(
    shared: Shared,
    events: Events = None,
    reason: Reason = "",
    actor: Actor = "",
    entity: Entity = None,
    where: Where = "",
    duplicates: Duplicates = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Erase records of an erasable store for good: their bytes go, the tree of the log stays as it is."""
    from esctl.ask.events.erasable import DONE, list_planned, select_records
    from esctl.log.erasing import check_erasable
    from esctl.maintain.redact import complete_erasure

    if not reason.strip() and not dry_run:
        raise UsageError("--reason is missing", "say why; it is kept with the erasure, so name nobody in it")
    store = open_store(shared)
    check_erasable(store.store_state)
    if not dry_run:
        check_showable(shared, DONE, output_settings(store))
    if store.store_state.redactions and not dry_run:
        complete_erasure(store.path)
    scope = store.scope(entity or ())
    selection = select_records(scope, store.store_state, events or (), where)
    selection = _with_same_bytes(store, selection, duplicates)
    _note_same_id(scope, selection)
    _note_erased_before(store, selection)
    if dry_run:
        show(list_planned(scope, selection.positions), shared, store, TABLE)
        diagnostics.note(f"{_count(selection.positions)} would be erased", shared.quiet)
        return
    if selection.positions and not yes:
        _confirm(selection)
    _erase(shared, store, selection, reason.strip(), actor.strip() or _user_name())


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a process that no user of this machine runs, as in a container
        return "unknown"


def _erase(shared: Shared, store: Store, selection: ErasureSelection, reason: str, actor: str) -> None:
    from esctl.ledger.sign.last_seen import advance
    from esctl.maintain.redact import ErasureRequest, redact

    if selection.positions:
        store_state = redact(store.path, ErasureRequest(selection.positions, reason, actor), store.updater())
        if not advance(store_state):
            diagnostics.note("warning: the store does not continue what was last seen of it here: esctl verify")
    after = store.reopened()
    _show_erased(shared, after, selection)
    if selection.positions:
        diagnostics.note(
            f"{_count(selection.positions)} erased; the root is still {after.store_state.root}", shared.quiet
        )
        diagnostics.note(
            "note: an event that is delivered again is new evidence: leave it out of what is ingested", shared.quiet
        )


def _show_erased(shared: Shared, after: Store, selection: ErasureSelection) -> None:
    """Show what is erased. Raises InputError if that cannot be written: a UsageError means that nothing was done."""
    from esctl.ask.events.erasable import list_erased

    try:
        show(list_erased(after.scope(), selection), shared, after)
    except EsctlError as error:
        told = with_more(error, "the records are erased", "look at them with: esctl log --erased")
        raise InputError(told.message, told.hint) from error


def _with_same_bytes(store: Store, selection: ErasureSelection, wanted: bool | None) -> ErasureSelection:
    """Add the other records with the same bytes to a selection, or leave them out if `wanted` is False.

    Raises UsageError if there are some and `wanted` is None: no copy of erased bytes may stay behind unnoticed.
    """
    from msgspec.structs import replace

    from esctl.ask.events.erasable import same_bytes

    if wanted is False or not selection.positions:
        return selection
    others = tuple(at for at in same_bytes(store.store_state, selection.positions))
    if not others:
        return selection
    if not wanted:
        raise UsageError(
            f"{_places(others)} {'hold' if len(others) > 1 else 'holds'} the same bytes",
            "erase them too with --duplicates, or leave them with --no-duplicates",
        )
    return replace(selection, positions=tuple(sorted({*selection.positions, *others})))


def _note_same_id(scope: Scope, selection: ErasureSelection) -> None:
    from esctl.ask.events.erasable import same_id

    if others := same_id(scope, selection.positions):
        what = "have the id of an event to be erased" if len(others) > 1 else "has the id of an event to be erased"
        diagnostics.note(f"note: {_places(others)} {what}: what is left of that id counts from now on")


def _note_erased_before(store: Store, selection: ErasureSelection) -> None:
    for position in selection.already[:_LISTED]:
        if line := erasure_note(store.store_state, position):
            diagnostics.note(line)


def _confirm(selection: ErasureSelection) -> None:
    count, hint = _count(selection.positions), "confirm that with --yes, or look with --dry-run"
    require_consent(f"Erase {count} for good?", f"{count} would be erased for good", "nothing was erased", hint)


def _count(positions: Sequence[int]) -> str:
    return f"{len(positions)} record{'s' * (len(positions) != 1)}"


def _places(positions: Sequence[int]) -> str:
    more = f" and {len(positions) - _LISTED} more" if len(positions) > _LISTED else ""
    return ", ".join(f"@{position}" for position in positions[:_LISTED]) + more
