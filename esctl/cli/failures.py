"""Turn whatever ends a command into its exit code and at most two lines on stderr."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import typer
from typer.exceptions import TyperException

from esctl.cli import diagnostics
from esctl.errors import EsctlError, InputError, NotFoundError, TamperedError, UnavailableError, UsageError

FINDING, USAGE, INPUT, NOT_FOUND, BUG, INTERRUPTED, BROKEN_PIPE = 1, 2, 3, 4, 70, 130, 141
_CODES: tuple[tuple[type[EsctlError], int], ...] = (
    (TamperedError, FINDING),
    (UsageError, USAGE),
    (InputError, INPUT),
    (UnavailableError, INPUT),
    (NotFoundError, NOT_FOUND),
)
_GENERAL_HINTS = {
    USAGE: "how it is written: esctl help configuration, esctl help projections, or esctl COMMAND --help",
    INPUT: "see what is there with: esctl status",
    NOT_FOUND: "see what is there with: esctl status",
}

_interrupts: list[int] = []
_when_interrupted: list[str] = []
_reported = threading.Event()


def watch_interrupts() -> None:
    """Remember Ctrl-C: DuckDB answers it with errors of its own, without a trace of KeyboardInterrupt.

    SIGTERM ends a command the same way (143), so that it too leaves no half-written file.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        _interrupts.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        return
    receive, send = os.pipe()
    os.set_blocking(send, False)
    signal.set_wakeup_fd(send, warn_on_full_buffer=False)
    threading.Thread(target=_stop_queries, args=(receive,), daemon=True).start()
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)


@contextmanager
def asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C or SIGTERM into a request that the block checks for; the second ends the command."""
    asked: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    wakeup = signal.set_wakeup_fd(-1)

    def restore() -> None:
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        for number, handler in before.items():
            signal.signal(number, handler)

    def ask(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        restore()

    for number in before:
        signal.signal(number, ask)
    try:
        yield lambda: bool(asked)
    finally:
        restore()


def _stop_queries(receive: int) -> None:
    """Stop queries for every signal, until Python's own handler has had its turn and for a second after it.

    One call is not enough: the query may be about to begin, or DuckDB may wait for its threads after it saw the signal.
    """
    from esctl.engine.interrupts import interrupt_all

    signals = 0
    while os.read(receive, 1):
        signals += 1
        left = 50
        while left and not _reported.is_set():
            interrupt_all()
            time.sleep(0.02)
            left -= len(_interrupts) >= signals


@contextmanager
def exit_codes(debug: Callable[[], bool]) -> Iterator[None]:
    """Report any error of the block and leave with its exit code (typer.Exit); Exit and SystemExit pass."""
    try:
        yield
    except (typer.Exit, SystemExit, GeneratorExit):
        raise
    except BaseException as problem:
        code = report(problem, debug())
        raise typer.Exit(code) from None


def report(problem: BaseException, debug: bool) -> int:
    """Print what went wrong to stderr; return its exit code: 1, 2, 3, 4, 70, 130, 141 or 143."""
    _reported.set()
    if isinstance(problem, OSError) and problem.errno == errno.EPIPE:
        silence_stdout()
        return BROKEN_PIPE
    if isinstance(problem, (KeyboardInterrupt, typer.Abort)) or _interrupts:
        diagnostics.note(": ".join(["esctl: interrupted", *_when_interrupted[-1:]]))
        return 128 + _interrupts[0] if _interrupts else INTERRUPTED
    if debug:
        diagnostics.show_traceback(problem)
    message, hint, code = _explain(problem)
    diagnostics.error(message, hint)
    return code


def say_when_interrupted(what: str) -> None:
    """Set what the command prints if it is interrupted: what became of its work, and how to continue."""
    _when_interrupted.append(what)


def silence_stdout() -> None:
    """Point stdout at the null device, so that Python's last flush of it does not fail."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def _explain(problem: BaseException) -> tuple[str, str, int]:
    if isinstance(problem, EsctlError):
        code = next((code for kind, code in _CODES if isinstance(problem, kind)), BUG)
        event = re.match(r"event (@[0-9]+)\b", problem.message)
        shown = f"see it with: esctl show {event[1]}" if event else _GENERAL_HINTS.get(code, "")
        return problem.message, problem.hint or shown, code
    if isinstance(problem, TyperException):
        return *_explain_usage(problem), USAGE
    if isinstance(problem, OSError) and problem.strerror:
        place = f"{problem.filename}: " if problem.filename else ""
        return f"{place}{problem.strerror}", "", INPUT
    text = f"{type(problem).__name__}: {problem}" if str(problem) else type(problem).__name__
    return f"unexpected {text}", "this is a bug in esctl: run it again with --debug and report what it shows", BUG


def _explain_usage(problem: TyperException) -> tuple[str, str]:
    context: Any = getattr(problem, "ctx", None)
    see_help = f"see: {context.command_path} --help" if context is not None else "see: esctl --help"
    if (name := getattr(problem, "option_name", None)) and hasattr(problem, "possibilities"):
        return f"unknown option {name}", _near_option(name, context) or see_help
    message, _, guess = problem.format_message().partition("Did you mean ")
    message = message.strip().rstrip(".")
    return message[:1].lower() + message[1:], f"did you mean {guess}" if guess else see_help


def _near_option(name: str, context: Any) -> str:
    """Return the hint for an unknown option; empty if no option is similar."""
    if context is None:
        return ""
    from esctl.cli.meant import option_meant

    params = context.command.get_params(context)
    known = dict.fromkeys(written for each in params for written in each.opts if written.startswith("-"))
    return option_meant(name, known, context.command_path, any(each.name == "entities" for each in params))
