"""What ingest prints on stderr about files with nothing new, and about where known ones ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from esctl.cli import diagnostics
from esctl.cli.intake.telling import MOST_TOLD

if TYPE_CHECKING:
    from esctl.intake.intake import Outcome


def report_same(found: Sequence[tuple[str, str]], quiet: bool) -> None:
    """Print which files have the same bytes as a known one, and so nothing new."""
    for name, known in found[:MOST_TOLD]:
        diagnostics.note(f"note: {name}: same bytes as {known}, nothing new", quiet)
    if len(found) > MOST_TOLD:
        diagnostics.note(f"note: so have {len(found) - MOST_TOLD} more files those of known ones", quiet)


def report_begun(outcome: Outcome, quiet: bool) -> None:
    """Print which files are the beginning of a known one, and so have nothing new, and which may be one.

    The latter are read as new: erased records of the known file leave it open.
    """
    for name, known in outcome.begun[:MOST_TOLD]:
        of = "what is known of it" if name == known else known
        diagnostics.note(f"note: {name}: the beginning of {of}, nothing new", quiet)
    if len(outcome.begun) > MOST_TOLD:
        diagnostics.note(f"note: so are {len(outcome.begun) - MOST_TOLD} more files that of known ones", quiet)
    for name, known in outcome.maybe_begun[:MOST_TOLD]:
        diagnostics.note(
            f"note: {name}: read as new: whether it is the beginning of {known} cannot be told, as records of that "
            "were erased",
            quiet,
        )
    if len(outcome.maybe_begun) > MOST_TOLD:
        diagnostics.note(f"note: so it is with {len(outcome.maybe_begun) - MOST_TOLD} more files", quiet)


def report_unended(outcome: Outcome, quiet: bool) -> None:
    """Print which tables end without a line end, so that their last row may be half, and which went on within a row."""
    for name in outcome.unended[:MOST_TOLD]:
        diagnostics.note(
            f"note: {name}: its last line has no line end, and is taken as a whole row; if it is being written still, "
            "its last cell may be half",
            quiet,
        )
    if len(outcome.unended) > MOST_TOLD:
        diagnostics.note(f"note: so it is with {len(outcome.unended) - MOST_TOLD} more files", quiet)
    for name in outcome.torn[:MOST_TOLD]:
        diagnostics.note(
            f"note: {name} goes on within the row that was its last: that row was half, and its rest is a record of "
            "its own; in a new store they are one: the same command with --store NAME",
            quiet,
        )
    if len(outcome.torn) > MOST_TOLD:
        diagnostics.note(f"note: so do {len(outcome.torn) - MOST_TOLD} more files", quiet)
