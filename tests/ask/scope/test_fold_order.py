"""Events of one entity that sources put in different orders are not folded, and the orders are named."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.cli_harness import good, refused, write_lines

ORDERS = {
    "n": 'order = "sequence"\nsequence = "n"\ntime = "at"\n',
    "t": 'order = "time"\ntime = "at"\n',
    "p": 'order = "position"\ntime = "at"\n',
    "u": 'order = "position"\n',
}


TOLD = {
    "nt": ("n.jsonl (by sequence, n) and t.jsonl (by time, at)", 'the same order = in [mapping.sources."n.jsonl"]'),
    "tp": ("p.jsonl (by position) and t.jsonl (by time, at)", 'the same order = in [mapping.sources."p.jsonl"]'),
    "tu": ("u.jsonl (by position, no time was recognised) and t.jsonl (by time, at)", "say where its time is"),
}


def prepared(folder: Path, sources: str) -> None:
    """Make a configuration of some sources, and a file of each with one event of x-1."""
    stanza = 'id = "id"\ntype = "type"\nentity = "stream"\ndata = "data"\n'
    folder.mkdir(exist_ok=True)
    tables = [f'[mapping.sources."{name}.jsonl"]\n{stanza}{ORDERS[name]}' for name in sources]
    (folder / "esctl.toml").write_text("".join(tables))
    for name in sources:
        event = {"id": name, "n": 1, "type": "T", "at": "2024-01-01T00:00:00Z", "stream": "x-1", "data": {name: 1}}
        write_lines(folder / f"{name}.jsonl", [event])


def test_sources_in_different_orders_are_told(tmp_path: Path) -> None:
    for sources, (told, hint) in TOLD.items():
        folder = tmp_path / sources
        prepared(folder, sources)
        for name in sources:
            good("ingest", f"{name}.jsonl", "-q", cwd=folder)
        message, given = refused("replay", code=2, cwd=folder)
        assert message == f"entity 'x-1' is fed by sources with different orders: {told}"
        assert hint in given


def test_a_view_takes_no_events_in_another_order(tmp_path: Path) -> None:
    prepared(tmp_path, "nt")
    good("ingest", "n.jsonl", "-q", cwd=tmp_path)
    good("view", "create", "v", "--to", "sqlite:v.db/t", cwd=tmp_path)
    good("ingest", "t.jsonl", "-q", cwd=tmp_path)
    message, _ = refused("view", "refresh", "v", cwd=tmp_path, code=2)
    assert message.endswith(TOLD["nt"][0])


def test_an_event_without_a_sequence_is_named_where_sequences_order_events(tmp_path: Path) -> None:
    prepared(tmp_path, "n")
    event = {"id": "m", "type": "T", "at": "2024-01-02T00:00:00Z", "stream": "x-1", "data": {"m": 1}}
    with (tmp_path / "n.jsonl").open("a") as out:
        out.writelines(json.dumps(each) + "\n" for each in (event, {**event, "id": "o"}))
    good("ingest", "n.jsonl", cwd=tmp_path)
    message, hint = refused("replay", code=2, cwd=tmp_path)
    assert message == "event @2 of 'x-1' has no sequence, and events are folded by sequence"
    assert hint == 'set order = "time" or order = "position" in [mapping] of esctl.toml'
