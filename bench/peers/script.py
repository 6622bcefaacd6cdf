"""What a plain script does: read every line, fold into dicts. `script.py JOB LOG OUT [ARGUMENT...]`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Any


def events(log: str) -> Iterator[dict[str, Any]]:
    """Read the events, each id once."""
    seen: set[str] = set()
    with open(log, encoding="utf-8") as file:
        for line in file:
            event = json.loads(line, parse_float=Decimal)
            if event["id"] not in seen:
                seen.add(event["id"])
                yield event


def apply(states: dict[str, dict[str, Any]], event: dict[str, Any], only: str = "") -> None:
    """Fold one event."""
    kind, data = event["type"], event["data"]
    if kind == "MoneyTransferred":
        for role, sign in (("from", -1), ("to", 1)):
            if not only or data[role] == only:
                state = states.setdefault(data[role], {})
                state["balance"] = state.get("balance", 0) + sign * data["amount"]
        return
    entity = data["account"]
    if only and entity != only:
        return
    if kind == "AccountClosed":
        states.pop(entity, None)
        return
    state = states.setdefault(entity, {})
    if kind in ("AccountOpened", "AccountReopened"):
        state.update(owner=data["owner"], address=data["address"], balance=Decimal(0))
    elif kind == "AddressChanged":
        state["address"] = data["address"]
    else:
        amount = data["amount"] if kind == "MoneyDeposited" else -data["amount"]
        state["balance"] = state.get("balance", 0) + amount


def fold(log: str, until: str, only: str = "") -> dict[str, dict[str, Any]]:
    """Fold the log up to an instant; the log is in order of time but for duplicates."""
    states: dict[str, dict[str, Any]] = {}
    for event in events(log):
        if not until or event["time"] <= until:
            apply(states, event, only)
    return states


def line(entity: str, state: dict[str, Any]) -> str:
    """Write a state."""
    balance = state.get("balance")
    shown = {"entity": entity, "owner": state.get("owner"), "address": state.get("address")}
    return json.dumps(shown)[:-1] + f', "balance": {"null" if balance is None else balance}}}\n'


def main(job: str, log: str, out: str, *arguments: str) -> None:
    """Do one job."""
    with open(out, "w", encoding="utf-8") as file:
        if job == "audit_one":
            for event in events(log):
                if arguments[0] in (event["data"].get("account"), event["data"].get("from"), event["data"].get("to")):
                    file.write(json.dumps({"id": event["id"]}) + "\n")
        elif job == "diff":
            before, after = (fold(log, until) for until in arguments)
            for entity in before.keys() | after.keys():
                x, y = before.get(entity, {}), after.get(entity, {})
                for field in ("owner", "address", "balance"):
                    if x.get(field) != y.get(field):
                        file.write(json.dumps({"entity": entity, "field": field}) + "\n")
        else:
            only = arguments[1] if job == "replay_one" else ""
            for entity, state in fold(log, arguments[0], only).items():
                file.write(line(entity, state))


if __name__ == "__main__":
    main(*sys.argv[1:])
