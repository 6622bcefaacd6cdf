"""A starter esctl.toml from what was ingested."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from esctl.ask.events.source_stanzas import stanzas_text
from esctl.ask.events.types import field_types
from esctl.ask.scope.scope import Scope
from esctl.engine.duckdb import explained
from esctl.index.envelope.mapping import CUSTOM
from esctl.index.envelope.stanza_toml import to_toml
from esctl.index.envelope.toml_text import toml_string
from esctl.index.files.manifest import Manifest
from esctl.model import TOMBSTONE, Stanza
from esctl.projection.row_changes.rules import says_how

MOST_TYPES = 40
_HEADER = """# How esctl reads these logs, and what it folds them into. Written by `esctl init`; yours to change.
# Paths are dotted ("data.amount"), odd names quoted (data."user name"). After a change of [mapping]: esctl reindex
"""
_RULES = """
# --- projections: named folds. Without one, replay merges each entity's payloads. ---
# Operations: set, unset, add, subtract, min, max, count, append, remove, merge, merge_patch, replace, delete;
# `when` is a condition.
# Values are SQL expressions over the event: data.x, type, time, actor, id, ... ; text in single quotes: "'open'".
"""

_TOLD = """[projections.{name}]
kinds = [{name}]
# Its rows are told whole: without rules, changes of them fold into rows.
"""


def starter(scope: Scope, manifest: Manifest, stanzas: Mapping[str, Stanza] | None = None) -> str:
    """Write a commented esctl.toml: the mapping in force, and a projection for each kind of entity.

    `stanzas`: those of some sources, to write instead of the mapping in force.
    """
    parts = [_HEADER, *(_mappings(manifest) if stanzas is None else [stanzas_text(stanzas)]), _RULES]
    named = ["entity IS NOT NULL", "invalid IS NULL", "type IS NOT NULL"]
    rows = scope.view.relation(["kind", "type", "position", "stanza"], None, named)
    told = ", ".join(str(number) for number, stanza in enumerate(manifest.stanzas) if says_how(stanza))
    is_told = f"stanza IN ({told})" if told else "false"
    counts = f"""SELECT kind, type, count(DISTINCT position) AS events, bool_and({is_told})
        FROM ({rows}) GROUP BY ALL ORDER BY kind, events DESC, type"""
    with explained():
        found = scope.connection.execute(counts).fetchall()
    fields = field_types(scope)
    kinds: dict[str, list[tuple[str, int]]] = {}
    ruled = {kind for kind, *_, rows_are in found if not rows_are}
    for kind, name, count, _ in found:
        kinds.setdefault(kind, []).append((name, count))
    for kind, types in list(kinds.items())[:MOST_TYPES]:
        parts.append(_projection(kind, types, fields) if kind in ruled else _TOLD.format(name=toml_string(kind)))
    return "\n".join(parts)


def _mappings(manifest: Manifest) -> list[str]:
    # Numberings are left out: reading the records by these stanzas finds them again.
    by_stanza: dict[Stanza, list[str]] = {}
    for source, number in manifest.sources.items():
        by_stanza.setdefault(replace(manifest.stanzas[number], numbering=0, newest_first=None), []).append(source)
    if len(by_stanza) == 1:
        (stanza,) = by_stanza
        return [to_toml(stanza) + _open(stanza)]
    return [stanzas_text({source: stanza for stanza, sources in by_stanza.items() for source in sources})]


def _open(stanza: Stanza) -> str:
    """Write lines to fill in for the parts of the envelope that were not found in a log of an unknown format."""
    if stanza.name != CUSTOM:
        return ""
    missing = {
        "entity": None if stanza.entity or stanza.entities else "what an event is about",
        "actor": None if stanza.actor else "who did it",
    }
    return "".join(f'# {key} = "..."  # not found: {what}\n' for key, what in missing.items() if what)


def _projection(kind: str, types: list[tuple[str, int]], fields: Mapping[str | None, Mapping[str, set[str]]]) -> str:
    name = toml_string(kind)
    lines = [f"[projections.{name}]", f"kinds = [{name}]", ""]
    for kind_type, count in types[:MOST_TYPES]:
        header = f"[projections.{name}.on.{toml_string(_pattern(kind_type))}]"
        seen = ", ".join(
            f"{field} ({'|'.join(sorted(kinds))})" for field, kinds in list(fields.get(kind_type, {}).items())[:12]
        )
        inner = any("object" in kinds for kinds in fields.get(kind_type, {}).values())
        does = "delete = true" if kind_type == TOMBSTONE else 'merge = "data"' + _WITHIN * inner
        lines += [f"# {count} events; fields: {_one_line(seen) or 'none'}", header, does, ""]
    return "\n".join(lines)


_WITHIN = "  # an object replaces the one before; merge_patch merges within objects"


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _pattern(kind_type: str) -> str:
    # A bracket at the end would be read as a role. That `?` and `*` match more than they should does no harm here:
    # merging the same payload twice is the same as merging it once.
    return kind_type.replace("[", "?") if kind_type.endswith("]") else kind_type
