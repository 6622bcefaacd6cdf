"""A plain script that reads every line and folds into dicts: `script.py JOB LOG OUT [ARGUMENT...]`.

Amounts are whole cents, which are exact. Events are sorted by time before they are folded, as some come late.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO

import orjson

FIELDS = ("owner", "address", "balance")
Event = tuple[str, int, str, str, dict[str, Any]]  # time, position, id, type, data
Row = tuple[Event, str, int]  # an event, an account that it concerns, the sign of its amount for that account
States = dict[str, dict[str, Any]]


def rows(log: str, until: str = "", only: str = "") -> Iterator[Row]:
    """Yield the events up to an instant, each id once, in order of time, once for each account that they concern."""
    seen: set[str] = set()
    events: list[Event] = []
    with open(log, "rb") as file:
        for position, line in enumerate(file, 1):
            event = orjson.loads(line)
            if event["id"] not in seen and (not until or event["time"] <= until):
                seen.add(event["id"])
                events.append((event["time"], position, event["id"], event["type"], event["data"]))
    events.sort(key=lambda event: event[:2])
    for event in events:
        data = event[4]
        if event[3] == "MoneyTransferred":
            concerned = ((data["from"], -1), (data["to"], 1))
        else:
            concerned = ((data["account"], -1 if event[3] == "MoneyWithdrawn" else 1),)
        for entity, sign in concerned:
            if not only or entity == only:
                yield event, entity, sign


def apply(states: States, row: Row) -> tuple[str, ...]:
    """Fold one row; return the fields that it concerns."""
    (_, _, _, kind, data), entity, sign = row
    if kind == "AccountClosed":
        states.pop(entity, None)
        return FIELDS
    state = states.setdefault(entity, {})
    if kind in ("AccountOpened", "AccountReopened"):
        state.update(owner=data["owner"], address=data["address"], balance=0)
        return FIELDS
    if kind == "AddressChanged":
        state["address"] = data["address"]
        return ("address",)
    state["balance"] = state.get("balance", 0) + sign * round(data["amount"] * 100)
    return ("balance",)


def value_text(field: str, value: Any) -> str:
    """Return a field's value as JSON."""
    if field != "balance" or value is None:
        return orjson.dumps(value).decode()
    return f"{'-' * (value < 0)}{abs(value) // 100}.{abs(value) % 100:02d}"


def write(out: BinaryIO, **members: str) -> None:
    """Write a line with a JSON object, whose members are given as JSON."""
    out.write(("{" + ",".join(f'"{name}":{value}' for name, value in members.items()) + "}\n").encode())


def text(value: str | None) -> str:
    """Return a text as JSON."""
    return orjson.dumps(value).decode()


def replay(log: str, out: BinaryIO, at: str, only: str = "") -> None:
    """Write the states at an instant."""
    states: States = {}
    for row in rows(log, at, only):
        apply(states, row)
    for entity, state in states.items():
        write(out, entity=text(entity), **{field: value_text(field, state.get(field)) for field in FIELDS})


def audit(log: str, out: BinaryIO, entity: str) -> None:
    """Write the balance of an account after each event."""
    states: States = {}
    for row in rows(log, "", entity):
        apply(states, row)
        write(out, id=text(row[0][2]), balance=value_text("balance", states.get(entity, {}).get("balance")))


def diff(log: str, out: BinaryIO, before: str, after: str) -> None:
    """Write what differs between two instants, and the positions of the events that did it."""
    states: States = {}
    old: States = {}
    did: dict[tuple[str, str], list[int]] = {}
    for row in rows(log, after):
        (time, position, *_), entity, _ = row
        if time > before and entity not in old:
            old[entity] = dict(states.get(entity, {}))
        for field in apply(states, row):
            if time > before:
                did.setdefault((entity, field), []).append(position)
    for entity, was in old.items():
        now = states.get(entity, {})
        for field in FIELDS:
            if was.get(field) != now.get(field):
                positions = orjson.dumps(sorted(set(did[entity, field]))).decode()
                values = {"before": value_text(field, was.get(field)), "after": value_text(field, now.get(field))}
                write(out, entity=text(entity), field=text(field), **values, positions=positions)


def blame(log: str, out: BinaryIO, at: str) -> None:
    """Write each field with the event that last had a hand in it, and of how many it is made."""
    states: States = {}
    done: dict[tuple[str, str], tuple[str, int]] = {}
    last: dict[str, tuple[str, bool]] = {}
    for row in rows(log, at):
        (_, _, id_, kind, _), entity, _ = row
        last[entity] = (id_, kind == "AccountClosed")
        for field in apply(states, row):
            adds = kind.startswith("Money")
            done[entity, field] = (id_, done[entity, field][1] + 1 if adds and (entity, field) in done else 1)
        if kind == "AccountClosed":
            for field in FIELDS:
                done.pop((entity, field), None)
    for (entity, field), (id_, made) in done.items():
        value = value_text(field, states[entity][field])
        write(out, entity=text(entity), field=text(field), value=value, contributions=str(made), id=text(id_))
    for entity, (id_, closed) in last.items():
        if closed:
            write(out, entity=text(entity), field="null", value="null", contributions="0", id=text(id_))


def when(log: str, out: BinaryIO, below: str) -> None:
    """Write when each account's balance first fell below an amount."""
    states: States = {}
    found: set[str] = set()
    held = ("", "", "")  # the last event below the amount, written once no other row of it follows

    def tell() -> None:
        _, entity, id_ = held
        if entity and entity not in found:
            found.add(entity)
            write(out, entity=text(entity), id=text(id_))

    for row in rows(log):
        (_, _, id_, *_), entity, _ = row
        apply(states, row)
        if held[0] != id_ or held[1] != entity:
            tell()
        low = states.get(entity, {}).get("balance", 0) < float(below) * 100
        held = (id_, entity, id_) if low else ("", "", "")
    tell()


def series(log: str, out: BinaryIO, step: str, points: str) -> None:
    """Write the sum of all balances at points of time."""
    start = datetime(2024, 1, 1, tzinfo=UTC)
    instants = [start + timedelta(seconds=int(step) * n) for n in range(1, int(points) + 1)]
    limits = [instant.strftime("%Y-%m-%dT%H:%M:%S.000Z") for instant in instants]
    changes = [0] * (len(limits) + 1)
    states: States = {}
    for row in rows(log):
        was = states.get(row[1], {}).get("balance", 0)
        apply(states, row)
        changes[bisect_left(limits, row[0][0])] += states.get(row[1], {}).get("balance", 0) - was
    total = 0
    for instant, change in zip(instants, changes, strict=False):
        total += change
        write(out, time=text(instant.strftime("%Y-%m-%dT%H:%M:%SZ")), value=value_text("balance", total))


JOBS = {
    "replay": replay,
    "replay_one": replay,
    "audit_one": audit,
    "diff": diff,
    "blame": blame,
    "when": when,
    "series": series,
}

if __name__ == "__main__":
    with open(sys.argv[3], "wb") as sink:
        JOBS[sys.argv[1]](sys.argv[2], sink, *sys.argv[4:])
