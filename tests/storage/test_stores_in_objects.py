"""Whole stores in objects: the same answers as on disk, whoever writes, whatever fails."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from esctl.api import Store
from esctl.errors import EsctlError, InputError
from esctl.index import merge_policy
from tests.support.effort import ALL, some
from tests.support.objects import URL, Crash, World, forget_machines, worlds

pytest.importorskip("obstore")
MAP = ["id=id", "type=type", "time=time", "entity=of"]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    yield from worlds(tmp_path, monkeypatch)


def log(path: Path, first: int, count: int, entities: int = 7) -> Path:
    """Write events of some entities."""
    lines = [
        {"id": f"e{n}", "type": "Set", "time": f"2024-01-01T00:00:{n % 60:02d}Z", "of": f"a-{n % entities}",
         "data": {"n": n, "text": "x" * (n % 13)}}
        for n in range(first, first + count)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def ingest(*sources: Path, **options: Any) -> None:
    with Store.create(URL, **options) as store:
        store.ingest(*sources, map=MAP)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a store of 50 events on disk, from which its records may be erased; worlds can begin with it."""
    folder = tmp_path_factory.mktemp("begun")
    with Store.create(folder / "store", erasable=True) as store:
        store.ingest(log(folder / "a.jsonl", 0, 50), map=MAP)
    return folder / "store"


def states(where: str | Path = URL, **options: Any) -> list[dict[str, Any]]:
    with Store.open(where) as store:
        return store.replay(**options).rows()


def findings(where: str | Path = URL) -> list[dict[str, Any]]:
    with Store.open(where) as store:
        return [row for row in store.verify(full=True).rows() if row["result"] == "failed"]


QUESTIONS: tuple[Callable[[Store], Any], ...] = (
    lambda store: store.replay(),
    lambda store: store.replay("a-3", at="2024-01-01T00:00:20Z"),
    lambda store: store.diff("@100", "@400"),
    lambda store: store.audit("a-2"),
    lambda store: store.blame("a-1"),
    lambda store: store.when("n > 5"),
    lambda store: store.sql("SELECT entity, count(*) FROM events GROUP BY 1 ORDER BY 1"),
    lambda store: store.events(raw="raw"),
)


def test_questions_have_the_answers_of_the_same_store_on_disk(world: World, begun: Path, tmp_path: Path) -> None:
    shutil.copytree(begun, tmp_path / "disk")
    with Store.open(tmp_path / "disk") as disk:
        disk.ingest(log(tmp_path / "b.jsonl", 50, 550))
        world.upload(tmp_path / "disk")
        world.machine()
        with Store.open(URL) as objects:
            for ask in some(QUESTIONS, 2):
                assert ask(objects).rows() == ask(disk).rows()


def test_what_is_written_is_a_store_as_on_disk(world: World, tmp_path: Path) -> None:
    world.machine()
    ingest(log(tmp_path / "a.jsonl", 0, 30))
    ingest(log(tmp_path / "b.jsonl", 30, 30))
    disk = world.download(tmp_path / "disk")
    assert not findings(disk)
    assert states(disk) == states()
    assert not [name for name in world.names() if "tmp" in name or name.startswith(("lock", "probe", "clock"))]


def test_a_store_is_compacted_redacted_and_repaired_where_it_is(world: World, begun: Path, tmp_path: Path) -> None:
    from esctl.maintain.compact import compact
    from esctl.maintain.redact import ErasureRequest, redact
    from esctl.maintain.repair import repair

    world.upload(begun)
    root = world.machine()
    ingest(log(tmp_path / "b.jsonl", 50, 50))
    before = states()
    with Store.open(URL) as store:
        parts = compact(root, store.updater())
        assert [(part.files_before, part.files_after) for part in parts if part.part == "log"] == [(2, 1)]
    with Store.open(URL) as store:
        redact(root, ErasureRequest([95], "asked for", "me"), store.updater())
    assert [state for state in states() if state["entity"] == "a-3"] != [
        state for state in before if state["entity"] == "a-3"
    ]
    assert not findings()
    for name in [name for name in world.names() if "/0" in name and name.startswith("index/")]:
        world.flip(name, 100)
    with Store.open(URL) as store:
        assert [step.result for step in repair(root, store.updater())] == ["mended"]
    assert not findings()


def test_a_machine_sees_what_another_wrote(world: World, begun: Path, tmp_path: Path) -> None:
    world.upload(begun)
    world.machine("one")
    states()
    world.machine("two")
    assert sum(state["version"] for state in states()) == 50
    ingest(log(tmp_path / "b.jsonl", 50, 30))
    world.machine("one")
    assert sum(state["version"] for state in states()) == 80


def test_what_one_machine_erased_no_other_keeps(world: World, begun: Path) -> None:
    from esctl.maintain.redact import ErasureRequest, redact

    world.upload(begun)
    two = world.machine("two")
    states()
    one = world.machine("one")
    with Store.open(URL) as store:
        redact(one, ErasureRequest([8], "asked for", "me"), store.updater())
    held = sorted(path.name for path in two.rglob("*.parquet"))
    world.machine("two")
    states()
    assert held
    assert not {path.name for path in two.rglob("*.parquet")} & set(held)
    assert b'"n": 7,' not in b"".join(path.read_bytes() for path in two.rglob("*") if path.is_file())


@pytest.mark.parametrize("forgets", [True, False])
def test_what_was_erased_of_another_store_at_the_same_place_is_not_kept(
    world: World, begun: Path, tmp_path: Path, forgets: bool
) -> None:
    from esctl.maintain.redact import ErasureRequest, redact
    from esctl.storage.places import forget_fetched

    def erase(root: Path, *positions: int) -> None:
        with Store.open(URL) as store:
            redact(root, ErasureRequest(list(positions), "asked for", "me"), store.updater())

    def held(root: Path) -> set[str]:
        return {path.name for path in root.rglob("*.parquet")}

    world.upload(begun)
    two = world.machine("two")
    for position in (8, 9):
        erase(two, position)
    if forgets:
        forget_fetched(two)
    for name in world.names():
        world.depot.delete(name)
    one = world.machine("one")
    ingest(log(tmp_path / "b.jsonl", 50, 20), erasable=True)
    world.machine("two")
    states()
    before = held(two)
    world.machine("one")
    erase(one, 3)
    world.machine("two")
    states()
    assert before
    assert not held(two) & before


def test_who_else_is_writing_is_told_and_one_who_is_gone_is_not_waited_for(world: World, begun: Path) -> None:
    from esctl.log.lock import store_lock
    from esctl.storage.mirrors import mirror_of

    world.upload(begun)
    one, two = world.machine("one"), world.machine("two")
    with store_lock(one), pytest.raises(InputError, match=r"is being written by process \d+ on "), store_lock(two, 0):
        pass
    with store_lock(two, 0):
        pass
    mirror = mirror_of(one)
    assert mirror is not None
    mirror.lease(0)  # and never given back: the process was killed
    with store_lock(one, 0):  # the lock of that machine is free, so it is gone
        pass


def test_a_lease_that_is_not_renewed_is_taken_over(world: World, begun: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from esctl.log.lock import store_lock

    monkeypatch.setattr("esctl.storage.lease.SECONDS", -1.0)
    world.upload(begun)
    one, two = world.machine("one"), world.machine("two")
    with store_lock(one), store_lock(two, 0):
        pass
    assert "lock" not in world.names()


def test_the_lock_of_a_store_that_was_copied_from_a_disk_holds_nobody_up(world: World, begun: Path) -> None:
    from esctl.log.lock import store_lock

    world.upload(begun)
    assert world.content("lock") == b""
    with store_lock(world.machine(), 0):
        pass


def test_writers_that_pass_the_lock_by_lose_nothing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from tests.support.log_helpers import Unlocked, part

    count = 4 if ALL else 2
    machines = [world.machine(f"m{number}") for number in range(count)]
    with Store.create(URL):
        pass

    def write(number: int) -> None:
        for each in range(3):
            with Unlocked(machines[number]) as writer:
                writer.append([part(f"s{number}-{each}", [b'{"n":%d}\n' % each] * 5)])

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(write, range(count)))
    with Store.open(URL) as store:
        assert (store.store_state.head, len(store.store_state.cursors)) == (15 * count, 3 * count)
    assert not findings(world.download(tmp_path / "disk"))


def _tried(world: World, source: Path, at: int, after: bool, raised: Any) -> bool:
    """Ingest where one change fails; return whether there was one of that number."""
    world.machine(f"m{at}{after}")
    world.depot.clear()
    world.depot.fails_at, world.depot.after = at, after
    if raised is not None:
        world.depot.raised = raised
    try:
        ingest(source)
    except (EsctlError, OSError, Crash):
        pass
    finally:
        world.depot.fails_at = -1
    return len(world.depot.changes()) > at


@pytest.mark.parametrize(("raised", "after"), [(Crash, True), (None, True), (None, False), (Crash, False)])
def test_wherever_a_writer_ends_the_next_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool, raised: Any
) -> None:
    monkeypatch.setattr("esctl.storage.lease.SECONDS", -1.0)
    source = log(tmp_path / "a.jsonl", 0, 40)
    at, going_on = 0 if ALL else 6, True
    while going_on:
        with monkeypatch.context() as patch:
            for world in worlds(tmp_path / f"{at}", patch):
                going_on = _tried(world, source, at, after, raised)
                world.machine("next")
                ingest(source)
                assert sum(state["version"] for state in states()) == 40
                assert not findings()
        shutil.rmtree(tmp_path / f"{at}")
        if not ALL:
            assert going_on
            break
        at += 1
    assert at > 2


def test_a_flipped_byte_is_refused_by_the_name_of_its_file(world: World, begun: Path) -> None:
    world.upload(begun)
    files = [name for name in world.names() if name.endswith((".parquet", "1.json"))]
    assert len(files) >= 3
    for number, name in enumerate(files):
        for at in (50, len(world.content(name)) - 20):
            world.flip(name, at)
            world.machine(f"reader{number}.{at}")
            with pytest.raises(EsctlError, match=name.rpartition("/")[2]):
                _everything()
            world.flip(name, at)


def _everything() -> None:
    with Store.open(URL) as store:
        store.replay("a-3").rows()
        store.events(raw="raw").rows()


def test_what_is_damaged_in_the_cache_is_fetched_again(world: World, begun: Path) -> None:
    world.upload(begun)
    root = world.machine()
    right = states()
    for path in [*root.rglob("*.parquet"), *root.rglob("*.json")]:
        path.write_bytes(b"\xff" * path.stat().st_size)
    assert states() == right
    for path in [*root.rglob("*.parquet"), *root.rglob("*.json")]:
        path.unlink()
    assert states() == right


def test_another_store_at_the_same_place_is_not_answered_from_the_cache(
    world: World, begun: Path, tmp_path: Path
) -> None:
    world.upload(begun)
    world.machine()
    assert sum(state["version"] for state in states()) == 50
    for name in world.names():
        world.depot.delete(name)
    world.machine("other")
    ingest(log(tmp_path / "b.jsonl", 50, 20))
    world.machine()
    assert sum(state["version"] for state in states()) == 20


def test_one_entity_costs_few_requests_and_bytes(world: World, tmp_path: Path) -> None:
    world.machine("writer")
    ingest(log(tmp_path / "a.jsonl", 0, 6_000, entities=600))
    ingest(log(tmp_path / "b.jsonl", 6_000, 100, entities=600))
    size = sum(len(world.content(name)) for name in world.names())
    costs = []
    for machine in ("reader", "reader", "writer"):
        forget_machines()
        world.machine(machine)
        with Store.open(URL) as store:
            assert [state["version"] for state in store.replay("a-77").rows()] == [11]
        costs.append((world.depot.read["requests"], world.depot.read["bytes"]))
    (cold, cold_bytes), warm, written = costs
    assert cold == 8
    assert cold_bytes < size / 3
    assert warm == written == (4, 0)


def _one_entity(world: World, machine: str) -> tuple[int, int]:
    """Ask for the state of one entity on a machine; give the requests and bytes that it took."""
    forget_machines()
    world.machine(machine)
    with Store.open(URL) as store:
        (state,) = store.replay("a-77").rows()
    assert state["version"] > 1
    return world.depot.read["requests"], world.depot.read["bytes"]


@pytest.mark.thorough
def test_one_entity_costs_as_few_of_a_store_fourteen_times_as_large(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row groups, commits and parts are so small that there are many, as of ten million events and more."""
    from esctl.index import extend
    from esctl.index.files import merge, write
    from esctl.maintain.compact import compact

    assert extend.ROW_GROUP == merge.ROW_GROUP  # imported before it is another
    monkeypatch.setattr(write, "ROW_GROUP", 60)
    monkeypatch.setattr("esctl.index.files.levels.MOST_LISTED", 64)
    monkeypatch.setattr("esctl.index.files.levels.MOST_IN_PART", 16)
    monkeypatch.setattr("esctl.log.commit_json.PART_BYTES", 1000)
    monkeypatch.setattr("esctl.intake.intake.COMMIT_PARTS", 1)
    costs = []
    for count in (1, 14):
        folder = tmp_path / f"{count}"
        sources = [log(tmp_path / f"{count}-{part}.jsonl", part * 600, 600, entities=500) for part in range(count)]
        with Store.create(folder) as store:
            store.ingest(*sources, map=MAP)
        with Store.open(folder) as store:
            compact(folder, store.updater())
        for name in world.names():
            world.depot.delete(name)
        world.upload(folder)
        costs.append([_one_entity(world, f"reader{count}") for _ in range(2)])
    assert any(name.endswith(".groups") for name in world.names())
    assert len([name for name in world.names() if name.startswith("commits/0")]) > 14
    ((small, _), warm), ((large, _), warm_of_large) = costs
    assert small <= 10
    assert large <= small + 2
    assert warm == warm_of_large == (4, 0)


def test_one_entity_costs_as_few_of_a_large_store_as_an_ingest_leaves_it(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commits are as large, beside what is merged, as those of ten million events; no footer is near its row group."""
    from esctl.index import extend
    from esctl.index.files import merge, write

    assert extend.ROW_GROUP == merge.ROW_GROUP  # imported before it is another
    monkeypatch.setattr(write, "ROW_GROUP", 60)
    monkeypatch.setattr("esctl.storage.objects._APART", 0)
    monkeypatch.setattr("esctl.intake.intake.COMMIT_PARTS", 1)
    monkeypatch.setattr(merge_policy, "SMALL_ROWS", 600)
    monkeypatch.setattr(merge_policy, "COMPACT_ROWS", 600 * 7)
    costs = []
    for count, left in ((1, 1), (11, 2)):
        for name in world.names():
            world.depot.delete(name)
        forget_machines()
        world.machine(f"writer{count}")
        ingest(*(log(tmp_path / f"{count}-{part}.jsonl", part * 600, 600, entities=500) for part in range(count)))
        with Store.open(URL) as store:
            assert len(store.view.manifest.files) == left
        costs.append([_one_entity(world, f"reader{count}") for _ in range(2)])
    ((small, _), warm), ((large, _), warm_of_large) = costs
    assert small <= 8
    assert large <= 10
    assert warm == warm_of_large == (4, 0)


def test_a_machine_that_comes_to_many_commits_lists_those_after_the_newest_summary(
    world: World, begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from esctl.log.commits import open_log
    from esctl.log.writer import LogWriter
    from tests.support.log_helpers import part

    monkeypatch.setattr("esctl.storage.mirror._PAGE", 5)
    world.upload(begun)
    with LogWriter(world.machine("writer")) as writer:
        for number in range(20):
            writer.append([part(f"s{number}", [b"{}\n"])])
        expected = writer.store_state
    root = world.machine("reader")
    assert replace(open_log(root).read(), path=expected.path) == expected
    assert [name for call, name in world.depot.calls if call == "get"][-2:] == [
        f"commits/head-{21:020d}.json",
        f"commits/{21:020d}.json",
    ]
    assert world.depot.read["listed"] == 5 + 1 + 2


@pytest.mark.thorough
def test_a_store_that_was_verified_meanwhile_is_asked_on(world: World, begun: Path) -> None:
    world.upload(begun)
    world.machine()
    with Store.open(URL) as store:
        before = store.replay("a-3").rows()
        store.verify(full=True)  # which reads everything anew
        assert store.replay("a-3").rows() == before


@pytest.mark.thorough
def test_many_parts_of_a_file_are_fetched_in_groups(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("esctl.index.files.write.ROW_GROUP", 50)
    monkeypatch.setattr("esctl.storage.fetched._GROUP", 5000)
    world.machine("writer")
    ingest(log(tmp_path / "a.jsonl", 0, 500))
    right = states()
    world.machine("reader")
    assert states() == right
    groups = [name for call, name in world.depot.calls if call == "get_ranges"]
    assert len(groups) > 3
    assert len(set(groups)) == 1


def behind(tmp_path: Path, world: World, begun: Path, machine: str) -> None:
    """Have the index of a store lag behind its log."""
    from esctl.log.writer import LogWriter
    from tests.support.log_helpers import part

    world.upload(begun)
    root = world.machine(machine)
    lines = log(tmp_path / "b.jsonl", 50, 30).read_bytes().splitlines(keepends=True)
    with LogWriter(root) as writer:
        writer.append([part("b.jsonl", lines)])


def test_who_may_only_read_gets_what_the_index_lacks_beside_it(world: World, begun: Path, tmp_path: Path) -> None:
    behind(tmp_path, world, begun, "writer")
    world.machine("reader")

    def refuse(call: str, name: str) -> None:
        if call in ("create", "replace", "put_file", "delete"):
            raise PermissionError(13, "access is denied", name)

    world.depot.before = refuse
    names = world.names()
    assert sum(state["version"] for state in states()) == 80
    assert world.names() == names


def test_an_index_that_another_machine_built_meanwhile_is_gone_on_from(
    world: World, begun: Path, tmp_path: Path
) -> None:
    behind(tmp_path, world, begun, "one")
    two, seen = world.machine("two"), list[str]()

    def overtake(call: str, name: str) -> None:
        if call in ("create", "replace") and name.endswith("manifest.json") and not seen:
            seen.append(name)
            world.machine("one")
            assert sum(state["version"] for state in states()) == 80

    world.depot.before = overtake
    with Store.open(URL) as store:
        assert (store.path, sum(state["version"] for state in store.replay().rows())) == (two, 80)
    assert seen
    assert not findings(world.download(tmp_path / "disk"))


@pytest.mark.thorough
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("raised", [None, Crash])
def test_wherever_an_erasure_or_compaction_ends_the_next_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool, raised: Any
) -> None:
    from esctl.maintain.compact import compact
    from esctl.maintain.redact import ErasureRequest, redact

    monkeypatch.setattr("esctl.storage.lease.SECONDS", -1.0)
    with monkeypatch.context() as patch:
        for world in worlds(tmp_path / "template", patch):
            world.machine()
            for number in range(3):
                ingest(log(tmp_path / f"{number}.jsonl", number * 20, 20), erasable=True)
            template = world.download(tmp_path / "store")

    def erase(root: Path) -> None:
        with Store.open(URL) as store:
            compact(root, store.updater())
        with Store.open(URL) as store:
            redact(root, ErasureRequest([31], "asked for", "me"), store.updater())

    at, going_on = 0, True
    while going_on:
        with monkeypatch.context() as patch:
            for world in worlds(tmp_path / f"{at}", patch):
                world.upload(template)
                root = world.machine("one")
                world.depot.fails_at, world.depot.after = at, after
                world.depot.raised = raised or world.depot.raised
                with suppress(EsctlError, OSError, Crash):
                    erase(root)
                going_on = len(world.depot.changes()) > at
                erase(world.machine("next"))
                assert not findings()
                held = [name for name in world.names() if name.startswith("log/")]
                assert len(held) == 1
                assert sum(state["version"] for state in states()) == 59
        shutil.rmtree(tmp_path / f"{at}")
        at += 3
    assert at > 10


def test_of_many_commits_only_what_is_new_is_listed(world: World, begun: Path) -> None:
    from esctl.log.commits import open_log
    from esctl.log.writer import LogWriter
    from tests.support.log_helpers import part

    world.upload(begun)
    root = world.machine()
    with LogWriter(root) as writer:
        for number in range(20):
            writer.append([part(f"s{number}", [b"{}\n"])])
    forget_machines()
    world.machine()
    assert open_log(root).read().seq == 21
    world.depot.clear()
    assert open_log(root).read().seq == 21
    assert world.depot.read["listed"] == 2  # the last one, and its summary
    for name in (f"{21:020d}.json", f"head-{21:020d}.json"):  # the store was put back
        world.depot.delete(f"commits/{name}")
    assert open_log(root).read().seq == 20
    world.depot.delete(f"commits/{7:020d}.json")
    world.machine("other")
    with pytest.raises(InputError, match=r"0007\.json is missing"), Store.open(URL):
        pass


@pytest.mark.parametrize("mode", [0o777, 0o720])
def test_a_cache_that_others_may_write_is_not_used(world: World, tmp_path: Path, mode: int) -> None:
    root = world.machine()
    root.chmod(mode)
    forget_machines()
    with pytest.raises(InputError, match="is not a folder of yours alone"):
        world.machine()


HOLES: tuple[Callable[[Store], Any], ...] = (
    lambda store: store.replay("a-17"),
    lambda store: store.replay("a-1*", at="2024-01-01T00:00:20Z"),
    lambda store: store.audit("a-17"),
    lambda store: store.blame("a-17"),
    lambda store: store.diff("@100", "@800", "a-39"),
    lambda store: store.when("n > 5", "a-3"),
    lambda store: store.events("a-20", type="Set"),
    lambda store: store.events(tail=3, raw="raw"),
    lambda store: store.trace("e400"),
    lambda store: store.sql("SELECT * FROM events WHERE entity = 'a-9' ORDER BY position"),
    lambda store: store.entities("a-2*"),
    lambda store: store.types(),
    lambda store: store.doctor(),
)


def test_no_question_reads_what_was_not_fetched(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Holes hold 0xFF here: whoever reads one fails, or has another answer."""
    from esctl.storage.fetched import Fetched

    fill = Fetched._fill

    def filled(self: Fetched, here: Path, size: int, parts: Any) -> None:
        if not here.exists():
            here.parent.mkdir(parents=True, exist_ok=True)
            here.write_bytes(b"\xff" * size)
        fill(self, here, size, parts)

    monkeypatch.setattr(Fetched, "_fill", filled)
    monkeypatch.setattr("esctl.index.files.write.ROW_GROUP", 50)
    monkeypatch.setattr("esctl.log.segment.ROW_GROUP", 50)
    with Store.create(tmp_path / "disk") as disk:
        for number in range(3 if ALL else 1):
            disk.ingest(log(tmp_path / f"{number}.jsonl", number * 900, 900, entities=40), map=MAP)
        world.upload(tmp_path / "disk")
        for number, ask in enumerate(some(HOLES, 2)):
            world.machine(f"m{number}")
            with Store.open(URL) as objects:
                assert ask(objects).rows() == ask(disk).rows()


@pytest.mark.thorough
def test_clocks_that_differ_harm_nothing(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    from esctl.log.writer import LogWriter, system_clock
    from tests.support.log_helpers import part

    one, two = world.machine("one"), world.machine("two")
    ingest(log(tmp_path / "a.jsonl", 0, 50))
    for number, root in enumerate((one, two, one, two)):
        ahead = 3_600_000_000 if root == one else -3_600_000_000
        with LogWriter(root, clock=lambda ahead=ahead: system_clock() + ahead) as writer:  # type: ignore[misc]
            writer.append([part(f"s{number}", [b'{"n":1}\n'])])
    assert not findings(world.download(tmp_path / "disk"))
    with Store.open(URL) as store:
        store.rebuild_index()
    names = world.names()
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 1_000_000)  # on this machine
    ingest(log(tmp_path / "b.jsonl", 50, 5))
    states()
    assert {name for name in names if name.endswith(".parquet")} <= {*world.names()}


def test_options_that_two_machines_change_at_once_are_told(world: World, begun: Path) -> None:
    world.upload(begun)
    world.machine("two")
    seen = list[str]()

    def overtake(call: str, name: str) -> None:
        if call in ("create", "replace") and name == "mapping.json" and not seen:
            seen.append(name)
            world.put(name, b"another machine's")

    with Store.open(URL) as store:
        store.replay().rows()
        world.depot.before = overtake
        with pytest.raises(InputError, match=r"^s3://memory/store/mapping\.json was changed"):
            store.set_overrides(["entity=other"])
