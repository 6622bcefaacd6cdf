"""What an option is called on the command line, it is called in Python."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

import pytest

from esctl import Store
from esctl.cli.app import COMMANDS, load_command
from esctl.cli.commands.doctor import LISTS
from esctl.cli.options import _OPTIONS, _QUESTION_OPTIONS

METHODS = {
    "audit": "audit", "blame": "blame", "bundle": "bundle", "checkpoint": "checkpoint", "diff": "diff",
    "doctor": "doctor", "emit events": "emit_events", "emit revert": "emit_revert", "emit states": "emit_states",
    "entities": "entities", "ingest": "ingest", "log": "events", "prove": "prove", "reconcile": "reconcile",
    "replay": "replay", "report": "report", "revert": "revert", "series": "series", "sql": "sql", "status": "status",
    "trace": "trace", "types": "types", "verify": "verify", "view create": "create_view", "when": "when",
}  # fmt: skip
SENT = {"again", "dry_run", "follow", "key", "properties", "property", "to", "yes"}
OTHERWISE: dict[str, set[str]] = {
    "checkpoint": {"tsa"},
    "diff": {"at", "what_if", "exit_code"},  # methods of their own: diff_known, diff_what_if
    "doctor": {flag.replace("-", "_") for flag in LISTS},  # occurrences(...)
    "emit events": SENT,  # send_events and its like
    "emit revert": SENT,
    "emit states": SENT,
    "ingest": {
        "ask",
        "checkpoint",
        "commit_every",
        "commit_records",
        "create",
        "erasable",
        "follow",
        "from",
        "jobs",
        "key",
        "max_expansion",
        "max_record",
        "max_unpacked",
        "on_recreated",
        "properties",
        "property",
        "registry",
        "schema_dir",
        "snapshot",
        "until",
    },  # those of systems that are followed, of a store that is made (`create`, its threads), and limits (`options`)
    "log": {"invalid", "duplicates", "erased", "conflicts", "ignored"},  # `only`
    "reconcile": {"exit_code"},
    "series": {"plot"},
    "when": {"first", "last", "every", "count", "exit_code"},  # `which`; `counted()`, `held()`
}
"""Options that are another thing in Python, or none."""


def commands(name: str, command: Any) -> dict[str, Any]:
    if not hasattr(command, "commands"):
        return {name: command}
    return {
        full: each for inner, sub in command.commands.items() for full, each in commands(f"{name} {inner}", sub).items()
    }


def options(name: str) -> set[str]:
    group, _, _ = name.partition(" ")
    module, line = COMMANDS[group]
    command = commands(group, load_command(group, import_module(module), line))[name]
    shared = {*_OPTIONS, *_QUESTION_OPTIONS, "engine", "help"}  # of the store, not of one question
    named = [max(p.opts, key=len) for p in command.params if p.param_type_name == "option" and p.name not in shared]
    return {option.removeprefix("--").replace("-", "_") for option in named}


@pytest.mark.parametrize("name", METHODS)
def test_an_option_is_a_parameter_of_its_name(name: str) -> None:
    parameters = {each.removesuffix("_") for each in inspect.signature(getattr(Store, METHODS[name])).parameters}
    assert options(name) - parameters == OTHERWISE.get(name, set()) & options(name)
