"""All cases of RFC 7396, appendix A, as logs of documents that are patched."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.real_log_helpers import Rows, load, rows_of, states

MAPPING = """
[mapping]
id = "id"
type = "type"
entity = "entity"
order = "position"
data = "data"
"""
FIELD_OF_THE_STATE = """
[projections.document.on.Created]
set = { doc = "data.original" }
[projections.document.on.Patched]
merge_patch = "{'doc': data.patch}"
"""
WHOLE_STATE = """
[projections.document.on.Created]
replace = "data.original"
[projections.document.on.Patched]
merge_patch = "data.patch"
"""
WHOLE_PAYLOAD = """
[projections.document.on.Created]
set = { doc = "data.doc" }
[projections.document.on.Patched]
merge_patch = "data"
"""


@pytest.fixture(scope="module")
def cases(real_logs: Path) -> Rows:
    """Give the appendix's cases: original, patch, result."""
    path = real_logs / "suites" / "rfc7396" / "appendix_a.json"
    if not path.is_file():
        pytest.skip("no suites/rfc7396 among the real logs")
    found: Rows = json.loads(path.read_text(encoding="utf-8"))
    assert len(found) == 15
    return found


def write_log(cases: Rows, folder: Path, *, under: str = "") -> Path:
    """Write two events for each case: the original, then the patch; `under` names both alike."""
    lines = []
    for step, name in (("Created", "original"), ("Patched", "patch")):
        for number, case in enumerate(cases):
            event = {
                "id": f"{step}-{number}",
                "type": step,
                "entity": f"case-{number}",
                "data": {under or name: case[name]},
            }
            lines.append(json.dumps(event))
    path = folder / "patches.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def wrapped(value: Any) -> dict[str, Any]:
    """Give the state whose `doc` was patched: a patch of null takes the member away."""
    return {} if value is None else {"doc": value}


@pytest.mark.parametrize(("projection", "under"), [(FIELD_OF_THE_STATE, ""), (WHOLE_PAYLOAD, "doc")])
def test_every_case_as_a_field_of_the_state(cases: Rows, tmp_path: Path, projection: str, under: str) -> None:
    store, _ = load(tmp_path / "store", [write_log(cases, tmp_path, under=under)], MAPPING + projection)
    assert states(store) == {f"case-{number}": wrapped(case["result"]) for number, case in enumerate(cases)}
    assert states(store, at=f"@{len(cases)}") == {
        f"case-{number}": {"doc": case["original"]} for number, case in enumerate(cases)
    }


def test_every_case_between_objects_as_the_whole_state(cases: Rows, tmp_path: Path) -> None:
    objects = [case for case in cases if all(isinstance(value, dict) for value in case.values())]
    assert len(objects) > 8
    store, _ = load(tmp_path / "store", [write_log(objects, tmp_path)], MAPPING + WHOLE_STATE)
    assert states(store) == {f"case-{number}": case["result"] for number, case in enumerate(objects)}
    assert states(store, at=f"@{len(objects)}") == {
        f"case-{number}": case["original"] for number, case in enumerate(objects)
    }


def test_the_trail_says_what_each_patch_changed(cases: Rows, tmp_path: Path) -> None:
    store, _ = load(tmp_path / "store", [write_log(cases, tmp_path)], MAPPING + FIELD_OF_THE_STATE)
    rows = rows_of(store.audit())
    patched = {row["entity"]: row["changes"] for row in rows if row["type"] == "Patched"}
    for number, case in enumerate(cases):
        after = {} if case["result"] is None else {"after": case["result"]}
        change = [{"field": "doc", "before": case["original"]} | after]
        assert patched[f"case-{number}"] == change


def test_patches_keep_numbers_exact(tmp_path: Path) -> None:
    cases: Rows = [{"original": {"a": {"n": 1}}, "patch": {"a": {"m": 0}}, "result": None}]
    path = write_log(cases, tmp_path)
    digits = "1234567890123456789012345678.901234567890123456789"
    path.write_text(path.read_text(encoding="utf-8").replace('"m": 0', f'"m": {digits}'), encoding="utf-8")
    store, _ = load(tmp_path / "store", [path], MAPPING + WHOLE_STATE)
    assert states(store) == {"case-0": {"a": {"n": 1, "m": Decimal(digits)}}}
