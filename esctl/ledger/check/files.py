"""Check the files of a store against their recorded sizes and SHA-256."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from esctl.errors import InputError
from esctl.index.envelope.map_options import FILE, read_overrides
from esctl.index.files.groups import GroupPart
from esctl.index.files.levels import parts_of, with_groups
from esctl.index.files.manifest import (
    FILES,
    LARGEST_MANIFEST,
    MANIFEST,
    IdRun,
    IndexFile,
    Manifest,
    digest_holds,
    read_manifest,
)
from esctl.index.files.readers import ReaderShare, announce_reader
from esctl.ledger.check.commits import Chain
from esctl.ledger.check.findings import Check, Digest, Finding
from esctl.log.merkle import BLOCK
from esctl.log.ranges import ByteRange, damage
from esctl.saved_states.files import list_snapshots
from esctl.storage.local import entries, open_plain, read_regular, subfolders
from esctl.storage.places import exists


def digest_of(path: Path) -> Digest | None:
    """Return the size and hash of a file; None if it is missing or cannot be read."""
    try:
        with open(open_plain(path), "rb") as file:
            return os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def digests_of(paths: Iterable[Path]) -> list[Digest | None]:
    """Hash files, on all cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(digest_of, paths))


def check_segments(chain: Chain, digests: Sequence[Digest | None] | None = None) -> Check:
    """Check the segments in force. `digests` are those of their files, if they are known."""
    known = {entry.sha256: entry.file for commit in chain.commits for entry in commit.add}
    if digests is None:
        digests = digests_of(chain.path / "log" / entry.file for entry in chain.segments)
    findings = []
    for entry, digest in zip(chain.segments, digests, strict=True):
        if digest != (entry.size, entry.sha256):
            kind, message = _describe_digest(digest, (entry.size, entry.sha256), known)
            place = (f"log/{entry.file}", entry.first, (entry.first - 1) // BLOCK)
            findings.append(Finding(kind, message, *place))
    left = {name for commit in chain.commits for name in commit.remove} & set(entries(chain.path / "log"))
    note = f"{len(left)} replaced files still lie there: removed by the next ingest, or repair" if left else ""
    return Check("segments", "the commits", len(digests), tuple(findings), note=note)


def _describe_digest(digest: Digest | None, expected: Digest, known: dict[str, str]) -> tuple:  # type: ignore[type-arg]
    if digest is None:
        return "removed", "it is missing"
    if digest[1] in known:
        return "file replaced", f"it is {known[digest[1]]}"
    if digest[0] != expected[0]:
        return "changed", f"it has {digest[0]:,} bytes, {expected[0]:,} were committed"
    return "changed", "it is not what was committed"


def check_overrides(store: Path) -> Check | None:
    """Check the file that keeps `--map` options; None if there is none."""
    if not exists(store / FILE):
        return None
    try:
        read_overrides(store)
    except InputError:
        found = [Finding("changed", "it is not as it was written; give --map anew", FILE)]
    else:
        found = []
    return Check("mapping", "its own digest", 1, tuple(found))


def check_states(store: Path) -> Check | None:
    """Check the snapshots of states; None if there are none. No answer uses a damaged one."""
    found, count = list[Finding](), 0
    for path, snapshot in list_snapshots(store):
        count += 1
        place = path.parent.relative_to(store)
        if snapshot is None:
            found.append(_unfit_finding(place / path.name))
            continue
        count += 2
        parts = (snapshot.cells, snapshot.lines)
        digests = digests_of(path.parent / part.file for part in parts)
        pairs = zip(parts, digests, strict=True)
        found += [_unfit_finding(place / part.file) for part, digest in pairs if digest != (part.bytes, part.sha256)]
    return Check("snapshots", "their manifests", count, tuple(found)) if count else None


def _unfit_finding(place: Path) -> Finding:
    return Finding("index out of step", "it is not as it was written, and is not used: make it anew", str(place))


class IndexPart(Struct, frozen=True):
    """A file of an index, as its manifest has it."""

    path: Path
    bytes: int
    ranges: tuple[ByteRange, ...]


def damage_of(part: IndexPart) -> str:
    """Return what is wrong with a file of an index; empty if nothing is."""
    return damage(part.path, part.bytes, part.ranges)


def announce_readers(chain: Chain) -> list[ReaderShare | None]:
    """Announce a reader of every index: while the result is kept, files that a manifest names now stay."""
    return [announce_reader(folder) for folder in _index_folders(chain)]


def index_parts(chain: Chain) -> list[IndexPart]:
    """List the files of all indexes whose manifests can be read."""
    found = []
    for folder in _index_folders(chain):
        with suppress(InputError):
            manifest = _read_sealed_manifest(folder)
            found += [
                _index_part(folder, file) for file in (_list_files(folder, manifest) if manifest is not None else ())
            ]
    return found


def _index_part(folder: Path, file: GroupPart | IndexFile | IdRun) -> IndexPart:
    return IndexPart(folder / file.file, file.bytes, tuple(file.ranges))


def _index_folders(chain: Chain) -> list[Path]:
    index = chain.path / "index"
    return sorted([*subfolders(index), *(index / name for name in entries(index))])  # plain files do not belong


def check_index_files(chain: Chain, damages: Mapping[Path, str] | None = None) -> Check:
    """Check the files of all indexes, whatever their mapping. `damages`: what is wrong with files, if that is known."""
    count, findings, notes = 0, list[Finding](), list[str]()
    for folder in _index_folders(chain):
        place = f"index/{folder.name}"
        try:
            manifest = _read_sealed_manifest(folder)
        except InputError as error:
            findings.append(Finding("index out of step", _short_message(error), f"{place}/{MANIFEST}"))
            continue
        if manifest is None:
            continue
        count += 1 + len(manifest.names)
        if chain.store_state is not None and manifest.head > _newest_head(chain):
            message = f"it covers {manifest.head} records, the log has {chain.store_state.head}"
            findings.append(Finding("rolled back", message, f"{place}/{MANIFEST}", chain.store_state.head + 1))
        elif chain.store_state is not None and manifest.redactions < len(chain.store_state.redactions):
            notes.append(f"{place} was built before records were erased: the next question builds it anew")
        elif manifest.head < chain.tree.size:
            notes.append(f"{place} ends at {manifest.head}: the next question brings it up to date")
        findings += _index_findings(folder, place, manifest, damages or {})
    return Check("index files", "the index's manifest", count, tuple(findings), note="; ".join(notes))


def unnamed_files(folder: Path) -> list[str]:
    """List the index files that no manifest names, which are kept for their readers for a while."""
    manifest = read_manifest(folder)
    named = manifest.names if manifest is not None else frozenset()
    return [name for name in sorted(entries(folder)) if name.endswith(FILES) and name not in named]


def index_problem(folder: Path, chain: Chain) -> str:
    """Return why the index in a folder cannot be used as it is; empty if it can, or there is none."""
    reader = announce_reader(folder)  # kept until its files are compared
    try:
        return _index_problem(folder, chain)
    finally:
        del reader


def _index_problem(folder: Path, chain: Chain) -> str:
    try:
        manifest = _read_sealed_manifest(folder)
    except InputError as error:
        return _short_message(error)
    if manifest is None:
        left = [name for name in entries(folder) if name.endswith(".parquet")]
        return "it has files and no manifest that can be read" if left else ""
    if chain.store_state is not None and manifest.head > _newest_head(chain):
        return f"it covers {manifest.head} records, the log has {chain.store_state.head}"
    if chain.store_state is not None and manifest.redactions < len(chain.store_state.redactions):
        return "it was built before records were erased"
    found = _index_findings(folder, "", manifest)
    return f"{found[0].file.removeprefix('/')}: {found[0].message}" if found else ""


def _newest_head(chain: Chain) -> int:
    """Return the present head of the log, which an ingest may have moved meanwhile."""
    from esctl.log.commits import open_log

    try:
        return open_log(chain.path).read().head
    except InputError:
        return chain.tree.size


def _read_sealed_manifest(folder: Path) -> Manifest | None:
    path = folder / MANIFEST
    try:
        intact = digest_holds(read_regular(path, LARGEST_MANIFEST).decode("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, InputError, ValueError):
        intact = False
    if not intact:
        raise InputError(f"{path} is not as it was written")
    return read_manifest(folder)


def _list_files(folder: Path, manifest: Manifest) -> list[IndexFile | IdRun]:
    """List the files of an index. Raises InputError for a part of its manifest that cannot be read."""
    files = with_groups(folder, manifest.files, manifest.runs)
    return [*files, *(run for run in manifest.ids if run.count)]


def _index_findings(
    folder: Path, place: str, manifest: Manifest, known: Mapping[Path, str] | None = None
) -> Sequence[Finding]:
    """Find the parts of a manifest that are not as they were written, or, if all are, such files of the index."""
    if found := _find_damage(folder, place, [(part, 1) for part in parts_of(manifest)], {}):
        return found
    return _find_damage(folder, place, [(file, file.first) for file in _list_files(folder, manifest)], known or {})


def _find_damage(
    folder: Path, place: str, files: Iterable[tuple[GroupPart | IndexFile | IdRun, int]], known: Mapping[Path, str]
) -> Sequence[Finding]:
    found = []
    for file, first in files:
        part = _index_part(folder, file)
        if message := known[part.path] if part.path in known else damage_of(part):
            found.append(Finding("index out of step", message, f"{place}/{file.file}", first))
    return found


def _short_message(error: InputError) -> str:
    return error.message.rpartition("/")[2]
