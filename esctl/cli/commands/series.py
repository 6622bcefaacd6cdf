"""esctl series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import replace

from esctl.cli import diagnostics
from esctl.cli.arguments import Engine, Entities, KnownAt, ProjectionName
from esctl.cli.opening import open_store, output_settings
from esctl.cli.options import Shared, question
from esctl.cli.render import announce, render_answer
from esctl.errors import UsageError

if TYPE_CHECKING:
    from esctl.api import Store
    from esctl.api.states import SeriesRelation
    from esctl.model import Answer

SUFFIXES = (".svg", ".png", ".html")
"""Suffixes of outputs that are charts."""
HEIGHT = 16
"""Lines of a plot without its axes, so that it fits a terminal of 24 lines with the command above it."""


Expression = Annotated[
    str,
    typer.Argument(
        metavar="EXPR",
        help="An aggregate over the states: sum(balance), count(*) filter (status = 'open'), "
        "max(total), sum(a) / count(*).",
    ),
]
Every = Annotated[str, typer.Option("--every", metavar="STEP", help="The step of the grid: 15m, 1h, 1d, 1w, 1mo, 1y.")]
By = Annotated[
    str, typer.Option("--by", metavar="FIELD", help="One value per field, entity, kind or expression over these.")
]
Start = Annotated[str, typer.Option("--from", metavar="T", help="Only points from T on (a date: from its start).")]
End = Annotated[str, typer.Option("--to", metavar="T", help="Only points up to T (a date: to its end).")]
Plot = Annotated[bool, typer.Option("--plot", help="Draw it in the terminal (needs the extra `plot`).")]


@question
def run(
    shared: Shared,
    expression: Expression,
    entities: Entities = None,
    every: Every = "1d",
    by: By = "",
    start: Start = "",
    end: End = "",
    known_at: KnownAt = "",
    projection: ProjectionName = "",
    plot: Plot = False,
    engine: Engine = "",
) -> None:
    """Show an aggregate over the states of all entities at each point of a grid of times.

    -o chart.svg, .png or .html draws it (needs the extra `plot`).
    """
    suffix = "" if shared.output is None or shared.format is not None else shared.output.suffix.lower()
    if plot or suffix in SUFFIXES:
        shared.refuse(("columns", "limit"), "a chart", "leave them out, or give --from and --to")
    store = open_store(shared, engine)
    values = store.series(
        expression, *(entities or ()), every=every, by=by, from_=start, to=end, known_at=known_at, projection=projection
    )
    if plot and suffix in SUFFIXES:
        raise UsageError(f"--plot draws text, and {shared.output} is named like a picture", "leave out --plot")
    if plot:
        announce(values, shared, store)
        _draw(values.answer, expression, shared, store)
    elif suffix in SUFFIXES:
        announce(values, shared, store)
        _write_chart(values, suffix, shared, store)
    else:
        render_answer(values, shared, store)


def _write_chart(values: SeriesRelation, suffix: str, shared: Shared, store: Store) -> None:
    from esctl.output.sink import write_bytes

    for line in values.answer.notes:
        diagnostics.note(line, shared.quiet)
    tz = shared.tz or output_settings(store).get("tz") or "UTC"
    write_bytes([values.chart(suffix, tz)], shared.output)


def _draw(answer: Answer, label: str, shared: Shared, store: Store) -> None:
    from esctl.cli.render import choose_target
    from esctl.output.charts.terminal import plot
    from esctl.output.sink import write_bytes

    if shared.format is not None:
        raise UsageError("--plot and --format are both given", "give one of them")
    target = choose_target(replace(shared, format="table"), (), output_settings(store))
    for line in answer.notes:
        diagnostics.note(line, shared.quiet)
    drawn = plot(answer, label, target.width, HEIGHT, target.tz, color=target.color)
    write_bytes([drawn.encode()], shared.output)
