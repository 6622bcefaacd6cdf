"""The queries of `by_hand.py`, over the Parquet file that its COPY made of the log.

Accounts are closed and reopened, an event concerns one account or two, some are delivered twice, some come late: the
queries have to handle all of that, as the projection in `esctl.toml` does. No two events have the same time.
"""

from __future__ import annotations

from collections.abc import Sequence

INGEST = """
    COPY (SELECT id, type, time, actor, data FROM read_json('{log}', format = 'newline_delimited',
        columns = {{id: 'VARCHAR', type: 'VARCHAR', time: 'TIMESTAMP', actor: 'VARCHAR',
            data: 'STRUCT("account" VARCHAR, "from" VARCHAR, "to" VARCHAR, amount DECIMAL(18,2),
                          owner VARCHAR, address VARCHAR, reason VARCHAR)'}})) TO '{parquet}' (FORMAT parquet)"""

# Duplicates are found by their ids alone, which is cheaper than DISTINCT over whole events.
_ROWS = """
    p AS (SELECT *, file_row_number + 1 AS position FROM read_parquet('{parquet}', file_row_number = true)
          WHERE {bound}),
    again AS (SELECT id, min(position) AS kept FROM p GROUP BY id HAVING count(*) > 1),
    e AS (SELECT p.* FROM p LEFT JOIN again USING (id) WHERE kept IS NULL OR position = kept),
    r AS (SELECT position, id, type, time, actor, data.account AS entity, data.owner AS owner, data.address AS address,
                 CASE type WHEN 'MoneyDeposited' THEN data.amount WHEN 'MoneyWithdrawn' THEN -data.amount END AS delta
          FROM e WHERE data.account IS NOT NULL
          UNION ALL SELECT position, id, type, time, actor, data."from", NULL, NULL, -data.amount
              FROM e WHERE type = 'MoneyTransferred'
          UNION ALL SELECT position, id, type, time, actor, data."to", NULL, NULL, data.amount
              FROM e WHERE type = 'MoneyTransferred')"""

_OPENS = "type IN ('AccountOpened', 'AccountReopened')"

# `upto` picks the rows up to one point, so that both states of a diff come from one pass over the rows.
_STATES = """
    starts{n} AS (SELECT entity, max(time) FILTER ({opens}) AS opened,
                      max(time) FILTER (type = 'AccountClosed') AS closed, max(time) AS last
                  FROM r WHERE {upto} GROUP BY entity),
    s{n} AS (SELECT r.entity, any_value(last) AS last, any_value(closed) AS closed,
            arg_max(owner, time) FILTER (owner IS NOT NULL AND (closed IS NULL OR time > closed)) AS owner,
            arg_max(address, time) FILTER (address IS NOT NULL AND (closed IS NULL OR time > closed)) AS address,
            sum(delta) FILTER ((opened IS NULL OR time >= opened) AND (closed IS NULL OR time > closed)) AS total,
            any_value(opened) FILTER (closed IS NULL OR opened > closed) AS opened
          FROM r JOIN starts{n} USING (entity) WHERE {upto} GROUP BY r.entity),
    states{n} AS (SELECT entity, owner, address,
            CASE WHEN opened IS NULL THEN total ELSE coalesce(total, 0) END AS balance
        FROM s{n} WHERE closed IS NULL OR last > closed)"""

_LINES = """SELECT '{"entity":"' || entity || '","owner":' || coalesce(to_json(owner), 'null') ||
    ',"address":' || coalesce(to_json(address), 'null') || ',"balance":' || coalesce(balance::VARCHAR, 'null') || '}'
    FROM states"""

# The event that last set each field, and how many made its value; for a closed account, the event that closed it.
_BLAME = """
    starts AS (SELECT entity, max(time) FILTER ({opens}) AS opened,
                      max(time) FILTER (type = 'AccountClosed') AS closed, max(time) AS last FROM r GROUP BY entity),
    alive AS (SELECT r.*, {{'id': id, 'type': type, 'time': time, 'actor': actor}} AS event, closed, last,
                     (closed IS NULL OR time > closed) AS lives, (opened IS NULL OR time >= opened) AS counts,
                     {opens} AS opens
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

# The balance after each event: a life begins after a closing, a span with an opening.
_TRAIL = """
    lives AS (SELECT *, count(*) FILTER (type = 'AccountClosed') OVER (PARTITION BY entity ORDER BY time
                  ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS life FROM r),
    spans AS (SELECT *, count(*) FILTER ({opens}) OVER (PARTITION BY entity, life ORDER BY time) AS span FROM lives),
    trail AS (SELECT *, CASE WHEN type <> 'AccountClosed' THEN
                  coalesce(sum(delta) OVER (PARTITION BY entity, life, span ORDER BY time),
                           CASE WHEN span > 0 THEN 0 END) END AS balance FROM spans)"""


def query(job: str, parquet: str, arguments: Sequence[str]) -> str:
    """Return the query of a job."""
    return _QUERIES[job](parquet, *arguments)


def _replay(parquet: str, at: str) -> str:
    return f"WITH {_rows(parquet, _until(at))}, {_states('')} {_LINES}"


def _replay_one(parquet: str, at: str, entity: str) -> str:
    mine = f"{_concerns(entity)} AND {_until(at)}"
    return f"WITH {_rows(parquet, mine)}, {_states('')} {_LINES} WHERE entity = '{entity}'"


def _audit_one(parquet: str, entity: str) -> str:
    return f"""WITH {_rows(parquet, _concerns(entity))}, {_TRAIL.format(opens=_OPENS)}
        SELECT '{{"id":"' || id || '","balance":' || coalesce(balance::VARCHAR, 'null') || '}}' FROM trail
        WHERE entity = '{entity}' ORDER BY time"""


def _blame(parquet: str, at: str) -> str:
    return f"WITH {_rows(parquet, _until(at))}, {_BLAME.format(opens=_OPENS)}"


def _diff(parquet: str, before: str, after: str) -> str:
    fields = " UNION ALL ".join(
        f"""SELECT coalesce(x.entity, y.entity) AS entity, '{field}' AS field, {cast.format("x")} AS before,
            {cast.format("y")} AS after FROM statesx x FULL JOIN statesy y ON x.entity = y.entity
            WHERE x.{field} IS DISTINCT FROM y.{field}"""
        for field, cast in (
            ("owner", "to_json({}.owner)::VARCHAR"),
            ("address", "to_json({}.address)::VARCHAR"),
            ("balance", "{}.balance::VARCHAR"),
        )
    )
    # Only accounts with an event between the two points can differ.
    touched = f"""t AS (SELECT DISTINCT entity, position, unnest(CASE WHEN type = 'AccountClosed' OR {_OPENS}
            THEN ['owner', 'address', 'balance'] WHEN type = 'AddressChanged' THEN ['address'] ELSE ['balance'] END)
            AS field FROM b WHERE NOT ({_until(before)}))"""
    both = f"""{_rows(parquet, _until(after)).replace(" r AS (", " b AS MATERIALIZED (")},
        r AS MATERIALIZED (SELECT * FROM b WHERE entity IN (SELECT entity FROM b WHERE NOT ({_until(before)})))"""
    return f"""WITH {both}, {_states("x", _until(before))}, {_states("y")}, {touched}
        SELECT '{{"entity":"' || entity || '","field":"' || field || '","before":' || coalesce(before, 'null') ||
            ',"after":' || coalesce(after, 'null') || ',"positions":' || to_json(list(position ORDER BY position)) ||
            '}}'
        FROM ({fields}) JOIN t USING (entity, field) GROUP BY entity, field, before, after"""


def _when(parquet: str, below: str) -> str:
    return f"""WITH {_rows(parquet, "true")}, {_TRAIL.format(opens=_OPENS)},
        m AS (SELECT *, coalesce(balance < {below}, false) AS holds,
            lag(coalesce(balance < {below}, false), 1, false) OVER (PARTITION BY entity ORDER BY time) AS held
            FROM trail QUALIFY row_number() OVER (PARTITION BY entity, time ORDER BY position DESC) = 1)
        SELECT '{{"entity":"' || entity || '","id":"' || arg_min(id, time) || '"}}' FROM m WHERE holds AND NOT held
        GROUP BY entity"""


def _series(parquet: str, step: str, points: str) -> str:
    return f"""WITH {_rows(parquet, "true")}, {_TRAIL.format(opens=_OPENS)},
        c AS (SELECT time, coalesce(balance, 0)
            - coalesce(lag(balance) OVER (PARTITION BY entity ORDER BY time), 0) AS change FROM trail),
        buckets AS (SELECT ceil(epoch_us(time - TIMESTAMP '2024-01-01') / ({step} * 1000000::BIGINT))::BIGINT AS n,
            sum(change) AS change FROM c GROUP BY n),
        points AS (SELECT unnest(range(1, {points} + 1)) AS n)
        SELECT '{{"time":"' || strftime(TIMESTAMP '2024-01-01' + to_seconds(n * {step}), '%Y-%m-%dT%H:%M:%SZ')
            || '","value":' || (SELECT sum(change) FROM buckets WHERE buckets.n <= points.n)::VARCHAR || '}}'
        FROM points"""


_QUERIES = {
    "replay": _replay,
    "replay_one": _replay_one,
    "audit_one": _audit_one,
    "blame": _blame,
    "diff": _diff,
    "when": _when,
    "series": _series,
}


def _rows(parquet: str, bound: str) -> str:
    return _ROWS.format(parquet=parquet, bound=bound)


def _states(n: str, upto: str = "true") -> str:
    return _STATES.format(n=n, upto=upto, opens=_OPENS)


def _concerns(entity: str) -> str:
    return f'list_contains([data.account, data."from", data."to"], \'{entity}\')'


def _until(point: str) -> str:
    return f"time <= TIMESTAMPTZ '{point}'::TIMESTAMP"
