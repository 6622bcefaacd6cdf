"""esctl diff."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import replace

from esctl.cli.arguments import Entities, ProjectionFile, ProjectionName, Without
from esctl.cli.opening import is_any, open_store, tell
from esctl.cli.options import Shared, question
from esctl.errors import UsageError

if TYPE_CHECKING:
    from esctl.model import AsOf
    from esctl.store import Store

TABLE = ("entity", "change", "field", "before", "after", "positions")


@question
def run(
    shared: Shared,
    a: Annotated[
        str,
        typer.Argument(
            metavar="A", help="The one point: a time, a date (its end), @POSITION, seq:N, version:N, id:EVENT."
        ),
    ] = "",
    b: Annotated[str, typer.Argument(metavar="B", help="The other point.")] = "",
    entities: Entities = None,
    at: Annotated[
        str, typer.Option("--at", metavar="T", help="Where to compare, with --what-if or with --known-at A B.")
    ] = "",
    known_at: Annotated[
        str,
        typer.Option(
            "--known-at",
            metavar="T",
            help="Take only what esctl had recorded by T. With --at, or with one point instead of two: compare what "
            "was known at T with what was known at that point.",
        ),
    ] = "",
    projection: ProjectionName = "",
    without: Without = None,
    projection_file: ProjectionFile = None,
    what_if: Annotated[
        bool,
        typer.Option(
            "--what-if",
            help="Compare what is at A (or --at) with what would be --without some events, or with --projection-file.",
        ),
    ] = False,
    summary: Annotated[bool, typer.Option("--summary", help="Count the differences instead of listing them.")] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 when anything differs.")] = False,
) -> None:
    """Give what differs between the states at two points, and the events that did it."""
    from esctl.ask.changes.diff import Side, compare

    store = open_store(shared)
    words = [word for word in (a, b, *(entities or ())) if word]
    supposed = (without or (), projection_file)
    points: list[AsOf | None]
    if what_if:
        if not without and projection_file is None:
            raise UsageError("--what-if supposes nothing", "give --without EVENT or --projection-file FILE")
        point = store.given(at, "--at") if at or not _is_point(store, words, 0) else store.point(words.pop(0), "A")
        points = [point]
        before = Side(store.scope(words, projection, known_at), point)
        after = Side(store.scope(words, projection, known_at, *supposed), point)
    elif known_at and words and (at or not _is_point(store, words, 1)):
        point = store.given(at, "--at")
        later = store.point(words.pop(0), "B")
        before = Side(store.scope(words, projection, known_at, *supposed), point)
        points = [point, before.scope.known_at]
        after = Side(replace(before.scope, known_at=later), point)
    else:
        first, second = _points(store, words, at)
        points = [first, second]
        scope = store.scope(words[2:], projection, known_at, *supposed)
        before, after = Side(scope, first), Side(scope, second)
    answer = compare(before, after, summary=summary)
    written = tell(answer, shared, store, after.scope, () if summary else TABLE, points)
    if exit_code and (written or (shared.limit == 0 and is_any(answer))):
        raise typer.Exit(1)


def _is_point(store: Store, words: list[str], place: int) -> bool:
    """Say whether the word at a place is a point rather than an entity."""
    from esctl.timespec import parse_as_of

    try:
        return place < len(words) and parse_as_of(words[place], tz=store.tz) is not None
    except UsageError:
        return False


def _points(store: Store, words: list[str], at: str) -> tuple[AsOf, AsOf]:
    if at:
        raise UsageError("--at goes with --what-if, or with --known-at A B", "the two points are arguments: A B")
    if len(words) < 2:
        raise UsageError(f"missing argument {'A' if not words else 'B'!r}", "see: esctl diff --help")
    return store.point(words[0], "A"), store.point(words[1], "B")
