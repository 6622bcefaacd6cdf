"""Run esctl so that each ingest ends with a compaction: `ESCTL_COMPACT=always pytest` uses this."""

from __future__ import annotations

from typing import Any

import esctl.intake.batch


def install() -> None:
    """Let every ingest of this process end with a compaction of the whole store."""
    ingest = esctl.intake.batch.ingest

    def ingest_and_compact(store: Any, sources: Any, options: Any, updater: Any, observe: Any, connection: Any) -> Any:
        from esctl.maintain.compact import compact

        outcome = ingest(store, sources, options, updater, observe, connection)
        compact(store, updater(lambda name, detection: None))
        return outcome

    esctl.intake.batch.ingest = ingest_and_compact


if __name__ == "__main__":
    from esctl.cli.app import main

    install()
    main()
