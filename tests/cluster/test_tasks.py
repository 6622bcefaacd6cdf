"""What goes wrong in the tasks of a question: one clear error, or the task is run again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Sequence
from multiprocessing.util import get_temp_dir
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from esctl.api import Store
from esctl.ask.scope.scope import Scope
from esctl.ask.states.replay import replay
from esctl.cluster import task, work
from esctl.cluster.engines import InProcess, engine_of
from esctl.cluster.local_pool import ATTEMPTS, LocalPool
from esctl.cluster.question import ask_in_parts, in_parts
from esctl.cluster.spans import Span, spans_at, spans_of
from esctl.engine.duckdb import single_row
from esctl.errors import EsctlError, InputError, UsageError
from esctl.index.files import write as write_index
from esctl.index.files.manifest import Manifest
from esctl.maintain import save_states
from esctl.model import Answer
from tests.support import log_helpers
from tests.support.cli_harness import esctl, good
from tests.support.spans import CutAt, rows_of

ENTITIES = 40
RULES = """
[projections.p.on.Noted]
add = { total = "data.n" }
"""


def event(number: int) -> dict[str, Any]:
    return {
        "id": f"e{number}", "type": "Noted", "time": f"2024-01-01T00:{number // 60:02}:{number % 60:02}Z",
        "stream": f"thing-{number * 7 % ENTITIES:02}", "data": {"n": number},
    }  # fmt: skip


def make_store(folder: Path, events: Sequence[dict[str, Any]], group: int = 10) -> Path:
    """Lay a store of events, with an index of many row groups."""
    folder.mkdir(exist_ok=True)
    (folder / "esctl.toml").write_text(RULES, encoding="utf-8")
    raws = [json.dumps(each).encode() for each in events]
    log_helpers.store(folder / ".esctl", [[log_helpers.part("a.jsonl", raws)]])
    with pytest.MonkeyPatch.context() as patch, Store.open(folder / ".esctl") as store:
        patch.setattr(write_index, "ROW_GROUP", group)
        assert store.view.manifest.head == len(raws)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("tasks"), [event(number) for number in range(400)])


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    with Store.open(folder / ".esctl") as opened:
        yield opened


class Pool(LocalPool):
    """A pool of two processes, whose spans a test cuts."""

    def __init__(self) -> None:
        super().__init__(2)

    def spans(self, manifest: Manifest) -> list[Span]:
        """Give four spans."""
        return spans_at(["thing-10", "thing-20", "thing-30"])


def replay_killed(scope: Scope, marks: Path, times: int) -> Answer:
    """Ask for the states, in a process that is killed so many times before."""
    for mark in (marks / str(number) for number in range(times)):
        if isinstance(scope.lookups, task.DriverLookups) and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return replay(scope)


def test_a_killed_task_is_run_again_and_no_row_comes_twice(store: Store, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    answer = ask_in_parts(replay_killed, in_parts(store.scope(), Pool()), marks, ATTEMPTS - 1)
    relation = replace(store.replay(), answer=answer)
    assert rows_of(relation) == rows_of(store.replay())
    assert len(list(marks.iterdir())) == ATTEMPTS - 1


def test_a_task_that_is_always_killed_is_given_up(store: Store, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    answer = ask_in_parts(replay_killed, in_parts(store.scope(), Pool()), marks, 99)
    with pytest.raises(InputError, match=rf"lost their process {ATTEMPTS} times"):
        rows_of(replace(store.replay(), answer=answer))


def test_processes_leave_nothing_behind(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    get_temp_dir()  # of what processes are forked from, which this process keeps
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Store.open(folder / ".esctl") as store:
        store.engine = Pool()
        assert rows_of(store.replay())
    assert not list(tmp_path.iterdir())


def test_the_command_answers_in_processes(folder: Path) -> None:
    asked = ("audit", "thing-0*", "-f", "csv")
    assert good(*asked, "--engine", "local:2", cwd=folder).out == good(*asked, cwd=folder).out


def test_the_configuration_names_an_engine_which_an_option_overrules(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    (copy / "esctl.toml").write_text('[store]\nengine = "cloud:2"\n', encoding="utf-8")
    done = esctl("replay", cwd=copy)
    assert (done.code, "esctl.toml: store.engine 'cloud:2' is not an engine" in done.err) == (2, True)
    assert good("replay", "--engine", "local:1", cwd=copy).out == good("replay", "--engine", "off", cwd=copy).out
    assert esctl("replay", cwd=copy, ESCTL_ENGINE="off").code == 0
    assert good("log", cwd=copy).out
    shown = {row["setting"]: row for row in good("config", "show", cwd=copy, ESCTL_ENGINE="sc://h/;token=t").rows}
    assert (shown["engine"]["value"], shown["engine"]["origin"]) == ("sc://h/;(not shown)", "ESCTL_ENGINE")


def test_a_snapshot_in_parts_is_that_of_one_process(folder: Path, tmp_path: Path) -> None:
    kept = []
    for name, cuts in (("whole", None), ("parts", ["thing-1", "thing-20", "thing-21"])):
        copy = Path(shutil.copytree(folder, tmp_path / name))
        (copy / "esctl.toml").write_text(RULES + 'append.ns = "data.n"\nset.last = "id"\n', encoding="utf-8")
        with Store.open(copy / ".esctl") as store:
            store.engine = None if cuts is None else CutAt(cuts)
            (made,) = save_states.take(store)
            kept.append((made.cells.sha256, made.lines.sha256, made.entities))
            store.engine = None
            assert len(store.replay()) == ENTITIES
    assert kept[0] == kept[1]


@pytest.mark.parametrize("name", ["", "local", "local:0", "local:2000", "local:two", "spark"])
def test_what_is_no_engine_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"--engine .* is not an engine"):
        engine_of(name, None, "--engine")


@pytest.mark.parametrize("cuts", [[], ["thing-20"], [f"thing-{number:02}" for number in range(ENTITIES)]])
@pytest.mark.parametrize("rule", ["add.total = 'data.n'", "merge_patch = 'data.o'\nset.total = 'data.n * 1'"])
def test_the_first_event_at_fault_is_named(tmp_path: Path, cuts: list[str], rule: str) -> None:
    events = [event(number) for number in range(120)]
    for number in (31, 47, 58, 90, 111):
        events[number]["data"] = {"n": f"no number {number}"}
    made = make_store(tmp_path / "s", events)
    (made / "esctl.toml").write_text(f"[projections.p.on.Noted]\n{rule}\n", encoding="utf-8")
    with Store.open(made / ".esctl") as store:
        store.engine = CutAt(cuts)
        with pytest.raises(UsageError, match=r"^event @32: .*no number 31"):
            rows_of(store.replay(projection="p"))


@pytest.mark.parametrize(("number", "name"), [(0, "esctl"), (1, "DuckDB")])
def test_a_worker_of_another_version_refuses(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: int, name: str
) -> None:
    own = work.versions()
    store.engine = CutAt(["thing-20"])
    relation = store.replay()
    monkeypatch.setattr(work, "versions", lambda: ("9.9", own[1]) if number == 0 else (own[0], "9.9"))
    with pytest.raises(UsageError, match=f"a worker has {name} 9.9, and this is {own[number]}"):
        rows_of(relation)


def test_a_task_refuses_what_is_damaged_and_reads_no_other_part(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    with Store.open(copy / ".esctl") as store:
        store.engine = CutAt(["thing-20"])
        relation = store.replay()
        file = store.view.manifest.files[0]
        group = file.groups[-1].range
        path = store.view.folder / file.file
        content = bytearray(path.read_bytes())
        content[group.offset + group.bytes // 2] ^= 1
        path.write_bytes(content)
        with pytest.raises(InputError, match=file.file):
            rows_of(relation)
        store.engine = Part(0)
        assert rows_of(replace(relation, answer=ask_in_parts(replay, store.scope()))).count(b"\n") == 20


class Part(InProcess):
    """An engine that asks one of two spans only."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def spans(self, manifest: Manifest) -> list[Span]:
        """Give the one span."""
        return [spans_at(["thing-20"])[self._number]]


def look_past_lookups(scope: Scope) -> Answer:
    """Look something up past the lookups, which in a part is not what it is in the whole."""
    single_row(scope.connection, f"SELECT count(*) FROM ({scope.view.relation(['position'])})")
    return replay(scope)


def look_up_more(scope: Scope) -> Answer:
    """Ask in parts what was not asked in the whole."""
    if isinstance(scope.lookups, task.DriverLookups):
        scope.lookups.once(lambda: 1)
    return replay(scope)


@pytest.mark.parametrize(("question", "words"), [(look_past_lookups, "looks up what"), (look_up_more, "another way")])
def test_a_part_that_is_compiled_otherwise_is_a_bug_that_is_told(store: Store, question: Any, words: str) -> None:
    answer = ask_in_parts(question, in_parts(store.scope(), CutAt(["thing-20"])))
    with pytest.raises(EsctlError, match=words):
        rows_of(replace(store.replay(), answer=answer))


def test_spans_have_about_as_many_rows_each(store: Store) -> None:
    spans = spans_of(store.view.manifest, 4)
    assert [span.low for span in spans][:1] == [None]
    assert [span.high for span in spans][-1:] == [None]
    assert [span.high for span in spans[:-1]] == [span.low for span in spans[1:]]
    sql = "SELECT count(*) FROM ({})"
    view = store.view
    rows = [single_row(store.connection, sql.format(view.relation(["entity"], None, [s.condition]))) for s in spans]
    assert sum(row[0] for row in rows if row) == 400
    assert len(spans) == 4
    assert all(row is not None and 60 <= row[0] <= 140 for row in rows)


def test_an_index_of_few_row_groups_has_few_spans(tmp_path: Path) -> None:
    with Store.open(make_store(tmp_path / "s", [event(0)]) / ".esctl") as store:
        assert spans_of(store.view.manifest, 64) == [Span()]
    assert spans_of(Manifest(), 64) == [Span()]


def test_a_span_reads_a_part_of_the_index(store: Store) -> None:
    file = store.view.manifest.files[0]
    reach = Span("thing-10", "thing-12").condition.reach
    assert 0 < sum(map(reach.may_lie_in_group, file.groups)) < len(file.groups) / 4
