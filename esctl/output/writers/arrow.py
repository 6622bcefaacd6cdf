"""Arrow IPC: the file format (Feather 2) in a file, the stream format in a pipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

from esctl.output.selection import Selection
from esctl.output.target import Target, Written
from esctl.output.writers.columnar import record_batches
from esctl.output.zone import Zone


def write_arrow(selection: Selection, connection: Any, target: Target, zone: Zone, sink: BinaryIO) -> Written:
    """Write rows as Arrow record batches; times are instants in UTC, whatever the zone of the target."""
    import pyarrow as pa

    create = pa.ipc.new_file if isinstance(target.destination, Path) else pa.ipc.new_stream
    count = 0
    with (
        record_batches(selection, connection, target.limit) as (schema, batches),
        create(sink, schema) as writer,
    ):
        for batch in batches:
            writer.write_batch(batch)
            count += batch.num_rows
    return Written(count)
