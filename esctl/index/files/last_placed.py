"""Find the time of the last record of a source before a position, in the index files so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from esctl.engine.duckdb import single_row
from esctl.engine.quoting import literal
from esctl.index.files.manifest import Manifest
from esctl.storage.places import fetched_path

if TYPE_CHECKING:
    import duckdb

TIE_SHIFT = 45
"""Number of low bits of a tie that order the events of one nanosecond; the bits above hold the nanoseconds."""


Place = tuple[int, int]
"""A place in time: microseconds since the epoch, and the nanoseconds beyond them."""


FindPlace = Callable[[str, int], Place | None]
"""Finds the place of the last record of a source before a position; None if there is none."""


class Before(Struct, frozen=True):
    """Finds the place of the record before a position in its source (`find`); `fixed` has given places, by position."""

    find: FindPlace
    fixed: Mapping[int, Place] = {}


def place_finder(connection: duckdb.DuckDBPyConnection, folder: Path, manifest: Manifest) -> FindPlace:
    """Return a `FindPlace` that searches the index files of a manifest, newest first."""

    def find(source: str, position: int) -> Place | None:
        for file in reversed([file for file in manifest.files if file.first < position]):
            sql = f"""SELECT epoch_us(time), coalesce(tie >> {TIE_SHIFT}, 0)
                FROM read_parquet({literal(str(fetched_path(folder / file.file)))})
                WHERE source = {literal(source)} AND position < {int(position)} AND invalid IS NULL
                ORDER BY position DESC LIMIT 1"""
            row = single_row(connection, sql)
            if row is not None:
                return int(row[0]), int(row[1])
        return None

    return find
