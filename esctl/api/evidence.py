"""Taking evidence in, checking and proving it: ingest, verify, prove, bundle, report."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from esctl.api.relation import Relation
from esctl.errors import InputError, NotFoundError, UsageError
from esctl.given import as_tuple
from esctl.model import Cursor, MappingConfig
from esctl.store import OpenStore

if TYPE_CHECKING:
    from esctl.bundle.make import Bundle
    from esctl.engine.workers import Workers
    from esctl.intake.intake import IngestOptions, Observer, Outcome
    from esctl.ledger.check.verify import Verified
    from esctl.ledger.prove.proof_file import Proof
    from esctl.ledger.sign.checkpoint import Checkpoint
    from esctl.log.store_state import StoreState
    from esctl.page.make import Report
    from esctl.sources.files.finding import Source
    from esctl.sources.live import Connection
    from esctl.sources.protocol import SourceReader


class VerifiedRelation(Relation, frozen=True, kw_only=True):
    """The checks of a store, with the result of each."""

    verified: Verified


class Proofs(Struct, frozen=True):
    """Proofs of the records at some positions, against one checkpoint."""

    positions: tuple[int, ...]
    checkpoint: Checkpoint
    _store_state: StoreState

    def __repr__(self) -> str:
        return f"<Proofs of {len(self.positions)} records against {self.checkpoint.head.size}>"

    def __len__(self) -> int:
        return len(self.positions)

    def __iter__(self) -> Iterator[Proof]:
        """Yield the proofs in order of position. Raises TamperedError if a record does not hash to the root."""
        from esctl.ledger.prove.prove import prove

        return (proof for proof, _ in prove(self._store_state, self.positions, self.checkpoint))


class Evidence(OpenStore):
    """Operations on evidence."""

    def ingest(
        self,
        *sources: str | Path | Source | SourceReader | Connection,
        map: str | Sequence[str] | None = None,  # noqa: A002  # as the option
        preset: str = "",
        time_format: str | Sequence[str] | None = None,
        pattern: str | Sequence[str] | None = None,
        dedupe_by: str | Sequence[str] | None = None,
        input_format: str = "auto",
        records_path: str | None = None,
        encoding: str | None = None,
        null: str | None = None,
        header: bool | None = None,
        decimal: str | None = None,
        strict: bool = False,
        final: bool = False,
        skip_duplicates: bool = False,
        options: IngestOptions | None = None,
        observe: Observer | None = None,
    ) -> Outcome:
        """Read files, globs, folders or live sources into the store, exactly once. Takes the arguments of the command.

        `options` replaces the arguments `input_format` to `skip_duplicates`. Raises InputError for unreadable sources.

        >>> store.ingest("bank.jsonl")
        <Outcome 0 records: 0 new, 0 duplicates, 0 conflicts, 0 invalid, 0 of no entity>
        """
        from esctl.intake.batch import ingest
        from esctl.intake.intake import IngestOptions, observe_nothing
        from esctl.sources.files.reading import SourceOptions

        self._keep_mapping(map, preset, time_format=time_format, pattern=pattern, dedupe_by=dedupe_by)
        own = SourceOptions(
            input_format, records_path, final, null=null, encoding=encoding, header=header, decimal=decimal
        )
        how = self.reading_options(options or IngestOptions(own, strict, skip_duplicates, self.tz))
        with self._workers(how.takes_all) as workers, _all_readers(sources, how, workers, self) as found:
            outcome = ingest(self.path, found, how, self.updater, observe or observe_nothing, self.connection, workers)
        self.refresh()
        return outcome

    def _keep_mapping(self, map: str | Sequence[str] | None, preset: str, **said: str | Sequence[str] | None) -> None:  # noqa: A002
        """Keep the mapping options that are given (None: not given) for all later questions."""
        from esctl.index.envelope.map_options import merge_options

        mapping = None if map is None else [map] if isinstance(map, str) else [*map]
        begun = mapping if not preset else [f"preset={preset}", *(mapping or ())]
        given = {key: [each] if isinstance(each, str) else each for key, each in said.items()}
        kept = merge_options(self.overrides, begun, **given)
        if kept is not None:
            self.set_overrides(kept)

    def reading_options(self, options: IngestOptions) -> IngestOptions:
        """Return options that include the mapping's patterns for the lines of text logs."""
        from functools import partial

        from msgspec.structs import replace

        from esctl.index.envelope.text.told import pattern_of

        return replace(options, source=replace(options.source, pattern_of=partial(pattern_of, self.mapping)))

    def verify(
        self,
        *,
        full: bool = False,
        since: Path | str | None = None,
        trust: str | Sequence[str] = (),
        tsa_cert: Sequence[Path | str] = (),
    ) -> VerifiedRelation:
        """Check that nothing in the store was changed. Takes the arguments of `esctl verify`.

        >>> [row["check"] for row in store.verify() if row["result"] == "failed"]
        []
        """
        from esctl.ledger.check.verify import VerifyOptions, verify
        from esctl.ledger.sign.keys import read_verifiers
        from esctl.ledger.sign.timestamps import read_certificates
        from esctl.reports.verify import verification

        mapping = self._readable_mapping() if full else None
        kept = None if since is None else Path(since)
        certificates = read_certificates([Path(each) for each in tsa_cert])
        wanted = VerifyOptions(full, kept, read_verifiers(as_tuple(trust)), mapping, certificates)
        with self._workers(full, anew=True) as workers:
            verified = verify(self.path, wanted, workers)
        return VerifiedRelation(verification(self.session, verified), verified=verified)

    @contextmanager
    def _workers(self, wanted: bool, *, anew: bool = False) -> Iterator[Workers | None]:
        """Yield the workers of the store's engine; None if it has no engine or they are not wanted."""
        if self.engine is None or not wanted:
            yield None
            return
        from esctl.cluster.calls import lent_workers

        with lent_workers(self.engine, anew=anew) as workers:
            yield workers

    def _readable_mapping(self) -> MappingConfig | None:
        """Return the mapping in force; None if the kept `--map` options are damaged, which `verify` reports."""
        try:
            return self.mapping
        except InputError:
            return None

    def checkpoint(self, key: str = "") -> bytes:
        """Sign the head of the log; keep the checkpoint in the store and return it. Takes the arguments of the command.

        >>> Path("head.checkpoint").write_bytes(store.checkpoint("auditor")) > 0
        True
        """
        from esctl.ledger.sign.checkpoints import make_checkpoint
        from esctl.ledger.sign.keys import read_key

        return make_checkpoint(self.path, read_key(key))

    def prove(self, *events: str, checkpoint: str = "") -> Proofs:
        """Prove that events (ids, or @POSITION) are in the log. Takes the arguments of `esctl prove`.

        Raises UsageError if no event is named.

        >>> for proof in store.prove("evt-03494"):
        ...     Path("evt-03494.tlog-proof").write_bytes(proof.data) > 0
        True
        """
        from esctl.ledger.prove.prove import choose_checkpoint

        if not events:
            raise UsageError("no event is named to be proved", "give ids, or @POSITION: store.prove('@1')")
        positions = tuple(sorted({position for event in events for position in self.positions(event)}))
        return Proofs(positions, choose_checkpoint(self.store_state, checkpoint, positions[-1]), self.store_state)

    def positions(self, event: str) -> list[int]:
        """Return the positions of an event, by its id or @POSITION. Raises NotFoundError if there is none.

        >>> store.positions("evt-03494")
        [3494]
        """
        if re.fullmatch(r"@[0-9]{1,18}", event):  # needs no index
            numbers = [int(event[1:])] if 0 < int(event[1:]) <= self.store_state.head else []
        else:
            from esctl.ask.events.log import find_event
            from esctl.ask.scope.scope import Scope

            numbers = find_event(Scope(self.session, self.view), event)  # projections do not matter here
        if not numbers:
            from esctl.ask.scope.event_names import events_hint

            raise NotFoundError(f"no event {event!r}", events_hint(event))
        return numbers

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
        """Write the records of some entities, their proofs and states into one archive, as `esctl bundle` does.

        >>> store.bundle("account-017.zip", "account-017")
        <Bundle 131 records, 1 entities>
        """
        from esctl.bundle.archive import write_archive
        from esctl.bundle.make import BundleRequest, plan_bundle

        bundle = plan_bundle(self, BundleRequest(entities, where, at, before, projection, checkpoint, html))
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
        """Make a page that shows what happened to some entities and checks their records, as `esctl report` does.

        `html` of the result is the page. Raises UsageError if it would be too large.

        >>> made = store.report("account-017", from_="2024-03-01", to="2024-03-10")
        >>> Path("report.html").write_bytes(made.html) == len(made.html)
        True
        """
        from esctl.page.case import Case, read_case
        from esctl.page.make import ReportRequest, make_report

        case_read = Case() if case is None else read_case(Path(case))
        return make_report(self, ReportRequest(entities, at, from_, to, known_at, projection, checkpoint, case_read))


@contextmanager
def _all_readers(
    sources: Sequence[str | Path | Source | SourceReader | Connection],
    how: IngestOptions,
    workers: Workers | None,
    store: OpenStore,
) -> Iterator[Iterable[SourceReader]]:
    known = store.store_state.cursors if workers is not None else {}
    readers = [_readers(group, how, workers, known) for group in _find_sources(sources)]
    try:
        yield chain.from_iterable(readers)
    finally:
        for each in readers:  # generators that find readers ahead may hold resources
            getattr(each, "close", lambda: None)()


def _find_sources(
    sources: Iterable[str | Path | Source | SourceReader | Connection],
) -> list[list[Source] | SourceReader | Connection]:
    """Find the named sources; files that follow one another are listed together."""
    from esctl.sources.files.finding import Source, expand
    from esctl.sources.live import connect, from_url, kind_of

    groups: list[list[Source] | SourceReader | Connection] = []
    for source in sources:
        if isinstance(source, str) and kind_of(source):
            groups.append(connect(from_url(source, {}, {}), lambda text: None))
            continue
        if not isinstance(source, str | Path | Source):
            groups.append(source)
            continue
        files = [source] if isinstance(source, Source) else expand([str(source)])
        if groups and isinstance(groups[-1], list):
            groups[-1] += files
        else:
            groups.append(files)
    return groups


def _readers(
    source: list[Source] | SourceReader | Connection,
    how: IngestOptions,
    workers: Workers | None,
    known: Mapping[str, Cursor],
) -> Iterable[SourceReader]:
    """Return the readers of some files (by workers, if there are any), or those of another source."""
    from esctl.sources.files.reading import file_readers

    if not isinstance(source, list):
        return source.readers(how.source) if hasattr(source, "readers") else [source]
    if workers is None:
        return file_readers(source, how.source)
    from esctl.sources.files.elsewhere import readers_ahead

    return readers_ahead(source, how.source, workers, known)
