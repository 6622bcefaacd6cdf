"""What ingest prints on stderr about files with nothing new."""

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
