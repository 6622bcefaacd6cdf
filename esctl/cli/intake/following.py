"""Follow sources until asked to stop, and check the options that this allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from esctl.cli import diagnostics
from esctl.errors import UsageError

if TYPE_CHECKING:
    from esctl.api import Store
    from esctl.cli.intake.live_sources import NamedSources
    from esctl.cli.options import Shared
    from esctl.index.envelope.detect import Detection
    from esctl.intake.follow import Pace
    from esctl.intake.intake import IngestOptions, Outcome


def follow_sources(store: Store, found: NamedSources, options: IngestOptions, pace: Pace, shared: Shared) -> Outcome:
    """Take in what the sources hold and what is added to them until asked to stop; return the outcome."""
    from esctl.cli.failures import asked_to_stop
    from esctl.cli.intake.telling import report_detections
    from esctl.intake.follow import Callbacks, follow
    from esctl.sources.files.follow import Tail
    from esctl.storage.rights import narrow, source_stats

    def note(text: str) -> None:
        diagnostics.note(f"note: {text}", shared.quiet)

    def detected(name: str, detection: Detection) -> None:
        report_detections([(name, detection)], shared.quiet)

    def keep_private() -> None:
        if narrow(store.path, source_stats(found.paths)):
            note(f"{store.path} can now be read by no more than may read what is followed")

    how = store.reading_options(options).source
    tails = [Tail(source, how, note) for source in found.files]
    live = [source for each in found.live for source in each.followed(how)]
    with diagnostics.progress("follow", None, shared.quiet) as advance, asked_to_stop() as is_asked:
        callbacks = Callbacks(is_asked, advance, detected, keep_private)
        return follow(store.path, [*tails, *live], options, pace, store.updater, store.connection, callbacks)


def check_followable(options: IngestOptions, follow: bool, found: NamedSources) -> None:
    """Raise UsageError for options that cannot be combined with --follow, or with the sources."""
    from esctl.cli.intake.live_sources import check_options

    check_options(found, options.source)
    if not follow:
        return
    if options.strict or options.skip_duplicates:
        raise UsageError("--follow cannot be combined with --strict or --skip-duplicates", "leave one of them out")
    if not found.files:  # live sources deliver whole records, in any format
        return
    if options.source.records_path is not None:
        raise UsageError("--follow cannot be combined with --records-path", "only lines can be followed: leave one out")
    if options.source.input_format not in ("auto", "jsonl"):
        raise UsageError(
            f"--follow cannot be combined with --input-format {options.source.input_format}",
            "only lines can be followed",
        )
