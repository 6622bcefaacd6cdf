"""Positions in PostgreSQL's log as sequences: they are numbers, and no text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli_harness import esctl, good

POSITIONS = ["0/FFFFFF0", "0/10000020", "0/9", "0/A", "1/0", "A/0"]
IN_ORDER = ["0/9", "0/A", "0/FFFFFF0", "0/10000020", "1/0", "A/0"]


def state(folder: Path, *options: str) -> Any:
    return good("replay", *options, cwd=folder).rows[0]["state"]["at"]


@pytest.mark.parametrize("more", ["", ',"lsn2":"x"'])
@pytest.mark.parametrize("sequence", ["lsn", ["lsn", "lsn2"]])
def test_events_are_folded_by_positions_as_numbers(sequence: Any, more: str, tmp_path: Path) -> None:
    lines = [f'{{"type":"t","id":"{i}","entity":"e","lsn":"{at}","at":"{at}"{more}}}' for i, at in enumerate(POSITIONS)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    mapping = f'[mapping]\nid = "id"\ntype = "type"\nentity = "entity"\nsequence = {json.dumps(sequence)}\n'
    (tmp_path / "esctl.toml").write_text(mapping + 'order = "sequence"\n')
    assert esctl("ingest", "a.jsonl", cwd=tmp_path).code == 0
    assert state(tmp_path) == "A/0"
    for bound, last in zip(IN_ORDER, IN_ORDER, strict=True):
        assert state(tmp_path, "--at", f"seq:{bound}") == last
    assert state(tmp_path, "--at", "seq:0/FFFFFFF") == "0/FFFFFF0"
