"""Many small sources: committed as they are read, known again, and each held against few of the others."""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from esctl.api import Store
from esctl.errors import InputError
from esctl.index import understand
from esctl.index.decode import exact_json
from esctl.index.files.manifest import Manifest
from esctl.intake import batch, intake
from esctl.intake.intake import IngestOptions, Outcome
from esctl.log.commits import open_log
from esctl.model import Cursor, FileCursor, Stanza
from esctl.sources.files.finding import Source, expand
from esctl.sources.files.generations import HEAD_SIZE, KnownSources, find_candidates, same_files
from esctl.sources.files.reading import SourceOptions, file_readers
from esctl.sources.protocol import SourceReader
from tests.support.cli_harness import good, plain_event, refused, write_lines


def files(folder: Path, count: int) -> Path:
    (folder / "logs").mkdir()
    for number in range(count):
        write_lines(folder / "logs" / f"{number:03}.jsonl", [plain_event(2 * number + each) for each in range(2)])
    return folder / "logs"


def taken(folder: Path, sources: Sequence[Source], **options: bool) -> Outcome:
    store = Store.create(folder / ".esctl", None, erasable=False)
    wanted = IngestOptions(SourceOptions(), **options)
    readers = file_readers(sources, wanted.source)
    return batch.ingest(store.path, readers, wanted, store.updater, lambda read, records: None, store.connection)


@pytest.mark.parametrize(
    ("options", "commits"), [({}, 3), ({"skip_duplicates": True}, 3), ({"strict": True}, 1)], ids=str
)
def test_many_files_are_committed_as_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, bool], commits: int
) -> None:
    monkeypatch.setattr(intake, "COMMIT_PARTS", 10)
    found = expand([str(files(tmp_path, 25))])
    assert taken(tmp_path, found, **options).summary.new == 50
    store_state = open_log(tmp_path / ".esctl").read()
    assert (store_state.seq, store_state.head, len(store_state.cursors)) == (commits, 50, 25)
    assert {cursor.sampled for cursor in store_state.cursors.values()} == {2}
    again = taken(tmp_path, found, **options).summary
    assert (again.records, again.new, open_log(tmp_path / ".esctl").read().seq) == (0, 0, commits)


def test_what_was_committed_before_a_failure_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "COMMIT_PARTS", 10)
    found = expand([str(files(tmp_path, 25))])
    found[22].path.unlink()  # type: ignore[union-attr]
    seen = []
    kept = batch._read_source

    def reading(run: batch._Run, source: SourceReader) -> None:
        seen.append(open_log(tmp_path / ".esctl").read().head)
        kept(run, source)

    monkeypatch.setattr(batch, "_read_source", reading)
    with pytest.raises(InputError, match=r"022\.jsonl"):
        taken(tmp_path, found)
    assert seen == [0] * 10 + [20] * 10 + [40] * 3
    assert open_log(tmp_path / ".esctl").read().head == 44


KILLED = """
import os, signal
from pathlib import Path
from esctl.api import Store
from esctl.intake import batch, intake
from esctl.sources.files.finding import expand
from esctl.sources.files.reading import SourceOptions, file_readers

intake.COMMIT_PARTS = 10
kept, seen = batch._read_source, []

def reading(run, source):
    seen.append(source)
    if len(seen) == 24:
        os.kill(os.getpid(), signal.SIGKILL)
    kept(run, source)

batch._read_source = reading
store = Store.create(Path(".esctl"), None, erasable=False)
options = intake.IngestOptions(SourceOptions())
readers = file_readers(expand(["logs"]), options.source)
batch.ingest(store.path, readers, options, store.updater, intake.observe_nothing, store.connection)
"""


def test_what_was_committed_before_a_kill_stays_and_the_rest_comes_by_the_same_command(tmp_path: Path) -> None:
    files(tmp_path, 25)
    done = subprocess.run([sys.executable, "-c", KILLED], cwd=tmp_path, check=False)
    assert done.returncode == -signal.SIGKILL
    assert open_log(tmp_path / ".esctl").read().head == 40
    summary = good("ingest", "logs", "-q", cwd=tmp_path).row
    assert (summary["new"], summary["head"], summary["duplicates"]) == (10, 50, 0)


def test_records_are_judged_once_however_many_sources_they_are_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = []
    kept = exact_json.judge_records

    def counting(raws: Any, *others: Any) -> exact_json.Judged:
        judged.append(len(raws))
        return kept(raws, *others)

    monkeypatch.setattr(exact_json, "judge_records", counting)
    assert taken(tmp_path, expand([str(files(tmp_path, 25))]), skip_duplicates=True).summary.new == 50
    assert judged == [50, 50]  # before they are kept, and for the index


@pytest.mark.parametrize("scope", ["", "source"], ids=str)
def test_new_sources_are_entered_into_the_manifest_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scope: str
) -> None:
    said = f'[mapping]\nid = "id"\ntype = "type"\nscope = "{scope}"\n' if scope else ""
    (tmp_path / "esctl.toml").write_text(said)
    entered = []
    kept = understand.with_sources

    def counting(manifest: Manifest, assigned: Mapping[str, Stanza]) -> Manifest:
        entered.append(len(assigned))
        return kept(manifest, assigned)

    monkeypatch.setattr(understand, "with_sources", counting)
    assert taken(tmp_path, expand([str(files(tmp_path, 25))])).summary.new == 50
    assert entered == [25]


def test_what_was_known_is_left_out_of_many(tmp_path: Path) -> None:
    logs = files(tmp_path, 5)
    assert good("ingest", "logs/000.jsonl", "logs/003.jsonl", "-q", cwd=tmp_path).row["new"] == 4
    for path in logs.iterdir():
        path.write_text("\n" + path.read_text())  # another file, the same events
    summary = good("ingest", "logs", "--skip-duplicates", "-q", cwd=tmp_path).row
    assert (summary["records"], summary["new"], summary["duplicates"]) == (10, 6, 4)
    assert summary["head"] == 10


def test_strict_names_the_source_of_what_it_refuses(tmp_path: Path) -> None:
    with (files(tmp_path, 5) / "003.jsonl").open("a") as file:
        file.write("nonsense\n")
    message, _ = refused("ingest", "logs", "--strict", code=3, cwd=tmp_path)
    assert message.startswith("logs/003.jsonl: invalid record at offset")


# --- known sources ---------------------------------------------------------------------------------------------------


def cursor(text: bytes, offset: int, form: str = "jsonl", tail: str = "") -> Cursor:
    head = hashlib.sha256(text[: min(offset, HEAD_SIZE)]).hexdigest()
    return FileCursor(
        offset,
        hashlib.sha256(text[:offset]).hexdigest(),
        min(offset, HEAD_SIZE),
        head,
        format=form,
        records=1,
        tail=tail,
    )


def every(_: Cursor) -> bool:
    return True


def test_what_a_line_was_read_to_is_found_again() -> None:
    """A source that was read up to the end of any line, its newline or not, is found by what continues it."""
    draw = random.Random(7)
    for _ in range(200):
        lines = [draw.choice([b'{"n": 1}', b"{}", b"", b"  ", b'"x y"', b"12 "]) for _ in range(6)]
        text = draw.choice([b"\n", b"\r\n"]).join(lines) + draw.choice([b"", b"\n"])
        ends = [end for end in range(1, len(text) + 1) if text[end - 1] == 10 or not text[end:].split(b"\n")[0].strip()]
        known = KnownSources({f"{end}": cursor(text, end) for end in ends})
        found = {one.name for one in find_candidates("new", text, known, foreign=True, agrees=every)}
        assert found == {str(end) for end in ends}


def test_what_else_was_read_is_found_again() -> None:
    text = b'[{"a": 1}, {"a": 2}]' * 10
    known = KnownSources(
        {
            "values": cursor(text, 10, "json"),
            "tailed": cursor(text, 7, tail="IA=="),
            "document": cursor(text, len(text), "json-document"),
            "other document": cursor(text, 20, "json-document"),
            "no record": FileCursor(5, "", 5, hashlib.sha256(text[:5]).hexdigest(), format="jsonl", records=0),
        }
    )
    names = [one.name for one in find_candidates("new", text, known, foreign=True, agrees=every)]
    assert names == ["document", "values", "tailed"]
    assert find_candidates("new", text, known, foreign=False, agrees=every) == []
    known["values"] = cursor(b"other" * 10, 10, "json")
    found = find_candidates("new", text, known, foreign=True, agrees=every)
    assert [one.name for one in found] == ["document", "tailed"]


def test_files_of_columns_are_known_by_all_of_them() -> None:
    text = b"PAR1" * 9
    known = KnownSources({"a": cursor(text, len(text), "parquet"), "b": cursor(text[4:], len(text) - 4, "arrow")})
    assert [one.name for one in same_files("new", known["a"].sha256, known, foreign=True)] == ["a"]
    assert same_files("new", known["a"].sha256, known, foreign=False) == []
    assert [one.name for one in same_files("b", known["b"].sha256, known, foreign=False)] == ["b"]
    assert find_candidates("new", text, known, foreign=True, agrees=every) == []
