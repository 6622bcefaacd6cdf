"""The entities that come first are those of the list of all, counted in full, and no other comes between."""

from __future__ import annotations

from pathlib import Path

from esctl import Store
from tests.support.cli_harness import good, plain_event, refused, write_lines


def test_the_first_entities_begin_the_list_of_all(tmp_path: Path) -> None:
    for part, names in enumerate((range(0, 60, 2), range(1, 60, 3))):
        events = [
            {"id": f"{part}-{n}", "type": "t", "time": "2024-01-01", "entity": f"thing-{n:02d}", "data": {}}
            for n in names
        ]
        write_lines(tmp_path / f"{part}.jsonl", events)
        good("ingest", f"{part}.jsonl", "-q", cwd=tmp_path)
    store = Store.open(tmp_path / ".esctl")
    everything = store.entities().rows()
    first = store.first_entities().rows()
    assert first == everything[: len(first)]
    assert 0 < len(first) <= len(everything)
    assert store.first_entities("thing-0*").rows() == [row for row in first if row["entity"].startswith("thing-0")]


def test_a_name_that_is_no_entity_is_told(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [plain_event(1, "thing-1")])
    good("ingest", "a.jsonl", "-q", cwd=tmp_path)
    assert good("entities", "thing-1", cwd=tmp_path).row["entity"] == "thing-1"
    assert "thing-2" in refused("entities", "thing-1", "thing-2", code=4, cwd=tmp_path)[0]
