"""Row groups in parts of a manifest: what a question finds there is what one list of all would give it."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from esctl.api import Store
from esctl.errors import InputError
from esctl.index import extend, merge_policy
from esctl.index.files import levels, manifest, merge, write
from esctl.index.files.groups import GroupRun, RowGroup
from esctl.index.files.levels import groups_in, in_levels, parts_of, with_groups
from esctl.index.files.manifest import FORMAT, FORMAT_IN_LEVELS, IndexFile, Manifest, read_manifest, write_manifest
from esctl.index.pruning import Reach
from esctl.ledger.check.verify import VerifyOptions, verify
from esctl.log.ranges import ByteRange
from esctl.maintain.compact import compact
from esctl.maintain.redact import ErasureRequest, redact
from esctl.maintain.repair import repair
from tests.support import log_helpers
from tests.support.effort import some

EVENTS, COMMITS = 1200, 3


assert extend.ROW_GROUP == merge.ROW_GROUP == write.ROW_GROUP  # imported before it is another


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make row groups, parts and manifests so small that there are many of them."""
    monkeypatch.setattr(write, "ROW_GROUP", 40)
    monkeypatch.setattr(levels, "MOST_LISTED", 8)
    monkeypatch.setattr(levels, "MOST_IN_PART", 2)
    monkeypatch.setattr(merge_policy, "MOST_SMALL", 1000)


def raws(commit: int) -> list[bytes]:
    told = (
        {"id": f"e{n}", "type": "Noted", "time": f"2024-01-{1 + n * 27 // EVENTS:02d}T{n % 24:02d}:00:00Z",
         "stream": f"thing-{n * 7 % 50:02d}" if n % 90 else "x" * 300, "data": {"amount": n}}
        for n in range(commit * EVENTS // COMMITS, (commit + 1) * EVENTS // COMMITS)
    )  # fmt: skip
    return [json.dumps(each).encode() for each in told]


def built(path: Path, commits: int = COMMITS, *, erasable: bool = False) -> Path:
    for commit in range(commits):
        log_helpers.store(path, [[log_helpers.part(f"{commit}.jsonl", raws(commit))]], erasable=erasable)
        assert Store.open(path).view
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """Give a store whose manifest is in parts, and the same with all in one."""
    with pytest.MonkeyPatch.context() as patch:
        _small.__wrapped__(patch)  # type: ignore[attr-defined]
        folder = tmp_path_factory.mktemp("levels")
        parted = built(folder / "parted" / ".esctl")
        patch.setattr(levels, "MOST_LISTED", 1 << 30)
        yield parted, built(folder / "whole" / ".esctl")


@pytest.fixture
def parted(made: tuple[Path, Path], tmp_path: Path) -> Path:
    return shutil.copytree(made[0], tmp_path / ".esctl")


def index_of(path: Path) -> tuple[Path, Manifest]:
    (folder,) = (path / "index").iterdir()
    found = read_manifest(folder)
    assert found is not None
    return folder, found


def format_of(folder: Path) -> int:
    return int(json.loads((folder / "manifest.json").read_text())["format"])


QUESTIONS: tuple[Callable[[Store], Any], ...] = (
    lambda store: store.replay(),
    lambda store: store.replay("thing-07"),
    lambda store: store.replay("thing-07", "x" * 300, at="2024-01-09"),
    lambda store: store.audit("thing-1*"),
    lambda store: store.diff("@300", "@700"),
    lambda store: store.entities(),
    lambda store: store.blame("thing-49"),
)


def test_answers_are_those_of_one_list(made: tuple[Path, Path]) -> None:
    (folder, parted), (flat, whole) = map(index_of, made)
    assert (format_of(folder), format_of(flat)) == (FORMAT_IN_LEVELS, FORMAT)
    assert len(parted.runs) > 1
    assert not whole.runs
    assert "runs" not in (flat / "manifest.json").read_text()
    assert parted.kinds == whole.kinds
    for ask in QUESTIONS:
        assert ask(Store.open(made[0])).rows() == ask(Store.open(made[1])).rows()


def test_one_entity_reads_few_parts(made: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    _, found = index_of(made[0])
    read: list[str] = []
    keep = levels._read_part
    monkeypatch.setattr(levels, "_read_part", lambda path, part: [read.append(path.name), keep(path, part)][1])
    assert Store.open(made[0]).replay("thing-07").rows()
    assert 0 < len(set(read)) < len(parts_of(found)) / 2


def test_a_flipped_bit_of_a_part_is_refused_and_named(parted: Path) -> None:
    folder, found = index_of(parted)
    rng = random.Random(3)
    for part in some(parts_of(found), 4):
        good = (folder / part.file).read_bytes()
        for damage in (_flipped(good, rng.randrange(len(good) * 8)), good[:-1], good + b" ", b""):
            (folder / part.file).write_bytes(damage)
            with pytest.raises(InputError, match=part.file):
                Store.open(parted).replay().rows()
            failed = [found for check in verify(parted, VerifyOptions()).checks for found in check.findings]
            assert [finding.file.rpartition("/")[2] for finding in failed] == [part.file]
        (folder / part.file).write_bytes(good)
    assert verify(parted, VerifyOptions()).is_intact


def _flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_a_part_that_no_question_needs_may_be_lost_until_it_is_mended(parted: Path) -> None:
    folder, found = index_of(parted)
    expected = Store.open(parted).replay("thing-07").rows()
    for part in parts_of(found):
        if not part.may_hold(["thing-07"]):
            (folder / part.file).unlink()
    assert Store.open(parted).replay("thing-07").rows() == expected
    with pytest.raises(InputError, match=r"\.groups"):
        Store.open(parted).replay().rows()
    store = Store.open(parted)
    assert [step.what for step in repair(parted, store.updater())] == ["index"]
    assert verify(parted, VerifyOptions()).is_intact
    assert Store.open(parted).replay("thing-07").rows() == expected


def test_a_store_of_one_level_goes_on_in_two(made: tuple[Path, Path], tmp_path: Path) -> None:
    path = shutil.copytree(made[1], tmp_path / ".esctl")
    folder, before = index_of(path)
    assert len(Store.open(path).entities().rows()) == 51
    assert format_of(folder) == FORMAT
    log_helpers.store(path, [[log_helpers.part("more.jsonl", raws(COMMITS))]])
    assert len(Store.open(path).entities().rows()) == 51
    folder, after = index_of(path)
    assert format_of(folder) == FORMAT_IN_LEVELS
    assert after.files[: len(before.files)] == tuple(replace(file, groups=()) for file in before.files)
    assert with_groups(folder, after.files, after.runs)[: len(before.files)] == before.files
    assert verify(path, VerifyOptions(full=True, mapping=Store.open(path).mapping)).is_intact


def test_a_compacted_index_has_parts_of_its_own(parted: Path, made: tuple[Path, Path]) -> None:
    folder, before = index_of(parted)
    assert [part.files_after for part in compact(parted, Store.open(parted).updater())][1] == 1
    folder, after = index_of(parted)
    assert len(after.runs) == 1
    assert {part.file for part in parts_of(before)}.isdisjoint(after.names)
    assert {path.name for path in folder.iterdir() if path.suffix in manifest.FILES} == after.names
    for ask in QUESTIONS:
        assert ask(Store.open(parted)).rows() == ask(Store.open(made[1])).rows()


def test_what_was_erased_is_in_no_part(tmp_path: Path) -> None:
    path = built(tmp_path / ".esctl", 1, erasable=True)
    folder, before = index_of(path)
    store = Store.open(path)
    redact(path, ErasureRequest([2], "asked to", "dpo"), store.updater())
    assert parts_of(before)
    assert not [part for part in parts_of(before) if (folder / part.file).exists()]
    assert verify(path, VerifyOptions(full=True, mapping=store.mapping)).is_intact


def test_a_store_is_asked_as_of_before(made: tuple[Path, Path]) -> None:
    for seq in (1, 2):
        stores = [Store.open(path) for path in made]
        views = [store.updater().at(log_helpers.open_log(store.path).read(seq)) for store in stores]
        parted, whole = (
            sorted(store.connection.execute(view.relation(["id"])).fetchall())
            for store, view in zip(stores, views, strict=True)
        )
        assert len(parted) == 400 * seq
        assert parted == whole


def test_a_manifest_names_parts_that_are_whole(parted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed anywhere while a manifest is written, the one before still names all that it needs."""
    folder, before = index_of(parted)
    groups = with_groups(folder, before.files, before.runs)[0].groups
    added = replace(before.files[-1], file=_name(9000, 9001), first=9000, last=9001, groups=groups * 2)
    with monkeypatch.context() as patch:
        patch.setattr("esctl.storage.depots.LocalDepot.replace", _killed)
        with pytest.raises(Killed):
            write_manifest(folder, replace(before, files=(*before.files, added)))
    assert index_of(parted)[1] == before
    assert verify(parted, VerifyOptions()).is_intact
    left = {path.name for path in folder.glob("*.groups")} - before.names
    assert left
    write.sweep(folder, before, linger=-1)
    assert {path.name for path in folder.iterdir() if path.suffix in manifest.FILES} == before.names


class Killed(BaseException):
    """What ends a process."""


def _killed(*_: object) -> str:
    raise Killed


def _name(first: int, last: int) -> str:
    return f"{first:020d}-{last:020d}.{random.Random(first).randbytes(4).hex()}.parquet"


BOUND = st.none() | st.text("abc", max_size=2)
GROUPS = st.lists(st.tuples(BOUND, BOUND), min_size=1, max_size=6)
STEPS = st.lists(st.tuples(st.booleans(), GROUPS), min_size=1, max_size=12)


def entry(first: int, bounds: list[tuple[str | None, str | None]]) -> IndexFile:
    sizes = [ByteRange(at * 10, 10, f"{first}-{at}") for at in range(len(bounds))]
    pairs = [(low, high) if low is None or high is None else tuple(sorted((low, high))) for low, high in bounds]
    groups = tuple(RowGroup(size, *pair) for size, pair in zip(sizes, pairs, strict=True))
    counts = dict.fromkeys(
        ("rows", "events", "untyped", "unsequenced", "duplicates", "conflicts", "invalid", "homeless", "erased",
         "undated", "min_time", "max_time"), 1,
    )  # fmt: skip
    return IndexFile(
        file=_name(first, first), bytes=1, groups=groups, footer=ByteRange(0, 1, ""), first=first, last=first,
        columns=(), orderings=("time",), sequence_key="none", roles=False, twice=False, ties=False,
        fields=((f"f{first % 2}", ("TEXT",)),), loose=(), **counts,
    )  # fmt: skip


@given(STEPS, st.lists(st.text("abcd", max_size=2), min_size=1, max_size=3), BOUND, BOUND)
def test_what_is_found_in_parts_is_what_one_list_has(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[bool, list[tuple[str | None, str | None]]]],
    names: list[str],
    low: str | None,
    high: str | None,
) -> None:
    """However files came and went: each step adds a file or puts it in the place of the last two."""
    with pytest.MonkeyPatch.context() as patch:
        _small.__wrapped__(patch)  # type: ignore[attr-defined]
        folder, kept, flat = tmp_path_factory.mktemp("drawn"), Manifest(), list[IndexFile]()
        for number, (merges, bounds) in enumerate(steps, 1):
            file = entry(number, bounds)
            left = max(len(flat) - 2, 0) if merges else len(flat)
            flat[left:] = [file]
            kept = write_manifest(folder, replace(kept, files=(*kept.files[:left], file), head=number))
            assert read_manifest(folder) == kept
        assert all(kept.files[at] in (file, replace(file, groups=())) for at, file in enumerate(flat))
        for reach in (Reach(), Reach(tuple(sorted(names))), Reach(min_entity=low, max_entity=high)):
            found = groups_in(folder, kept.files, kept.runs, reach.may_lie_in_group)
            assert found == {file.file: [g for g in file.groups if reach.may_lie_in_group(g)] for file in flat}
        shutil.rmtree(folder)


def test_runs_of_one_size_are_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "MOST_IN_PART", 50)
    kept = Manifest()
    for number in range(1, 100):
        kept = in_levels(tmp_path, replace(kept, files=(*kept.files, entry(number, [("a", "b")] * 9))))
        assert len(kept.runs) <= (levels.FAN - 1) * 4
    assert sum(run.groups for run in kept.runs) == 9 * 99


def test_row_groups_that_are_listed_nowhere_are_damage(tmp_path: Path) -> None:
    files = (replace(entry(1, [("a", "b")]), groups=()),)
    for runs in ((), (GroupRun((2,), ()),)):
        document = replace(Manifest(1, files), runs=runs)
        body = manifest.json.dumps({"format": FORMAT, **manifest.to_builtins(document)}, separators=(",", ":"))
        (tmp_path / "manifest.json").write_text(manifest.with_digest(body))
        with pytest.raises(InputError, match=r"manifest\.json"):
            read_manifest(tmp_path)
