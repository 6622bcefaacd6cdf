"""Taking evidence in, and what proves it: ingest, verify, prove, bundle."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from esctl.api.relation import Relation
from esctl.errors import InputError, NotFoundError
from esctl.model import MappingConfig
from esctl.store import OpenStore

if TYPE_CHECKING:
    from esctl.bundle.make import Bundle
    from esctl.intake.intake import IngestOptions, Observer, Outcome
    from esctl.ledger.check.verify import Verified
    from esctl.ledger.prove.proof_file import Proof
    from esctl.ledger.sign.checkpoint import Checkpoint
    from esctl.log.store_state import StoreState
    from esctl.page.make import Report
    from esctl.sources.files.finding import Source
    from esctl.sources.protocol import SourceReader


class VerifiedRelation(Relation, frozen=True, kw_only=True):
    """What was checked of a store, and what was found."""

    verified: Verified


class Proofs(Struct, frozen=True):
    """Proofs of the records at some positions, against one checkpoint."""

    positions: tuple[int, ...]
    checkpoint: Checkpoint
    _snapshot: StoreState

    def __iter__(self) -> Iterator[Proof]:
        """Make the proofs, in order of position. Raises TamperedError where a record does not hash to the root."""
        from esctl.ledger.prove.prove import prove

        return (proof for proof, _ in prove(self._snapshot, self.positions, self.checkpoint))


class Evidence(OpenStore):
    """What is done with evidence as such."""

    def ingest(
        self,
        *sources: str | Source | SourceReader,
        options: IngestOptions | None = None,
        observe: Observer | None = None,
    ) -> Outcome:
        """Read files, globs, folders or live sources into the store, exactly once.

        Raises InputError for one that cannot be read.
        """
        from esctl.intake.batch import ingest
        from esctl.intake.intake import IngestOptions, unobserved
        from esctl.sources.files.finding import Source, expand
        from esctl.sources.files.reading import SourceOptions, file_readers
        from esctl.sources.live import connect, from_url, kind_of

        how = self.reading_options(options or IngestOptions(SourceOptions()))
        readers: list[SourceReader] = []
        for source in sources:
            if isinstance(source, str) and kind_of(source):
                readers += connect(from_url(source, {}, {}), lambda text: None).readers()
            elif isinstance(source, str | Source):
                readers += file_readers(expand([source]) if isinstance(source, str) else [source], how.source)
            else:
                readers.append(source)
        outcome = ingest(self.path, readers, how, self.updater, observe or unobserved, self.connection)
        self.refresh()
        return outcome

    def reading_options(self, options: IngestOptions) -> IngestOptions:
        """Return options with the patterns that the mapping has for the lines of text logs."""
        from functools import partial

        from msgspec.structs import replace

        from esctl.index.envelope.text.told import pattern_of

        return replace(options, source=replace(options.source, pattern_of=partial(pattern_of, self.mapping)))

    def verify(
        self,
        *,
        full: bool = False,
        since: Path | None = None,
        trust: Sequence[str] = (),
        tsa_cert: Sequence[Path] = (),
    ) -> VerifiedRelation:
        """Check that nothing in the store was changed. Arguments as the options of `esctl verify`."""
        from esctl.ledger.check.verify import Wanted, verify
        from esctl.ledger.sign.keys import read_verifiers
        from esctl.ledger.sign.timestamps import read_certificates
        from esctl.reports.verify import verification

        mapping = self._readable_mapping() if full else None
        wanted = Wanted(full, since, read_verifiers(trust), mapping, read_certificates(tsa_cert))
        verified = verify(self.path, wanted)
        return VerifiedRelation(verification(self.session, verified), verified=verified)

    def _readable_mapping(self) -> MappingConfig | None:
        """Return the mapping in force; None where what `--map` said is damaged, which is one of the findings."""
        try:
            return self.mapping
        except InputError:
            return None

    def prove(self, *events: str, checkpoint: str = "") -> Proofs:
        """Prove that events (ids, or @POSITION) are in the log. Arguments as those of `esctl prove`."""
        from esctl.ledger.prove.prove import choose_checkpoint

        positions = tuple(sorted({position for event in events for position in self.positions(event)}))
        return Proofs(positions, choose_checkpoint(self.snapshot, checkpoint, positions[-1]), self.snapshot)

    def positions(self, event: str) -> list[int]:
        """Return the positions of an event, by its id or @POSITION. Raises NotFoundError where there is none."""
        if re.fullmatch(r"@[0-9]{1,18}", event):  # needs no index
            found = [int(event[1:])] if 0 < int(event[1:]) <= self.snapshot.head else []
        else:
            from esctl.ask.events.log import find_event
            from esctl.ask.scope.scope import Scope

            found = find_event(Scope(self.session, self.view), event)  # no projection has a say in it
        if not found:
            raise NotFoundError(f"no event {event!r}", "list events with: esctl log --columns position,id,type")
        return found

    def bundle(
        self,
        output: Path | str,
        *entities: str,
        where: str = "",
        at: str = "",
        before: str = "",
        projection: str = "",
        checkpoint: str = "",
        html: bool = False,
    ) -> Bundle:
        """Write the records of some entities, their proofs and states into one archive, as `esctl bundle` does."""
        from esctl.bundle.archive import write_archive
        from esctl.bundle.make import Asked, prepare

        bundle = prepare(self, Asked(entities, where, at, before, projection, checkpoint, html))
        write_archive(Path(output), bundle.files())
        return bundle

    def report(
        self,
        *entities: str,
        at: str = "",
        from_: str = "",
        to: str = "",
        known_at: str = "",
        projection: str = "",
        checkpoint: str = "",
        case: Path | str | None = None,
    ) -> Report:
        """Make a page of what happened to some entities, which checks its records itself, as `esctl report` does.

        `html` of what it gives is the file. Raises UsageError where the page would be too large.
        """
        from esctl.page.case import Case, read_case
        from esctl.page.make import Asked, make_report

        told = Case() if case is None else read_case(Path(case))
        return make_report(self, Asked(entities, at, from_, to, known_at, projection, checkpoint, told))
