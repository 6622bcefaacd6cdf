"""esctl presets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from esctl.cli.options import Shared, command

if TYPE_CHECKING:
    from esctl.index.envelope.presets.preset import Preset
    from esctl.model import Answer, Stanza

_MAPPED = ("id", "type", "time", "entity", "tenant", "kind", "actor", "correlation", "causation", "data")


@command
def run(
    shared: Shared,
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="The format to explain.", show_default=False)] = "",
) -> None:
    """List the formats that are known by name, or show where one keeps each field of its events."""
    from difflib import get_close_matches

    from esctl.cli.opening import read_configuration
    from esctl.cli.render import render
    from esctl.errors import NotFoundError
    from esctl.index.envelope.presets import PRESETS

    config = read_configuration(shared)
    if name and name not in PRESETS:
        near = get_close_matches(name, PRESETS, n=1)
        raise NotFoundError(f"no preset {name!r}", f"did you mean {near[0]}?" if near else "list them: esctl presets")
    render(_explain_preset(PRESETS[name]) if name else _list_presets(list(PRESETS.values())), shared, (), config.output)


def _list_presets(presets: list[Preset]) -> Answer:
    rows = []
    for preset in presets:
        stanza = preset.stanza
        entity = stanza.entity or tuple(paths[0] for _, paths in stanza.entities)
        rows.append((stanza.name, *(_first_path(paths) for paths in (stanza.type, stanza.time, entity, stanza.actor))))
    return _answer_of_rows(("preset", "type", "time", "entity", "actor"), rows, "presets")


def _explain_preset(preset: Preset) -> Answer:
    import json

    from esctl.index.envelope.presets.envelope_only import envelope_only
    from esctl.index.envelope.presets.example import example

    stanza = preset.stanza
    rows = [("source", preset.source), *(("needs", " or ".join(group)) for group in preset.needs)]
    rows += [("lines", preset.lines)] if preset.lines else []
    for field in _MAPPED:
        paths = getattr(stanza, field) or (stanza.id_parts if field == "id" else ())
        joined = " + " if field == "id" and stanza.id_parts else " | "
        rows += [(field, joined.join(paths))] if paths else []
    rows += [(f"entity ({role})", " | ".join(paths)) for role, paths in stanza.entities]
    ordered = " or ".join(" + ".join(parts) for parts in preset.sequences)
    rows.append(("order", f"by {ordered}; else by {preset.otherwise}" if ordered else _describe_order(stanza)))
    if names := sorted(envelope_only(stanza)):
        rows.append(("in no state", " | ".join(names)))
    rows += [("ignored types", " | ".join(stanza.ignore_types))] if stanza.ignore_types else []
    rows += [("stands for nothing", " | ".join(stanza.absent))] if stanza.absent else []
    rows += [("names", "in lower case, as case makes no difference")] if stanza.ignore_case else []
    rows += [(f"opened as {encoding}", path) for path, encoding in stanza.opened]
    rows.append(("example", json.dumps(example(preset))))
    rows.append(("to force it", f"esctl ingest --preset {stanza.name} FILE"))
    rows.append(("in esctl.toml", f'[mapping] preset = "{stanza.name}"; esctl init --preset {stanza.name} writes it'))
    return _answer_of_rows(("field", "where"), rows, stanza.name)


def _describe_order(stanza: Stanza) -> str:
    if stanza.order != "time":
        return f"by {stanza.order}"
    return "by time, of one instant by arrival; an export that begins with the newest is recognised"


def _first_path(paths: tuple[str, ...]) -> str:
    more = f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
    return f"{paths[0]}{more}" if paths else ""


def _answer_of_rows(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], title: str) -> Answer:
    from esctl.engine.duckdb import open_session
    from esctl.model import Column
    from esctl.reports.rows import answer_of_rows

    return answer_of_rows(open_session(), tuple(Column(name, "text") for name in columns), rows, title)
