"""esctl series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import replace

from esctl.cli import diagnostics
from esctl.cli.arguments import Entities, KnownAt, ProjectionName
from esctl.cli.opening import announce, open_store, output_settings, render_answer
from esctl.cli.options import Shared, question
from esctl.errors import UsageError

if TYPE_CHECKING:
    from esctl.api import Store
    from esctl.model import Answer

HEIGHT = 16
"""Lines of a plot, its axes aside: it fits a terminal of 24 with the command above it."""


@question
def run(
    shared: Shared,
    expression: Annotated[
        str,
        typer.Argument(
            metavar="EXPR",
            help="An aggregate over the states: sum(balance), count(*) filter (status = 'open'), "
            "max(total), sum(a) / count(*).",
        ),
    ],
    entities: Entities = None,
    every: Annotated[
        str, typer.Option("--every", metavar="STEP", help="The step of the grid: 15m, 1h, 1d, 1w, 1mo, 1y.")
    ] = "1d",
    by: Annotated[
        str, typer.Option("--by", metavar="FIELD", help="One value per field, entity, kind or expression over these.")
    ] = "",
    start: Annotated[
        str, typer.Option("--from", metavar="T", help="Only points from T on (a date: from its start).")
    ] = "",
    end: Annotated[str, typer.Option("--to", metavar="T", help="Only points up to T (a date: to its end).")] = "",
    known_at: KnownAt = "",
    projection: ProjectionName = "",
    plot: Annotated[bool, typer.Option("--plot", help="Draw it in the terminal (needs the extra `plot`).")] = False,
) -> None:
    """Show an aggregate over the states of all entities at each point of a grid of times."""
    store = open_store(shared)
    values = store.series(
        expression, *(entities or ()), every=every, by=by, from_=start, to=end, known_at=known_at, projection=projection
    )
    if not plot:
        render_answer(values, shared, store)
        return
    announce(values, shared, store)
    _draw(values.answer, expression, shared, store)


def _draw(answer: Answer, label: str, shared: Shared, store: Store) -> None:
    from esctl.cli.render import choose_target
    from esctl.output.sink import write_bytes
    from esctl.output.writers.plot import plot

    if shared.format is not None:
        raise UsageError("--plot and --format are both given", "give one of them")
    target = choose_target(replace(shared, format="table"), (), output_settings(store))
    for line in answer.notes:
        diagnostics.note(line, shared.quiet)
    drawn = plot(answer, label, target.width, HEIGHT, target.tz, color=target.color)
    write_bytes([drawn.encode()], shared.output)
