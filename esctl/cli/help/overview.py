"""What `esctl` without a command shows: the store at hand, and what it can be asked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from esctl.errors import EsctlError, shell_word
from esctl.output.text import visible
from esctl.storage.mirrors import shown, shown_in

if TYPE_CHECKING:
    from esctl.api import Store

NOWHERE = """no store here: esctl ingest FILE... makes one of logs, and says how it reads them
  esctl --help       all commands
  esctl help         what is explained: times, projections, formats, ...
  esctl presets      the formats that are known by name"""


def overview(store: Path | None, config: Path | None, given: Mapping[str, str] | None = None) -> str:
    """Return a few lines about the store at hand, with commands to paste; `given` are the options for them."""
    from esctl.config import find_store

    if find_store(store) is None:
        return NOWHERE
    from esctl.api import Store

    try:
        options = "".join(f" --{name} {shell_word(each)}" for name, each in (given or {}).items())
        return _describe_store(Store.open(store, config), options)
    except EsctlError as problem:
        message = visible(shown_in(problem.message))
        return f"the store at hand cannot be read: {message}\n  {visible(problem.hint)}".rstrip()


def _describe_store(store: Store, options: str) -> str:
    (state,) = store.status().rows()
    lines = [f"store {visible(shown(store.path))}: {_count_text(state['head'], 'record', 'records')}, "]
    lines[0] += _count_text(state["entities"], "entity", "entities")
    if state["first"]:
        lines[0] += f", {state['first']} to {state['last']}"
    name = next(iter(store.names("entity", "", 1)), "")
    word = shell_word(name) if name and visible(name) == name else ""
    asked = [
        ("types", "what kinds of events there are"),
        ("entities", "what they are about"),
        (f"replay {word}".rstrip(), "the state now; --at T for any other time"),
        (f"audit {word}".rstrip(), "what happened to it, and who did that"),
        ("doctor", _doctor_line(store)),
        ("--help", "all commands"),
    ]
    width = max(len(words) for words, _ in asked)
    return "\n".join([*lines, *(f"  esctl{options} {words.ljust(width)}  {why}" for words, why in asked)])


def _count_text(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _doctor_line(store: Store) -> str:
    """Return what doctor is for, with the findings that are known already."""
    from esctl.ask.scope.notes import findings_note

    found = findings_note(store.scope()).removeprefix("note: ").partition(" in scope:")[0]
    return f"what is wrong: {found}" if found else "what is wrong with the log"
