"""The second level of a manifest: parts that list row groups, of which a question reads only those it may need.

A few row groups are listed in the manifest itself. If there are many, the manifest lists parts, each with its digest
and the bounds of its entities. The parts of a run are sorted by entity, over all its files; runs of one size are
merged, so an entity is looked for in a few parts however many row groups there are.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import MsgspecError, json
from msgspec.structs import replace

from esctl.errors import InputError
from esctl.index.files.groups import (
    GroupPart,
    GroupRun,
    Listing,
    PlacedGroup,
    RowGroup,
    bounds_of,
    make_listing,
    slice_by_entity,
)
from esctl.log.ranges import ByteRange, Checked
from esctl.storage.depots import LocalDepot
from esctl.storage.local import explained_reading, open_here
from esctl.storage.places import retire

if TYPE_CHECKING:
    from esctl.index.files.manifest import IndexFile, Manifest

SUFFIX = ".groups"
MOST_LISTED = 512
"""Most row groups that the manifest itself lists; if there are more, all of them go into parts."""
MOST_IN_PART = 256
"""Most row groups of a part."""
FAN = 4
"""How many runs of one size become one."""
REBUILD = "the evidence may be whole; rebuild the index with: esctl reindex"


def in_levels(folder: Path, manifest: Manifest) -> Manifest:
    """Put row groups into parts if there are too many for the manifest, and write these parts.

    A run of which an index file is gone is dissolved: its other files' row groups are listed anew. Raises InputError
    for a part that cannot be read, OSError if the folder cannot be written.
    """
    apart = {file.first for file in manifest.files if not file.groups}
    whole = [run for run in manifest.runs if apart.issuperset(run.files)]
    files = manifest.files
    if len(whole) < len(manifest.runs):
        kept = {first for run in whole for first in run.files}
        files = with_groups(folder, files, manifest.runs, lambda file: file.first not in kept)
    if sum(len(file.groups) for file in files) > MOST_LISTED:
        files, whole = _move_into_run(folder, files, whole)
    return replace(manifest, files=files, runs=tuple(whole))


def _move_into_run(
    folder: Path, files: Sequence[IndexFile], runs: list[GroupRun]
) -> tuple[tuple[IndexFile, ...], list[GroupRun]]:
    """Put all row groups that the manifest itself lists into a run, and merge runs of its size into it."""
    firsts = [file.first for file in files if file.groups]
    placed = [(file.file, group) for file in files for group in file.groups]
    while len(alike := [run for run in runs if _size(run.groups) == _size(len(placed))]) >= FAN - 1:
        placed += _read_parts(folder, [part for run in alike for part in run.parts], Checked())
        firsts += [first for run in alike for first in run.files]
        runs = [run for run in runs if run not in alike]
    parts = tuple(_write_part(folder, files, some) for some in slice_by_entity(placed, MOST_IN_PART))
    return tuple(replace(file, groups=()) for file in files), [*runs, GroupRun(tuple(sorted(firsts)), parts)]


def _size(groups: int) -> int:
    """Return the size class of a run; each class is four times as large as the one before."""
    return (groups // MOST_LISTED).bit_length() // 2


def _write_part(folder: Path, files: Sequence[IndexFile], placed: Sequence[PlacedGroup]) -> GroupPart:
    """Write a part, which is whole and durable before a manifest names it."""
    data = json.encode(make_listing(placed))
    name = f"{files[0].first:020d}-{files[-1].last:020d}.{secrets.token_hex(4)}{SUFFIX}"
    LocalDepot(folder).create(name, data)
    low, high = bounds_of(placed)
    return GroupPart(ByteRange(0, len(data), hashlib.sha256(data).hexdigest()), low, high, name, len(placed))


def retire_parts(folder: Path, before: Manifest, after: Manifest) -> None:
    """Mark for removal the parts that a manifest no longer names; they linger for those who read them."""
    named = after.names
    for part in parts_of(before):
        if part.file not in named:
            retire(folder / part.file)


def parts_of(manifest: Manifest) -> list[GroupPart]:
    """List the parts of a manifest."""
    return [part for run in manifest.runs for part in run.parts]


def groups_in(
    folder: Path,
    files: Sequence[IndexFile],
    runs: Sequence[GroupRun],
    fits: Callable[[RowGroup], bool],
    checked: Checked | None = None,
) -> dict[str, list[RowGroup]]:
    """Return the row groups of index files for which `fits` is true, by file, in the order of their bytes.

    Only parts that may list such a row group are read, and they are checked against their digests. Raises InputError,
    naming the part, if one is missing or damaged.
    """
    found = {file.file: [group for group in file.groups if fits(group)] for file in files}
    apart = {file.first for file in files if not file.groups}
    if not apart:
        return found
    asked = [part for run in runs if not apart.isdisjoint(run.files) for part in run.parts if fits(part)]
    for name, group in _read_parts(folder, asked, checked or Checked()):
        if name in found and fits(group):
            found[name].append(group)
    for file in files:
        if not file.groups:
            found[file.file].sort(key=lambda group: group.range.offset)
    return found


def with_groups(
    folder: Path,
    files: Sequence[IndexFile],
    runs: Sequence[GroupRun],
    wanted: Callable[[IndexFile], bool] = lambda file: True,
) -> tuple[IndexFile, ...]:
    """Return index files, those that are `wanted` with their row groups. Raises InputError as `groups_in` does."""
    lacking = [file for file in files if not file.groups and wanted(file)]
    if not lacking:
        return tuple(files)
    found = groups_in(folder, lacking, runs, lambda group: True)
    return tuple(replace(file, groups=tuple(found[file.file])) if file.file in found else file for file in files)


def _read_parts(folder: Path, parts: Sequence[GroupPart], checked: Checked) -> list[PlacedGroup]:
    checked.require_all([(folder / part.file, part.bytes, part.ranges) for part in parts], REBUILD)
    return [placed for part in parts for placed in _read_part(folder / part.file, part)]


def _read_part(path: Path, part: GroupPart) -> list[PlacedGroup]:
    """Read a part that was fetched, and check it against its digest again: these are the bytes that are used."""
    try:
        with explained_reading(path), open(open_here(path, links=True), "rb") as file:
            data = file.read(part.bytes)
        if hashlib.sha256(data).hexdigest() != part.range.sha256:
            raise ValueError("not as it was written")
        found = json.decode(data, type=Listing)
        if len(found.groups) != part.groups:
            raise ValueError("not as many row groups as it had")
        return [(found.files[each.file], each.group) for each in found.groups]
    except (OSError, ValueError, IndexError, MsgspecError) as error:
        raise InputError(f"{path}: it is not as it was written", REBUILD) from error
