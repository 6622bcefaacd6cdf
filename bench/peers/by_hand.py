"""The SQL that somebody who knows DuckDB writes by hand: `by_hand.py JOB LOG PARQUET OUT [ARGUMENT...]`.

One COPY makes Parquet of the log; then each job is one query, which writes the same answer as the other contestants,
as JSON Lines.
"""

from __future__ import annotations

import sys

import duckdb

from peers import sql


def main(job: str, log: str, parquet: str, out: str, *arguments: str) -> None:
    """Do one job."""
    connection = duckdb.connect()
    if job == "ingest":
        connection.execute(sql.INGEST.format(log=log, parquet=parquet))
        return
    connection.execute("SET TimeZone = 'UTC'")
    plain = "FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x01'"
    connection.execute(f"COPY ({sql.query(job, parquet, arguments)}) TO '{out}' ({plain})")


if __name__ == "__main__":
    main(*sys.argv[1:])
