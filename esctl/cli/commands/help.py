"""esctl help."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer


def run(
    context: typer.Context,
    topic: Annotated[
        list[str] | None, typer.Argument(metavar="[TOPIC|COMMAND]", help="What to explain.", show_default=False)
    ] = None,
) -> None:
    """Explain a topic, such as times or projections, or a command; without either, list the topics."""
    from esctl.cli.help.catalogue import LINES
    from esctl.cli.help.topics import topics

    pages = topics()
    if not topic:
        typer.echo(_listed(pages))
    elif len(topic) == 1 and topic[0] in pages:
        _show(pages[topic[0]].read_text(encoding="utf-8"))
    elif topic[0] in LINES:
        group: Any = context.find_root().command
        group.main([*topic, "--help"], prog_name="esctl")
    else:
        _refuse(" ".join(topic), [*pages, *LINES])


def _listed(pages: Mapping[str, Path]) -> str:
    from esctl.cli.help.topics import title

    width = max(map(len, pages), default=0)
    rows = [f"  {name.ljust(width)}  {title(page)}" for name, page in pages.items()]
    return "\n".join(["Topics:", *rows, "", "esctl help TOPIC explains one, esctl help COMMAND a command."])


_ABOUT = {
    "mapping": "configuration",
    "toml": "configuration",
    "esctl.toml": "configuration",
    "rules": "projections",
    "time": "times",
    "proofs": "evidence",
    "clocks": "times",
}
"""Words that are explained on pages of another name."""


def _refuse(name: str, known: list[str]) -> None:
    from difflib import get_close_matches

    from esctl.errors import NotFoundError

    near = [_ABOUT[name]] if name in _ABOUT else [each for each in known if name in each.split("-")]
    near = near or get_close_matches(name, known, n=1)
    raise NotFoundError(f"no topic {name!r}", f"did you mean {near[0]}?" if near else "list them: esctl help")


def _show(text: str) -> None:
    """Write a page, formatted on a terminal and unchanged in a pipe."""
    if not sys.stdout.isatty():
        sys.stdout.write(text)
        return
    import io
    import os

    from rich.console import Console
    from rich.markdown import Markdown

    from esctl.cli.pager import paged

    with paged() as stream:
        file = io.TextIOWrapper(stream, "utf-8", write_through=True) if stream else sys.stdout
        width = min(os.get_terminal_size().columns, 100)
        Console(file=file, force_terminal=True, width=width).print(Markdown(text, hyperlinks=False))
