"""esctl diff."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from esctl.cli.arguments import Engine, Entities, ProjectionFile, ProjectionName, Without
from esctl.cli.opening import open_store
from esctl.cli.options import Shared, question
from esctl.cli.render import shows_rows
from esctl.errors import UsageError, shell_word

if TYPE_CHECKING:
    from esctl.api import Store


class _Rules(TypedDict):
    projection: str
    without: list[str] | tuple[()]
    projection_file: Path | None
    summary: bool


TABLE = ("entity", "change", "field", "before", "after", "positions")


A = Annotated[
    str,
    typer.Argument(metavar="A", help="The one point: a time, a date (its end), @POSITION, seq:N, version:N, id:EVENT."),
]
B = Annotated[str, typer.Argument(metavar="B", help="The other point.")]
At = Annotated[str, typer.Option("--at", metavar="T", help="Where to compare, with --what-if or with --known-at A B.")]
KnownAt = Annotated[
    str,
    typer.Option(
        "--known-at",
        metavar="T",
        help="Use only what esctl had recorded by T. With --at, or with one point instead of two: compare what "
        "was known at T with what was known at that point.",
    ),
]
WhatIf = Annotated[
    bool,
    typer.Option(
        "--what-if",
        help="Compare what is at A (or --at) with what would be --without some events, or with --projection-file.",
    ),
]
Summary = Annotated[bool, typer.Option("--summary", help="Count the differences instead of listing them.")]
ExitCode = Annotated[bool, typer.Option("--exit-code", help="Exit with 1 when anything differs.")]


@question
def run(
    shared: Shared,
    a: A = "",
    b: B = "",
    entities: Entities = None,
    at: At = "",
    known_at: KnownAt = "",
    projection: ProjectionName = "",
    without: Without = None,
    projection_file: ProjectionFile = None,
    what_if: WhatIf = False,
    summary: Summary = False,
    exit_code: ExitCode = False,
    engine: Engine = "",
) -> None:
    """Show what differs between the states at two points, and which events did it."""
    store = open_store(shared, engine)
    words = [*(word for word in (a, b) if word), *(entities or ())]  # an entity that is empty is none, not all
    rules: _Rules = {
        "projection": projection, "without": without or (), "projection_file": projection_file, "summary": summary,
    }  # fmt: skip
    if what_if:
        if not without and projection_file is None:
            raise UsageError("--what-if supposes no change", "give --without EVENT or --projection-file FILE")
        option = "--at"
        if not at and _is_point(store, words, 0):
            at, option = words.pop(0), "A"
        found = store.diff_what_if(*words, at=at, known_at=known_at, option=option, **rules)
    elif known_at and words and (at or not _is_point(store, words, 1)):
        found = store.diff_known(known_at, *words, at=at, **rules)
    else:
        _check_points(store, words, at)
        found = store.diff(*words, known_at=known_at, **rules)
    differs = shows_rows(found, shared, store, () if summary else TABLE)
    if differs and exit_code:
        raise typer.Exit(1)


def _is_point(store: Store, words: list[str], place: int) -> bool:
    """Return whether the word at a place is a point rather than an entity."""
    from esctl.timespec import parse_as_of

    try:
        return place < len(words) and parse_as_of(words[place], tz=store.tz) is not None
    except UsageError:
        return False


def _check_points(store: Store, words: list[str], at: str) -> None:
    if at:
        raise UsageError("--at goes with --what-if, or with --known-at A B", "the two points are arguments: A B")
    if len(words) < 2:
        raise UsageError(
            f"missing argument {'A' if not words else 'B'!r}",
            "two points come first, then entities: esctl diff yesterday now ENTITY",
        )
    points = [word for place, word in enumerate(words) if _is_point(store, words, place)]
    others = [word for word in words if word not in points]
    if len(points) == 2 and words[:2] != points:
        turned = " ".join(map(shell_word, (*points, *others)))
        raise UsageError(f"A {words[0]!r} and B {words[1]!r} are not two points", f"did you mean: esctl diff {turned}")
