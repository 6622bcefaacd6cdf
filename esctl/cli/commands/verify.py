"""esctl verify."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from esctl.cli import diagnostics
from esctl.cli.arguments import Trust
from esctl.cli.options import Shared, command

if TYPE_CHECKING:
    from esctl.model import MappingConfig
    from esctl.store import Store

TABLE = ("check", "result", "checked", "finding", "position", "file", "message")


@command
def run(
    shared: Shared,
    full: Annotated[bool, typer.Option("--full", help="Hash every record again, and compare the index.")] = False,
    since: Annotated[
        Path | None,
        typer.Option("--since", metavar="FILE", help="A checkpoint kept elsewhere: the log must only have grown."),
    ] = None,
    trust: Trust = None,
    tsa_cert: Annotated[
        list[Path] | None,
        typer.Option(
            "--tsa-cert",
            metavar="FILE",
            help="Certificates (PEM) of the authority that stamped checkpoints (repeat for more).",
        ),
    ] = None,
) -> None:
    """Check that nothing in the store was changed: exit 0 intact, 1 tampered or damaged, 3 cannot be judged."""
    from esctl.cli.opening import closed_store, output_settings
    from esctl.cli.render import render
    from esctl.ledger.check.verify import Wanted, verify
    from esctl.ledger.sign.keys import read_verifiers
    from esctl.ledger.sign.timestamps import read_certificates
    from esctl.reports.verify import verification

    keys = read_verifiers(trust or ())
    store = closed_store(shared)
    authorities = read_certificates(tsa_cert or ())
    verified = verify(store.path, Wanted(full, since, keys, _mapping(store) if full else None, authorities))
    render(verification(store.session, verified), shared, TABLE, output_settings(store))
    count = sum(len(check.findings) for check in verified.checks)
    told = f"{count} finding{'s' * (count != 1)}" if count else "intact"
    diagnostics.note(f"{told}: {verified.size} records, root {verified.root}", shared.quiet)
    if not verified.is_intact:
        raise typer.Exit(1)


def _mapping(store: Store) -> MappingConfig | None:
    """Give the mapping in force; None where what `--map` said is damaged, which is one of the findings."""
    from esctl.errors import InputError

    try:
        return store.mapping
    except InputError:
        return None
