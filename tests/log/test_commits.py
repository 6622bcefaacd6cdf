"""The commit log: what is read back, what is refused, and who wins."""

from __future__ import annotations

import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from esctl.errors import InputError, UsageError
from esctl.log import commits
from esctl.log.commit_json import commit_from_json, commit_to_json, parse_stored_time, stored_time
from esctl.log.commits import create_store, open_log
from esctl.log.lines import from_line, sealed, to_line
from esctl.log.store_state import Commit, StoreState
from esctl.log.writer import Part
from esctl.model import KafkaCursor
from esctl.storage import local
from esctl.storage.protocol import ConflictError
from tests.support.log_helpers import NOW, Failing, Unsynced, as_header, batch, check, cursor, part, reopened, store


def moved(store_state: StoreState, name: str = "s", records: int = 0, **rest: Any) -> Commit:
    """A commit that moves a cursor and adds no record."""
    cursors = {name: cursor(b"x" * records, records)}
    commit = Commit(
        store_state.seq + 1, "append", store_state.at + 1, store_state.commit_sha256, store_state.tree, cursors=cursors
    )
    return replace(commit, **rest)


def many(path: Path, count: int) -> StoreState:
    log = create_store(path, files=Unsynced())
    store_state = log.read()
    for number in range(count):
        store_state = log.append(store_state, moved(store_state, f"s{number % 7}", number))
    return store_state


def commit_file(path: Path, seq: int) -> Path:
    return path / "commits" / f"{seq:020d}.json"


def test_what_was_committed_is_read_back(tmp_path: Path) -> None:
    odd = replace(part("ü\n", [b"{}\n"]).cursor, header=as_header(b"a,b\n"), dialect={"delimiter": ";"}, sampled=1)
    after = store(tmp_path / "s", [[part("a", [b"1\n", b"2\n"])], [replace(part("ü\n", [b"{}\n"]), cursor=odd)]])
    store_state = reopened(tmp_path / "s")
    assert store_state == after
    assert (store_state.head, store_state.seq, store_state.at) == (3, 2, NOW + 1)
    assert [(segment.first, segment.last) for segment in store_state.segments] == [(1, 2), (3, 3)]
    assert store_state.cursors["ü\n"] == odd
    assert set(store_state.cursors) == {"a", "ü\n"}
    check(store_state)
    assert open_log(tmp_path / "s").read(1).head == 2
    assert open_log(tmp_path / "s").read(0).head == 0


def test_a_new_store_is_empty(tmp_path: Path) -> None:
    log = create_store(tmp_path / "deep" / ".esctl", erasable=True)
    store_state = log.read()
    assert (store_state.head, store_state.seq, store_state.segments, dict(store_state.cursors)) == (0, 0, (), {})
    assert store_state.root == sha256(b"").hexdigest()
    assert store_state.erasable
    assert json.loads((tmp_path / "deep" / ".esctl" / "format.json").read_text()) == {
        "format": 1,
        "store_id": log.store_id,
        "erasable": True,
    }


def test_making_a_store_again_opens_it(tmp_path: Path) -> None:
    first = create_store(tmp_path / "s")
    assert create_store(tmp_path / "s").store_id == first.store_id
    with pytest.raises(UsageError, match="is not erasable"):
        create_store(tmp_path / "s", erasable=True)


def test_commit_files_are_one_line_with_sorted_keys(tmp_path: Path) -> None:
    store(tmp_path / "s", [[part("a", [b"1\n"])]])
    text = commit_file(tmp_path / "s", 1).read_text()
    value = json.loads(text)
    assert text == json.dumps(value, sort_keys=True, separators=(",", ":")) + "\n"
    assert list(value) == ["add", "at", "cursors", "kind", "prev", "remove", "seq", "sha256", "tree"]
    assert value["at"] == "2023-11-14T22:13:20.000000Z"


def test_each_commit_holds_the_hash_of_the_one_before(tmp_path: Path) -> None:
    store(tmp_path / "s", [[part("a", [b"1\n"])], [part("b", [b"1\n"])]])
    first = commit_file(tmp_path / "s", 1).read_bytes()
    assert json.loads(commit_file(tmp_path / "s", 2).read_bytes())["prev"] == sha256(first).hexdigest()


@pytest.mark.parametrize(
    "text", ['{"format":2,"store_id":"x"}', '{"format":"1"}', '{"format":true,"erasable":false}', '{"format":0}']
)
def test_an_unknown_format_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "format.json").write_text(text)
    with pytest.raises(InputError, match="has the format"):
        open_log(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "[" * 100_000, '{"format":1}', '{"format":1,"store_id":"../x","erasable":false}']
)
def test_a_damaged_format_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "format.json").write_text(text)
    with pytest.raises(InputError, match=r"format\.json is not readable"):
        open_log(tmp_path)


def test_no_store_no_log(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no store") as caught:
        open_log(tmp_path / "absent")
    assert "esctl ingest" in caught.value.hint


def test_commits_without_their_format_file_are_no_place_for_a_new_store(tmp_path: Path) -> None:
    store(tmp_path / "s", [[part("a", [b"1\n"])]])
    (tmp_path / "s" / "format.json").unlink()
    with pytest.raises(InputError, match=r"format\.json is missing"):
        create_store(tmp_path / "s")


def test_a_missing_commit_is_named(tmp_path: Path) -> None:
    many(tmp_path / "s", 5)
    commit_file(tmp_path / "s", 3).unlink()
    with pytest.raises(InputError, match=r"00000000000000000003\.json is missing"):
        reopened(tmp_path / "s")


def test_a_commit_removed_after_a_summary_of_it_is_noticed(tmp_path: Path) -> None:
    many(tmp_path / "s", 200)
    commit_file(tmp_path / "s", 200).unlink()
    with pytest.raises(InputError, match=r"00000000000000000200\.json is missing"):
        reopened(tmp_path / "s")


def test_a_changed_commit_breaks_the_chain(tmp_path: Path) -> None:
    many(tmp_path / "s", 5)
    path = commit_file(tmp_path / "s", 2)
    path.write_bytes(changed(json.loads(path.read_bytes()), "cursors.s1.records", 7))
    with pytest.raises(InputError, match=r"00000000000000000003\.json does not follow"):
        reopened(tmp_path / "s")


def test_commits_of_another_store_are_refused(tmp_path: Path) -> None:
    many(tmp_path / "a", 1)
    create_store(tmp_path / "b")
    commit_file(tmp_path / "b", 1).write_bytes(commit_file(tmp_path / "a", 1).read_bytes())
    with pytest.raises(InputError, match=r"00000000000000000001\.json does not follow"):
        reopened(tmp_path / "b")


def changed(value: dict[str, Any], path: str, to: Any) -> bytes:
    *parents, last = path.split(".")
    inner: Any = value
    for name in parents:
        inner = inner[int(name)] if name.isdecimal() else inner[name]
    inner[last] = to
    return to_line(sealed({name: member for name, member in value.items() if name != "sha256"}))


def test_a_changed_digit_of_the_last_commit_is_refused(tmp_path: Path) -> None:
    many(tmp_path, 1)
    data = commit_file(tmp_path, 1).read_bytes()
    commit_file(tmp_path, 1).write_bytes(data.replace(b'"records":0', b'"records":2'))
    with pytest.raises(
        InputError, match=r"00000000000000000001\.json is not a commit file: it is not as it was written"
    ):
        reopened(tmp_path)


def test_a_summary_of_another_store_is_not_believed(tmp_path: Path) -> None:
    many(tmp_path, 100)
    identity = json.loads((tmp_path / "format.json").read_bytes())
    identity["store_id"] = "00000000-0000-0000-0000-000000000000"
    (tmp_path / "format.json").write_bytes(to_line(identity))
    with pytest.raises(InputError, match=r"00000000000000000001\.json does not follow from .*format\.json"):
        reopened(tmp_path)


@pytest.mark.parametrize(
    ("path", "to"),
    [
        ("kind", "merge"),
        ("kind", None),
        ("at", "yesterday"),
        ("at", "2023-11-14T22:13:20Z"),
        ("at", 5),
        ("prev", "xyz"),
        ("seq", "1"),
        ("seq", True),
        ("tree", None),
        ("tree.size", 2),
        ("tree.root", "00" * 32),
        ("tree.frontier", ["zz"]),
        ("add", {"a": 1}),
        ("add.0.file", "../../etc/passwd"),
        ("add.0.file", "00000000000000000001-00000000000000000001.abcdef01.parquet\n"),
        ("add.0.file", "00000000000000000002-00000000000000000002.abcdef01.parquet"),
        ("add.0.bytes", -1),
        ("add.0.sha256", "AB" * 32),
        ("add.0.blocks", ["00"]),
        ("cursors", []),
        ("cursors.a", 1),
        ("cursors.a.offset", "1"),
        ("cursors.a.color", "red"),
        ("cursors.a.dialect", "x"),
    ],
)
def test_a_malformed_commit_is_refused_and_named(tmp_path: Path, path: str, to: Any) -> None:
    store(tmp_path / "s", [[part("a", [b"1\n"])]])
    file = commit_file(tmp_path / "s", 1)
    file.write_bytes(changed(json.loads(file.read_bytes()), path, to))
    with pytest.raises(InputError, match=r"00000000000000000001\.json"):
        reopened(tmp_path / "s")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b'{"seq":1}', b"[" * 200_000, b"null"])
def test_a_commit_that_is_no_json_object_is_refused(tmp_path: Path, data: bytes) -> None:
    many(tmp_path / "s", 2)
    commit_file(tmp_path / "s", 2).write_bytes(data)
    with pytest.raises(InputError, match=r"00000000000000000002\.json is not a commit file"):
        reopened(tmp_path / "s")


def test_segments_must_follow_one_another(tmp_path: Path) -> None:
    before = store(tmp_path / "s", [[part("a", [b"1\n"])]])
    log = open_log(tmp_path / "s")
    segment = before.segments[0]
    for commit in (
        moved(before, add=(segment,)),
        moved(before, remove=(segment.file,)),
        moved(before, kind="compact", remove=(segment.file,)),
        moved(before, kind="compact", remove=("nothing.parquet",)),
        moved(before, kind="compact", add=(segment,)),
        moved(before, at=before.at),
    ):
        with pytest.raises(InputError, match="contradicts"):
            log.append(before, commit)
    assert reopened(tmp_path / "s") == before


def test_replacing_segments_changes_neither_head_nor_tree(tmp_path: Path) -> None:
    before = store(tmp_path / "s", [[part("a", [b"1\n"])], [part("b", [b"1\n"])]])
    old = before.segments[0]
    new = replace(old, file=old.file[:42] + "00000000.parquet")
    after = open_log(tmp_path / "s").append(before, moved(before, kind="compact", remove=(old.file,), add=(new,)))
    assert after.segments == (new, before.segments[1])
    assert (after.head, after.root) == (before.head, before.root)
    assert reopened(tmp_path / "s") == after


def test_only_one_of_two_makes_a_commit(tmp_path: Path) -> None:
    before = many(tmp_path / "s", 1)
    log = open_log(tmp_path / "s")
    after = log.append(before, moved(before, "winner"))
    with pytest.raises(ConflictError):
        log.append(before, moved(before, "loser"))
    assert reopened(tmp_path / "s") == after
    assert not list((tmp_path / "s" / "commits").glob(".tmp*"))


def test_a_commit_is_durable_before_it_has_its_name(tmp_path: Path) -> None:
    before = many(tmp_path / "s", 1)
    watched = Failing()
    open_log(tmp_path / "s", watched).append(before, moved(before))
    assert watched.steps == ["create", "write", "sync", "link", "sync_folder"]


@pytest.fixture(scope="module")
def long_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("long") / "s"
    many(path, 250)
    return path


def test_opening_an_old_store_reads_few_files(long_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = open_log(long_store).read(summaries=False)
    read: list[str] = []

    def counted(path: Path, limit: int) -> bytes:
        read.append(path.name)
        return original(path, limit)

    original = local.read_regular
    monkeypatch.setattr(commits, "read_regular", counted)
    assert reopened(long_store) == whole
    assert len(read) == 1 + 2 + 50  # format.json, the summary and its commit, the commits since


@pytest.mark.parametrize("upto", [0, 1, 99, 100, 101, 200, 249])
def test_an_earlier_state_can_be_read(long_store: Path, upto: int) -> None:
    log = open_log(long_store)
    assert log.read(upto) == log.read(upto, summaries=False)
    assert log.read(upto).seq == upto


def test_a_state_of_the_future_cannot_be_read(long_store: Path) -> None:
    with pytest.raises(InputError, match=r"00000000000000000251\.json is missing"):
        open_log(long_store).read(251)


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]", None, b"swap"])
def test_a_damaged_summary_is_ignored_and_made_again(tmp_path: Path, damage: bytes | None) -> None:
    many(tmp_path / "s", 101)
    path = tmp_path / "s" / "commits" / f"summary-{100:020d}.json"
    good = path.read_bytes()
    log = open_log(tmp_path / "s")
    expected = log.read(summaries=False)
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(good.replace(b'"records":99', b'"records":98') if damage == b"swap" else damage)
    assert log.read() == expected
    log.mend_summary(log.read())
    assert path.read_bytes() == good


def test_a_summary_with_a_right_digest_of_a_wrong_commit_is_ignored(tmp_path: Path) -> None:
    many(tmp_path / "a", 100)
    many(tmp_path / "b", 100)
    name = f"commits/summary-{100:020d}.json"
    (tmp_path / "b" / name).write_bytes((tmp_path / "a" / name).read_bytes())
    assert reopened(tmp_path / "b") == open_log(tmp_path / "b").read(summaries=False)


@given(st.integers(-(10**16), 10**17))
def test_instants_are_written_exactly(microseconds: int) -> None:
    assert parse_stored_time(stored_time(microseconds)) == microseconds


def test_a_commit_survives_its_json(tmp_path: Path) -> None:
    store_state = store(tmp_path / "s", [[part("a", [b"1\n"] * 5000)]])
    data = commit_file(tmp_path / "s", 1).read_bytes()
    commit = commit_from_json(from_line(data))
    assert to_line(commit_to_json(commit)) == data
    assert commit.add == store_state.segments
    assert len(commit.add[0].blocks) == 1


def test_reading_commits_imports_neither_arrow_nor_duckdb(tmp_path: Path) -> None:
    store(tmp_path / "s", [[part("a", [b"1\n"])]])
    code = (
        "import sys, pathlib, esctl.log, esctl.log.commits as c;"
        "assert c.open_log(pathlib.Path(sys.argv[1])).read().head == 1;"
        "print(sorted({'pyarrow', 'duckdb', 'numpy', 'filelock'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "s")], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_cursor_of_another_kind_of_source_comes_back(tmp_path: Path) -> None:
    cursor = KafkaCursor("c1", "orders", "t1", 3, 12, 4, None, True, ((4, 7),), format="message", records=2, sampled=2)
    store(tmp_path / "s", [[Part("kafka", [batch([b"1", b"2"])], cursor)]])
    assert reopened(tmp_path / "s").cursors == {"kafka": cursor}
    file = commit_file(tmp_path / "s", 1)
    file.write_bytes(changed(json.loads(file.read_bytes()), "cursors.kafka.kind", "other"))
    with pytest.raises(InputError, match=r"is not a commit file"):
        open_log(tmp_path / "s").read()
