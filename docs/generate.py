"""Write what documents take from the command table: heads of reference pages, their index, the manual pages.

`python docs/generate.py` writes them anew; with `--check` it only lists those that are not what they would be.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

from esctl.cli import app
from esctl.cli.help.catalogue import GROUPS, LINES
from esctl.cli.help.examples import EXAMPLES
from esctl.cli.help.layout import PANEL

DOCS = Path(__file__).resolve().parent
BEGIN, END = "<!-- made by docs/generate.py -->", "<!-- end of what is made -->"
WIDTH = 100


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument or option as it is typed, and what it does."""

    written: str
    means: str
    shared: bool


@dataclass(frozen=True, slots=True)
class Page:
    """A command, or one below a command, as its help tells it."""

    name: str  # view create
    usage: str
    text: str
    parameters: tuple[Parameter, ...]
    below: tuple[Page, ...] = ()


def pages() -> Iterator[Page]:
    """Yield a page for each command, in the order of the table."""
    group = app.build()
    with group.make_context("esctl", ["--help-nothing"], resilient_parsing=True) as context:
        for name in LINES:
            yield _page(name, group.get_command(context, name), context)


def _page(name: str, command: Any, parent: Any) -> Page:
    context = type(parent)(command, info_name=name.rpartition(" ")[2], parent=parent)
    found = [each for each in command.get_params(context) if not getattr(each, "hidden", False)]
    parameters = tuple(
        Parameter(record[0], " ".join(record[1].split()), getattr(each, "rich_help_panel", None) == PANEL)
        for each in found
        if (record := each.get_help_record(context)) and "--help" not in each.opts
    )
    names = command.list_commands(context) if hasattr(command, "list_commands") else ()
    below = tuple(_page(f"{name} {each}", command.get_command(context, each), context) for each in names)
    pieces = " ".join(command.collect_usage_pieces(context))
    return Page(name, f"esctl {name} {pieces}", " ".join((command.help or "").split()), parameters, below)


def head(page: Page) -> str:
    """Write what stands between the heading of a reference page and its text."""
    blocks = [fill(page.text, WIDTH), f"```text\n{page.usage}\n```", *_table(page)]
    for each in page.below:
        blocks += [f"**`esctl {each.name}`**\n\n{fill(each.text, WIDTH)}", f"```text\n{each.usage}\n```", *_table(each)]
    examples = "\n".join(f"{words}\n    # {purpose}" for words, purpose in EXAMPLES[page.name])
    blocks.append(f"```sh\n{examples}\n```")
    return f"{BEGIN}\n\n" + "\n\n".join(blocks) + f"\n\n{END}\n"


def _table(page: Page) -> list[str]:
    own = [each for each in page.parameters if not each.shared]
    shared = any(each.shared for each in page.parameters)
    rows = [f"| `{_cell(each.written)}` | {_cell(each.means)} |" for each in own]
    rows += ["| [shared options](../concepts/options.md) | `--store`, `-f`, `-o`, `--columns`, ... |"] if shared else []
    return ["\n".join(["| argument or option | |", "| -- | -- |", *rows])] if rows else []


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def index() -> str:
    """Write the list of commands, by what they are for."""
    blocks = ["# Commands"]
    for group, commands in GROUPS.items():
        rows = [f"| [`{name}`]({name}.md) | {line} |" for name, line in commands.items()]
        blocks.append("\n".join([f"## {group}", "", "| command | |", "| -- | -- |", *rows]))
    return "\n\n".join(blocks) + "\n"


def manual(page: Page) -> str:
    """Write a manual page, in the macros of man(7)."""
    lines = [f'.TH "ESCTL-{page.name.upper()}" 1 "" esctl "esctl manual"', ".SH NAME"]
    lines += [f"esctl-{page.name} \\- {_roff(LINES[page.name].rstrip('.'))}"]
    lines += [".SH SYNOPSIS", *(f".B {_roff(each.usage)}\n.br" for each in page.below or (page,))]
    lines += [".SH DESCRIPTION", _roff(page.text)]
    for each in page.below or (page,):
        own = [parameter for parameter in each.parameters if not parameter.shared]
        lines += [f".SH {'OPTIONS OF ' + each.name.upper() if page.below else 'OPTIONS'}"] if own else []
        lines += [f".TP\n.B {_roff(parameter.written)}\n{_roff(parameter.means)}" for parameter in own]
    lines += [".SH SHARED OPTIONS", "See", ".BR esctl (1)."]
    lines += [".SH EXAMPLES", *(f".TP\n.B {_roff(words)}\n{_roff(purpose)}" for words, purpose in EXAMPLES[page.name])]
    lines += [".SH SEE ALSO", ".BR esctl (1)"]
    return "\n".join(lines) + "\n"


def first_manual(found: Sequence[Page]) -> str:
    """Write the manual page of esctl itself: its commands and the options that all have."""
    lines = ['.TH "ESCTL" 1 "" esctl "esctl manual"', ".SH NAME", "esctl \\- audit and replay event-sourced systems"]
    lines += [".SH SYNOPSIS", ".B esctl COMMAND [OPTIONS] [ARGS]...", ".SH DESCRIPTION"]
    lines += ["What was the state, what changed since, who did it, and the proof of it: from the log of events alone."]
    for group, commands in GROUPS.items():
        lines += [f".SH {group.upper()}"]
        lines += [f".TP\n.BR esctl\\-{_roff(name)} (1)\n{_roff(line)}" for name, line in commands.items()]
    shared = next(page for page in found if page.name == "replay").parameters
    lines += [".SH SHARED OPTIONS"]
    lines += [f".TP\n.B {_roff(each.written)}\n{_roff(each.means)}" for each in shared if each.shared]
    lines += [".SH EXIT STATUS", *_exit_codes()]
    return "\n".join(lines) + "\n"


def _exit_codes() -> Iterator[str]:
    for line in (DOCS / "concepts" / "exit-codes.md").read_text(encoding="utf-8").splitlines():
        if found := re.fullmatch(r"\| (\d+) \| (.+) \|", line):
            yield f".TP\n.B {found[1]}\n{_roff(found[2].replace('`', ''))}"


def _roff(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return f"\\&{escaped}" if escaped.startswith(".") else escaped


def files() -> Mapping[Path, str]:
    """Return the text of every file that is made, or of which a part is."""
    found = tuple(pages())
    written = {DOCS / "reference" / "index.md": index(), DOCS / "man" / "esctl.1": first_manual(found)}
    for page in found:
        path = DOCS / "reference" / f"{page.name}.md"
        text = path.read_text(encoding="utf-8") if path.exists() else f"# esctl {page.name}\n"
        title, _, rest = text.partition("\n")
        kept = rest.partition(END + "\n")[2] if END in rest else rest
        written[path] = f"{title}\n\n{head(page)}" + (f"\n{kept.strip()}\n" if kept.strip() else "")
        written[DOCS / "man" / f"esctl-{page.name}.1"] = manual(page)
    return written


def main() -> int:
    """Write the files, or check them: 1 where one is not what it would be."""
    stale = [path for path, text in files().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(path.relative_to(DOCS.parent))
        return int(bool(stale))
    for path, text in files().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
