"""esctl log."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from esctl.cli.arguments import Actors, Entities, From, KnownAt, To, Types
from esctl.cli.opening import open_store
from esctl.cli.options import Shared, question
from esctl.cli.render import render_answer
from esctl.errors import UsageError

_Only = Literal["", "invalid", "duplicates", "conflicts", "erased", "ignored"]
TABLE = ("position", "time", "type", "entity", "actor", "data")
TABLE_INVALID = ("position", "source", "offset", "invalid", "raw")
TABLE_ERASED = ("position", "source", "offset", "recorded_at")
TABLE_REPEATED = ("position", "duplicate_of", "source", "id", "type", "entity")


Source = Annotated[
    list[str] | None,
    typer.Option("--source", metavar="NAME", help="Only events of this source (glob; repeat for more)."),
]
Where = Annotated[
    str,
    typer.Option(
        "--where",
        metavar="CONDITION",
        help="Only events for which this SQL condition on data.<field>, raw.<field> (of the record as it came), "
        "type, time, ... holds.",
    ),
]
Grep = Annotated[
    str | None,
    typer.Option("--grep", metavar="TEXT", help="Only events whose record, as it was received, has this text."),
]
Tail = Annotated[
    int | None, typer.Option("--tail", metavar="N", min=0, help="Only the last N, in the order of arrival.")
]
Reverse = Annotated[bool, typer.Option("--reverse", help="The last first.")]
Invalid = Annotated[
    bool, typer.Option("--invalid", help="Only records that could not be read, with the reason and the text.")
]
Duplicates = Annotated[bool, typer.Option("--duplicates", help="Only events delivered again.")]
Erased = Annotated[bool, typer.Option("--erased", help="Only records that were erased.")]
Conflicts = Annotated[
    bool, typer.Option("--conflicts", help="Only events whose id was seen before with other content.")
]
Ignored = Annotated[
    bool, typer.Option("--ignored", help="Only events of no entity that the mapping declares to be of none.")
]


@question
def run(
    shared: Shared,
    entities: Entities = None,
    actor: Actors = None,
    type: Types = None,  # noqa: A002  # the option is --type
    source: Source = None,
    start: From = "",
    end: To = "",
    where: Where = "",
    grep: Grep = None,
    known_at: KnownAt = "",
    tail: Tail = None,
    reverse: Reverse = False,
    invalid: Invalid = False,
    duplicates: Duplicates = False,
    erased: Erased = False,
    conflicts: Conflicts = False,
    ignored: Ignored = False,
) -> None:
    """List events in the order of arrival, whatever became of them."""
    store = open_store(shared)
    kinds: dict[_Only, bool] = {
        "invalid": invalid, "duplicates": duplicates, "conflicts": conflicts, "erased": erased, "ignored": ignored,
    }  # fmt: skip
    chosen = [name for name, wanted in kinds.items() if wanted]
    if len(chosen) > 1:
        raise UsageError(f"--{chosen[0]} and --{chosen[1]} are both given", "give one of them")
    only: _Only = chosen[0] if chosen else ""
    raw = [name for name in shared.columns if name == "raw" or name.startswith("raw.")]
    events = store.events(
        *(entities or ()), actor=actor or (), type=type or (), from_=start, to=end, where=where, known_at=known_at,
        only=only, source=source or (), grep=grep, tail=tail, reverse=reverse, raw=raw,
    )  # fmt: skip
    table = TABLE_ERASED if erased else TABLE_INVALID if invalid else TABLE_REPEATED if only and not ignored else TABLE
    render_answer(events, shared, store, table)
