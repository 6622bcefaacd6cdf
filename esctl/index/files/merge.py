"""Choose the files of an index to merge, and merge them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from esctl.engine.duckdb import relational
from esctl.engine.quoting import literal, text_list
from esctl.index.files.manifest import IndexFile, kinds_by_field
from esctl.index.files.payload_columns import MOST_COLUMNS, PayloadColumn
from esctl.index.files.write import ROW_GROUP, write_file
from esctl.index.scan import require_files
from esctl.index.seen_ids.numberings import summed_tallies

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

SIZE_UNIT = 4096
"""Files of fewer than four times this many rows are of one size; each further size is eight times as large."""
COMPACT_ROWS = 8_000_000
"""Most rows of a file that is merged on demand."""
SORTED_ROWS = 1_000_000
"""About how many rows are sorted at once."""
SAMPLED = 100
"""One position in this many is sampled to find where the parts to sort begin."""
_SUMS = (
    "rows", "events", "untyped", "unsequenced", "duplicates", "conflicts", "invalid", "homeless", "erased", "shapeless",
    "undated", "untimed",
)  # fmt: skip


def common_columns(files: Sequence[IndexFile]) -> tuple[PayloadColumn, ...] | None:
    """Return the typed columns that files have once merged; None if they cannot be merged.

    Files with different columns can be merged if no two keep a field in different types and all rows are typed: then
    the columns of all files together keep every row, too.
    """
    if len({file.sequence_key for file in files}) > 1:
        return None
    if all(file.columns == files[0].columns for file in files):
        return files[0].columns
    found: dict[str, PayloadColumn] = {}
    for column in (column for file in files for column in file.columns):
        if found.setdefault(column.name.lower(), column) != column:
            return None
    if len(found) > MOST_COLUMNS or any(file.untyped for file in files):
        return None
    return tuple(sorted(found.values(), key=lambda column: column.field))


def find_due(files: Sequence[IndexFile], fan: int, large: int) -> tuple[int, int] | None:
    """Return the start and stop of neighbouring files to merge as a log grows, or None.

    These are `fan` files of one size, or files of one size with the larger one after them. So a row is written about
    once for each size that its file grows to, however small commits are. Files of `large` rows and more are left alone.
    """
    sizes = [max(file.rows // SIZE_UNIT, 1).bit_length() // 3 if file.rows < large else -1 for file in files]
    for start, size in enumerate(sizes):
        stop = start + 1
        while stop < len(files) and sizes[stop] == size and common_columns(files[start : stop + 1]) is not None:
            stop += 1
        before_larger = stop < len(files) and sizes[stop] > size >= 0
        if before_larger and common_columns(files[start : stop + 1]) is not None:
            return start, stop + 1
        if size >= 0 and stop - start >= fan:
            return start, start + fan
    return None


def complete_groups(groups: Sequence[list[IndexFile]]) -> list[list[IndexFile]]:
    """Return the groups of several files that are complete: all but the last group, to which the log still adds."""
    return [group for group in groups[:-1] if len(group) > 1]


def is_worth_merging(group: Sequence[IndexFile], least: int) -> bool:
    """Return whether a group is worth merging: it has `least` rows, and no file has more than half of its rows."""
    rows = [file.rows for file in group]
    return sum(rows) >= max(least, 2 * max(rows))


def merge_groups(files: Sequence[IndexFile], most: int = COMPACT_ROWS) -> list[list[IndexFile]]:
    """Cut files into groups that can become one file each, of at most `most` rows."""
    groups: list[list[IndexFile]] = []
    for file in files:
        group = [*groups[-1], file] if groups else [file]
        if len(group) > 1 and sum(each.rows for each in group) <= most and common_columns(group) is not None:
            groups[-1] = group
        else:
            groups.append([file])
    return groups


def merge(connection: duckdb.DuckDBPyConnection, folder: Path, files: Sequence[IndexFile]) -> IndexFile:
    """Write neighbouring files as one, in bounded memory. Raises InputError if the folder cannot be written."""
    require_files(folder, files)  # or a merged file with new digests would hide damage
    paths = text_list([str(folder / file.file) for file in files])
    source = f"read_parquet({paths}, union_by_name = true)"
    parts = _part_conditions(connection, source, sum(file.rows for file in files))
    written = write_file(folder, _sorted_tables(connection, source, parts), files[0].first, files[-1].last)
    return replace(
        sum_files(files), file=written.file, bytes=written.bytes, groups=written.groups, footer=written.footer
    )


def _sorted_tables(connection: duckdb.DuckDBPyConnection, source: str, parts: Sequence[str]) -> Iterator[pa.Table]:
    import pyarrow as pa

    for part in parts:
        sql = f"SELECT * FROM {source} WHERE {part} ORDER BY kind, entity, position, role_order"
        reader = relational(connection).sql(sql).to_arrow_reader(ROW_GROUP)
        yield from (pa.Table.from_batches([batch], reader.schema) for batch in reader)


def _part_conditions(connection: duckdb.DuckDBPyConnection, source: str, rows: int) -> list[str]:
    """Write conditions that cut rows, in the order of kind and entity, into parts of about SORTED_ROWS.

    The files are sorted in this order too, so a part is in a few row groups of each file.
    """
    if rows <= SORTED_ROWS:
        return ["true"]
    sample = f"""SELECT kind, entity, row_number() OVER (ORDER BY kind, entity) AS number
        FROM {source} WHERE kind IS NOT NULL AND position % {SAMPLED} = 0"""
    cuts = connection.execute(
        f"SELECT DISTINCT kind, entity FROM ({sample}) WHERE number % {SORTED_ROWS // SAMPLED} = 0 ORDER BY ALL"
    ).fetchall()
    return [_range_condition(low, high) for low, high in pairwise([None, *cuts, None])]


def _range_condition(low: tuple[str, str] | None, high: tuple[str, str] | None) -> str:
    """Write the condition of rows from one kind and entity up to, but without, another; rows of no entity are last."""
    conditions = []
    if low is not None:
        kind, entity = map(literal, low)
        conditions.append(f"kind >= {kind} AND (kind > {kind} OR entity >= {entity})")
    if high is not None:
        kind, entity = map(literal, high)
        conditions.append(f"kind <= {kind} AND (kind < {kind} OR entity < {entity})")
    if low is not None and high is not None and low[0] == high[0]:  # Parquet's bounds can exclude row groups by these
        conditions = [f"entity >= {literal(low[1])} AND entity < {literal(high[1])}", f"kind = {literal(low[0])}"]
    joined = " AND ".join(conditions) or "true"
    return joined if high is not None else f"({joined} OR kind IS NULL)"


def sum_files(files: Sequence[IndexFile]) -> IndexFile:
    """Return the description of neighbouring files as one file, named as the first."""
    return replace(
        files[0],
        last=files[-1].last,
        min_time=min(file.min_time for file in files),
        max_time=max(file.max_time for file in files),
        columns=common_columns(files) or (),
        fields=tuple((name, tuple(sorted(kinds))) for name, kinds in kinds_by_field(files).items()),
        loose=tuple(sorted({name for file in files for name in file.loose})),
        tallies=summed_tallies(tally for file in files for tally in file.tallies),
        orderings=tuple(sorted({ordering for file in files for ordering in file.orderings})),
        roles=any(file.roles for file in files),
        twice=any(file.twice for file in files),
        ties=any(file.ties for file in files),
        **{key: sum(getattr(file, key) for file in files) for key in _SUMS},
    )
