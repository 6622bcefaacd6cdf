"""Guess which command or option an unknown word means: by its meaning in other programs, else by its spelling."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches

_FEW = 10
"""The most commands that a hint lists; for more, it says how to list them."""

OPTIONS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("--since", "--after", "--start", "--begin"), ("--from",)),
    **dict.fromkeys(("--until", "--end"), ("--to",)),
    **dict.fromkeys(("--user", "--who", "--by", "--by-user", "--principal", "--author"), ("--actor",)),
    **dict.fromkeys(("--event-type", "--kind"), ("--type",)),
    **dict.fromkeys(("--time", "--date", "--as-of", "--timestamp", "--when", "--on", "--point"), ("--at",)),
    **dict.fromkeys(("--filter", "--condition", "--query"), ("--where",)),
    **dict.fromkeys(("--json", "--csv", "--jsonl", "--parquet", "--markdown"), ("--format",)),
    **dict.fromkeys(("--output-format", "--fmt"), ("--format",)),
    **dict.fromkeys(("--out", "--output-file", "--file"), ("--output",)),
    **dict.fromkeys(("--fields", "--select"), ("--columns",)),
    "--column": ("--columns",),
    **dict.fromkeys(("--head", "--max", "--top", "-n"), ("--limit",)),
    **dict.fromkeys(("--last", "--latest"), ("--tail", "--limit")),
    **dict.fromkeys(("--search", "--contains", "--find", "--text"), ("--grep", "--where")),
    **dict.fromkeys(("--timezone", "--zone"), ("--tz",)),
    **dict.fromkeys(("--db", "--database", "--dir"), ("--store",)),
    **dict.fromkeys(("--silent",), ("--quiet",)),
    **dict.fromkeys(("--watch", "--tail-f", "--live"), ("--follow",)),
    **dict.fromkeys(("--exclude", "--ignore-event"), ("--without",)),
    **dict.fromkeys(("--step", "--interval", "--bucket"), ("--every",)),
    **dict.fromkeys(("--group-by", "--group"), ("--by",)),
}
"""Options of other programs, each with its names here; a hint gives the first of them that the command has."""

_VALUES = {"--version": "version:N", "--position": "@N", "--offset": "@N", "--event": "id:ID", "--event-id": "id:ID"}
"""Options of other programs that are values of `--at` here."""
_NAMES = ("--entity", "--entity-id", "--stream", "--stream-id", "--aggregate", "--aggregate-id", "--name", "--key")

_COMMANDS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("get", "state", "states", "materialize", "hydrate", "rehydrate", "at", "as-of"), ("replay",)),
    **dict.fromkeys(("history", "timeline", "trail", "changes", "activity"), ("audit",)),
    **dict.fromkeys(("events", "search", "grep", "find", "tail", "cat"), ("log",)),
    **dict.fromkeys(("query", "select"), ("sql",)),
    **dict.fromkeys(("import", "load", "add", "read", "append", "open"), ("ingest",)),
    **dict.fromkeys(("list", "ls", "streams", "aggregates"), ("entities",)),
    **dict.fromkeys(("info", "stats", "summary"), ("status",)),
    **dict.fromkeys(("compare", "delta"), ("diff",)),
    **dict.fromkeys(("undo", "rollback", "restore"), ("revert",)),
    **dict.fromkeys(("who", "why"), ("blame", "audit")),
    **dict.fromkeys(("ui", "tui", "gui", "walk", "explore"), ("browse",)),
    **dict.fromkeys(("graph", "chart", "plot", "metrics"), ("series",)),
    **dict.fromkeys(("check", "validate", "lint"), ("doctor", "verify")),
    **dict.fromkeys(("sign", "seal"), ("checkpoint",)),
    **dict.fromkeys(("delete", "erase", "forget", "remove", "rm"), ("redact",)),
    **dict.fromkeys(("html", "page", "web"), ("report",)),
    **dict.fromkeys(("zip", "archive", "pack"), ("bundle",)),
    **dict.fromkeys(("serve", "server"), ("mcp",)),
    **dict.fromkeys(("formats", "format"), ("presets",)),
    **dict.fromkeys(("map", "mapping"), ("reindex", "init")),
    **dict.fromkeys(("settings",), ("config",)),
}
_ELSEWHERE = {
    "version": "it is an option: esctl --version",
    "completion": "it is an option: esctl --install-completion",
    "projections": "they are told in esctl.toml: esctl help projections",
}


def command_meant(word: str, known: Collection[str]) -> str:
    """Return the hint for an unknown command: those of the same meaning, else the nearest spelling, else the list."""
    meant = [name for name in _COMMANDS.get(word, ()) if name in known]
    if not meant and word in _ELSEWHERE:
        return _ELSEWHERE[word]
    meant = meant or get_close_matches(word, known, n=1)
    listed = f"the commands are: {', '.join(known)}" if len(known) <= _FEW else "list them: esctl --help"
    return f"did you mean {' or '.join(meant)}?" if meant else listed


def option_meant(name: str, known: Collection[str], path: str, names_entities: bool) -> str:
    """Return the hint for an unknown option of a command; empty if no option is similar.

    `known` are the command's options, `path` is how it is called, `names_entities` whether its arguments name entities.
    """
    if names_entities and name in _NAMES:
        return f"entities are named without an option: {path} NAME"
    if name in _VALUES and "--at" in known:
        return f"did you mean --at {_VALUES[name]}?"
    meant = next((option for option in OPTIONS.get(name, ()) if option in known), "")
    if meant:
        value = f" {name.removeprefix('--')}" if meant == "--format" and name in _FORMATS else ""
        return f"did you mean {meant}{value}?"
    # Without the dashes, which would make short names alike.
    close = get_close_matches(name.lstrip("-"), [each.lstrip("-") for each in known if each.startswith("--")], n=1)
    return f"did you mean --{close[0]}?" if close else ""


_FORMATS = ("--json", "--csv", "--jsonl", "--parquet", "--markdown")
