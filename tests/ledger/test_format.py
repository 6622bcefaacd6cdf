"""docs/ledger.md is true: its vectors are what esctl makes, and the verifier beside it judges stores."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from esctl.ledger.prove.judge import Trust, judge_proof, read_proof
from esctl.ledger.sign.note import parse_note, verified_by
from esctl.log.segment import SCHEMA, leaf_hashes
from tests.support import forgery, ledger_vectors
from tests.support import log_helpers as logs

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = re.findall(r"```(?:json)?\n(.*?)\n```", (DOCS / "ledger.md").read_text(encoding="utf-8"), re.DOTALL)
RECORDS, ROOT, KEY, CHECKPOINT, PROOF = BLOCKS[-7:-2]


def test_the_vectors_are_what_esctl_makes() -> None:
    assert BLOCKS[-7:] == ledger_vectors.blocks()


def test_the_vectors_are_judged_as_they_say() -> None:
    records = json.loads(RECORDS)
    rows = [ledger_vectors.as_row(record["position"], record) for record in records]
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    assert leaf_hashes(table).hex() == "".join(record["leaf_hash"] for record in records)
    verifier = ledger_vectors.KEY.verifier
    assert KEY.splitlines()[1].split()[1] == verifier.text
    assert verified_by(parse_note(f"{CHECKPOINT}\n".encode()), [verifier])
    read = read_proof(f"{PROOF}\n".encode(), "vector")
    assert read.checkpoint.head.root.hex() == ROOT.split()[1]
    raw = records[3]["raw"].encode()
    assert judge_proof(read, raw, Trust((verifier,), True)).result == "proven"


def judged_apart(store: Path) -> subprocess.CompletedProcess[str]:
    """Run the independent verifier."""
    command = [sys.executable, "-I", str(DOCS / "verify_store.py"), str(store)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    path = tmp_path / "store"
    parts = [
        [logs.part("lines", [b"r%d\n" % number for number in range(4100)])],
        [
            logs.part(
                "topic",
                [b"", None, b"x"],
                key=[b"k", None, b""],
                headers=[[{"name": "é", "value": None}], None, []],
                source_time=[7, None, -1],
            )
        ],
        [logs.part("lines", [b"last\n", b"very last\n"])],
    ]
    logs.store(path, parts, erasable=request.param)
    return path


@pytest.mark.parametrize("store", [False, True], indirect=True, ids=["plain", "erasable"])
def test_the_verifier_of_the_docs_gives_the_same_root(store: Path) -> None:
    store_state = logs.reopened(store)
    done = judged_apart(store)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"4105 records, root {store_state.root}\n"
    for edit in (forgery.edited(_changed), forgery.edited(lambda raws: raws[:-1]), _later):
        kept = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
        forgery.forge(store, edit, trees=False)
        done = judged_apart(store)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("REFUTED")
        for path in [path for path in store.rglob("*") if path.is_file()]:
            path.unlink()
        for path, data in kept.items():
            path.write_bytes(data)


def _changed(raws: list[bytes]) -> list[bytes]:
    return [*raws[:7], b"R7\n", *raws[8:]]


def _later(table: pa.Table) -> pa.Table:
    at = table.schema.get_field_index("recorded_at")
    times = table["recorded_at"].cast(pa.int64()).to_pylist()
    times[-1] += 1
    return table.set_column(at, table.schema.field(at), pa.array(times, pa.int64()).cast(SCHEMA.field(at).type))


def test_the_verifier_of_the_docs_is_short_and_alone() -> None:
    text = (DOCS / "verify_store.py").read_text(encoding="utf-8")
    assert "import esctl" not in text
    assert "from esctl" not in text
    assert len(text.splitlines()) < 80
