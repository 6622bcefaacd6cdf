"""Where the last record of a source before a position stands in time, as the index files so far have it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from esctl.engine.duckdb import single_row
from esctl.engine.quoting import literal
from esctl.index.files.manifest import Manifest
from esctl.storage.places import fetched

if TYPE_CHECKING:
    import duckdb

TIE_SHIFT = 45
"""Bits of a tie that tell the place among events of one nanosecond; above them stand those of the nanosecond."""


Place = tuple[int, int]
"""Microseconds since the epoch, and nanoseconds."""


FindPlace = Callable[[str, int], Place | None]
"""Finds where the last record of a source before a position stands; None where there is none."""


class Before(Struct, frozen=True):
    """Where the record before a position stands in a source (`find`), and where some positions themselves do."""

    find: FindPlace
    fixed: Mapping[int, Place] = {}


def placed_before(connection: duckdb.DuckDBPyConnection, folder: Path, manifest: Manifest) -> FindPlace:
    """Return a function that finds it, in microseconds since the epoch and nanoseconds; None where there is none."""

    def find(source: str, position: int) -> Place | None:
        for file in reversed([file for file in manifest.files if file.first < position]):
            sql = f"""SELECT epoch_us(time), coalesce(tie >> {TIE_SHIFT}, 0)
                FROM read_parquet({literal(str(fetched(folder / file.file)))})
                WHERE source = {literal(source)} AND position < {int(position)} AND invalid IS NULL
                ORDER BY position DESC LIMIT 1"""
            row = single_row(connection, sql)
            if row is not None:
                return int(row[0]), int(row[1])
        return None

    return find
