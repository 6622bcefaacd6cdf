"""Of a chain that does not hold, verify names the commit that was changed; of a tree, the commit that has it wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from esctl.ledger.check.backdating import check_back_dating
from esctl.ledger.check.commits import Chain, walk
from esctl.ledger.check.findings import Anchor
from esctl.ledger.check.records import Recomputed, odd_places
from esctl.ledger.sign import checkpoints
from esctl.ledger.sign.last_seen import Pin
from esctl.log.commit_json import commit_from_json, commit_to_json
from esctl.log.lines import from_line, to_line
from esctl.log.store_state import Commit, commit_name
from tests.support import forgery
from tests.support import log_helpers as logs

COMMITS = 6
Edit = Callable[[Commit], Commit]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    parts = [[logs.part("log.jsonl", forgery.events(n * 2, 2))] for n in range(COMMITS)]
    logs.store(tmp_path / "s", parts)
    return tmp_path / "s"


def rewritten(path: Path, first: int, edit: Edit, *, linked: bool) -> None:
    """Write a commit changed, and where `linked` all after it, so that each follows from the one before."""
    prev = ""
    for seq in range(first, COMMITS + 1 if linked else first + 1):
        file = path / "commits" / commit_name(seq)
        commit = commit_from_json(from_line(file.read_bytes()))
        commit = edit(commit) if seq == first else replace(commit, prev=prev)
        file.write_bytes(to_line(commit_to_json(commit)))
        prev = sha256(file.read_bytes()).hexdigest()


def named(path: Path, pin: Pin | None = None) -> list[str]:
    """Name the commits that are found wrong."""
    (check,) = [check for check in walk(path, pin).checks if check.rule == "commits"]
    return [f"{finding.file[-10:-5].lstrip('0')}: {finding.message}" for finding in check.findings]


def pin_of(path: Path, seq: int) -> Pin:
    """Keep in mind a commit as it is now."""
    chain = walk(path)
    size = chain.commits[seq - 1].tree.size
    return Pin(**{**dict.fromkeys(Pin.__struct_fields__, 0), "store_id": chain.store_id, "seq": seq, "size": size,
                  "commit": chain.digests[seq], "root": chain.roots[size].hex()})  # fmt: skip


def later(commit: Commit) -> Commit:
    return replace(commit, at=commit.at + 1)


def astray(commit: Commit) -> Commit:
    return replace(commit, prev="0" * 64)


def test_a_commit_that_later_ones_did_not_follow_is_the_one_that_was_changed(path: Path) -> None:
    assert named(path) == []
    rewritten(path, 3, later, linked=False)
    assert named(path) == ["3: commit 4 does not follow from commit 3"]


def test_a_commit_that_follows_from_nothing_is_itself_the_one(path: Path) -> None:
    rewritten(path, 3, astray, linked=False)
    assert named(path)[0] == "3: commit 3 does not follow from commit 2"
    assert all(each.startswith("3: ") for each in named(path))


@pytest.mark.parametrize("seq", [2, 3, COMMITS])
def test_a_commit_that_contradicts_those_before_it_is_the_one_that_is_named(path: Path, seq: int) -> None:
    rewritten(path, seq, lambda commit: replace(commit, at=1), linked=True)
    (found,) = named(path)
    assert found.startswith(f"{seq}: ")
    assert "its time goes back" in found


def test_of_a_tail_that_was_written_anew_the_first_is_named_where_the_one_before_was_seen(path: Path) -> None:
    pin = pin_of(path, 2)
    rewritten(path, 3, astray, linked=True)
    assert named(path) == ["2: commit 3 does not follow from commit 2"]
    assert named(path, pin) == ["3: commit 3 does not follow from commit 2"]


def test_the_last_commit_is_vouched_for_by_what_was_seen(path: Path) -> None:
    pin = pin_of(path, COMMITS)
    rewritten(path, COMMITS - 1, later, linked=False)
    told = f"commit {COMMITS} does not follow from commit {COMMITS - 1}"
    assert named(path) == [f"{COMMITS}: {told}"]
    assert named(path, pin) == [f"{COMMITS - 1}: {told}"]


def test_where_the_first_commit_follows_from_another_identity_the_chain_tells_which_is_wrong(path: Path) -> None:
    pin = pin_of(path, 1)
    rewritten(path, 1, astray, linked=True)
    assert named(path) == []
    (identity,) = [check for check in walk(path).checks if check.rule == "identity"]
    assert [finding.file for finding in identity.findings] == ["format.json"]
    rewritten(path, 1, later, linked=False)
    assert named(path, pin) == ["1: commit 1 does not follow from commit 0"]


# --- block roots -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ((bytes(32),), "its tree is not that over its block roots"),
        ((), "it does not name the block roots of its records"),
        ((bytes(32), bytes(32)), "it does not name the block roots of its records"),
    ],
)
def test_a_commit_whose_blocks_are_not_those_of_its_tree_is_found(
    tmp_path: Path, blocks: tuple[bytes, ...], message: str
) -> None:
    path = tmp_path / "s"
    logs.store(path, [[logs.part("log.jsonl", forgery.events(0, 4100))]])
    assert named(path) == []
    file = path / "commits" / commit_name(1)
    commit = commit_from_json(from_line(file.read_bytes()))
    assert len(commit.add[0].blocks) == 1
    file.write_bytes(to_line(commit_to_json(replace(commit, add=(commit.add[0].with_blocks(blocks),)))))
    assert named(path) == [f"1: {message}"]


@pytest.mark.parametrize(("wrong", "first"), [({1, 2, 3}, 1), ({2, 3}, 11), ({3}, 21), (set(), None)])
def test_the_heads_of_commits_narrow_down_where_records_were_changed(wrong: set[int], first: int | None) -> None:
    def root(size: int) -> bytes:
        return bytes([size // 10])

    commits: Any = [SimpleNamespace(tree=SimpleNamespace(size=size, root=partial(root, size))) for size in (10, 20, 30)]
    entry: Any = SimpleNamespace(blocks=(), first=1, last=30, file="segment")
    found = Recomputed({size: b"odd" if size // 10 in wrong else root(size) for size in (10, 20, 30)})
    places = [(finding.file, finding.position) for finding in odd_places(found, commits, [entry])]
    assert places == ([] if first is None else [("log/segment", first)])


# --- heads -----------------------------------------------------------------------------------------------------------


def test_a_checkpoint_under_the_name_of_another_size_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    path = forgery.make(tmp_path, commits=2, first=3)
    (kept,) = checkpoints.checkpoint_files(path)
    assert forgery.judge(path).verified.is_intact
    size = int(kept.name[:20])
    other = kept.rename(kept.with_name(f"{size + 1:020d}{kept.name[20:]}"))
    judged = forgery.judge(path)
    assert judged.of("checkpoints") == [("file replaced", None)]
    assert judged.files == {f"checkpoints/{other.name}"}


# --- clocks ----------------------------------------------------------------------------------------------------------


def commit_at(seq: int, size: int, at: int, kind: str = "append") -> Any:
    return SimpleNamespace(seq=seq, kind=kind, at=at, tree=SimpleNamespace(size=size))


MINUTES_5 = 5 * 60 * 1_000_000
SEEN = 1_700_000_000_000_000


def back_dated(*commits: Any) -> list[tuple[str, int | None]]:
    chain: Any = SimpleNamespace(commits=commits)
    anchor = Anchor("stamp", 10, SEEN)
    typed: Chain = chain
    return [
        (finding.message.split(" ")[0], finding.position) for finding in check_back_dating(typed, [anchor]).findings
    ]


def test_clocks_may_differ_by_five_minutes_and_no_more() -> None:
    first = commit_at(1, 10, SEEN - MINUTES_5 - 9)
    assert back_dated(first, commit_at(2, 12, SEEN - MINUTES_5)) == []
    assert back_dated(first, commit_at(2, 12, SEEN - MINUTES_5 - 1)) == [("2", 11)]
    assert back_dated(first) == []


def test_records_are_counted_up_to_the_last_commit_that_claims_to_be_older() -> None:
    old, new = SEEN - 2 * MINUTES_5, SEEN + 1
    assert back_dated(commit_at(1, 11, old), commit_at(2, 13, old), commit_at(3, 20, new)) == [("3", 11)]
    assert back_dated(commit_at(1, 10, old), commit_at(2, 10, old, "redact"), commit_at(3, 20, new)) == []
    assert back_dated(commit_at(1, 20, old, "compact"), commit_at(2, 21, new)) == []
