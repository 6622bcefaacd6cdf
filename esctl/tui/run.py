"""Run the browser over a store until the user leaves it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from esctl.errors import UsageError

if TYPE_CHECKING:
    from esctl.tui.session import Session

NEEDED = "pip install 'esctl-audit[tui]'"


def require_textual() -> None:
    """Raise UsageError if Textual is not installed."""
    from importlib.util import find_spec

    if find_spec("textual") is None:
        raise UsageError("browse needs textual, which is not installed", NEEDED)


def browse(session: Session, *, color: bool, is_asked_to_stop: Callable[[], bool]) -> None:
    """Show a session on the terminal. Raises what went wrong in it, after the terminal is restored."""
    with _colored(color):
        from esctl.tui.widgets.app import Browser

        app = Browser(session, is_asked_to_stop)
        app.run()
    if app.failure is not None:
        raise app.failure


@contextmanager
def _colored(color: bool) -> Iterator[None]:
    """Set NO_COLOR to whether colours are wanted: Textual looks at that alone, empty or not."""
    before = os.environ.pop("NO_COLOR", None)
    try:
        if not color:
            os.environ["NO_COLOR"] = "1"
        yield
    finally:
        os.environ.pop("NO_COLOR", None)
        if before is not None:
            os.environ["NO_COLOR"] = before
