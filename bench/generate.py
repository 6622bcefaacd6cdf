"""Write a seeded bank log of any size as JSON Lines: `python bench/generate.py N PATH`.

Accounts are opened, paid into and out of, moved, closed and reopened; transfers concern two accounts; one event in a
thousand is delivered twice. Amounts are exact cents. DuckDB's hash makes every value a function of the event's number:
same N, same bytes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

# Event i concerns account hash(i) % accounts; the first of each account opens it. Types by i's own hash.
_EVENTS = """
    SELECT i, 'evt-' || i AS id,
        strftime(TIMESTAMP '2024-01-01' + to_milliseconds(i * 400), '%Y-%m-%dT%H:%M:%S.%gZ') AS time,
        'account-' || CASE WHEN i <= {accounts} THEN i ELSE hash(i, 'a') % {accounts} + 1 END AS account,
        'account-' || (hash(i, 'b') % {accounts} + 1) AS other,
        'teller-' || (hash(i, 'c') % 40) AS actor,
        (hash(i, 'd') % 100000) // 100 || '.' || lpad(((hash(i, 'd') % 100000) % 100)::VARCHAR, 2, '0') AS amount,
        hash(i, 'e') % 300 || ' Mill Lane' AS address,
        CASE WHEN i <= {accounts} THEN 'AccountOpened' ELSE
            CASE hash(i, 'f') % 100 WHEN 0 THEN 'AccountClosed' WHEN 1 THEN 'AccountReopened' ELSE
                CASE WHEN hash(i, 'f') % 10 = 2 THEN 'AddressChanged'
                    WHEN hash(i, 'f') % 10 IN (3, 4) THEN 'MoneyTransferred'
                    WHEN hash(i, 'f') % 10 IN (5, 6, 7) THEN 'MoneyWithdrawn' ELSE 'MoneyDeposited' END
            END END AS type
    FROM range(1, {events} + 1) t(i)"""

_LINE = """
    '{"id":"' || id || '","type":"' || type || '","time":"' || time || '","actor":"' || actor || '","data":{' ||
        CASE type
        WHEN 'MoneyTransferred' THEN '"from":"' || account || '","to":"' || other || '","amount":' || amount
        WHEN 'AddressChanged' THEN '"account":"' || account || '","address":"' || address || '"'
        WHEN 'AccountClosed' THEN '"account":"' || account || '","reason":"moved"'
        WHEN 'MoneyDeposited' THEN '"account":"' || account || '","amount":' || amount
        WHEN 'MoneyWithdrawn' THEN '"account":"' || account || '","amount":' || amount
        ELSE '"account":"' || account || '","owner":"customer ' || account || '","address":"' || address || '"'
        END || '}}'"""


def generate(events: int, path: Path) -> None:
    """Write `events` events (and one duplicate in a thousand) to a file, in order of time."""
    accounts = max(events // 20, 10)
    lines = f"SELECT i, {_LINE} AS line FROM ({_EVENTS.format(accounts=accounts, events=events)})"
    again = f"SELECT i + 500, line FROM ({lines}) WHERE i % 1000 = 7"
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT line FROM ({lines} UNION ALL {again}) t(i, line) ORDER BY i, line) TO '{path}' "
            "(FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x01')"
        )


if __name__ == "__main__":
    generate(int(sys.argv[1]), Path(sys.argv[2]))
