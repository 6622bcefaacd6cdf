"""A view is what `replay` gives at its basis, whatever happened to the log between two refreshes."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esctl.api import Store
from esctl.ask.states import replay as asked
from esctl.ask.states.resume import Resumed, resume
from esctl.errors import InputError, UsageError
from esctl.maintain.redact import ErasureRequest, redact
from esctl.maintain.save_states import take
from esctl.views.targets import open_view_sink, parse_target
from tests.sinks.contract import replayed, rows_in
from tests.support import effort
from tests.support.kafka import Broker, needs_broker

FILES = ("duckdb:it's.db/v", "sqlite:a.db/v", "parquet:files")
TARGETS = (*FILES, pytest.param("kafka", marks=needs_broker))
FOLDS = {
    "merge": '[projections.p.on."*"]\nmerge = "data"\n[projections.p.on.Closed]\ndelete = true\n',
    "typed": '[projections.p]\ntypes = { n = "decimal(30,3)" }\n[projections.p.on."*"]\nset = { n = "data.n" }\n',
    "sums": '[projections.p.on."*"]\nadd = { n = "data.n" }\nset = { last = "type" }\n',
    "anew": '[projections.p.on.Changed]\nadd = { n = "data.n" }\nmax = { most = "data.n" }\n'
    '[projections.p.on.Closed]\nset = { n = 5, o = "data.o" }\n',
    "some": '[projections.p]\nentities = "a*"\n[projections.p.on."*"]\nset = { n = "data.n", o = "data.o" }\n',
    "all of them": '[projections.p]\nsql = "select entity, count(*) over () as events from events group by entity"\n',
}
VALUES = st.one_of(
    st.integers(-(10**20), 10**20), st.decimals(-1000, 1000, places=3).map(float), st.sampled_from([1, 2.5])
)
PAYLOADS = st.fixed_dictionaries(
    {"n": VALUES},
    optional={"o": st.sampled_from(["x", "\ue000", True, None, {"p": [1.5]}, 7]), "N": VALUES, "*": VALUES},
)
EVENTS = st.tuples(
    st.sampled_from(["a1", "a2", "b'1"]), st.sampled_from(["Changed", "Closed"]), PAYLOADS, st.integers(1, 9)
)
STEPS = st.one_of(
    st.lists(EVENTS, min_size=1, max_size=4),
    st.lists(EVENTS, min_size=1, max_size=4),
    st.sampled_from(sorted(FOLDS)),
    st.sampled_from(["redact", "mapping", "nothing", "rebuild", "saved"]),
)


class Log:
    """A log that grows, is read otherwise, and is erased from."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count, self.fold, self.actor = folder, 0, "merge", "actor"
        self.configure()
        self.append([("a1", "Changed", {"n": 1}, 5)])
        Store.create(folder / ".esctl", folder / "esctl.toml", erasable=True).ingest(str(folder / "log.jsonl"))

    def configure(self) -> None:
        paths = "".join(f'{name} = "{name}"\n' for name in ("id", "type", "time", "data"))
        mapping = f'[mapping]\n{paths}entity = "stream"\nactor = "{self.actor}"\n'
        (self.folder / "esctl.toml").write_text(mapping + FOLDS[self.fold], encoding="utf-8")

    def append(self, events: list[tuple[str, str, dict[str, Any], int]]) -> None:
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            for entity, kind, data, day in events:
                self.count += 1
                time = f"2024-01-{day:02}T00:00:00Z"
                file.write(
                    json.dumps({"id": self.count, "type": kind, "time": time, "stream": entity, "data": data}) + "\n"
                )

    def open(self) -> Store:
        return Store.open(self.folder / ".esctl", self.folder / "esctl.toml")

    def take(self, step: Any) -> None:
        if isinstance(step, list):
            self.append(step)
            self.open().ingest(str(self.folder / "log.jsonl"))
        elif step in FOLDS or step == "mapping":
            self.fold = step if step in FOLDS else self.fold
            self.actor = "who" if step == "mapping" else self.actor
            self.configure()
        elif step == "saved":
            take(self.open())
        elif step == "redact":
            store = self.open()
            if store.store_state.redaction_of(1 + self.count // 2) is None:
                redact(store.path, ErasureRequest((1 + self.count // 2,), "asked for", "ann"), store.updater())


def assert_is(log: Log, to: str) -> None:
    """Hold the view against the log twice: by its own check, and by reading it."""
    store = log.open()
    assert store.find_view("v").check().rows == 0
    with open_view_sink(parse_target(to, "v", log.folder), store.session, writing=False) as sink:
        assert rows_in(sink, store.session) == replayed(store, "p")
        found = sink.progress()
        assert found is not None
        assert found.basis == store.basis_of(store.scope(projection="p"))


@pytest.fixture(scope="module")
def place() -> Iterator[Callable[[str], str]]:
    """Return what names a target: for Kafka a topic of its own, of a broker that is started when it is wanted."""
    brokers: list[Broker] = []

    def named(to: str) -> str:
        if to != "kafka":
            return to
        brokers.extend([] if brokers else [Broker()])
        return brokers[0].url(brokers[0].topic(2, cleanup_policy="compact"))

    yield named
    for broker in brokers:
        broker.stop()


Place = Callable[[str], str]


@pytest.mark.parametrize("to", TARGETS)
def test_a_view_is_what_replay_gives(to: str, place: Place) -> None:
    @settings(max_examples=effort.examples(60, 2), phases=effort.PHASES)
    @given(st.lists(STEPS, min_size=2, max_size=5))
    def holds(steps: list[Any]) -> None:
        with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
            patch.chdir(name)
            log, at = Log(Path(name)), place(to)
            log.open().create_view("v", to=at, projection="p")
            for step in steps:
                log.take(step)
                log.open().find_view("v").refresh(anew=step == "rebuild")
                assert_is(log, at)

    holds()


@pytest.mark.parametrize("to", TARGETS)
def test_how_each_change_is_taken(to: str, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log, widens = Log(tmp_path), "changes" if to == "kafka" else "whole"  # a topic has whole states, and no columns
    to = place(to)
    log.append([("a2", "Changed", {"n": 1.5, "o": "x"}, 3)])
    log.take([])
    log.open().create_view("v", to=to, projection="p")
    steps = [
        (["nothing"], "nothing"),
        ([[("a1", "Changed", {"n": 7}, 1)]], "changes"),  # a late one
        ([[("a2", "Closed", {}, 9)]], "changes"),
        (["redact"], "difference"),
        (["mapping"], "difference"),
        ([[("b'1", "Changed", {"n": "a text"}, 9)]], widens),
        (["some"], "difference"),
    ]
    for taken, how in steps:
        for step in taken:
            log.take(step)
        assert log.open().find_view("v").refresh().how in (how, "whole" if taken == ["some"] else how)
        assert_is(log, to)


def test_states_that_were_saved_are_gone_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log, to = Log(tmp_path), "sqlite:a.db/v"
    found: list[Resumed | None] = []
    monkeypatch.setattr(asked, "resume", lambda *given, **more: found.append(resume(*given, **more)) or found[-1])
    log.open().create_view("v", to=to, projection="p")
    log.take([("a2", "Changed", {"n": 2}, 3), ("b'1", "Changed", {"n": 3}, 3)])
    log.take("saved")  # beyond the view's basis: b'1 is not in the view, and has no event after it
    log.take([("a1", "Changed", {"n": 7}, 1), ("a2", "Changed", {"o": 5}, 4)])  # one is late
    found.clear()
    assert log.open().find_view("v").refresh().how == "changes"
    assert [each is not None and each.new for each in found] == [0]
    assert_is(log, to)
    log.take([("a2", "Closed", {}, 9), ("a1", "Closed", {}, 9), ("a1", "Changed", {"n": 1}, 9)])
    assert log.open().find_view("v").refresh().how == "changes"
    assert_is(log, to)


def test_late_events_that_only_add_are_taken_without_those_around_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    log, to = Log(tmp_path), "sqlite:a.db/v"
    found: list[Resumed | None] = []
    monkeypatch.setattr(asked, "resume", lambda *given, **more: found.append(resume(*given, **more)) or found[-1])
    log.take("anew")
    log.take([(name, kind, {"n": 1}, day) for name in ("a1", "a2") for kind, day in (("Closed", 3), ("Changed", 6))])
    log.take("saved")
    log.open().create_view("v", to=to, projection="p")
    for late, is_folded_again in (
        (("a1", "Changed", {"n": 7}, 4), False),
        (("a2", "Changed", {"n": 9}, 2), True),  # before what set it anew
        (("a2", "Closed", {"n": 1}, 4), True),  # sets it anew
        (("b'1", "Changed", {"n": 1}, 1), False),
    ):
        log.take([late])
        found.clear()
        assert log.open().find_view("v").refresh().how == "changes"
        assert [each is not None and bool(each.again) for each in found] == [is_folded_again], late
        assert_is(log, to)
        log.take("saved")


@pytest.mark.parametrize("to", TARGETS)
def test_fields_too_many_for_columns_are_one(
    to: str, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    log, widens = Log(tmp_path), "changes" if to == "kafka" else "whole"
    to = place(to)
    log.open().create_view("v", to=to, projection="p")
    log.take([("a2", "Changed", {f"f{number}": number / 10 for number in range(600)}, 3)])
    assert log.open().find_view("v").refresh().how == widens
    assert_is(log, to)
    log.take([("a1", "Changed", {"more": 12345678901234567}, 3)])
    assert log.open().find_view("v").refresh().how in ("changes", "whole")
    assert_is(log, to)


@pytest.mark.parametrize("to", TARGETS)
def test_a_field_may_have_the_name_that_whole_states_have(
    to: str, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    log, to = Log(tmp_path), place(to)
    log.open().create_view("v", to=to, projection="p")
    for data in ({"*": 5}, {"*": 6, "o": "x"}, {f"f{number}": number for number in range(600)}, {"*": "7", "more": 1}):
        log.take([("a1", "Changed", data, 3)])
        log.open().find_view("v").refresh()
        assert_is(log, to)


def test_a_target_of_an_earlier_version_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log, to = Log(tmp_path), "sqlite:a.db/v"
    log.take([("a2", "Changed", {f"f{number}": number / 10 for number in range(600)}, 3)])
    log.open().create_view("v", to=to, projection="p")
    with closing(sqlite3.connect("a.db")) as connection, connection:
        ((fields,),) = connection.execute("select fields from esctl_progress").fetchall()
        old = fields.replace(',"whole_state":true', "")
        assert old != fields
        connection.execute("update esctl_progress set fields = ?", [old])
    assert_is(log, to)
    log.take([("a1", "Changed", {"more": 1}, 3)])
    assert log.open().find_view("v").refresh().how == "changes"
    assert_is(log, to)


def damage_progress(to: str) -> None:
    if to == "parquet:files":
        Path("files/manifest.json").write_text("{")
        return
    connect: Any = sqlite3.connect if to.startswith("sqlite") else duckdb.connect
    with closing(connect(to.partition(":")[2].rpartition("/")[0])) as connection:
        connection.execute("update esctl_progress set basis = '5'")
        connection.commit()


@pytest.mark.parametrize("to", FILES)
def test_damaged_progress_is_told_and_the_view_can_be_made_anew(
    to: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    log = Log(tmp_path)
    log.open().create_view("v", to=to, projection="p")
    damage_progress(to)
    files = {path: path.read_bytes() for path in tmp_path.glob("files/*")}
    for ask in (log.open().find_view("v").refresh, log.open().find_view("v").check):
        with pytest.raises(InputError, match="not as esctl wrote it") as told:
            ask()
        assert "esctl view rebuild" in told.value.hint
    assert "not as esctl wrote it" in log.open().find_view("v").state()[0]
    assert {path: path.read_bytes() for path in tmp_path.glob("files/*")} == files
    assert log.open().find_view("v").refresh(anew=True).how == "whole"
    assert_is(log, to)
    damage_progress(to)
    log.open().drop_view("v")
    assert not (tmp_path / "files").exists()
    log.open().create_view("v", to=to, projection="p")
    assert_is(log, to)


def test_a_manifest_among_things_of_others_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log = Log(tmp_path)
    log.open().create_view("v", to="parquet:files", projection="p")
    Path("files/manifest.json").write_text("{}")
    Path("files/mine").touch()
    for ask in (log.open().find_view("v").drop, lambda: log.open().find_view("v").refresh(anew=True)):
        with pytest.raises(InputError, match="not as esctl wrote it"):
            ask()
    assert Path("files/manifest.json").read_text() == "{}"


def test_two_views_on_one_target_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log = Log(tmp_path)
    log.open().create_view("one", to="sqlite:a.db/v", projection="p")
    (tmp_path / "there").symlink_to(tmp_path)
    for to in ("sqlite:a.db/V", f"sqlite:{tmp_path}/there/a.db/v"):
        with pytest.raises(UsageError, match="the views one and two have one target"):
            log.open().create_view("two", to=to, projection="p")
    log.open().create_view("two", to="sqlite:a.db/w", projection="p")
    config = (tmp_path / "esctl.toml").read_text()
    (tmp_path / "esctl.toml").write_text(config + '[views.three]\nto = "sqlite:a.db/v"\n')
    for name in ("one", "three"):
        with pytest.raises(UsageError, match=r"(one and three|three and one) have one target"):
            log.open().find_view(name).refresh()
    log.open().find_view("two").refresh()


def test_a_view_of_another_store_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = Log(tmp_path / "one"), Log(tmp_path / "two")
    one.open().create_view("v", to="sqlite:a.db/v", projection="p")
    with pytest.raises(UsageError, match="another store"):
        two.open().create_view("v", to="sqlite:a.db/v", projection="p")
    assert two.open().views() == []
    assert one.open().find_view("v").check().rows == 0


def test_a_view_ahead_of_its_log_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log = Log(tmp_path)
    backup = {path: path.read_bytes() for path in (tmp_path / ".esctl").rglob("*") if path.is_file()}
    log.take([("a1", "Changed", {"n": 7}, 1)])
    log.open().create_view("v", to="parquet:files", projection="p")
    views = (tmp_path / ".esctl" / "views.json").read_bytes()
    for path in (tmp_path / ".esctl").rglob("*"):
        if path.is_file():
            path.unlink()
    for path, data in {**backup, tmp_path / ".esctl" / "views.json": views}.items():
        path.write_bytes(data)
    with pytest.raises(InputError, match="position 2, where this log never ended"):
        log.open().find_view("v").refresh()
    assert log.open().find_view("v").state()[0].startswith("view v is at position 2")
    assert log.open().find_view("v").refresh(anew=True).how == "whole"
    assert_is(log, "parquet:files")


@pytest.mark.parametrize(
    ("to", "place"),
    [
        ("postgres://u@[::1]:5433/d/t", "postgresql://u@[::1]:5433/d"),
        ("postgres://[fe80::1]/d/t", "postgresql://[fe80::1]/d"),
        ("postgres://u@Host.example/d/t?sslmode=require", "postgresql://u@host.example/d?sslmode=require"),
        ("postgres:///d/t", "postgresql:///d"),
    ],
)
def test_the_address_of_a_database_keeps_its_host(to: str, place: str, tmp_path: Path) -> None:
    assert parse_target(to, "v", tmp_path).place == place


@pytest.mark.parametrize("to", ["postgres://h/d/t#x", "postgres://h/d/t#", "postgres://h/d/t?a=b#c"])
def test_no_part_of_an_address_is_dropped_in_silence(to: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="# ends it") as told:
        parse_target(to, "v", tmp_path)
    assert "%23" in told.value.hint
