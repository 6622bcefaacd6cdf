"""Whatever is done to the files of a store, verify finds it and says what it is."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from esctl.api import Store
from esctl.errors import InputError
from esctl.index import chunks
from esctl.index.files.manifest import Manifest
from esctl.index.files.write import sweep_unread
from esctl.ledger.check import files
from esctl.ledger.check.findings import Check
from esctl.ledger.check.verify import VerifyOptions, verify
from esctl.ledger.sign import checkpoints, last_seen
from esctl.ledger.sign.note import SigningKey
from esctl.log.commits import create_store
from esctl.log.store_state import commit_name
from esctl.log.writer import LogWriter
from tests.support import effort, forgery
from tests.support import log_helpers as logs
from tests.support.cli_harness import good, plain_event, write_lines
from tests.support.forgery import KEY, forge, judge

OTHER = SigningKey("stranger", b"\x01" * 32)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder with a store of many commits, one of few, and what their user keeps."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        forgery.make(folder / "many")
        forgery.make(folder / "few", commits=FEW)
        yield folder


FEW = 4


def lent(path: Path) -> Iterator[Path]:
    """Lend a store to a test, and undo what it did to it."""
    kept = path.with_name("kept")
    if not kept.exists():
        shutil.copytree(path, kept)
    remembered = last_seen.pin_path(path).read_bytes()
    yield path
    shutil.rmtree(path)
    shutil.copytree(kept, path)
    last_seen.pin_path(path).write_bytes(remembered)


@pytest.fixture
def store(made: Path) -> Iterator[Path]:
    yield from lent(made / "many" / ".esctl")


@pytest.fixture
def few(made: Path) -> Iterator[Path]:
    yield from lent(made / "few" / ".esctl")


def test_a_store_that_nobody_touched_is_intact(store: Path) -> None:
    judged = judge(store, full=True)
    assert judged.verified.is_intact, judged.files
    assert {check.rule for check in judged.verified.checks if not check.skipped} == {
        "identity", "commits", "summaries", "segments", "index files", "checkpoints", "last seen", "records", "times",
        "cursors", "index", "back-dating",
    }  # fmt: skip
    counts = {check.rule: check.count for check in judged.verified.checks}
    assert counts["records"] == counts["index"] == forgery.FIRST + 300
    assert counts["commits"] == counts["segments"] == counts["cursors"] == 101


def test_every_flipped_bit_is_found_in_its_file(store: Path) -> None:
    rng = random.Random(7)
    for file, bit in forgery.places(forgery.files(store, rng, effort.examples(12, 3)), rng, 2):
        whole = file.read_bytes()
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        file.write_bytes(damaged)
        try:
            judged = judge(store)
            place = str(file.relative_to(store))
            assert place in judged.files, (place, bit, judged.files)
            assert judged.kinds & {"changed", "index out of step", "file replaced", "signature by an unknown key"}
        finally:
            file.write_bytes(whole)
    assert judge(store).verified.is_intact


def test_every_cut_and_missing_file_is_found(store: Path) -> None:
    rng = random.Random(8)
    for file in forgery.files(store, rng, effort.examples(8, 2)):
        whole, place = file.read_bytes(), str(file.relative_to(store))
        for left in (0, 1, rng.randrange(len(whole)), len(whole) - 1):
            file.write_bytes(whole[:left])
            assert place in judge(store).files, (place, left)
        file.unlink()
        judged = judge(store)
        if "summary" not in place and "manifest" not in place and "checkpoints" not in place:
            assert judged.kinds & {"removed", "rolled back", "index out of step"}, place
            assert place in judged.files
        file.write_bytes(whole)


def test_swapped_duplicated_and_older_files_are_found(store: Path) -> None:
    segments = sorted((store / "log").iterdir())
    first, second = (path.read_bytes() for path in segments[4:6])
    segments[4].write_bytes(second)
    segments[5].write_bytes(first)
    judged = judge(store)
    assert {(kind, at) for kind, at in judged.of("segments")} == {("file replaced", 4210), ("file replaced", 4213)}
    segments[4].write_bytes(first)
    assert judge(store).of("segments") == [("file replaced", 4213)]
    segments[5].write_bytes(second)
    commits = [store / "commits" / commit_name(seq) for seq in (20, 30)]
    kept = commits[1].read_bytes()
    commits[1].write_bytes(commits[0].read_bytes())
    judged = judge(store)
    assert "file replaced" in judged.kinds
    assert f"commits/{commits[1].name}" in judged.files
    commits[1].write_bytes(kept)
    assert judge(store).verified.is_intact


def test_a_file_that_nobody_named_changes_nothing(few: Path) -> None:
    segment = next((few / "log").iterdir())
    shutil.copy(segment, few / "log" / "00000000000000000001-00000000000000004200.00000000.parquet")
    assert judge(few).verified.is_intact


@pytest.mark.parametrize("gone", [1, 5])
def test_a_store_gone_back_is_found_without_a_key(store: Path, gone: int) -> None:
    for seq in range(102 - gone, 102):
        (store / "commits" / commit_name(seq)).unlink()
    for path in (store / "index", store / "checkpoints"):
        shutil.rmtree(path)
    (store / "commits" / f"summary-{commit_name(100)}").unlink()
    judged = judge(store)
    assert judged.of("last seen") == [("rolled back", 4501 - 3 * gone)]
    last_seen.pin_path(store).unlink()
    assert judge(store).verified.is_intact


def test_index_summary_and_checkpoint_each_tell_of_a_store_gone_back(store: Path) -> None:
    for seq in range(97, 102):
        (store / "commits" / commit_name(seq)).unlink()
    last_seen.pin_path(store).unlink()
    judged = judge(store)
    assert judged.kinds == {"rolled back"}
    assert judged.rules >= {"index files", "checkpoints", "summaries"}


def changed(raws: list[bytes]) -> list[bytes]:
    raws[4100] = raws[4100].replace(b'"n": 104100', b'"n": 904100')
    return raws


def removed(raws: list[bytes]) -> list[bytes]:
    return raws[:4100] + raws[4101:]


def inserted(raws: list[bytes]) -> list[bytes]:
    return [*raws[:4100], raws[4100].replace(b"e-004100", b"e-999999"), *raws[4100:]]


def reordered(raws: list[bytes]) -> list[bytes]:
    return [*raws[:4100], raws[4101], raws[4100], *raws[4102:]]


EDITS = [(changed, "changed"), (removed, "removed"), (inserted, "inserted"), (reordered, "reordered")]


def test_a_changed_value_in_a_valid_file_is_found_at_its_position(few: Path) -> None:
    forge(few, forgery.edited(changed), trees=False)
    judged = judge(few)
    assert judged.kinds == {"changed"}
    assert "last seen" in judged.rules
    last_seen.pin_path(few).unlink()
    assert judge(few).verified.is_intact  # what --full is for
    judged = judge(few, full=True)
    assert ("changed", 4101) in judged.of("records")
    assert judged.of("cursors")
    assert judged.of("index") == []


def test_a_changed_value_is_found_in_its_block(few: Path) -> None:
    def early(raws: list[bytes]) -> list[bytes]:
        return [*raws[:4], raws[4].replace(b'"n": 100004', b'"n": 900004'), *raws[5:]]

    forge(few, forgery.edited(early), trees=False)
    last_seen.pin_path(few).unlink()
    assert judge(few, full=True).of("records") == [("changed", 5)]


@pytest.mark.parametrize("told", [{"head_sha256": "0" * 64}, {"sha256": "0" * 64}, {"records": 7}], ids=str)
def test_each_of_what_a_commit_says_of_its_source_is_held_to_the_records(
    few: Path, told: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    true = forgery.cursor
    monkeypatch.setattr(forgery, "cursor", lambda data, records: replace(true(data, records), **told))
    forge(few, forgery.edited(lambda raws: raws), cursors=True)
    last_seen.pin_path(few).unlink()
    assert judge(few, full=True).of("cursors")


def test_blanks_behind_the_last_record_are_bytes_of_its_source(tmp_path: Path) -> None:
    for name, blanks in (("none", b""), ("line", b"\n"), ("lines", b"\n \n\t\r\n")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "a.jsonl").write_bytes(json.dumps(plain_event(1)).encode() + b"\n" + blanks)
        good("ingest", "a.jsonl", "-q", cwd=folder)
        told = {row["check"]: row["checked"] for row in good("verify", "--full", cwd=folder).rows}
        assert told["cursors"] == 1, name


@pytest.mark.parametrize(("edit", "kind"), EDITS)
def test_records_forged_with_the_whole_tree_are_found(
    few: Path, edit: Callable[[list[bytes]], list[bytes]], kind: str, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.checkpoint"
    kept.write_bytes(checkpoints.checkpoint_files(few)[0].read_bytes())
    forge(few, forgery.edited(edit), cursors=True)
    for summary in (few / "commits").glob("summary-*"):
        summary.unlink()
    judged = judge(few, since=kept)
    assert judged.rules >= {"last seen", "checkpoints", "since"}
    (few / "checkpoints" / checkpoints.checkpoint_files(few)[0].name).unlink()
    last_seen.pin_path(few).unlink()
    assert judge(few, since=kept, trust=(KEY,)).rules >= {"since"}
    judged = judge(few, full=True)
    assert judged.rules == ({"index", "index files"} if edit is removed else {"index"})
    assert any(f"been {kind}" in message for message in judged.messages)
    assert min(at or 0 for _, at in judged.of("index")) == 4101
    forgery.reindex(few)
    judged = judge(few, full=True, since=kept)
    assert judged.rules == {"since"}
    assert judge(few, full=True).verified.is_intact  # so an anchor kept elsewhere is what it takes


def test_a_checkpoint_by_an_unknown_key_is_found(few: Path) -> None:
    (kept,) = checkpoints.checkpoint_files(few)
    forged = few / "checkpoints" / kept.name
    forged.unlink()
    remembered = last_seen.pin_path(few).read_bytes()
    checkpoints.make_checkpoint(few, OTHER)
    last_seen.pin_path(few).write_bytes(remembered)
    judged = judge(few)
    assert judged.kinds == {"signature by an unknown key"}
    assert judge(few, trust=(OTHER,)).verified.is_intact
    last_seen.pin_path(few).unlink()
    assert judge(few).verified.is_intact
    assert judge(few, trust=(KEY,)).kinds == {"signature by an unknown key"}


def test_a_head_that_was_never_the_logs_is_found(few: Path) -> None:
    (kept,) = checkpoints.checkpoint_files(few)
    text = kept.read_bytes()
    for change in ((b"\n4209\n", b"\n4208\n"), (b"\n4209\n", b"\n4211\n")):
        kept.write_bytes(text.replace(*change))
        assert f"checkpoints/{kept.name}" in judge(few).files
    kept.write_bytes(text)


def test_an_index_out_of_step_is_found(few: Path) -> None:
    import pyarrow.parquet as pq

    from esctl.index.files.groups import RowGroup
    from esctl.index.files.manifest import read_manifest, write_manifest
    from esctl.log.ranges import parquet_ranges

    (folder,) = (few / "index").iterdir()
    manifest = read_manifest(folder)
    assert manifest is not None
    entry = manifest.files[0]
    table = pq.read_table(folder / entry.file)
    actors = table["actor"].to_pylist()
    row = table["position"].to_pylist().index(77)
    actors[row] = "somebody else"
    forged = table.set_column(table.schema.get_field_index("actor"), "actor", [actors])
    pq.write_table(forged, folder / entry.file)
    assert judge(few).of("index files") == [("index out of step", entry.first)]
    *ranges, footer = parquet_ranges(folder / entry.file, pq.read_metadata(folder / entry.file))
    groups = tuple(RowGroup(part, old.low, old.high) for part, old in zip(ranges, entry.groups, strict=True))
    patched = replace(entry, bytes=footer.offset + footer.bytes, groups=groups, footer=footer)
    write_manifest(folder, replace(manifest, files=(patched, *manifest.files[1:])))
    assert judge(few).verified.is_intact
    judged = judge(few, full=True)
    assert judged.of("index") == [("index out of step", 77)]
    assert judged.rules == {"index"}


def test_what_is_delivered_again_far_apart_is_what_the_index_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    events = [plain_event(number) for number in range(40)]
    write_lines(tmp_path / "log.jsonl", [*events, events[3], {**events[9], "data": {"n": -1}}])
    done = good("ingest", "log.jsonl", cwd=tmp_path, ESCTL_SNAPSHOTS="off").row
    assert (done["duplicates"], done["conflicts"]) == (1, 1)
    for rows in (1000, 16, 3):
        monkeypatch.setattr(chunks, "CHUNK_ROWS", rows)
        assert judge(tmp_path / ".esctl", full=True).verified.is_intact


def test_a_missing_signature_hides_no_finding(few: Path) -> None:
    shutil.rmtree(few / "checkpoints")
    segment = max((few / "log").glob("*.parquet"), key=lambda path: path.stat().st_size)
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    assert judge(few, trust=(KEY,)).rules >= {"segments"}


def test_nothing_is_judged_where_there_is_nothing_to_judge(few: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no store"):
        judge(tmp_path / "nowhere")
    shutil.rmtree(few / "checkpoints")
    with pytest.raises(InputError, match="no checkpoint"):
        judge(few, trust=(KEY,))
    (tmp_path / "nonsense").write_text("nonsense")
    with pytest.raises(InputError, match="nonsense"):
        judge(few, since=tmp_path / "nonsense")
    other = forgery.make(tmp_path / "other", commits=1, first=3)
    with pytest.raises(InputError, match="another log"):
        judge(few, since=checkpoints.checkpoint_files(other)[0])


def test_why_an_index_is_not_judged_is_said(few: Path) -> None:
    def index(path: Path) -> Check:
        return next(each for each in verify(path, VerifyOptions(full=True)).checks if each.rule == "index")

    assert index(few).skipped == "no mapping"
    (few / "commits" / commit_name(1)).unlink()
    assert index(few).skipped == "the commits do not add up"


def test_a_lost_identity_is_found_and_the_rest_still_judged(few: Path) -> None:
    (few / "format.json").unlink()
    judged = judge(few)
    assert judged.of("identity") == [("removed", None)]
    format_file = {"format": 1, "store_id": "00000000-0000-0000-0000-000000000000", "erasable": False}
    (few / "format.json").write_text(json.dumps(format_file, sort_keys=True, separators=(",", ":")) + "\n")
    judged = judge(few)
    assert ("changed", None) in judged.of("identity")
    assert judged.of("commits") == []


def test_a_store_that_was_seen_empty_may_get_its_first_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    path = tmp_path / ".esctl"
    create_store(path)
    assert verify(path, VerifyOptions()).is_intact
    with LogWriter(path, files=logs.Unsynced()) as writer:
        writer.append([logs.part("a", [b"1\n"])])
    assert verify(path, VerifyOptions()).is_intact


def test_a_flipped_bit_in_what_map_said_is_found_and_misleads_nobody(few: Path) -> None:
    Store.open(few).set_overrides(["actor=stream"])
    assert judge(few).verified.is_intact
    kept = few / "mapping.json"
    kept.write_bytes(kept.read_bytes().replace(b"stream", b"strdam"))
    assert judge(few).of("mapping") == [("changed", None)]
    with pytest.raises(InputError, match=r"mapping\.json is not as it was written"):
        Store.open(few).replay()
    kept.unlink()


def test_a_damaged_file_of_a_snapshot_of_states_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    write_lines(tmp_path / "a.jsonl", [plain_event(n, f"a-{n % 3}", n=n) for n in range(9)])
    good("ingest", "a.jsonl", "-q", cwd=tmp_path)
    good("snapshot", cwd=tmp_path)
    store = tmp_path / ".esctl"
    checks = {check.rule: check for check in judge(store).verified.checks}
    assert (checks["snapshots"].count, checks["snapshots"].findings) == (3, ())
    files = [path for path in (store / "snapshots").rglob("*") if path.is_file()]
    assert len(files) == 3
    for file in files:
        whole = file.read_bytes()
        file.write_bytes(bytes([*whole[:20], whole[20] ^ 1, *whole[21:]]))
        assert judge(store).files == {str(file.relative_to(store))}
        file.write_bytes(whole)
    assert judge(store).verified.is_intact


@pytest.mark.parametrize("full", [False, True])
def test_files_that_a_builder_replaces_meanwhile_are_not_missing(
    few: Path, full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, merged = files._read_sealed_manifest, []

    def read_then_merged(folder: Path) -> Manifest | None:
        manifest = read(folder)
        assert manifest is not None
        merged.append(manifest)
        sweep_unread(folder, replace(manifest, ids=()))  # as where its runs were merged into another
        return manifest

    monkeypatch.setattr(files, "_read_sealed_manifest", read_then_merged)
    judged = judge(few, full=full)
    assert merged
    assert merged[0].ids
    assert judged.verified.is_intact, judged.files
