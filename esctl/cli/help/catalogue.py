"""All commands, by what they are for: their names and help lines."""

from __future__ import annotations

from collections.abc import Mapping

GROUPS: Mapping[str, Mapping[str, str]] = {
    "Take in": {
        "ingest": "Read logs into the store, exactly once.",
        "init": "Write an esctl.toml from what was ingested.",
        "presets": "List the formats that are known by name.",
        "reindex": "Read the evidence again, under another mapping.",
        "status": "Show what the store holds.",
    },
    "Ask": {
        "replay": "Show the state of entities at a point in time.",
        "diff": "Show what changed between two points in time.",
        "audit": "Show the audit trail: when, who, which event, what it changed.",
        "log": "List events, filtered.",
        "show": "Show one event with its raw bytes.",
        "types": "List event types with counts, times and fields.",
        "entities": "List entities.",
        "sql": "Ask a SELECT of your own over events and states.",
    },
    "Investigate": {
        "browse": "Walk through time in the terminal: entities, states, events.",
        "blame": "Show each field of a state with the event that set it.",
        "when": "Show when a condition on the state turned true.",
        "series": "Show an aggregate over the states along a grid of times.",
        "trace": "Show the events tied to one, as a tree in order of time.",
        "revert": "Show the changes that take entities back to an earlier state.",
        "doctor": "Look for what is wrong with the log.",
        "reconcile": "Compare a system's own table with the log's state.",
    },
    "Prove": {
        "verify": "Check that nothing in the store was changed.",
        "checkpoint": "Sign the head of the log, to be kept elsewhere.",
        "key": "Make and show the keys that checkpoints are signed with.",
        "prove": "Write the proof that an event is in the log, to be checked anywhere.",
        "verify-proof": "Check a proof by itself, without store or network.",
    },
    "Hand on": {
        "report": "Write what happened into one HTML page that checks its records itself.",
        "bundle": "Write records, proofs and states into one archive of evidence.",
        "verify-bundle": "Check an archive of evidence by itself.",
        "export": "Export events, or a source byte for byte.",
        "emit": "Send events, states or compensations to others.",
        "mcp": "Answer an assistant's questions, by the Model Context Protocol.",
        "view": "Keep states in databases and files, refreshed and checked.",
    },
    "Keep": {
        "snapshot": "Save the states at a point, so that replays go on from there.",
        "compact": "Merge small files of the store.",
        "redact": "Erase records for good, and leave the proof of the rest.",
        "repair": "Rebuild what is derived, and say what evidence is lost.",
        "config": "Show settings and where each comes from.",
        "help": "Explain times, projections, formats and more.",
    },
}
"""The commands of each purpose with their help lines, in the order of the listing."""

LINES: Mapping[str, str] = {name: line for commands in GROUPS.values() for name, line in commands.items()}


def module_of(name: str) -> str:
    """Return the module of a command: it has `run` (made with `options.command`) or `app` (`options.subcommands`)."""
    return f"esctl.cli.commands.{name.replace('-', '_')}"
