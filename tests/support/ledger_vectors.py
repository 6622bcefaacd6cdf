"""The test vectors of docs/ledger.md: `python -m tests.support.ledger_vectors` prints them as they stand there."""

from __future__ import annotations

import base64
import json
from typing import Any

from esctl.ledger.prove.proof_file import Content, Proof, content_of
from esctl.ledger.sign.checkpoint import Head, sign
from esctl.ledger.sign.note import SigningKey
from esctl.log.leaves.leaf import leaf_of
from esctl.log.merkle import inclusion_proof, tree_root
from tests.support import log_helpers as logs

KEY = SigningKey("example", bytes(range(32)))
ORIGIN = "esctl/00000000-0000-4000-8000-000000000000"
AT = 1_700_000_000_000_000
PROVEN = 4

RECORDS: tuple[dict[str, Any], ...] = (
    {"source": "bank.jsonl", "offset": 0, "raw": '{"id":"e-1","type":"Opened"}\n'},
    {"source": "bank.jsonl", "offset": 29, "raw": '{"id":"e-2","type":"Paid","data":{"amount":1.50}}\r\n'},
    {
        "source": "orders-0", "offset": 17, "source_time": 1_699_999_999_999_999, "key": "order-1",
        "headers": [["trace", "ab"], ["empty", None]], "raw": None,
    },
    {"source": "bank.jsonl", "offset": 80, "raw": '{"id":"e-3"}\n', "salt": "000102030405060708090a0b0c0d0e0f"},
    {"erased_leaf": "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
)  # fmt: skip


def as_row(position: int, given: dict[str, Any]) -> dict[str, Any]:
    """Give a record of the vectors as a segment has it."""

    def raw(name: str) -> bytes | None:
        return None if given.get(name) is None else given[name].encode()

    headers = given.get("headers")
    return {
        "position": position,
        "recorded_at": AT + position,
        "source": given.get("source", ""),
        "offset": given.get("offset", 0),
        "key": raw("key"),
        "headers": None if headers is None else [{"name": n, "value": v and v.encode()} for n, v in headers],
        "source_time": given.get("source_time"),
        "raw": raw("raw"),
        "salt": bytes.fromhex(given["salt"]) if "salt" in given else None,
        "erased_leaf": bytes.fromhex(given["erased_leaf"]) if "erased_leaf" in given else None,
    }


def content(row: dict[str, Any]) -> Content:
    if row["erased_leaf"] is not None:
        return Content(row["erased_leaf"], row["position"])
    return content_of(leaf_of(row), row["salt"] or b"", row["source"])


def blocks() -> list[str]:
    """Give the blocks of the vectors: records, root, key and checkpoint, proof and its extra data."""
    rows = [as_row(position, given) for position, given in enumerate(RECORDS, 1)]
    told = []
    for given, row in zip(RECORDS, rows, strict=True):
        leaf = {} if row["erased_leaf"] else {"leaf": leaf_of(row).text}
        record = {"position": row["position"], "recorded_at": row["recorded_at"], **given, **leaf}
        told.append(record | {"leaf_hash": logs.reference_leaf(row).hex()})
    hashes = b"".join(logs.reference_leaf(row) for row in rows)
    root = tree_root(hashes)
    checkpoint = sign(Head(ORIGIN, len(rows), root), KEY)
    path = inclusion_proof(logs.memory_tree(hashes), PROVEN - 1, len(rows))
    proof = Proof(PROVEN - 1, path, checkpoint, content(rows[PROVEN - 1]).extra)
    return [
        json.dumps(told, indent=1),
        f"root    {root.hex()}\nbase64  {base64.b64encode(root).decode()}",
        f"seed    {KEY.seed.hex()}\npublic  {KEY.verifier.text}",
        checkpoint.decode().rstrip("\n"),
        proof.data.decode().rstrip("\n"),
        proof.extra.decode().rstrip("\n"),
        content(rows[4]).extra.decode().rstrip("\n"),
    ]


if __name__ == "__main__":
    print("\n\n".join(f"```\n{block}\n```" for block in blocks()))  # noqa: T201
