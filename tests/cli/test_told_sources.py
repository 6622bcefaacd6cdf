"""What ingest says of sources that add nothing, or of whose events some belong to nothing."""

from __future__ import annotations

import gzip
from pathlib import Path

from tests.support.cli_harness import esctl, good, plain_event, refused, write_lines


def test_a_file_with_the_bytes_of_a_known_one_is_told_by_name(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [plain_event(n) for n in range(3)])
    (tmp_path / "b.jsonl").write_bytes((tmp_path / "a.jsonl").read_bytes())
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress((tmp_path / "a.jsonl").read_bytes()))
    done = good("ingest", "a.jsonl", "b.jsonl", cwd=tmp_path)
    assert "note: b.jsonl: same bytes as a.jsonl, nothing new\n" in done.err
    done = good("ingest", "c.jsonl.gz", "a.jsonl", cwd=tmp_path)
    assert done.err == "note: c.jsonl.gz: same bytes as a.jsonl, nothing new\n"
    assert done.row["new"] == 0
    assert good("ingest", "-q", "b.jsonl", cwd=tmp_path).err == ""


def test_a_file_of_other_bytes_or_more_of_them_is_not(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [plain_event(n) for n in range(3)])
    good("ingest", "a.jsonl", "-q", cwd=tmp_path)
    write_lines(tmp_path / "b.jsonl", [plain_event(n) for n in range(5)])
    assert "same bytes" not in good("ingest", "b.jsonl", cwd=tmp_path).err
    write_lines(path, [plain_event(9)])
    assert "same bytes" not in good("ingest", "a.jsonl", cwd=tmp_path).err
    assert "same bytes" not in good("ingest", "a.jsonl", cwd=tmp_path).err  # it is known, as a.jsonl#2


def test_many_files_are_told_together(tmp_path: Path) -> None:
    for n in range(8):
        write_lines(tmp_path / f"{n}.jsonl", [plain_event(1)])
    err = good("ingest", "*.jsonl", cwd=tmp_path).err
    assert err.count("same bytes as 0.jsonl") == 5
    assert "note: so have 2 more files those of known ones" in err


def test_events_of_no_entity_are_counted_for_each_source(tmp_path: Path) -> None:
    homeless = [{name: value for name, value in plain_event(n).items() if name != "stream"} for n in range(20, 25)]
    write_lines(tmp_path / "a.jsonl", [plain_event(n) for n in range(3)])
    write_lines(tmp_path / "b.jsonl", homeless)
    write_lines(tmp_path / "c.jsonl", [plain_event(40), homeless[0] | {"id": "x"}])
    err = good("ingest", "a.jsonl", "b.jsonl", "c.jsonl", cwd=tmp_path).err
    told = "note: 6 events of no entity: esctl doctor --homeless\n  b.jsonl: 5 of 5 events\n  c.jsonl: 1 of 2 events\n"
    assert told in err
    assert told in good("reindex", cwd=tmp_path).err


def test_events_of_no_entity_in_the_only_source_are_counted_once(tmp_path: Path) -> None:
    write_lines(tmp_path / "c.jsonl", [plain_event(1), {**plain_event(2), "stream": None}])
    err = good("ingest", "c.jsonl", cwd=tmp_path).err
    assert err.endswith("note: 1 event of no entity: esctl doctor --homeless\n")


def test_a_source_of_which_nothing_can_be_read_ends_with_3_beside_others_too(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [plain_event(1)])
    (tmp_path / "b.jsonl").write_text("no\nwords\nof JSON\n")
    done = esctl("ingest", "a.jsonl", "b.jsonl", cwd=tmp_path)
    assert done.code == 3
    assert "b.jsonl: none of its 3 records could be read" in done.err
    assert len(good("replay", cwd=tmp_path).rows) == 1
    assert refused("log", "--source", "c.jsonl", code=4, cwd=tmp_path)[0] == "no source 'c.jsonl'"
