"""Parquet, zstd."""

from __future__ import annotations

from typing import Any, BinaryIO

from esctl.output.selection import Selection
from esctl.output.target import Target, Written
from esctl.output.writers.columnar import record_batches
from esctl.output.zone import Zone


def write_parquet(selection: Selection, connection: Any, target: Target, zone: Zone, sink: BinaryIO) -> Written:
    """Write rows as one Parquet file; times are instants in UTC, whatever the zone of the target."""
    import pyarrow.parquet as pq

    count = 0
    with (
        record_batches(selection, connection, target.limit) as (schema, batches),
        pq.ParquetWriter(sink, schema, compression="zstd") as writer,
    ):
        for batch in batches:
            writer.write_batch(batch)
            count += batch.num_rows
    return Written(count)
