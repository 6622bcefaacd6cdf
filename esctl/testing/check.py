"""Check files of events, as a hook before a commit: `python -m esctl.testing.check --never 'balance < 0' FILE...`.

What is wrong goes to stdout, a line each, as FILE:LINE: ...; exit 0: nothing, 1: something, 2: it cannot be told.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence

from esctl.errors import EsctlError
from esctl.output.text import visible

_CHECKS = ("invalid", "conflicts", "homeless")
_MOST = 100
"""The most lines for each check."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the named files together, as one log; return the exit code."""
    given = _parser().parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="esctl-check-") as folder:
            lines = list(_find_failures(given, folder))
    except EsctlError as error:
        sys.stderr.write(f"esctl: error: {visible(error.message)}\nhint: {visible(error.hint)}\n")
        return 2
    sys.stdout.write("".join(f"{visible(line)}\n" for line in lines))
    return int(bool(lines))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m esctl.testing.check", description=__doc__)
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--config", metavar="PATH", help="the esctl.toml that they are read and folded with")
    parser.add_argument("--never", action="append", default=[], metavar="PREDICATE", help="must hold of no state, ever")
    parser.add_argument("--projection", "-p", default="", metavar="NAME", help="fold with this projection")
    parser.add_argument(
        "--checks", default=",".join(_CHECKS), metavar="A,B,...",
        help=f"checks of `esctl doctor` that must find nothing; by default {','.join(_CHECKS)}",
    )  # fmt: skip
    return parser


def _find_failures(given: argparse.Namespace, folder: str) -> Iterator[str]:
    from esctl.testing.event_log import EventLog

    with EventLog.of(*given.files, folder=folder, config=given.config) as log:
        for name in filter(None, given.checks.split(",")):
            yield from log.findings(name.strip(), most=_MOST)
        for predicate in given.never:
            count, lines = log.moments(predicate, projection=given.projection, most=_MOST)
            yield from lines
            if count > len(lines):
                yield f"{predicate}: and {count - len(lines)} more entities"


if __name__ == "__main__":
    sys.exit(main())
