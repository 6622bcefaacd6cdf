"""Recompute the root of an esctl store from its records, sharing no code with esctl: `python verify_store.py STORE`.

Needs Python's standard library and pyarrow; docs/ledger.md tells the format. It checks records against the tree of the
last commit. It checks no signature (the standard library has no Ed25519): compare the root with that of a checkpoint.
"""

import hashlib
import json
import sys
from pathlib import Path

import pyarrow.parquet as pq


def digest(salt, content):
    return "-" if content is None else hashlib.sha256(salt + content).hexdigest()


def headers(value):
    parts = [part for each in value for part in (each["name"].encode(), each["value"])]
    return b"".join(b"-:" if part is None else b"%d:%s" % (len(part), part) for part in parts)


def leaf_hash(row):
    if row["erased_leaf"] is not None:
        return row["erased_leaf"]
    salt = row["salt"] or b""
    lines = ["esctl/record/1", row["position"], row["recorded_at"], row["offset"]]
    lines.append("-" if row["source_time"] is None else row["source_time"])
    lines += [digest(salt, row["key"]), digest(salt, None if row["headers"] is None else headers(row["headers"]))]
    lines += [digest(salt, row["raw"]), digest(salt, row["source"].encode())]
    return hashlib.sha256(b"\0" + "".join(f"{line}\n" for line in lines).encode()).digest()


def rows(store):
    """Read the records of the segments that are in force, in order, times in microseconds."""
    segments, tree = {}, {"size": 0, "root": hashlib.sha256().hexdigest()}
    for path in sorted((store / "commits").glob("0*.json")):
        commit = json.loads(path.read_bytes())
        segments.update({entry["file"]: entry for entry in commit["add"]})
        for name in commit["remove"]:
            del segments[name]
        tree = commit["tree"]
    yield tree
    for name in sorted(segments):
        with pq.ParquetFile(store / "log" / name) as file:
            for batch in file.iter_batches(4096):
                for column in ("recorded_at", "source_time"):
                    at = batch.schema.get_field_index(column)
                    batch = batch.set_column(at, column, batch[column].cast("int64"))
                yield from batch.to_pylist()


def main(store):
    records, stack, size = rows(store), [], 0
    tree = next(records)
    for row in records:
        size += 1
        if row["position"] != size:
            sys.exit(f"REFUTED: record {size} is missing or out of place")
        stack.append(leaf_hash(row))
        for _ in range((size & -size).bit_length() - 1):  # one subtree is complete for each zero bit at the end
            right = stack.pop()
            stack.append(hashlib.sha256(b"\1" + stack.pop() + right).digest())
    root = stack.pop() if stack else hashlib.sha256().digest()
    while stack:
        root = hashlib.sha256(b"\1" + stack.pop() + root).digest()
    if (size, root.hex()) != (tree["size"], tree["root"]):
        sys.exit(f"REFUTED: {size} records hash to {root.hex()}, committed were {tree['size']}, {tree['root']}")
    print(f"{size} records, root {root.hex()}")


main(Path(sys.argv[1]))
