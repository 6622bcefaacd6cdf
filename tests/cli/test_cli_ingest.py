"""What ingest takes in, what it says, and that the same bytes come back."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tests.support.cli_harness import (
    COLUMNS,
    esctl,
    good,
    ingest_samples,
    on_terminal,
    plain_event,
    refused,
    uncompacted,
    write_lines,
)

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "gz": gzip.compress,
    "zst": zstandard.ZstdCompressor().compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}


def event(number: int, entity: str = "thing-1", **data: Any) -> bytes:
    return json.dumps(plain_event(number, entity, **data), separators=(",", ":")).encode()


def ingest(*arguments: object, cwd: Path, stdin: bytes = b"") -> dict[str, Any]:
    """Ingest and give the summary."""
    row = good("ingest", *arguments, "-q", cwd=cwd, stdin=stdin).row
    assert list(row) == COLUMNS["ingest"]
    assert row["seconds"] >= 0
    return row


def counts(row: dict[str, Any]) -> tuple[int, ...]:
    return tuple(row[name] for name in ("records", "new", "duplicates", "conflicts", "invalid", "head"))


def exported(source: str, cwd: Path) -> bytes:
    return good("export", "--raw", "--source", source, cwd=cwd).out


def root(cwd: Path) -> str:
    found: str = good("status", cwd=cwd).row["root"]
    return found


def test_the_same_file_again_brings_nothing_new(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [plain_event(i) for i in range(5)])
    assert counts(ingest("a.jsonl", cwd=tmp_path)) == (5, 5, 0, 0, 0, 5)
    before = root(tmp_path)
    assert counts(ingest("a.jsonl", cwd=tmp_path)) == (0, 0, 0, 0, 0, 5)
    (tmp_path / "b.jsonl").write_bytes((tmp_path / "a.jsonl").read_bytes())
    assert counts(ingest("b.jsonl", cwd=tmp_path)) == (0, 0, 0, 0, 0, 5)
    (tmp_path / "c.gz").write_bytes(gzip.compress((tmp_path / "a.jsonl").read_bytes()))
    assert counts(ingest("c.gz", cwd=tmp_path)) == (0, 0, 0, 0, 0, 5)
    assert root(tmp_path) == before


def test_a_file_that_has_grown_brings_its_new_lines(tmp_path: Path) -> None:
    first, second = event(1) + b"\n", event(2) + b"\n"
    (tmp_path / "a.jsonl").write_bytes(first)
    assert counts(ingest("a.jsonl", cwd=tmp_path)) == (1, 1, 0, 0, 0, 1)
    (tmp_path / "a.jsonl").write_bytes(first + second + second[:20])
    done = good("ingest", "a.jsonl", cwd=tmp_path)
    assert counts(done.row) == (1, 1, 0, 0, 0, 2)
    assert "a.jsonl: 20 bytes of an unfinished last line wait for the rest (or --final)" in done.err
    (tmp_path / "a.jsonl").write_bytes(first + second + second[:20])
    assert counts(ingest("a.jsonl", "--final", cwd=tmp_path)) == (1, 1, 0, 0, 1, 3)
    assert exported("a.jsonl", tmp_path) == first + second + second[:20]


def test_a_changed_prefix_is_a_new_generation_exported_apart(tmp_path: Path) -> None:
    old = b"".join(event(i) + b"\n" for i in range(3))
    new = b"".join(event(i, by="corrected") + b"\n" for i in range(4))
    (tmp_path / "a.jsonl").write_bytes(old)
    ingest("a.jsonl", cwd=tmp_path)
    (tmp_path / "a.jsonl").write_bytes(new)
    done = good("ingest", "a.jsonl", cwd=tmp_path)
    assert counts(done.row) == (4, 4, 0, 0, 0, 7)
    assert "a.jsonl#2 has a numbering of its own: 3 of its ids are known from a.jsonl with other content" in done.err
    assert exported("a.jsonl", tmp_path) == old
    assert exported("a.jsonl#2", tmp_path) == new
    assert counts(ingest("a.jsonl", cwd=tmp_path)) == (0, 0, 0, 0, 0, 7)
    assert {row["source"] for row in good("log", cwd=tmp_path).rows} == {"a.jsonl", "a.jsonl#2"}


ROUND_TRIPS = {
    "plain": event(1) + b"\n" + event(2) + b"\n",
    "crlf": event(1) + b"\r\n" + event(2) + b"\r\n",
    "bom": b"\xef\xbb\xbf" + event(1) + b"\n" + event(2) + b"\n",
    "blank lines": b"\n\r\n" + event(1) + b"\n\n  \n" + event(2) + b"\n\n\n",
    "no last line end": event(1) + b"\n" + event(2),
    "invalid utf-8": event(1) + b'\n{"id":"x\xff\xfe"}\n' + event(2) + b"\n",
    "odd lines": event(1) + b"\n" + event(3) + b"\nno json\n{]\n\x00\x1b[31m\n" + event(2) + b"\n",
    "csv": b'id,time,type,stream,amount\r\n1,2024-01-02,a,thing-1,"x\r\ny"\r\n2,2024-01-03,b,thing-2,\r\n',
    "csv with bom": b"\xef\xbb\xbfid,time,type,stream,amount\n1,2024-01-02,a,thing-1,5\n2,2024-01-03,b,thing-2,6",
}


@pytest.mark.parametrize("name", ROUND_TRIPS)
def test_a_source_comes_back_byte_for_byte(tmp_path: Path, name: str) -> None:
    data = ROUND_TRIPS[name]
    for packer, pack in PACKERS.items():
        if packer == "plain" or name in ("crlf", "csv"):
            (tmp_path / f"{packer}.log").write_bytes(pack(data.replace(b"thing", packer.encode())))
    ingest("*.log", cwd=tmp_path)
    for path in tmp_path.glob("*.log"):
        assert exported(path.name, tmp_path) == data.replace(b"thing", path.stem.encode())
    to_file = tmp_path / "back"
    good("export", "--raw", "--source", "plain.log", "-o", to_file, cwd=tmp_path)
    assert to_file.read_bytes() == data.replace(b"thing", b"plain")


def test_every_kind_of_source_is_read(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.feather
    import pyarrow.parquet as pq

    def made(number: int) -> dict[str, Any]:
        return plain_event(number, f"thing-{number}")

    (tmp_path / "in").mkdir()
    folder = tmp_path / "in"
    write_lines(folder / "lines.log", [made(1)])
    (folder / "array.log").write_text(json.dumps([made(2), made(3)], indent=2))
    (folder / "wrapped.log").write_text(json.dumps({"Records": [made(4)], "more": 1}))
    (folder / "concatenated.log").write_text(json.dumps(made(5), indent=1) + json.dumps(made(6)))
    (folder / "comma.log").write_text("id,type,time,stream,n\nevt-7,Changed,2024-01-02,thing-7,7\n")
    (folder / "tab.log").write_text("id\ttype\ttime\tstream\tn\nevt-8\tChanged\t2024-01-02\tthing-8\t8\n")
    pq.write_table(pa.Table.from_pylist([made(9)]), folder / "parquet.log")
    pyarrow.feather.write_feather(pa.Table.from_pylist([made(10)]), folder / "arrow.log", compression="zstd")
    (folder / ".hidden.log").write_text("no")
    assert counts(ingest("in", cwd=tmp_path)) == (10, 10, 0, 0, 0, 10)
    states = good("replay", cwd=tmp_path).rows
    assert {row["entity"] for row in states} == {f"thing-{i}" for i in range(1, 11)}
    assert {json.dumps(row["state"]) for row in states} == {
        *(json.dumps({"n": i}) for i in (1, 2, 3, 4, 5, 6, 9, 10)),
        '{"n": "7"}',
        '{"n": "8"}',
    }


def test_stdin_is_a_source(tmp_path: Path) -> None:
    data = event(1) + b"\r\n" + event(2)
    assert counts(ingest("-", cwd=tmp_path, stdin=data)) == (2, 2, 0, 0, 0, 2)
    assert exported("-", tmp_path) == data
    assert counts(ingest("-", cwd=tmp_path, stdin=gzip.compress(data))) == (0, 0, 0, 0, 0, 2)


def test_wrapped_records_and_whole_documents(tmp_path: Path) -> None:
    (tmp_path / "w.json").write_text(
        json.dumps({"meta": {"n": 1}, "page": {"events": [plain_event(1), plain_event(2)]}})
    )
    assert counts(ingest("w.json", "--records-path", "page.events", cwd=tmp_path)) == (2, 2, 0, 0, 0, 2)
    (tmp_path / "d.json").write_text(json.dumps(plain_event(3), indent=2))
    assert counts(ingest("d.json", "--input-format", "json-document", cwd=tmp_path)) == (1, 1, 0, 0, 0, 3)
    assert exported("d.json", tmp_path) == (tmp_path / "d.json").read_bytes()


def test_a_cell_text_can_mean_null(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,time,type,stream,owner,note\n1,2024-01-02,Set,thing-1,NULL,\n")
    ingest("a.csv", "--null", "NULL", cwd=tmp_path)
    assert good("replay", cwd=tmp_path).row["state"] == {"owner": None}


def test_map_is_kept_for_the_commands_that_follow(tmp_path: Path) -> None:
    rows = [{"n": i, "a": f"left-{i % 2}", "b": f"right-{i % 3}", "ts": "2024-01-02", "what": "x"} for i in range(6)]
    write_lines(tmp_path / "a.jsonl", rows)
    ingest("a.jsonl", "--map", "entity=a", "--map", "type=what", cwd=tmp_path)
    assert [row["entity"] for row in good("entities", cwd=tmp_path).rows] == ["left-0", "left-1"]
    assert good("types", cwd=tmp_path).row["type"] == "x"
    write_lines(tmp_path / "b.jsonl", rows[:3])
    ingest("b.jsonl", cwd=tmp_path)
    assert [row["entity"] for row in good("entities", cwd=tmp_path).rows] == ["left-0", "left-1"]
    before = root(tmp_path)
    good("reindex", "--map", "entity=b", cwd=tmp_path)
    assert [row["entity"] for row in good("entities", cwd=tmp_path).rows] == ["right-0", "right-1", "right-2"]
    assert root(tmp_path) == before


def test_a_wrong_map_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [plain_event(1)])
    refused("ingest", "a.jsonl", "--map", "entty=x", code=2, cwd=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]
    ingest("a.jsonl", cwd=tmp_path)
    refused("reindex", "--map", "entity", code=2, cwd=tmp_path)
    assert good("replay", cwd=tmp_path).row["entity"] == "thing-1"


def test_the_index_follows_a_mapping_that_was_changed(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [{**plain_event(i), "other": f"else-{i}"} for i in range(3)])
    ingest("a.jsonl", cwd=tmp_path)
    assert [row["entity"] for row in good("entities", cwd=tmp_path).rows] == ["thing-1"]
    (tmp_path / "esctl.toml").write_text('[mapping]\nid = "id"\ntime = "time"\nentity = "other"\ndata = "data"\n')
    assert [row["entity"] for row in good("entities", cwd=tmp_path).rows] == ["else-0", "else-1", "else-2"]
    (tmp_path / "esctl.toml").unlink()
    assert [row["entity"] for row in good("entities", cwd=tmp_path).rows] == ["thing-1"]


@uncompacted
@pytest.mark.parametrize("existing", [False, True])
def test_strict_takes_all_or_nothing(tmp_path: Path, existing: bool) -> None:
    if existing:
        write_lines(tmp_path / "first.jsonl", [plain_event(i) for i in range(3)])
        ingest("first.jsonl", cwd=tmp_path)
    listed = sorted(path.name for path in tmp_path.rglob("*.parquet") if "log" in path.parts)
    write_lines(tmp_path / "good.jsonl", [plain_event(i) for i in range(10, 13)])
    (tmp_path / "bad.jsonl").write_bytes(event(20) + b"\n" + b"{no json}\n" + event(21) + b"\n")
    message, hint = refused("ingest", "good.jsonl", "bad.jsonl", "--strict", code=3, cwd=tmp_path)
    assert message.startswith("bad.jsonl: ")
    assert f"offset {len(event(20)) + 1}" in message
    assert "no JSON" in message
    assert "without --strict" in hint
    assert sorted(path.name for path in tmp_path.rglob("*.parquet") if "log" in path.parts) == listed
    commits = list((tmp_path / ".esctl" / "commits").glob("0*.json"))
    assert len(commits) == existing
    assert counts(ingest("good.jsonl", "--strict", cwd=tmp_path))[:2] == (3, 3)
    assert len(list((tmp_path / ".esctl" / "commits").glob("0*.json"))) == existing + 1


def test_strict_makes_one_commit_of_many_sources(tmp_path: Path) -> None:
    for name in "abc":
        write_lines(tmp_path / f"{name}.jsonl", [plain_event(i, f"{name}-1") | {"id": f"{name}{i}"} for i in range(3)])
    assert counts(ingest("*.jsonl", "--strict", cwd=tmp_path)) == (9, 9, 0, 0, 0, 9)
    assert len(list((tmp_path / ".esctl" / "commits").glob("0*.json"))) == 1


@pytest.mark.parametrize(
    ("again", "expected"),
    [
        ('{ "data": {"b": 1.50, "a": 1},  "stream": "s-1", "type": "T", "id": "e1" }', (1, 0)),
        ('{"id":"\\u00651","type":"T","stream":"s-1","data":{"a":1,"b":1.50}}', (1, 0)),
        ('{"id":"e1","type":"T","stream":"s-1","data":{"a":true,"b":1.50}}', (0, 1)),
        ('{"id":"e1","type":"T","stream":"s-1","data":{"a":1,"b":1.5}}', (0, 1)),
        ('{"id":"e1","type":"T","stream":"s-1","data":{"a":1,"b":1.50,"c":null}}', (0, 1)),
    ],
)
def test_a_record_that_says_the_same_otherwise_is_a_duplicate(
    again: str, expected: tuple[int, int], tmp_path: Path
) -> None:
    first = '{"id":"e1","type":"T","stream":"s-1","data":{"a":1,"b":1.50}}'
    (tmp_path / "a.jsonl").write_text(f"{first}\n")
    (tmp_path / "b.jsonl").write_text(f"{again}\n")
    row = good("ingest", "a.jsonl", "b.jsonl", "--map", "scope=store", cwd=tmp_path).row
    assert (row["duplicates"], row["conflicts"]) == expected
    again_row = good("ingest", "b.jsonl", "--map", "scope=store", "--store", "other", cwd=tmp_path).row
    assert again_row["new"] == 1


def test_duplicates_and_conflicts_are_kept_counted_and_listed(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [plain_event(1, n=1), plain_event(2, n=2)])
    write_lines(tmp_path / "b.jsonl", [plain_event(2, n=2), plain_event(1, n=9), plain_event(3, n=3)])
    ingest("a.jsonl", cwd=tmp_path)
    done = good("ingest", "b.jsonl", cwd=tmp_path)
    assert counts(done.row) == (3, 3, 1, 1, 0, 5)
    assert "note: 1 conflicting event: esctl log --conflicts" in done.err
    (duplicate,) = good("log", "--duplicates", cwd=tmp_path).rows
    (conflict,) = good("log", "--conflicts", cwd=tmp_path).rows
    assert (duplicate["position"], duplicate["duplicate_of"]) == (3, 2)
    assert (conflict["position"], conflict["duplicate_of"]) == (4, 1)
    assert good("replay", cwd=tmp_path).row["version"] == 3
    status = good("status", cwd=tmp_path).row
    assert (status["duplicates"], status["conflicts"], status["head"]) == (1, 1, 5)


def test_duplicates_can_be_left_out(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [plain_event(1), plain_event(2)])
    write_lines(tmp_path / "b.jsonl", [plain_event(2), plain_event(3), plain_event(3)])
    ingest("a.jsonl", cwd=tmp_path)
    done = good("ingest", "b.jsonl", "--skip-duplicates", cwd=tmp_path)
    assert counts(done.row) == (3, 1, 2, 0, 0, 3)
    assert "2 duplicates were left out: their sources can no longer be exported whole" in done.err
    assert [row["id"] for row in good("log", cwd=tmp_path).rows] == ["evt-1", "evt-2", "evt-3"]


def test_invalid_records_are_kept_counted_and_listed(tmp_path: Path) -> None:
    bad = [b"no json", b'{"id":1,}', b"\xff\xfe", b'{"id":"evt-9","a":01}', b"NaN"]
    (tmp_path / "a.jsonl").write_bytes(b"\n".join([event(1), *bad, *map(event, range(2, 20))]) + b"\n")
    done = good("ingest", "a.jsonl", cwd=tmp_path)
    assert counts(done.row) == (24, 24, 0, 0, 5, 24)
    assert "note: 5 invalid records: esctl log --invalid" in done.err
    rows = good("log", "--invalid", cwd=tmp_path).rows
    assert [row["position"] for row in rows] == [2, 3, 4, 5, 6]
    assert all(row["invalid"] for row in rows)
    assert good("replay", cwd=tmp_path).row["version"] == 19
    shown = good("show", "@4", cwd=tmp_path).row
    assert shown["raw"] == "base64://4K"
    assert good("show", "@4", "--raw", cwd=tmp_path).out == b"\xff\xfe\n"


def test_a_record_that_is_too_long_is_kept_as_invalid(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(event(1) + b"\n" + event(2, text="x" * 5000) + b"\n" + event(3) + b"\n")
    done = esctl("ingest", "a.jsonl", "--max-record", "4KiB", cwd=tmp_path)
    assert done.code in (0, 3)
    if done.code == 0:
        assert counts(done.row)[4] == 1
    else:
        assert "a.jsonl" in done.err
        assert "4" in done.err
        assert len(done.err.splitlines()) >= 2


NO_ENTITY = [{"at": f"2024-01-02T00:00:{i:02d}Z", "colour": ["red", "blue"][i % 2], "n": i} for i in range(20)]


def test_without_an_entity_the_evidence_is_kept_and_candidates_are_named(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", NO_ENTITY)
    done = esctl("ingest", "a.jsonl", "-q", cwd=tmp_path)
    assert done.code == 2
    assert done.row["new"] == 20
    message, hint = done.err.splitlines()
    assert "the events are kept, but no field was recognised as the entity" in message
    assert "colour" in message
    assert "red" in message
    assert "esctl reindex --map entity=" in hint
    assert exported("a.jsonl", tmp_path) == (tmp_path / "a.jsonl").read_bytes()
    good("reindex", "--map", "entity=colour", "-q", cwd=tmp_path)
    assert [row["entity"] for row in good("entities", cwd=tmp_path).rows] == ["blue", "red"]
    assert len(good("replay", cwd=tmp_path).rows) == 2


def test_an_erasable_store_is_made_so_once(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [plain_event(1)])
    ingest("a.jsonl", "--erasable", cwd=tmp_path)
    assert json.loads((tmp_path / ".esctl" / "format.json").read_text())["erasable"] is True
    write_lines(tmp_path / "b.jsonl", [plain_event(2)])
    assert counts(ingest("b.jsonl", cwd=tmp_path))[-1] == 2
    assert counts(ingest("b.jsonl", "--erasable", cwd=tmp_path))[-1] == 2


def test_what_was_recognised_is_said_on_stderr_unless_quiet(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [plain_event(1), plain_event(2)])
    done = good("ingest", "a.jsonl", cwd=tmp_path)
    assert "mapping of a.jsonl" in done.err
    for field, path in (("entity", "stream"), ("time", "time"), ("actor", "actor"), ("data", "data")):
        assert any(line.split()[:2] == [field, path] for line in done.err.splitlines())
    write_lines(tmp_path / "b.jsonl", [plain_event(3)])
    assert good("ingest", "b.jsonl", "-q", cwd=tmp_path).err == ""


def test_progress_is_for_terminals_alone(tmp_path: Path) -> None:
    folder = ingest_samples(tmp_path)
    write_lines(folder / "more.jsonl", [plain_event(i) for i in range(5)])
    shown, code = on_terminal("ingest", "more.jsonl", cwd=folder, width=100)
    assert (code, "records" in shown) == (0, True)
    write_lines(folder / "again.jsonl", [plain_event(i) for i in range(5, 9)])
    done = good("ingest", "again.jsonl", cwd=folder)
    assert "\r" not in done.err
    assert "\x1b" not in done.err


def test_the_samples_are_counted_as_their_story_tells(samples: Path) -> None:
    status = good("status", cwd=samples).row
    assert [status[name] for name in ("head", "duplicates", "conflicts", "invalid")] == [7164, 2, 1, 6]
    for source in ("bank.jsonl", "messy.jsonl", "orders_cdc.jsonl"):
        assert exported(source, samples) == (samples / source).read_bytes()
    for name in ("part-1.jsonl.gz", "part-2.jsonl.gz"):
        assert exported(f"shop/{name}", samples) == gzip.decompress((samples / "shop" / name).read_bytes())


def test_export_gives_the_events_of_a_source(samples: Path) -> None:
    rows = good("export", "--source", "messy.jsonl", cwd=samples).rows
    assert rows == [row for row in good("log", cwd=samples).rows if row["source"] == "messy.jsonl"]
    assert good("export", cwd=samples).out == good("log", cwd=samples).out


@pytest.mark.parametrize(
    ("name", "text", "path", "hint"),
    [
        ("a.csv", "id,type,time,entity\n1,T,2024-01-01,a\n", "page", "leave it out"),
        ("a.json", '{"the items": [{"id": 1}]}', "page.events", "--records-path 'the items'?"),
        ("a.json", '[{"id": 1}]', "page", "leave it out"),
        ("a.jsonl", '{"id": 1}\n{"id": 2}\n', "page", "leave it out"),
        ("a.json", '{"page": [{"id": 1}]}', "", "names an array"),
    ],
)
def test_a_path_to_records_that_would_do_nothing_is_an_error(
    tmp_path: Path, name: str, text: str, path: str, hint: str
) -> None:
    (tmp_path / name).write_text(text)
    message, told = refused("ingest", name, "--records-path", path, code=2, cwd=tmp_path)
    assert "--records-path" in message
    assert hint in told or "empty" in message
    message, _ = refused("ingest", name, "--follow", "--records-path", "x", code=2, cwd=tmp_path)
    assert "--follow" in message


def test_a_hint_works_when_it_is_pasted_into_a_shell(tmp_path: Path) -> None:
    events = [{"level": f"l{n % 2}", "box.slot": f"b{n % 7}'s $x", "note": "n"} for n in range(30)]
    write_lines(tmp_path / "a.jsonl", events)
    done = esctl("ingest", "a.jsonl", cwd=tmp_path)
    assert done.code == 2
    words = shlex.split(done.err.partition("say which it is: ")[2])
    assert words == ["esctl", "reindex", "--map", 'entity="box.slot"']
    good(*words[1:], cwd=tmp_path)
    _, hint = refused("replay", "b3's $y", code=4, cwd=tmp_path)
    found = shlex.split(hint.removeprefix("did you mean ").removesuffix("?"))
    assert found == ["b3's $x"]
    assert good("replay", *found, cwd=tmp_path).row["entity"] == found[0]
    (tmp_path / "of may.jsonl").write_text("{}\n")
    _, hint = refused("ingest", "of mai.jsonl", code=3, cwd=tmp_path)
    assert shlex.split(hint.removeprefix("did you mean ").removesuffix("?")) == ["of may.jsonl"]


def test_cells_of_a_table_that_has_grown_mean_what_they_did(tmp_path: Path) -> None:
    table = "id,type,time,stream,v\n1,T,2024-01-01T00:00:00Z,x,NA\n"
    (tmp_path / "a.csv").write_text(table)
    ingest("a.csv", cwd=tmp_path)
    (tmp_path / "a.csv").write_text(table + "2,T,2024-01-02T00:00:00Z,y,NA\n")
    done = good("ingest", "a.csv", "--null", "NA", cwd=tmp_path)
    assert "--null NA does not apply to a.csv" in done.err
    before = good("replay", cwd=tmp_path).out
    good("verify", "--full", cwd=tmp_path)
    good("reindex", "-q", cwd=tmp_path)
    assert good("replay", cwd=tmp_path).out == before
    assert b"null" not in before


@pytest.mark.parametrize(("first", "later"), [("--header", "--no-header"), ("--no-header", "--header")])
def test_a_header_that_is_denied_too_late_is_said(tmp_path: Path, first: str, later: str) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    assert "does not apply" not in esctl("ingest", "a.csv", first, cwd=tmp_path).err
    assert "does not apply" not in esctl("ingest", "a.csv", first, cwd=tmp_path).err
    with (tmp_path / "a.csv").open("a") as file:
        file.write("3,4\n")
    done = esctl("ingest", "a.csv", later, cwd=tmp_path)
    assert f"note: {later} does not apply to a.csv, whose first records were read otherwise" in done.err


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_last_row_that_may_be_half_is_said(tmp_path: Path, encoding: str) -> None:
    table, ended, goes_on = tmp_path / "a.csv", "its last line has no line end", "goes on within the row"
    where = ["ingest", "a.csv", "--map", "entity=id"]

    def said(text: str, *more: str) -> tuple[bool, bool]:
        table.write_bytes(text.encode(encoding))
        done = good(*where, *more, cwd=tmp_path)
        return f"note: a.csv: {ended}" in done.err, f"note: a.csv {goes_on}" in done.err

    whole = "id,x\n1,a\n2,b"
    assert said(whole) == (True, False)
    assert good("status", cwd=tmp_path).row["head"] == 2
    assert said(whole) == (False, False)
    assert said(whole + "\n3,c") == (True, False)
    assert said(whole + "\n3,cd\n4,e\n") == (False, True)
    assert said(whole + "\n3,cd\n4,e\n5,f", "--final") == (False, False)
    assert said(whole + "\n3,cd\n4,e\n5,f\r\n6,g\n") == (False, False)


def test_a_half_row_of_one_cell_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id\n1\n2")
    good("ingest", "a.csv", "--header", "--input-format", "csv", "--map", "entity=id", cwd=tmp_path)
    (tmp_path / "a.csv").write_text("id\n1\n23\n")
    assert "note: a.csv goes on within the row that was its last" in good("ingest", "a.csv", cwd=tmp_path).err
