"""Have the user confirm what cannot be undone."""

from __future__ import annotations

import sys

import typer

from esctl.cli import diagnostics
from esctl.errors import UsageError


def require_consent(question: str, consequence: str, declined: str, hint: str = "confirm that with --yes") -> None:
    """Ask the user a question; unless the answer is yes, print what was not done and exit with 1.

    Raises UsageError with the consequence and the hint where there is no terminal to ask at.
    """
    if not diagnostics.is_terminal(sys.stdin):
        raise UsageError(consequence, hint)
    if not typer.confirm(question, err=True):
        diagnostics.note(declined)
        raise typer.Exit(1)
