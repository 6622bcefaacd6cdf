"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from esctl.cli.completion import complete_actor, complete_entity, complete_projection, complete_time, complete_type

Entities = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ENTITY]...", help="Names or globs; by default all.", autocompletion=complete_entity),
]
At = Annotated[
    str, typer.Option("--at", metavar="T", help="Fold events up to and including T only.", autocompletion=complete_time)
]
Before = Annotated[
    str, typer.Option("--before", metavar="T", help="Fold events before T only.", autocompletion=complete_time)
]
KnownAt = Annotated[str, typer.Option("--known-at", metavar="T", help="Use only what esctl had recorded by T.")]
ProjectionName = Annotated[
    str,
    typer.Option(
        "-p",
        "--projection",
        metavar="NAME",
        help="Fold with this projection; by default each entity with the first that claims it.",
        autocompletion=complete_projection,
    ),
]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="ENGINE",
        help="Answer in parts, side by side: local:N in N processes, or on Spark, Ray or Dask (sc://HOST, "
        "spark://HOST, ray://HOST, dask://HOST); off. [env: ESCTL_ENGINE]",
    ),
]
Without = Annotated[
    list[str] | None,
    typer.Option(
        "--without",
        metavar="EVENT",
        help="Suppose that this event (its id, @POSITION), or all with 'type=X and actor=Y' or any SQL condition, "
        "never happened (repeat for more).",
    ),
]
ProjectionFile = Annotated[
    Path | None,
    typer.Option("--projection-file", metavar="FILE", help="Fold with the projections of this file instead."),
]
Actors = Annotated[
    list[str] | None,
    typer.Option(
        "--actor",
        metavar="NAME",
        help="Only events by this actor (glob; repeat for more).",
        autocompletion=complete_actor,
    ),
]
Types = Annotated[
    list[str] | None,
    typer.Option(
        "--type", metavar="TYPE", help="Only events of this type (glob; repeat for more).", autocompletion=complete_type
    ),
]
From = Annotated[
    str,
    typer.Option(
        "--from", metavar="T", help="Only events from T on (a date: from its start).", autocompletion=complete_time
    ),
]
To = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="T",
        help="Only events up to and including T (a date: to its end).",
        autocompletion=complete_time,
    ),
]
Trust = Annotated[
    list[str] | None,
    typer.Option(
        "--trust",
        metavar="KEY",
        help="A public key that checkpoints must be signed with, as `esctl key show` prints it, or a file of such "
        "(repeat for more).",
    ),
]
CheckpointChoice = Annotated[
    str,
    typer.Option(
        "--checkpoint",
        metavar="FILE|SIZE",
        help="The checkpoint to prove against: a file, or that of so many records; by default the newest in the store.",
    ),
]

MAP_HELP = "Where an envelope field is: entity=data.account, entities.from=data.from, preset=cloudtrail."

LinePattern = Annotated[
    list[str] | None,
    typer.Option(
        "--pattern",
        metavar="PATTERN",
        help="What the lines of a text log look like: a grok expression (%{IP:client} %{GREEDYDATA:message}), a "
        "regular expression with named groups, or a name such as syslog. Kept as --map is; an empty one forgets it.",
    ),
]

DedupeBy = Annotated[
    list[str] | None,
    typer.Option(
        "--dedupe-by",
        metavar="PATH,...",
        help="Where events have no id: those with the same values at all these paths are one event. Kept as --map is; "
        "an empty one forgets it.",
    ),
]

TimeFormat = Annotated[
    list[str] | None,
    typer.Option(
        "--time-format",
        metavar="FORMAT",
        help="How times are written, in strptime's letters (%d/%m/%Y %H:%M:%S), or day-first, month-first, "
        "milliseconds, filetime, ...; several are tried in order, usual stands for what is read without one. "
        "Kept as --map is; an empty one forgets it.",
    ),
]
