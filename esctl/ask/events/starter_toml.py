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
from esctl.projection.row_changes.rules import decides_fold

TypeCounts = list[tuple[str | None, int]]
"""The types of a kind with their numbers of events, most first; None for events without a type."""
MOST_KINDS = 40
MOST_TYPES = 40
_NAMED_KINDS = 5
_HEADER = """# How esctl reads these logs, and what it folds them into. Written by `esctl init`; yours to change.
# Paths are dotted ("data.amount"), odd names quoted (data."user name"). After a change of [mapping]: esctl reindex
"""
_RULES = """
# --- projections: named folds. Without one, replay merges each entity's payloads. ---
# Operations: set, unset, add, subtract, min, max, count, append, remove, merge, merge_patch, replace, delete;
# `when` is a condition.
# Values are SQL expressions over the event: data.x, type, time, actor, id, ... ; text in single quotes: "'open'".
"""

_WHOLE_ROWS = """[projections.{name}]
kinds = [{name}]
# Its rows are told whole: without rules, changes of them fold into rows.
"""


def starter(scope: Scope, manifest: Manifest, stanzas: Mapping[str, Stanza] | None = None) -> str:
    """Write a commented esctl.toml: the mapping in force, and a projection for each kind of entity.

    `stanzas`: those of some sources, to write instead of the mapping in force.
    """
    parts = [_HEADER, *(_mappings(manifest) if stanzas is None else [stanzas_text(stanzas)]), _RULES]
    counts, ruled = _count_types(scope, manifest)
    fields = field_types(scope)
    for kind, types in list(counts.items())[:MOST_KINDS]:
        parts.append(_projection(kind, types, fields) if kind in ruled else _WHOLE_ROWS.format(name=toml_string(kind)))
    if others := list(counts)[MOST_KINDS:]:
        names = ", ".join([*map(_one_line, others[:_NAMED_KINDS]), *(["..."] if len(others) > _NAMED_KINDS else [])])
        parts.append(f"# {len(others)} more kinds have no projection here, so their payloads are merged: {names}\n")
    return "\n".join(parts)


def _count_types(scope: Scope, manifest: Manifest) -> tuple[dict[str, TypeCounts], set[str]]:
    """Return how many events of each type each kind has, most first, and the kinds that need rules.

    A kind whose events all have no type is left out: without a projection, they are merged.
    """
    rows = scope.view.relation(["kind", "type", "position", "stanza"], None, ["entity IS NOT NULL", "invalid IS NULL"])
    without_rules = ", ".join(str(number) for number, stanza in enumerate(manifest.stanzas) if decides_fold(stanza))
    needs_none = f"stanza IN ({without_rules})" if without_rules else "false"
    sql = f"""SELECT kind, type, count(DISTINCT position) AS events, bool_and({needs_none})
        FROM ({rows}) GROUP BY ALL ORDER BY kind, events DESC, type"""
    with explained():
        groups = scope.connection.execute(sql).fetchall()
    counts: dict[str, TypeCounts] = {kind: [] for kind, event_type, *_ in groups if event_type is not None}
    for kind, event_type, count, _ in groups:
        if kind in counts:
            counts[kind].append((event_type, count))
    return counts, {kind for kind, *_, is_whole in groups if not is_whole}


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


def _projection(kind: str, types: TypeCounts, fields: Mapping[str | None, Mapping[str, set[str]]]) -> str:
    name = toml_string(kind)
    lines = [f"[projections.{name}]", f"kinds = [{name}]", ""]
    listed, others = _split(types)
    if others:
        # First, as in the default projection: what deletes an entity comes after what merges.
        lines += [f"# {others}: this rule is for every event, those with a rule too"]
        lines += [f'[projections.{name}.on."*"]', 'merge = "data"', ""]
    written = {"*"} if others else set()
    for event_type, count in listed:
        pattern = _pattern(event_type)
        if pattern in written:  # of another type, or of all: a table that is there twice is no TOML
            continue
        written.add(pattern)
        header = f"[projections.{name}.on.{toml_string(pattern)}]"
        seen = ", ".join(
            f"{field} ({'|'.join(sorted(kinds))})" for field, kinds in list(fields.get(event_type, {}).items())[:12]
        )
        inner = any("object" in kinds for kinds in fields.get(event_type, {}).values())
        does = "delete = true" if event_type == TOMBSTONE else 'merge = "data"' + _WITHIN * inner
        lines += [f"# {count} events; fields: {_one_line(seen) or 'none'}", header, does, ""]
    return "\n".join(lines)


def _split(types: TypeCounts) -> tuple[list[tuple[str, int]], str]:
    """Return the types that get a rule of their own, and which events are of no such type; empty if there are none."""
    typed = [(name, count) for name, count in types if name is not None]
    listed = typed[:MOST_TYPES] + [(name, count) for name, count in typed[MOST_TYPES:] if name == TOMBSTONE]
    others = [count for name, count in typed[MOST_TYPES:] if name != TOMBSTONE]
    untyped = sum(count for name, count in types if name is None)
    parts = [f"{sum(others)} events of the {len(others)} other types"] if others else []
    parts += [f"{untyped} events without a type"] if untyped else []
    return listed, " and ".join(parts)


_WITHIN = "  # an object replaces the one before; merge_patch merges within objects"


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _pattern(kind_type: str) -> str:
    # A bracket at the end would be read as a role. That `?` and `*` match more than they should does no harm here:
    # merging the same payload twice is the same as merging it once.
    return kind_type.replace("[", "?") if kind_type.endswith("]") else kind_type
