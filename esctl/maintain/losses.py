"""The evidence lost to a damaged segment or commit: which records, of which sources and times."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from esctl.engine.duckdb import explained
from esctl.errors import InputError
from esctl.index.files.manifest import read_manifest
from esctl.index.files.readers import announce_reader
from esctl.index.scan import OWN_TIME, IndexView
from esctl.ledger.check.commits import Chain
from esctl.ledger.check.files import check_segments
from esctl.ledger.check.findings import Finding
from esctl.ledger.check.heads import Heads, check_pin
from esctl.ledger.sign.checkpoints import checkpoint_files, read_checkpoint
from esctl.ledger.sign.last_seen import Pin
from esctl.log.commit_json import stored_time
from esctl.log.store_state import SEGMENT_NAME, SegmentEntry
from esctl.storage.local import entries, subfolders

if TYPE_CHECKING:
    import duckdb

_COMMIT = re.compile(r"commits/(\d{20})\.json", re.ASCII)
_NAMED = 5


class Loss(Struct, frozen=True):
    """A damaged piece of evidence; `first` and `last` are the positions that it covered, None if unknown."""

    file: str
    first: int | None
    last: int | None
    message: str


def find_losses(chain: Chain, pin: Pin | None, connection: duckdb.DuckDBPyConnection) -> list[Loss]:
    """List the evidence that is lost: the identity, commits, segments, or a head that was seen here before.

    Changes nothing. Includes what an index still knows about the records.
    """
    found = [
        Loss(finding.file, None, None, f"{finding.message}; the commits were made for the one that was there")
        for check in chain.checks
        if check.rule == "identity"
        for finding in check.findings
    ]
    for check in chain.checks:
        if check.rule in ("commits", "summaries"):
            findings = [one for one in check.findings if check.rule == "commits" or one.kind == "rolled back"]
            found += [_commit_loss(chain, finding) for finding in findings]
    for finding in check_segments(chain).findings:
        entry = next(entry for entry in chain.segments if f"log/{entry.file}" == finding.file)
        found.append(_segment_loss(chain, finding, entry, connection))
    if not found:
        for finding in check_pin(Heads(chain, chain.roots), pin).findings:
            known = pin is not None and finding.position is not None
            last = pin.size if known and pin is not None else None
            found.append(Loss(finding.file, finding.position, last, f"{finding.message}, as was last seen here"))
    return found


def _commit_loss(chain: Chain, finding: Finding) -> Loss:
    """Return the loss of a commit: the positions between the commits around it."""
    named = _COMMIT.fullmatch(finding.file)
    if named is None:
        return Loss(finding.file, None, None, f"{finding.message}: commits after the last one there are missing")
    seq = int(named[1])
    before = max((one.tree.size for one in chain.commits if one.seq < seq), default=0)
    later = [one for one in chain.commits if one.seq > seq]
    held = [entry for one in later[:1] for entry in one.add]
    after = min([entry.first - 1 for entry in held] or [one.tree.size for one in later[:1]], default=None)
    if after is not None and after <= before:
        return Loss(finding.file, None, None, f"{finding.message}: it added no records")
    files = _unnamed_segments(chain, before + 1, after)
    where = f"the records themselves may be in {', '.join(files)}" if files else "no file of them is there"
    ended = "" if after is not None else " (and perhaps more: nobody knows how many)"
    return Loss(
        finding.file, before + 1, after, f"{finding.message}: what it said of its records is lost{ended}; {where}"
    )


def _unnamed_segments(chain: Chain, first: int, last: int | None) -> list[str]:
    named = {entry.file for commit in chain.commits for entry in commit.add}
    found = []
    for name in sorted(entries(chain.path / "log")):
        match = SEGMENT_NAME.fullmatch(name)
        if match and name not in named and int(match[2]) >= first and (last is None or int(match[1]) <= last):
            found.append(f"log/{name}")
    return found[:_NAMED]


def _segment_loss(chain: Chain, finding: Finding, entry: SegmentEntry, connection: duckdb.DuckDBPyConnection) -> Loss:
    times = f"{stored_time(entry.min_recorded_at)} to {stored_time(entry.max_recorded_at)}"
    parts = [
        f"{finding.message}: {entry.last - entry.first + 1} records are lost, recorded {times}",
        _describe_indexed(chain, entry, connection),
        _describe_proven(chain, entry.first),
        f"restore it from a copy with the SHA-256 {entry.sha256}",
    ]
    return Loss(finding.file, entry.first, entry.last, "; ".join(parts))


def _describe_proven(chain: Chain, first: int) -> str:
    """Return which checkpoints the records before a loss still prove, as text."""
    sizes = dict(_checkpoint_sizes(chain))
    whole = [name for name, size in sizes.items() if size < first]
    broken = [name for name, size in sizes.items() if size >= first]
    if not sizes:
        return "no checkpoint was made"
    kept = f"what is left proves {whole[-1]} and those before it" if whole else "what is left proves no checkpoint"
    return f"{kept}; {len(broken)} that cover the loss cannot be checked" if broken else kept


def _checkpoint_sizes(chain: Chain) -> Iterator[tuple[str, int]]:
    for path in checkpoint_files(chain.path):
        try:
            yield path.name, read_checkpoint(path).head.size
        except (InputError, ValueError):
            continue


def _describe_indexed(chain: Chain, entry: SegmentEntry, connection: duckdb.DuckDBPyConnection) -> str:
    """Return what an index still knows about a segment's records, as text: their sources, and when they happened."""
    sql = f"""SELECT list(DISTINCT source ORDER BY source), epoch_us(min(time)), epoch_us(max(time))
        FROM (SELECT source, {OWN_TIME} FROM (%s) WHERE position BETWEEN {entry.first} AND {entry.last})"""
    columns = ["source", "time", "undated", "invalid", "position"]
    for folder in subfolders(chain.path / "index"):
        try:
            reader, manifest = announce_reader(folder), read_manifest(folder)
            if manifest is None or manifest.head < entry.last:
                continue
            view = IndexView(folder, manifest, reading=reader)
            with explained():
                row = connection.execute(sql % view.relation(columns)).fetchone()
        except InputError:
            continue
        if row is not None and row[0]:
            more = f" and {len(row[0]) - _NAMED} more" if len(row[0]) > _NAMED else ""
            is_dated = row[1] is not None
            happened = f"{stored_time(row[1])} to {stored_time(row[2])}" if is_dated else "at no time that is known"
            return f"index/{folder.name} still knows them: of {', '.join(row[0][:_NAMED])}{more}, happened {happened}"
    return "no index knows of them"
