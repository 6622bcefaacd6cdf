"""Work on a small table as Canal, DynamoDB's streams and MongoDB's change streams would tell it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from tests.support.connector_logs import document
from tests.support.row_logs import Model, Row, Work, done

TIME = 1_700_000_000


def canal(model: Model, each: Work) -> list[str]:
    """Write flat messages; two rows that are written at once are in one."""
    if each.what == "read":
        return []
    before = dict(model.table)
    lsn, did = model.step(), done(model, each)
    if did is None:
        return []
    kind = {"rekey": "UPDATE"}.get(did.what, did.what.upper())
    told: Row = {"database": "shop", "table": "t", "type": kind, "isDdl": did.what == "truncate", "pkNames": ["id"],
        "mysqlType": {"id": "int", "small": "tinyint unsigned", "big": "text"}, "es": TIME * 1000 + lsn, "id": lsn,
        "data": None, "old": None}  # fmt: skip
    if did.what != "truncate":
        told["data"] = [_texts(did.after or did.before or {})]
    if did.after is not None and did.before is not None:
        old, new = _texts(did.before), _texts(did.after)
        told["old"] = [{name: value for name, value in old.items() if value != new[name]}]
    others = [row for key, row in before.items() if key != each.key and key in model.table]
    if others and kind == "UPDATE" and len(before) > 2:  # all rows are written, and one of them changes
        told["data"] += [_texts(row) for row in others]
        told["old"] += [{} for _ in others]
    return [json.dumps(told)]


def _texts(row: Row) -> Row:
    return {name: None if value is None else str(value) for name, value in row.items()}


def dynamodb(model: Model, each: Work) -> list[str]:
    """Write records of a stream with new images, every other one as Kinesis holds it."""
    if each.what in ("truncate", "rekey", "read"):
        return []
    lsn, did = model.step(), done(model, each)
    if did is None:
        return []
    row = did.after or did.before or {}
    change: Row = {"Keys": {"id": {"N": str(row["id"])}}, "SequenceNumber": str(10**22 + lsn)}
    change |= {"ApproximateCreationDateTime": TIME + lsn, "StreamViewType": "NEW_IMAGE"}
    change |= {"NewImage": {name: _typed(value) for name, value in did.after.items()}} if did.after else {}
    name = {"insert": "INSERT", "update": "MODIFY"}.get(did.what, "REMOVE")
    told = {
        "eventID": f"e{lsn}",
        "eventName": name,
        "eventSource": "aws:dynamodb",
        "tableName": "t",
        "dynamodb": change,
    }
    text = json.dumps(told)
    data = base64.b64encode(text.encode()).decode()
    return [json.dumps({"SequenceNumber": "1", "PartitionKey": "p", "Data": data}) if lsn % 32 else text]


def _typed(value: Any) -> Row:
    return {"NULL": True} if value is None else {"N": str(value)} if isinstance(value, int) else {"S": value}


def mongodb(model: Model, each: Work) -> list[str]:
    """Write change events; updates say what changed, inside other values, unless all was written."""
    if each.what in ("rekey", "read"):
        return []
    lsn, did = model.step(), done(model, each)
    if did is None:
        return []
    operation = {"truncate": "drop"}.get(did.what, did.what)
    told: Row = {"_id": {"_data": f"{lsn:032X}"}, "operationType": operation, "ns": {"db": "shop", "coll": "t"}}
    told["clusterTime"] = {"$timestamp": {"t": TIME + lsn // 1000, "i": lsn % 1000}}
    row = did.after or did.before
    if row is not None:
        told["documentKey"] = {"_id": row["id"]}
    if did.what == "insert" or (did.what == "update" and not did.kept):
        told |= {"operationType": "insert" if did.what == "insert" else "replace"}
        told["fullDocument"] = document(did.after or {})
    elif did.what == "update":
        fields = {"in.small": (did.after or {})["small"]}
        told["updateDescription"] = {"updatedFields": fields, "removedFields": ["gone.by"], "truncatedArrays": []}
    return [json.dumps(told)]


STREAMS: dict[str, Callable[[Model, Work], list[str]]] = {
    "canal": canal,
    "dynamodb": dynamodb,
    "mongodb_streams": mongodb,
}
"""How each tells work."""
