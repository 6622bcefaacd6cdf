"""esctl when."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from esctl.cli import diagnostics
from esctl.cli.arguments import Engine, Entities, KnownAt, ProjectionFile, ProjectionName, Without
from esctl.cli.opening import open_store
from esctl.cli.options import Shared, asks_for, question
from esctl.cli.render import render_answer
from esctl.errors import UsageError

TABLE = ("entity", "start", "end", "type", "actor")


Predicate = Annotated[
    str,
    typer.Argument(
        metavar="PREDICATE",
        help="An SQL condition on the state: its fields, entity, kind, version, position, time.",
    ),
]
First = Annotated[bool, typer.Option("--first", help="The first moment it turned true, of each entity.")]
Last = Annotated[bool, typer.Option("--last", help="The last moment it turned true, of each entity.")]
Every = Annotated[bool, typer.Option("--every", help="Every interval in which it held.")]
Start = Annotated[
    str, typer.Option("--from", metavar="T", help="Only moments it turned true from T on (a date: from its start).")
]
End = Annotated[
    str, typer.Option("--to", metavar="T", help="Only moments it turned true up to T (a date: to its end).")
]
EachEvent = Annotated[
    bool,
    typer.Option("--each-event", help="Test after each event, also between events at the same time."),
]
Count = Annotated[bool, typer.Option("--count", help="Count entities and intervals instead.")]
ExitCode = Annotated[bool, typer.Option("--exit-code", help="Exit with 1 when it ever held.")]


@question
def run(
    shared: Shared,
    predicate: Predicate,
    entities: Entities = None,
    first: First = False,
    last: Last = False,
    every: Every = False,
    start: Start = "",
    end: End = "",
    each_event: EachEvent = False,
    count: Count = False,
    exit_code: ExitCode = False,
    known_at: KnownAt = "",
    projection: ProjectionName = "",
    without: Without = None,
    projection_file: ProjectionFile = None,
    engine: Engine = "",
) -> None:
    """Show when a condition on the state turned true, by which event, and for how long."""
    store = open_store(shared, engine)
    which = _which(first, last, every or count)
    moments = store.when(
        predicate, *(entities or ()), which=which, from_=start, to=end, each_event=each_event, known_at=known_at,
        projection=projection, without=without or (), projection_file=projection_file,
        with_state=asks_for(shared, "state"),
    )  # fmt: skip
    written = render_answer(moments.counted(), shared, store) if count else render_answer(moments, shared, store, TABLE)
    if not exit_code:
        return
    if written and not count:
        raise typer.Exit(1)
    if moments.held():
        if start and not moments.has_rows():
            diagnostics.note("note: it held at --from already, and did not turn true after it", shared.quiet)
        raise typer.Exit(1)


def _which(first: bool, last: bool, every: bool) -> Literal["first", "last", "every"]:
    if first + last + every > 1:
        raise UsageError("more than one of --first, --last, --every and --count is given", "give one of them")
    return "every" if every else "last" if last else "first"
