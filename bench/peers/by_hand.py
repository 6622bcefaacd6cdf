"""What somebody who knows DuckDB writes by hand: `by_hand.py JOB LOG PARQUET OUT [ARGUMENT...]`.

The log becomes Parquet with one COPY; then one query a job. Each prints the same JSON Lines as the other contestants.
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

INGEST = """
    COPY (SELECT id, type, time, actor, data FROM read_json('{log}', format = 'newline_delimited',
        columns = {{id: 'VARCHAR', type: 'VARCHAR', time: 'TIMESTAMP', actor: 'VARCHAR',
            data: 'STRUCT("account" VARCHAR, "from" VARCHAR, "to" VARCHAR, amount DECIMAL(18,2),
                          owner VARCHAR, address VARCHAR, reason VARCHAR)'}})) TO '{parquet}' (FORMAT parquet)"""

# One row per event and account, duplicates out; `delta` is what the event does to the balance.
ROWS = """
    e AS (SELECT DISTINCT id, type, time, actor, data FROM '{parquet}' WHERE {bound}),
    r AS (SELECT id, type, time, actor, data.account AS entity, data.owner AS owner, data.address AS address,
                 CASE type WHEN 'MoneyDeposited' THEN data.amount WHEN 'MoneyWithdrawn' THEN -data.amount END AS delta
          FROM e WHERE data.account IS NOT NULL
          UNION ALL SELECT id, type, time, actor, data."from", NULL, NULL, -data.amount
              FROM e WHERE type = 'MoneyTransferred'
          UNION ALL SELECT id, type, time, actor, data."to", NULL, NULL, data.amount
              FROM e WHERE type = 'MoneyTransferred')"""

STATES = """
    starts AS (SELECT entity, max(time) FILTER (type IN ('AccountOpened', 'AccountReopened')) AS opened,
                      max(time) FILTER (type = 'AccountClosed') AS closed, max(time) AS last FROM r GROUP BY entity),
    s AS (SELECT r.entity, any_value(last) AS last, any_value(closed) AS closed,
            arg_max(owner, time) FILTER (owner IS NOT NULL AND (closed IS NULL OR time > closed)) AS owner,
            arg_max(address, time) FILTER (address IS NOT NULL AND (closed IS NULL OR time > closed)) AS address,
            sum(delta) FILTER ((opened IS NULL OR time >= opened) AND (closed IS NULL OR time > closed)) AS total,
            any_value(opened) FILTER (closed IS NULL OR opened > closed) AS opened
          FROM r JOIN starts USING (entity) GROUP BY r.entity),
    states AS (SELECT entity, owner, address, CASE WHEN opened IS NULL THEN total ELSE coalesce(total, 0) END AS balance
               FROM s WHERE closed IS NULL OR last > closed)"""

LINES = """SELECT '{"entity":"' || entity || '","owner":' || coalesce(to_json(owner), 'null') ||
    ',"address":' || coalesce(to_json(address), 'null') || ',"balance":' || coalesce(balance::VARCHAR, 'null') || '}'
    FROM states"""

# Which event last had a hand in each field, and of how many the value is made; a closed account blames its closing.
BLAME = """
    starts AS (SELECT entity, max(time) FILTER (type IN ('AccountOpened', 'AccountReopened')) AS opened,
                      max(time) FILTER (type = 'AccountClosed') AS closed, max(time) AS last FROM r GROUP BY entity),
    alive AS (SELECT r.*, {{'id': id, 'type': type, 'time': time, 'actor': actor}} AS event, closed, last,
                     (closed IS NULL OR time > closed) AS lives, (opened IS NULL OR time >= opened) AS counts,
                     type IN ('AccountOpened', 'AccountReopened') AS opens
              FROM r JOIN starts USING (entity)),
    b AS (SELECT entity, any_value(closed) = any_value(last) AS gone, arg_max(event, time) AS final,
            arg_max(event, time) FILTER (lives AND owner IS NOT NULL) AS owner_by,
            arg_max(owner, time) FILTER (lives AND owner IS NOT NULL) AS owner,
            arg_max(event, time) FILTER (lives AND address IS NOT NULL) AS address_by,
            arg_max(address, time) FILTER (lives AND address IS NOT NULL) AS address,
            arg_max(event, time) FILTER (lives AND counts AND (opens OR delta IS NOT NULL)) AS balance_by,
            count(*) FILTER (lives AND counts AND (opens OR delta IS NOT NULL)) AS made,
            coalesce(sum(delta) FILTER (lives AND counts), 0) AS balance
          FROM alive GROUP BY entity),
    f AS (SELECT entity, unnest(CASE WHEN gone THEN [{{'field': NULL, 'value': NULL, 'made': 0, 'by': final}}] ELSE [
            {{'field': 'owner', 'value': to_json(owner)::VARCHAR, 'made': 1, 'by': owner_by}},
            {{'field': 'address', 'value': to_json(address)::VARCHAR, 'made': 1, 'by': address_by}},
            {{'field': 'balance', 'value': balance::VARCHAR, 'made': made, 'by': balance_by}}] END) AS x FROM b)
    SELECT '{{"entity":"' || entity || '","field":' || coalesce(to_json(x.field), 'null') || ',"value":' ||
        coalesce(x.value, 'null') || ',"contributions":' || x.made || ',"id":"' || x.by.id || '","type":"' ||
        x.by.type || '","time":"' || strftime(x.by.time, '%Y-%m-%dT%H:%M:%S.%fZ') || '","actor":"' || x.by.actor ||
        '"}}' FROM f WHERE x.by IS NOT NULL ORDER BY entity, x.field"""


def main(job: str, log: str, parquet: str, out: str, *arguments: str) -> None:
    """Do one job."""
    connection = duckdb.connect()
    if job == "ingest":
        connection.execute(INGEST.format(log=log, parquet=parquet))
        return
    plain = "FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x01'"
    connection.execute(f"COPY ({query(job, parquet, arguments)}) TO '{out}' ({plain})")


def query(job: str, parquet: str, arguments: tuple[str, ...]) -> str:
    """Write the query of a job."""
    if job == "replay":
        return f"WITH {ROWS.format(parquet=parquet, bound=_until(arguments[0]))}, {STATES} {LINES}"
    if job == "blame":
        return f"WITH {ROWS.format(parquet=parquet, bound=_until(arguments[0]))}, {BLAME.format()}"
    if job == "replay_one":
        mine = f'list_contains([data.account, data."from", data."to"], \'{arguments[1]}\') AND {_until(arguments[0])}'
        return f"WITH {ROWS.format(parquet=parquet, bound=mine)}, {STATES} {LINES} WHERE entity = '{arguments[1]}'"
    if job == "audit_one":
        mine = f'list_contains([data.account, data."from", data."to"], \'{arguments[0]}\')'
        return (
            f"WITH {ROWS.format(parquet=parquet, bound=mine)} SELECT '{{\"id\":\"' || id || '\"}}' FROM r "
            f"WHERE entity = '{arguments[0]}' ORDER BY time"
        )
    assert job == "diff"
    sides = [
        f"(WITH {ROWS.format(parquet=parquet, bound=_until(point))}, {STATES} SELECT * FROM states)"
        for point in arguments
    ]
    fields = " UNION ALL ".join(
        f"""SELECT coalesce(x.entity, y.entity) AS entity, '{field}' AS field FROM x FULL JOIN y ON x.entity = y.entity
            WHERE x.{field} IS DISTINCT FROM y.{field}"""
        for field in ("owner", "address", "balance")
    )
    return f"""WITH x AS MATERIALIZED {sides[0]}, y AS MATERIALIZED {sides[1]}
        SELECT '{{"entity":"' || entity || '","field":"' || field || '"}}' FROM ({fields})"""


def _until(point: str) -> str:
    return f"time <= TIMESTAMPTZ '{point}'::TIMESTAMP" if point else "true"


if __name__ == "__main__":
    Path(sys.argv[4]).parent.mkdir(parents=True, exist_ok=True)
    main(*sys.argv[1:])
