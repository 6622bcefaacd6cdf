"""Audit logs of systems that nobody knows: each in the style of some vendor, with what is to be found in it.

A log is made with as many records as are wanted; the first twenty of two thousand are those of twenty.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

Record = dict[str, Any]
_START = datetime(2024, 3, 15, 8, 0, 1, tzinfo=UTC)


class Unknown(NamedTuple):
    """A log: how its records are made, and the paths of what they tell (any of several, where these say the same)."""

    records: Callable[[int], list[Record]]
    entity: str
    time: str
    actor: str | None
    type: str | None
    flat: bool = False  # can be written as CSV
    asks: bool = False  # nobody could tell the entity


class _Draw:
    """Draws the values of one record."""

    def __init__(self, number: int, random_: random.Random) -> None:
        self.number, self._random = number, random_
        self.at = _START + timedelta(seconds=97 * number, milliseconds=random_.randrange(1000))

    def one(self, prefix: str, many: int) -> str:
        return f"{prefix}{self._random.randrange(many) + 1}"

    def of(self, *texts: str) -> str:
        return self._random.choice(texts)

    @property
    def unique(self) -> str:
        return f"{self._random.getrandbits(128):032x}"

    def iso(self, **later: float) -> str:
        return (self.at + timedelta(**later)).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    @property
    def millis(self) -> int:
        return int(self.at.timestamp() * 1000)


def _made(make: Callable[[_Draw], Record]) -> Callable[[int], list[Record]]:
    def records(count: int) -> list[Record]:
        drawn = random.Random(11)
        return [make(_Draw(number, drawn)) for number in range(count)]

    return records


def _fixed(name: str, *more: str) -> int:
    """Return a number that is always the same for the same texts."""
    return sum(map(ord, "".join((name, *more))))


def _salaries(d: _Draw) -> Record:
    employee = d.one("e-", 6)
    return {
        "auditId": d.unique,
        "requestId": d.unique,
        "operation": d.of("SALARY_CHANGED", "TITLE_CHANGED", "TEAM_CHANGED"),
        "performedBy": d.one("hr-", 3),
        "performedAt": d.iso(),
        "employeeId": employee,
        "companyId": "c-77",
        "effectiveDate": f"2024-{d.number % 9 + 4:02d}-01",
        "createdAt": f"2019-02-{_fixed(employee) % 28 + 1:02d}T00:00:00Z",
        "oldValue": d.number,
        "newValue": d.number + 100,
    }


def _directory(d: _Draw) -> Record:
    return {
        "id": d.unique,
        "activity": d.of("Add member", "Remove member", "Rename"),
        "createdDateTime": d.iso(),
        "correlation": {"requestId": d.unique},
        "initiatedBy": {"user": {"id": d.one("u-", 3), "ipAddress": "10.0.0.1"}, "application": None},
        "target": {"type": d.of("Group", "Role"), "id": d.one("t-", 7), "displayName": "A name"},
        "result": "success",
        "expirationDateTime": d.iso(days=30 + d.number % 3),
    }


def _flattened(d: _Draw) -> Record:
    return {
        "@timestamp": d.iso(seconds=1),
        "event.id": d.unique,
        "event.action": d.of("file-read", "file-written", "file-removed"),
        "event.created": d.iso(seconds=2),
        "user.name": d.one("user", 4),
        "file.path": f"/srv/{d.one('f', 6)}.txt",
        "host.name": "srv-1",
        "process.pid": d.number + 400,
    }


def _vault_export(d: _Draw) -> Record:
    return {
        "Event Date": d.at.strftime("%d.%m.%Y %H:%M:%S"),
        "User Name": d.one("anna.", 3),
        "Action": d.of("Check-out", "Check-in", "Delete"),
        "Object Type": d.of("Password", "Key"),
        "Object ID": str(4000 + int(d.one("", 7))),
        "IP Address": f"10.1.1.{d.number % 5}",
        "Expiry Date": (d.at + timedelta(days=90)).strftime("%d.%m.%Y %H:%M:%S"),
        "Ticket": "",
    }


def _refunds(d: _Draw) -> Record:
    return {
        "evt": d.of("charge.captured", "charge.refunded", "payout.failed"),
        "ts": d.millis,
        "resource": {"type": d.of("charge", "payout"), "id": d.one("ch_", 8)},
        "by": {"email": d.one("ops", 3) + "@pay.test", "role": "agent"},
        "idempotencyKey": d.unique,
        "amount": {"value": 5 * d.number, "currency": "EUR"},
        "livemode": True,
    }


def _learning(d: _Draw) -> Record:
    return {
        "id": d.unique,
        "actor": {"name": d.one("Learner ", 4), "mbox": "mailto:x@y.test", "objectType": "Agent"},
        "verb": d.of("completed", "attempted", "passed"),
        "object": {"objectType": "Activity", "id": f"https://lms.test/course/{d.one('', 6)}"},
        "timestamp": d.iso(),
        "stored": d.iso(minutes=5),
    }


def _rows(d: _Draw) -> Record:
    return {
        "changed_at": d.at.strftime("%Y-%m-%d %H:%M:%S.%f+00"),
        "table_name": d.of("accounts", "cards"),
        "row_id": int(d.one("", 6)) + 16,
        "op": d.of("INSERT", "UPDATE", "DELETE"),
        "changed_by": d.one("app_", 3),
        "txid": 77000 + d.number,
        "old_row": {"limit": d.number},
        "new_row": {"limit": d.number + 1},
    }


def _doors(d: _Draw) -> Record:
    told = {"action": d.of("opened", "closed", "forced"), "doorId": d.one("door-", 5), "actor": d.one("badge-", 4)}
    return {
        "received": d.iso(minutes=2),
        "shard": f"shard-{d.number % 2}",
        "message": json.dumps({**told, "occurredAt": d.iso(), "uuid": d.unique}),
    }


def _tickets(d: _Draw) -> Record:
    ticket = d.one("T-", 7)
    return {
        "ticket_id": ticket,
        "event": d.of("assigned", "commented", "closed"),
        "created_at": f"2024-01-{_fixed(ticket) % 28 + 1:02d}T09:00:00Z",
        "changed_at": d.iso(),
        "due_at": d.iso(days=4),
        "customer_id": f"cust-{_fixed(ticket) % 4}",
        "changed_by": {"email": d.one("agent", 3) + "@desk.test"},
        "requester": {"email": f"r{_fixed(ticket)}@x.test"},
    }


def _meters(d: _Draw) -> Record:
    return {
        "serialNumber": d.one("SN-00", 6),
        "eventCode": d.of("BOOT", "FW_UPDATE", "TAMPER"),
        "reportedAt": str(d.millis // 1000),
        "receivedAt": str(d.millis // 1000 + 3),
        "sessionUuid": d.unique,
        "operatorId": d.one("op-", 3),
        "nextReportAt": str(d.millis // 1000 + 3600),
    }


def _records_of_patients(d: _Draw) -> Record:
    return {
        "accessTime": {"seconds": d.millis // 1000, "nanos": 5_000_000},
        "accessedBy": d.one("dr-", 3),
        "objectType": d.of("Chart", "Image"),
        "objectId": d.one("doc-", 8),
        "activity": d.of("VIEW", "PRINT", "EDIT"),
        "requestId": d.unique,
        "patient": {"id": d.one("p-", 5), "birthDate": "1980-01-01"},
        "facility": "north",
    }


def _bans(d: _Draw) -> Record:
    return {
        "uid": d.unique,
        "action": d.of("user.warned", "user.banned", "user.unbanned"),
        "happened": d.iso(),
        "moderator": {"id": (moderator := d.one("m-", 3)), "name": f"Mo {moderator}"},
        "user": {"id": (user := d.one("u-", 7)), "name": f"Us {user}"},
        "reason": d.of("spam", "abuse"),
        "until": d.iso(days=7),
    }


def _bus(d: _Draw) -> Record:
    return {
        "version": "0",
        "id": d.unique,
        "detail-type": d.of("OrderPlaced", "OrderPaid", "OrderShipped"),
        "source": "shop.orders",
        "account": "111122223333",
        "time": d.iso(),
        "region": "eu-1",
        "detail": {"order-id": d.one("o-", 7), "changed-by": d.one("clerk-", 3), "total": d.number},
    }


def _access(d: _Draw) -> Record:
    return {
        "requestId": d.unique,
        "ts": d.millis / 1000,
        "method": d.of("PUT", "DELETE", "PATCH"),
        "path": f"/api/items/{d.one('', 6)}",
        "status": 200 + d.number % 3,
        "clientIp": f"10.0.0.{d.number % 9}",
        "login": d.one("dev", 4),
        "durationMs": d.number % 40,
    }


def _targets(d: _Draw) -> Record:
    return {
        "id": d.unique,
        "action": d.of("invoice.updated", "invoice.voided"),
        "occurred_at": d.iso(),
        "actor": {"type": "user", "id": d.one("user_", 3), "metadata": {}},
        "targets": [{"type": "invoice", "id": d.one("inv_", 7)}],
        "context": {"location": "10.0.0.1", "user_agent": "curl/8"},
    }


def _policies(d: _Draw) -> Record:
    return {
        "changeId": d.unique,
        "when": d.iso(),
        "user": d.one("ann", 3),
        "entity": {"kind": "Policy", "key": d.one("P-", 6), "version": d.number},
        "what": d.of("created", "amended", "cancelled"),
        "changes": [{"field": "sum", "from": 1, "to": 2}],
        "approvedBy": d.one("boss", 2),
        "approvedAt": d.iso(hours=2),
        "validFrom": d.iso(days=2),
    }


def _trades(d: _Draw) -> Record:
    order = d.one("", 7)
    return {
        "ExecID": d.unique,
        "OrderID": f"ord{order}",
        "ExecType": d.of("New", "Fill", "Cancel"),
        "TransactTime": d.at.strftime("%Y%m%d-%H:%M:%S.%f")[:-3],
        "Account": f"acc{int(order) % 3}",
        "Trader": d.one("tr", 4),
        "SettlDate": (d.at + timedelta(days=2)).strftime("%Y%m%d"),
        "Symbol": f"SYM{int(order) % 2}",
    }


def _parcels(d: _Draw) -> Record:
    return {
        "Datum": d.at.strftime("%d.%m.%Y"),
        "Uhrzeit": d.at.strftime("%H:%M:%S"),
        "Vorgang": d.of("angenommen", "verladen", "zugestellt"),
        "Sendung": d.one("S-", 7),
        "Lager": d.one("L-", 3),
        "Benutzer": d.one("mm", 3),
    }


def _bank(d: _Draw) -> Record:
    return {
        "eventTime": d.iso(),
        "eventName": d.of("TransferPosted", "LimitChanged"),
        "data": {"accountNumber": d.one("AT6119", 6), "amount": d.number, "valueDate": "2024-04-01"},
        "traceId": d.unique,
        "initiator": d.one("teller-", 3),
    }


def _permissions(d: _Draw) -> Record:
    return {
        "timestamp": d.iso(),
        "source_user": d.one("s", 3),
        "target_user": d.one("t", 7),
        "operation": d.of("grant", "revoke"),
        "permission": d.of("read", "write"),
        "until": d.iso(days=9),
    }


def _customers(d: _Draw) -> Record:
    return {
        "Case Number": d.one("000", 7),
        "Field": d.of("Status", "Owner"),
        "Edit Date": (d.at + timedelta(hours=9 * d.number)).strftime("%m/%d/%Y %I:%M %p"),
        "Edited By": d.one("Ann ", 3),
        "Opened Date": "01/02/2024",
    }


def _nested(d: _Draw) -> Record:
    return {
        "meta": {"ts": d.iso(), "type": d.of("ticket.created", "ticket.closed"), "actor": {"id": d.one("u", 3)}},
        "payload": {"ticketId": d.one("T", 6), "n": d.number},
    }


def _flags(d: _Draw) -> Record:
    return {
        "_id": d.unique,
        "date": d.millis,
        "accountId": "acc1",
        "kind": "flag",
        "name": d.one("flag-", 5),
        "member": {"email": d.one("m", 3) + "@x.test", "_id": d.one("", 3)},
        "titleVerb": d.of("turned on", "turned off"),
    }


def _machines(d: _Draw) -> Record:
    return {
        "createdTime": d.iso(),
        "userName": d.one("root", 2),
        "vm": {"name": d.one("vm", 5)},
        "host": {"name": d.one("esx", 2)},
        "eventTypeId": d.of("VmPoweredOn", "VmMoved"),
    }


def _leave(d: _Draw) -> Record:
    return {
        "event": d.of("requested", "approved"),
        "leave_id": d.one("lv", 7),
        "employee_id": d.one("emp", 6),
        "approved_by": d.one("boss", 2),
        "event_at": d.iso(),
        "start_date": "2024-05-01",
    }


def _members(d: _Draw) -> Record:
    actor = d.one("ac-", 3)
    return {
        "uuid": d.unique,
        "timestamp": d.iso(),
        "actor_uuid": actor,
        "actor_details": {"uuid": actor, "name": "A name"},
        "action": d.of("join", "leave"),
        "object_type": "member",
        "object_uuid": d.one("ob-", 6),
        "session": {"uuid": d.unique, "login_time": "2024-01-01T00:00:00Z"},
    }


def _tasks(d: _Draw) -> Record:
    return {
        "gid": d.unique,
        "created_at": d.iso(),
        "event_type": d.of("task_completed", "task_moved"),
        "actor": {"actor_type": "user", "gid": (who := d.one("", 3)), "email": f"n{who}@x.test"},
        "resource": {"resource_type": "task", "gid": d.one("t-", 6), "name": "A task"},
    }


def _entries_of_api(d: _Draw) -> Record:
    attributes = {
        "time": d.iso(),
        "action": d.of("user_added", "user_removed"),
        "actor": {"id": d.one("ac-", 3)},
        "context": [{"id": d.one("us-", 6), "type": "user"}],
        "container": [{"id": "org-1", "type": "organization"}],
    }
    return {"id": d.unique, "type": "events", "attributes": attributes}


def _files(d: _Draw) -> Record:
    return {
        "type": "event",
        "event_id": d.unique,
        "event_type": d.of("UPLOAD", "DELETE"),
        "created_at": d.iso(),
        "created_by": {"type": "user", "id": (who := d.one("u", 3)), "login": f"{who}@x.test", "name": "A"},
        "source": {"item_type": "file", "item_id": d.one("f", 7), "item_name": "x"},
    }


def _changed_rows(d: _Draw) -> Record:
    return {
        "Id": d.number,
        "UserId": d.one("u", 3),
        "Type": d.of("Create", "Update"),
        "TableName": d.of("Orders", "Users"),
        "DateTime": d.iso(),
        "NewValues": json.dumps({"a": d.number}),
        "PrimaryKey": json.dumps({"Id": int(d.one("", 5))}),
    }


def _clusters(d: _Draw) -> Record:
    return {
        "timestamp": d.millis,
        "userIdentity": {"email": d.one("a", 3) + "@x.test"},
        "serviceName": "clusters",
        "actionName": d.of("create", "delete"),
        "requestId": d.unique,
        "requestParams": {"cluster_id": d.one("cl-", 5)},
        "accountId": "acc",
    }


def _logins(d: _Draw) -> Record:
    user = d.one("u-", 5)
    return {
        "id": d.unique,
        "time": d.millis,
        "type": d.of("LOGIN", "LOGOUT"),
        "clientId": "web",
        "userId": user,
        "details": {"username": f"name of {user}"},
    }


def _deployments(d: _Draw) -> Record:
    return {
        "ts": d.millis,
        "auditId": d.unique,
        "verb": d.of("create", "patch", "delete"),
        "user": {"name": d.one("person", 4), "groups": ["dev"]},
        "objectRef": {"resource": d.of("pods", "secrets"), "namespace": d.of("prod", "test"), "name": d.one("n-", 5)},
        "change": {"replicas": d.number},
        "code": 200,
    }


def _carts(d: _Draw) -> Record:
    return {
        "meta": {"eid": d.unique, "name": d.of("Opened", "Paid"), "occurred": d.iso(), "by": {"user": d.one("u-", 3)}},
        "aggregate": {"kind": d.of("cart", "list"), "key": d.one("0", 6), "rev": d.number},
        "payload": {"sum": d.number},
    }


UNKNOWN = {
    "salaries": Unknown(_made(_salaries), "employeeId", "performedAt", "performedBy", "operation", flat=True),
    "directory": Unknown(
        _made(_directory), "{target.type}/{target.id}", "createdDateTime", "initiatedBy.user.id", "activity"
    ),
    "flattened": Unknown(_made(_flattened), '"file.path"', "@timestamp", '"user.name"', '"event.action"'),
    "vault export": Unknown(
        _made(_vault_export), '{"Object Type"}/{"Object ID"}', '"Event Date"', '"User Name"', "Action", flat=True
    ),
    "refunds": Unknown(
        lambda count: _made(_refunds)(count)[::-1], "{resource.type}/{resource.id}", "ts", "by.email", "evt"
    ),
    "learning": Unknown(_made(_learning), "{object.objectType}/{object.id}", "timestamp", "actor.name", "verb"),
    "rows": Unknown(_made(_rows), "{table_name}/{row_id}", "changed_at", "changed_by", "op"),
    "doors": Unknown(_made(_doors), "message.doorId", "message.occurredAt", "message.actor", "message.action"),
    "tickets": Unknown(_made(_tickets), "ticket_id", "changed_at", "changed_by.email", "event"),
    "meters": Unknown(_made(_meters), "serialNumber", "reportedAt", "operatorId", "eventCode", flat=True),
    "charts": Unknown(_made(_records_of_patients), "{objectType}/{objectId}", "accessTime", "accessedBy", "activity"),
    "bans": Unknown(_made(_bans), "user.id", "happened", "moderator.name", "action"),
    "bus": Unknown(_made(_bus), "detail.order-id", "time", "detail.changed-by", "detail-type"),
    "access": Unknown(_made(_access), "path", "ts", "login", "method", flat=True),
    "targets": Unknown(_made(_targets), "{targets[0].type}/{targets[0].id}", "occurred_at", "actor.id", "action"),
    "policies": Unknown(_made(_policies), "{entity.kind}/{entity.key}", "when", "user", "what"),
    "trades": Unknown(_made(_trades), "OrderID", "TransactTime", "Trader", "ExecType", flat=True),
    "parcels": Unknown(_made(_parcels), "Sendung", "{Datum} {Uhrzeit}", "Benutzer", "Vorgang", flat=True, asks=True),
    "bank": Unknown(_made(_bank), "data.accountNumber", "eventTime", "initiator", "eventName"),
    "permissions": Unknown(_made(_permissions), "target_user", "timestamp", "source_user", "operation", flat=True),
    "customers": Unknown(_made(_customers), '"Case Number"', '"Edit Date"', '"Edited By"', None, flat=True),
    "nested": Unknown(_made(_nested), "payload.ticketId", "meta.ts", "meta.actor.id", "meta.type"),
    "flags": Unknown(_made(_flags), "name", "date", "member.email", "titleVerb", asks=True),
    "machines": Unknown(_made(_machines), "vm.name", "createdTime", "userName", "eventTypeId", asks=True),
    "members": Unknown(_made(_members), "{object_type}/{object_uuid}", "timestamp", "actor_uuid", "action"),
    "tasks": Unknown(
        _made(_tasks), "{resource.resource_type}/{resource.gid}", "created_at", "actor.email", "event_type"
    ),
    "entries of an API": Unknown(
        _made(_entries_of_api),
        "attributes.context[0].id",
        "attributes.time",
        "attributes.actor.id",
        "attributes.action",
        asks=True,
    ),
    "files": Unknown(
        _made(_files), "{source.item_type}/{source.item_id}", "created_at", "created_by.login", "event_type"
    ),
    "changed rows": Unknown(_made(_changed_rows), "{TableName}/{PrimaryKey.Id}", "DateTime", "UserId", "Type"),
    "clusters": Unknown(
        _made(_clusters), "requestParams.cluster_id", "timestamp", "userIdentity.email", "actionName", asks=True
    ),
    "logins": Unknown(_made(_logins), "userId", "time", "details.username", "type"),
    "deployments": Unknown(
        _made(_deployments), "{objectRef.resource}/{objectRef.namespace}/{objectRef.name}", "ts", "user.name", "verb"
    ),
    "carts": Unknown(_made(_carts), "{aggregate.kind}/{aggregate.key}", "meta.occurred", "meta.by.user", "meta.name"),
    "leave": Unknown(_made(_leave), "leave_id", "event_at", "approved_by", "event", asks=True),
}
