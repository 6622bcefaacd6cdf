"""All that esctl says on stderr: errors, notes, progress. stdout is for data alone."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

from esctl.output.text import visible, visible_lines
from esctl.storage.mirrors import shown_in

if TYPE_CHECKING:
    from rich.progress import Progress


_color_choice = ["auto"]
"""How stderr is coloured: auto, always or never."""


def color_wanted(choice: str, environ: Mapping[str, str], terminal: bool) -> bool:
    """Decide on colour: `--color always|never`, else NO_COLOR, CLICOLOR_FORCE, then whether it is a terminal.

    The variables are those of https://no-color.org and https://bixense.com/clicolors.
    """
    if choice in ("always", "never"):
        return choice == "always"
    if environ.get("NO_COLOR"):
        return False
    if environ.get("CLICOLOR_FORCE", "0") not in ("", "0"):
        return True
    return terminal and environ.get("TERM") != "dumb" and environ.get("CLICOLOR") != "0"


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a person reads this stream as it is written."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def use_color(choice: str) -> None:
    """Colour what follows on stderr as `--color` or esctl.toml say: auto, always or never."""
    _color_choice[:] = [choice]


def error(message: str, hint: str = "") -> None:
    """Report why the command failed: `esctl: error: ...`, then `hint: ...`, each one line."""
    bold = color_wanted(_color_choice[0], os.environ, is_terminal(sys.stderr))
    _write_line(_style_text("esctl: error:", "1;31", bold) + " " + visible(message))
    if hint:
        _write_line(_style_text("hint:", "1;36", bold) + " " + visible(hint))


def note(message: str, quiet: bool = False) -> None:
    """Print a note about the answer to stderr; `--quiet` suppresses it."""
    if not quiet:
        _write_line(visible_lines(message))


def show_traceback(problem: BaseException) -> None:
    """Print a traceback (`--debug`)."""
    _write_line(visible_lines("".join(traceback.format_exception(problem)).rstrip("\n")))


def _style_text(text: str, style: str, wanted: bool) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if wanted else text


def _write_line(line: str) -> None:
    # Nobody may be listening (2>&-, a closed terminal): that is no reason to lose the answer or its exit code.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(shown_in(line) + "\n")
        sys.stderr.flush()


class Advance(Protocol):
    """A function that is told the bytes read and the records kept since its last call."""

    def __call__(self, read: int, records: int) -> None:
        """Move the bar."""


@contextmanager
def progress(label: str, total: int | None, quiet: bool = False, after: str = "") -> Iterator[Advance]:
    """Show a bar with bytes, records, rate and time left while the block runs; on a terminal only.

    `total` is in bytes, None if it cannot be known (stdin, compressed files). `after` is the label of the work that
    follows once everything is read; no time left is shown for it.
    """
    if quiet or not is_terminal(sys.stderr) or os.environ.get("TERM") == "dumb":
        yield lambda read, records: None
        return
    bar = _bar()
    task = bar.add_task(visible(label), total=total, records=0)
    done, seen = 0, 0

    def advance(read: int, records: int) -> None:
        nonlocal done, seen
        done, seen = done + read, seen + records
        bar.update(task, advance=read, records=seen)
        if after and total and done >= total:
            bar.update(task, description=after, total=None)

    with bar:
        yield advance


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    colored = color_wanted(_color_choice[0], os.environ, True)
    console = Console(stderr=True, markup=False, highlight=False, emoji=False, no_color=not colored)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        DownloadColumn(binary_units=True),
        TextColumn("{task.fields[records]:,} records", markup=False),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
