"""The ends of rows whose versions say until when they hold, and are followed by no other version.

A record says when its version began and when it ended. The beginning is the event. If the next version begins by the
end, nothing else happened; otherwise the row was gone from then on, which is an event of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from esctl.ask.scope.scope import Scope
from esctl.engine.duckdb import relational
from esctl.index.decode.rows import UNTIL
from esctl.index.scan import Read
from esctl.projection.row_changes.steps import Edit, StepPart

_ENDS = "esctl_row_ends"
_UNIT = r"""CASE WHEN NOT contains(until, ':') AND NOT regexp_full_match(until, '-?[0-9.]+') THEN 86400000000
    WHEN regexp_matches(until, '[.,][0-9]{4,}') OR regexp_full_match(until, '-?[0-9]{14,}') THEN 1
    WHEN regexp_matches(until, '[.,][0-9]') OR regexp_full_match(until, '-?[0-9]{12,13}') THEN 1000 ELSE 1000000 END"""
"""Microseconds of the last digit of an end: in tables with inclusive ends, the next version begins that much later."""


def row_ends(scope: Scope, tests: Sequence[Any]) -> list[Edit]:
    """Return the ends of rows, each as an addition to the event of the row's last version."""
    if UNTIL not in scope.view.fields:
        return []
    versions = scope.view.relation(
        ["position", "kind", "entity", "time", "source", "stanza"],
        {"until": Read((UNTIL,), "text")},
        [*tests, "type = 'version'"],
        f"{scope.view.key()} AS key",
    )
    followed = f"SELECT *, lead(time) OVER (PARTITION BY kind, entity ORDER BY key) AS following FROM ({versions})"
    connection = relational(scope.connection)
    ends = connection.sql(f"SELECT * EXCLUDE (key) FROM ({followed}) WHERE until IS NOT NULL").to_arrow_table()
    connection.register(_ENDS, ends.append_column("ended", _read_ends(scope, ends)))
    try:
        last = f"following IS NULL OR epoch_us(following) > epoch_us(ended) + {_UNIT}"
        sql = f"""SELECT position, kind, entity, greatest(epoch_us(ended), epoch_us(time)) FROM {_ENDS}
            WHERE ended IS NOT NULL AND ({last}) ORDER BY position"""
        rows = connection.execute(sql).fetchall()
    finally:
        connection.unregister(_ENDS)
    return [Edit(position, (), (StepPart(e, "ended", 1, kind, time=at),)) for position, kind, e, at in rows]


def _read_ends(scope: Scope, ends: Any) -> Any:
    """Read when versions end, in the format and zone in which each source has its times."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from esctl.engine.arrow_lists import one_array
    from esctl.index.decode.times.columns import read_times
    from esctl.index.decode.times.reading import reading_of

    manifest = scope.view.manifest
    texts = one_array(ends["until"])
    found = pa.nulls(len(texts), pa.timestamp("us", tz="UTC"))
    for source in pc.unique(ends["source"]).to_pylist():
        mine = one_array(pc.equal(ends["source"], source))
        zone = manifest.zones.get(source, "UTC").partition(" ")[0]
        reading = reading_of(manifest.stanzas[manifest.sources[source]])
        times = read_times(scope.connection, texts.filter(mine), zone, reading)
        found = pc.replace_with_mask(found, mine, times)
    return found
