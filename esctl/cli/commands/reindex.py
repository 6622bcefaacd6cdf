"""esctl reindex."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from esctl.cli import diagnostics
from esctl.cli.arguments import MAP_HELP, DedupeBy, LinePattern, TimeFormat
from esctl.cli.opening import open_store
from esctl.cli.options import Shared, command
from esctl.errors import shell_word


@command
def run(
    shared: Shared,
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="[SOURCE:]KEY=PATH",
            help=f"{MAP_HELP} b.jsonl:entity=... is for the sources of that name. Kept, and goes before "
            "esctl.toml; replaces what --map said before of the same sources, and an empty one forgets all.",
        ),
    ] = None,
    time_format: TimeFormat = None,
    pattern: LinePattern = None,
    dedupe_by: DedupeBy = None,
) -> None:
    """Read the evidence again, under the mapping as it is now."""
    from esctl.cli.intake import telling as told
    from esctl.cli.intake.overruling import report_overruled
    from esctl.cli.intake.unsure import refuse_doubts, refuse_unmet, refuse_unsure
    from esctl.index.envelope.map_options import listed_paths, with_options
    from esctl.index.seen_ids.apart import apart

    store = open_store(shared)
    by = listed_paths(dedupe_by)
    said = with_options(store.overrides, mapping, time_format=time_format, pattern=pattern, dedupe_by=by)
    if said is not None:
        _tell_forgotten([each for each in store.overrides if each not in said], mapping or (), shared)
        store.set_overrides([each for each in said if each])
    found = store.rebuild_index()
    told.report_detections(found, shared.quiet)
    told.report_apart(tuple(apart(store.view.manifest).values()), shared.quiet)
    told.report_read_twice(store, shared.quiet)
    report_overruled(store, shared.quiet)
    told.report_homeless(store, store.view.manifest.homeless, shared.quiet)
    told.report_undated(store, shared.quiet)
    refuse_unmet(store, found, shared.store)
    refuse_unsure(store, found, shared.store)
    refuse_doubts(store, found, shared.store)


def _tell_forgotten(forgotten: Sequence[str], mapping: Sequence[str], shared: Shared) -> None:
    """Print which earlier options `--map` removes without giving new ones for their keys, and how to keep both."""
    from esctl.cli.intake.unsure import command as for_store
    from esctl.index.envelope.mapping import parted

    said = {parted(each)[:2] for each in mapping if each}
    lost = [each for each in forgotten if parted(each)[:2] not in said]
    if not lost or not mapping or "" in mapping:
        return
    given = " ".join(f"--map {shell_word(each)}" for each in lost)
    diagnostics.note(f"note: replaced by what --map says now: {given}", shared.quiet)
    both = " ".join(f"--map {shell_word(each)}" for each in (*lost, *mapping))
    diagnostics.note(f"note: for both: {for_store(f'esctl reindex {both}', shared.store)}", shared.quiet)
