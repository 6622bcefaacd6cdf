"""Show a long table through the user's pager."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO, cast


def pager_command(environ: Mapping[str, str]) -> list[str]:
    """Choose the pager: $ESCTL_PAGER, $PAGER, else `less -R`; [] if none is wanted (empty, or `cat`)."""
    for name in ("ESCTL_PAGER", "PAGER"):
        if name in environ:
            try:
                words = shlex.split(environ[name])
            except ValueError:
                return []
            return [] if words in ([], ["cat"]) else words
    return ["less", "-R"]


@contextmanager
def paged(environ: Mapping[str, str] = os.environ) -> Iterator[BinaryIO | None]:
    """Yield a stream into the pager, or None (stdout) if there is none; on leaving, wait until the user quits it.

    It is no error if the user quits before the end.
    """
    words = pager_command(environ)
    process = _start(words, environ) if words else None
    if process is None or process.stdin is None:
        yield None
        return
    try:
        with contextlib.suppress(BrokenPipeError):
            yield cast(BinaryIO, process.stdin)
    finally:
        # Ctrl-C belongs to the pager from here on: it stops a search, not the pager.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        with contextlib.suppress(OSError):
            process.stdin.close()
        process.wait()
        signal.signal(signal.SIGINT, before)


def _start(words: list[str], environ: Mapping[str, str]) -> subprocess.Popen[bytes] | None:
    sys.stdout.flush()
    # F: leave at once where one screen is enough; R: colours; X: keep the text on the screen afterwards.
    surroundings = {"LESS": "FRX", "LV": "-c", **environ}
    try:
        return subprocess.Popen(words, stdin=subprocess.PIPE, env=surroundings)
    except OSError:
        return None
