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
    from esctl.cli.intake import telling
    from esctl.cli.intake.overruling import report_overruled
    from esctl.cli.intake.unsure import refuse_doubts, refuse_unmet, refuse_unsure
    from esctl.index.envelope.map_options import merge_options, split_paths
    from esctl.index.seen_ids.apart import apart

    store = open_store(shared)
    by = split_paths(dedupe_by)
    overrides = merge_options(store.overrides, mapping, time_format=time_format, pattern=pattern, dedupe_by=by)
    if overrides is not None:
        _note_forgotten([each for each in store.overrides if each not in overrides], mapping or (), shared)
        store.set_overrides([each for each in overrides if each])
    found = store.rebuild_index()
    telling.report_detections(found, shared.quiet)
    telling.report_apart(tuple(apart(store.view.manifest).values()), shared.quiet)
    telling.report_read_twice(store, shared.quiet)
    report_overruled(store, shared.quiet)
    telling.report_homeless(store, store.view.manifest.homeless, shared.quiet)
    telling.report_undated(store, shared.quiet)
    refuse_unmet(store, found, shared.store)
    refuse_unsure(store, found, shared.store)
    refuse_doubts(store, found, shared.store)


def _note_forgotten(forgotten: Sequence[str], mapping: Sequence[str], shared: Shared) -> None:
    """Print which earlier options `--map` removes without giving new ones for their keys, and how to keep both."""
    from esctl.cli.intake.unsure import with_store
    from esctl.index.envelope.mapping import split_option

    given_anew = {split_option(each)[:2] for each in mapping if each}
    lost = [each for each in forgotten if split_option(each)[:2] not in given_anew]
    if not lost or not mapping or "" in mapping:
        return
    given = " ".join(f"--map {shell_word(each)}" for each in lost)
    diagnostics.note(f"note: replaced by what --map says now: {given}", shared.quiet)
    both = " ".join(f"--map {shell_word(each)}" for each in (*lost, *mapping))
    diagnostics.note(f"note: for both: {with_store(f'esctl reindex {both}', shared.store)}", shared.quiet)
