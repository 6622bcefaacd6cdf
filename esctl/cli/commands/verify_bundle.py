"""esctl verify-bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from esctl.cli import diagnostics
from esctl.cli.arguments import Trust
from esctl.cli.options import Shared, command

if TYPE_CHECKING:
    from esctl.bundle.check import Checked

TABLE = ("check", "result", "checked", "finding", "file", "message")


@command
def run(
    shared: Shared,
    bundle: Annotated[Path, typer.Argument(metavar="FILE", help="What `esctl bundle` wrote.")],
    trust: Trust = None,
) -> None:
    """Check a bundle by itself: exit 0 all of it holds, 1 something does not, 3 cannot be judged."""
    from esctl.bundle.check import RULES, check_bundle
    from esctl.cli.render import render
    from esctl.config import read_config
    from esctl.engine.duckdb import open_session
    from esctl.ledger.sign.keys import read_verifiers
    from esctl.reports.verify import checks_answer

    keys = read_verifiers(trust or ())
    config = read_config(shared.config) if shared.config is not None else None
    checked = check_bundle(bundle, keys, config, shared.memory_limit)
    render(checks_answer(open_session(), checked.checks, RULES, "bundle"), shared, TABLE)
    for line in _result_notes(checked):
        diagnostics.note(line, shared.quiet)
    if checked.is_refuted:
        raise typer.Exit(1)
    if not checked.is_judged:
        raise typer.Exit(3)


def _result_notes(checked: Checked) -> list[str]:
    """Return notes on what was found, and on what a bundle cannot show."""
    if checked.is_refuted:
        count = sum(len(check.findings) for check in checked.checks)
        return [f"refuted: {count} finding{'s' * (count != 1)}"]
    about = checked.manifest
    assert about is not None
    skipped = [f"not judged: {check.rule}: {check.skipped}" for check in checked.checks if check.skipped]
    if not checked.signers:
        return skipped
    named = f"{len(about.records)} records are in the log {about.log}"
    return [
        f"proven: {named}, signed by {' and '.join(checked.signers)} when it had {about.size}",
        *skipped,
        "not shown by a bundle: that these are all records of its entities",
    ]
