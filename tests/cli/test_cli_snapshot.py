"""`esctl snapshot`, and replays that go on from one, through the real program."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from esctl.api import Store
from esctl.ask.scope.scope import claims
from esctl.ask.states.replay import replay
from esctl.ask.states.resume import resume
from esctl.errors import InputError, UsageError
from esctl.intake.batch import ingest
from esctl.intake.intake import IngestOptions
from esctl.maintain import save_states as snapshots
from esctl.output import Target, write
from esctl.saved_states import files
from esctl.sources.files.finding import Source
from esctl.sources.files.reading import SourceOptions, file_readers
from tests.support.cli_harness import esctl, uncompacted

PROJECTION = """
[projections.account]
[projections.account.on.Opened]
set = { owner = "data.owner", balance = 0 }
[projections.account.on.Paid]
add = { balance = "data.amount" }
[projections.account.on.Closed]
delete = true
"""


def event(number: int, kind: str, entity: int, day: int, **data: object) -> str:
    time = f"2024-01-{day:02d}T00:00:00Z"
    return json.dumps({"id": f"e{number}", "type": kind, "time": time, "stream": f"account-{entity}", "data": data})


EARLY = [event(n, "Opened", n, n, owner=f"o{n}") for n in range(1, 7)]
EARLY += [event(10 + n, "Paid", n, 10, amount=n + 0.5) for n in range(1, 7)]
LATER = [
    event(20, "Paid", 2, 20, amount=1),
    event(21, "Paid", 3, 5, amount=100),  # it lies before what the snapshot has of account-3, and only adds
    event(22, "Closed", 4, 20),
    event(23, "Opened", 35, 20, owner="new"),
    event(24, "Opened", 0, 21, owner="first"),
    event(25, "Paid", 6, 21, amount=1.5),
    event(26, "Opened", 9, 21, owner="last"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a store with some events."""
    monkeypatch.delenv("ESCTL_SNAPSHOTS", raising=False)
    (tmp_path / "esctl.toml").write_text(PROJECTION, encoding="utf-8")
    kept(tmp_path, EARLY)
    return tmp_path


def kept(folder: Path, lines: list[str], **settings: str) -> None:
    """Ingest some events as a source of their own, in this process."""
    text = "\n".join([*lines, ""])
    name = f"{hashlib.sha256(text.encode()).hexdigest()[:8]}.jsonl"
    (folder / name).write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("ESCTL_SNAPSHOTS", settings.get("snapshots", "off"))
        store = Store.create(None, None, erasable=False)
        found = file_readers([Source(name, Path(name))], OPTIONS.source)
        ingest(store.path, found, OPTIONS, store.updater, lambda *_: None, store.connection)
        snapshots.take_after_ingest(opened(folder))


OPTIONS = IngestOptions(SourceOptions())


def opened(folder: Path) -> Store:
    return Store.open(folder / ".esctl", threads=1)


def answered(folder: Path, snapshots: str, question: Mapping[str, Any]) -> tuple[list[bytes], tuple[str, ...]]:
    """Give what a replay says, and its notes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ESCTL_SNAPSHOTS", snapshots)
        store = opened(folder)
        scope = store.scope(**{key: value for key, value in question.items() if key in SCOPE})
        at = store.bound(question.get("at", ""), question.get("before", ""))
        answer = replay(scope, at, question.get("where", ""), deleted=question.get("deleted", False))
        found = []
        for form in question.get("forms", ("jsonl",)):
            sink = io.BytesIO()
            write(answer, Target(form, sink, **{key: value for key, value in question.items() if key in TARGET}))
            found.append(sink.getvalue())
        return found, answer.notes


SCOPE = ("entities", "known_at", "without", "projection")
TARGET = ("columns", "limit", "tz")


def same_answers(folder: Path, note: str = "", **question: Any) -> str:
    plain, _ = answered(folder, "off", question)
    fast, notes = answered(folder, "always", question)
    assert fast == plain
    assert note in " ".join(notes)
    return plain[0].decode()


def test_a_snapshot_is_made_listed_and_removed(folder: Path) -> None:
    made = esctl("snapshot", "--at", "2024-01-09", cwd=folder).row
    assert (made["projection"], made["position"], made["events"], made["entities"]) == ("account", 12, 6, 6)
    assert made["until"].startswith("2024-01-09T23:59:59")
    assert [row["position"] for row in esctl("snapshot", "--every", "5", cwd=folder).rows] == [5, 10]
    assert len(esctl("snapshot", "--list", cwd=folder).rows) == 3
    status = esctl("status", cwd=folder).row
    assert status["snapshots"] == 3
    assert status["snapshot_bytes"] > 0
    same_answers(folder)
    assert esctl("snapshot", "--drop", cwd=folder).code == 0
    assert esctl("snapshot", "--list", cwd=folder).out == b""
    assert not (folder / ".esctl" / "snapshots").exists()


@pytest.mark.parametrize("options", [["--at", "version:2"], ["--at", "@3", "--list"], ["--every", "-1"]])
def test_a_snapshot_is_of_a_time_or_a_position(folder: Path, options: list[str]) -> None:
    done = esctl("snapshot", *options, cwd=folder)
    assert (done.code, done.out) == (2, b"")


QUESTIONS: list[dict[str, Any]] = [
    {"forms": ("csv", "json", "parquet")}, {"deleted": True}, {"at": "2024-01-20"},
    {"before": "2024-01-20"}, {"at": "@13"}, {"entities": ["account-3"]},
    {"entities": ["account-?"]}, {"where": "balance > 3"}, {"limit": 3}, {"tz": "Europe/Vienna"},
    {"columns": ("entity", "version")}, {"without": ["id:e13"]}, {"known_at": "@12"}, {"at": "2024-01-03"},
    {"at": "version:1"}, {"projection": "account"},
]  # fmt: skip


def test_replay_goes_on_from_a_snapshot(folder: Path) -> None:
    assert len(snapshots.take(opened(folder))) == 1
    before = same_answers(folder)
    kept(folder, [*LATER, event(27, "Opened", 5, 8, owner="again")])  # sets anew what later events add to
    for question in QUESTIONS:
        same_answers(folder, **question)
    assert ways(folder) == {"account-5": True} | dict.fromkeys(
        ["account-0", "account-2", "account-3", "account-35", "account-4", "account-6", "account-9"], False
    )
    after = same_answers(folder)
    assert [json.loads(line)["entity"] for line in after.splitlines()] == [
        "account-0", "account-1", "account-2", "account-3", "account-35", "account-5", "account-6", "account-9"
    ]  # fmt: skip
    assert len(set(before.splitlines()) & set(after.splitlines())) == 1
    assert esctl("replay", cwd=folder).text == after


def ways(folder: Path) -> dict[str, bool]:
    """Say of each entity that has changed since the snapshot whether it is folded anew."""
    scope = opened(folder).scope()
    (claim,) = claims(scope)
    found = resume(scope, claim, None)
    assert found is not None
    return dict(scope.connection.execute(f"SELECT entity, late FROM {found.later}").fetchall())


@uncompacted
def test_index_files_that_a_snapshot_covers_are_not_opened(folder: Path) -> None:
    snapshots.take(opened(folder))
    (covered,) = (folder / ".esctl" / "index").rglob("*.parquet")
    kept(folder, [line for line in LATER if "e21" not in line and "e22" not in line])
    wanted, _ = answered(folder, "off", {})
    covered.rename(covered.with_suffix(".away"))
    assert answered(folder, "always", {})[0] == wanted
    with pytest.raises(InputError):
        answered(folder, "off", {})


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("suffix", ["parquet", "zst", "json"])
@pytest.mark.parametrize(
    "damage", [flip, Path.unlink, lambda path: path.write_bytes(b"")], ids=["flip", "gone", "empty"]
)
def test_a_damaged_snapshot_is_not_used(folder: Path, suffix: str, damage: Callable[[Path], object]) -> None:
    assert esctl("snapshot", cwd=folder).code == 0
    (path,) = (folder / ".esctl" / "snapshots").rglob(f"*.{suffix}")
    damage(path)
    noted = "" if (suffix, damage) == ("json", Path.unlink) else "is damaged or of another log, and was not used"
    same_answers(folder, err=noted)


def test_a_snapshot_of_another_log_is_not_used(folder: Path) -> None:
    snapshots.take(opened(folder))
    other = folder.with_name("other")
    other.mkdir()
    shutil.copy(folder / "esctl.toml", other)
    kept(other, [line.replace('"o1"', '"somebody"') for line in EARLY])
    shutil.copytree(folder / ".esctl" / "snapshots", other / ".esctl" / "snapshots")
    assert "somebody" in same_answers(other, "of another log")


def test_other_rules_or_another_mapping_have_other_snapshots(folder: Path) -> None:
    snapshots.take(opened(folder))
    (folder / "esctl.toml").write_text(PROJECTION.replace("balance = 0", "balance = 7"), encoding="utf-8")
    assert '"balance":8.5' in same_answers(folder)
    opened(folder).set_overrides(["entity=data.owner"])
    assert '"entity":"o1"' in same_answers(folder)


def test_ingest_makes_them_where_it_is_set(folder: Path) -> None:
    kept(folder, LATER)
    assert not (folder / ".esctl" / "snapshots").exists()
    (folder / "esctl.toml").write_text(PROJECTION + '[store]\nsnapshots = "always"\n', encoding="utf-8")
    for number in range(3):
        kept(folder, [event(50 + number, "Paid", 1, 25, amount=1)], snapshots="")
    (folder / "more.jsonl").write_text(event(60, "Paid", 1, 25, amount=1) + "\n", encoding="utf-8")
    assert esctl("ingest", "more.jsonl", cwd=folder).code == 0
    rows = esctl("snapshot", "--list", cwd=folder).rows
    assert [(row["origin"], row["position"]) for row in rows] == [("ingest", 22), ("ingest", 23)]
    settings = {row["setting"]: row for row in esctl("config", "show", cwd=folder).rows}
    assert settings["snapshots"]["value"] == "always"
    same_answers(folder)


def test_a_wrong_setting_is_told(folder: Path) -> None:
    done = esctl("replay", cwd=folder, ESCTL_SNAPSHOTS="sometimes")
    assert (done.code, done.err.splitlines()[0]) == (2, "esctl: error: ESCTL_SNAPSHOTS is 'sometimes'")
    (folder / "esctl.toml").write_text("[store]\nsnapshots = 'yes'\n", encoding="utf-8")
    done = esctl("replay", cwd=folder)
    assert done.code == 2
    assert "store.snapshots is 'yes'" in done.err


@uncompacted
def test_ingest_makes_them_where_they_are_worth_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "LEAST", 7)
    assert [made.extent.position for made in snapshots.take_after_ingest(opened(folder))] == [12]
    assert snapshots.take_after_ingest(opened(folder)) == []
    kept(folder, LATER[:6])
    assert snapshots.take_after_ingest(opened(folder)) == []
    kept(folder, LATER[6:])
    assert [made.extent.position for made in snapshots.take_after_ingest(opened(folder))] == [19]


def test_a_failure_half_way_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a manifest has its name there is no snapshot; what was written until then goes."""
    store = opened(folder)
    for step in ("_compress_lines", "_write_cells", "_describe_file", "with_digest"):
        with monkeypatch.context() as patch:

            def fail(*_: object) -> None:
                raise OSError(28, "No space left on device")

            patch.setattr(files, step, fail)
            with pytest.raises(InputError, match="No space left"):
                snapshots.take(store)
        assert snapshots.list_snapshots(store) == []
        (place,) = (folder / ".esctl" / "snapshots").iterdir()
        assert not list(place.glob(".tmp-*"))
    assert len(snapshots.take(store)) == 1
    same_answers(folder)


def test_what_no_manifest_names_is_swept_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(folder)
    snapshots.take(store)
    (place,) = (folder / ".esctl" / "snapshots").iterdir()
    before = {path.name for path in place.iterdir()}
    (place / ".tmp-1.jsonl").write_text("half", encoding="utf-8")
    (place / "00000000000000000001.abc.parquet").write_text("half", encoding="utf-8")
    files.sweep(place)
    assert len(list(place.iterdir())) == len(before) + 2  # somebody may be writing them
    monkeypatch.setattr(files, "LINGER_SECONDS", -60)
    snapshots.take(store)
    assert not {".tmp-1.jsonl", "00000000000000000001.abc.parquet"} & {path.name for path in place.iterdir()}


def test_states_that_are_wrong_do_not_fail_an_ingest(folder: Path) -> None:
    kept(folder, [event(60, "Paid", 1, 26, amount="much")], snapshots="always")
    with pytest.raises(UsageError, match="event @13"):
        answered(folder, "always", {})
    assert esctl("snapshot", cwd=folder).code == 2


def test_a_projection_in_sql_has_none(folder: Path) -> None:
    text = '[projections.p]\nsql = "select entity, count(*) n from events group by entity"\n'
    (folder / "esctl.toml").write_text(text, encoding="utf-8")
    done = esctl("snapshot", cwd=folder)
    assert (done.code, done.out) == (0, b"")
    assert "nothing to save" in done.err
