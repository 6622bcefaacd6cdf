"""Bundles of evidence: what is in them holds, and whatever is done to them is found."""

from __future__ import annotations

import io
import json
import random
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from esctl import __version__
from esctl.api import Store
from esctl.bundle import make
from esctl.bundle.archive import write_archive
from esctl.bundle.check import Checked, check_bundle
from esctl.bundle.contents import FileEntry, parse_manifest
from esctl.bundle.make import BundleRequest, plan_bundle
from esctl.config import read_config
from esctl.errors import EsctlError, InputError, NotFoundError
from esctl.ledger.prove.proof_file import parse_proof
from esctl.ledger.sign import checkpoints
from esctl.ledger.sign.checkpoint import Head, parse_checkpoint, sign
from esctl.ledger.sign.note import SigningKey
from esctl.log.writer import LogWriter
from esctl.reports.report import states_and_trail
from tests.support import log_helpers as logs

KEY = SigningKey("keeper", bytes(32))
OTHER = SigningKey("stranger", b"\x01" * 32)
Files = dict[str, bytes]

RULES = """
[projections.account]
entities = "account-*"
[projections.account.on.Opened]
set = { owner = "data.owner", at = "position" }
[projections.account.on.Paid]
add = { balance = "data.amount" }
[projections.account.on."Moved[from]"]
subtract = { balance = "data.amount" }
[projections.account.on."Moved[to]"]
add = { balance = "data.amount" }
[projections.account.on.Noted]
set = { note = "data.text", size = "length(data.text)" }
[projections.account.on.Closed]
delete = true

[mapping]
id = "id"
type = "type"
time = "time"
actor = "actor"
data = "data"
[mapping.entities]
stream = "stream"
from = "data.from"
to = "data.to"
"""


def event(number: int, kind: str, stream: str | None = None, **data: Any) -> dict[str, Any]:
    own = {"stream": stream} if stream is not None else {}
    return {
        "id": f"e-{number}",
        "type": kind,
        "time": f"2024-01-{number:02d}T00:00:00Z",
        "actor": "ann",
        **own,
        "data": data,
    }


EVENTS: list[dict[str, Any]] = [
    event(1, "Opened", "account-1", owner="é\u202e", nested={"b": 1, "a": 0.1}),
    event(2, "Opened", "account-2", owner="bob"),
    event(3, "Paid", "account-1", amount=10.10),
    event(4, "Paid", "account-2", amount=3),
    event(5, "Moved", **{"from": "account-1", "to": "account-2", "amount": 0.05}),
    event(3, "Paid", "account-1", amount=10.10),  # delivered again
    event(4, "Paid", "account-1", amount=99),  # the id of another account's event
    event(6, "Opened", "account-3", owner="eve"),
    event(7, "Closed", "account-3"),
    event(8, "Noted", "thing-1", text="x", n=1e3),
    event(2, "Paid", "account-1", amount=7) | {"id": "late", "time": "2023-12-31T00:00:00Z"},
]


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("bundles")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        yield folder


def lines(events: list[dict[str, Any]]) -> list[bytes]:
    return [json.dumps(each, ensure_ascii=False).encode() + b"\n" for each in events]


def ingested(folder: Path, rules: str = RULES, events: list[dict[str, Any]] | None = None) -> Store:
    folder.mkdir()
    (folder / "esctl.toml").write_text(rules)
    logs.store(folder / ".esctl", [[logs.part("log.jsonl", [*lines(EVENTS if events is None else events)])]])
    return Store.open(folder / ".esctl")


@pytest.fixture(scope="module")
def store(user: Path) -> Store:
    found = ingested(user / "store")
    checkpoints.make_checkpoint(found.path, KEY)
    return found


def made(store: Store, path: Path, *entities: str, **rest: Any) -> Path:
    write_archive(path, plan_bundle(store, BundleRequest(entities, **rest)).files())
    return path


@pytest.fixture(scope="module")
def bundle(store: Store, user: Path) -> Path:
    return made(store, user / "one.zip", "account-1")


def judged(path: Path, *keys: SigningKey, **rest: Any) -> Checked:
    return check_bundle(path, [key.verifier for key in keys or (KEY,)], **rest)


def results(found: Checked) -> dict[str, str]:
    return {check.rule: "failed" if check.findings else "skipped" if check.skipped else "ok" for check in found.checks}


ALL_OK = dict.fromkeys(("archive", "files", "checkpoint", "records", "states", "trail", "readme"), "ok")


def unpacked(path: Path) -> Files:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_bundle_holds_the_records_and_what_they_say(store: Store, bundle: Path) -> None:
    found = judged(bundle)
    assert results(found) == ALL_OK, found.checks
    assert found.signers == ("keeper",)
    files = unpacked(bundle)
    raws = lines(EVENTS)
    # Record 4 is there since record 7 came under its id.
    positions = [1, 3, 4, 5, 6, 7, 11]
    for position in positions:
        assert files[f"records/{position:020d}.txt"] == raws[position - 1]
        assert parse_proof(files[f"proofs/{position:020d}.tlog-proof"]).index == position - 1
    (state,) = map(json.loads, files["states.jsonl"].splitlines())
    assert state["state"] == {"owner": "é\u202e", "at": 1, "balance": 17.05}
    assert [json.loads(line)["position"] for line in files["trail.jsonl"].splitlines()] == [11, 1, 3, 5]
    manifest = parse_manifest(files["manifest.json"])
    assert (manifest.records, manifest.entities, manifest.size) == (tuple(positions), ("account-1",), 11)
    page = files["README.txt"].decode()
    assert "esctl verify-bundle" in page
    assert "keeper" in page
    assert KEY.verifier.text not in page


def test_the_same_question_gives_the_same_bytes(store: Store, bundle: Path, tmp_path: Path) -> None:
    assert made(Store.open(store.path), tmp_path / "two.zip", "account-1").read_bytes() == bundle.read_bytes()


@pytest.mark.parametrize(
    ("entities", "rest", "expected"),
    [
        (("account-*",), {"at": "2024-01-04"}, ["account-1", "account-2", "account-3"]),
        ((), {"where": "data.amount > 9"}, ["account-1"]),
        (("account-*",), {"where": "type = 'Moved'", "before": "@5"}, ["account-1", "account-2"]),
        (("account-*", "thing-1"), {"at": "id:e-5"}, ["account-1", "account-2", "account-3", "thing-1"]),
        (("account-2",), {"at": "version:2", "projection": "account"}, ["account-2"]),
        (("*",), {}, ["account-1", "account-2", "account-3", "thing-1"]),
    ],
)
def test_any_question_is_replayed(
    store: Store, tmp_path: Path, entities: tuple[str, ...], rest: dict[str, str], expected: list[str]
) -> None:
    path = made(store, tmp_path / "some.zip", *entities, **rest)
    assert results(judged(path)) == ALL_OK
    assert list(parse_manifest(unpacked(path)["manifest.json"]).entities) == expected


def test_what_came_after_the_checkpoint_is_left_out(user: Path, tmp_path: Path) -> None:
    store = ingested(user / "grown", events=[EVENTS[9], *EVENTS[:4]])
    checkpoints.make_checkpoint(store.path, KEY)
    before = made(store, tmp_path / "before.zip", "account-1").read_bytes()
    with LogWriter(store.path, clock=logs.clock, files=logs.Unsynced()) as writer:
        writer.append([logs.part("more.jsonl", [*lines([event(9, "Paid", "account-1", amount=1)])])])
    grown = Store.open(store.path)
    bundle = plan_bundle(grown, BundleRequest(("account-1",)))
    assert bundle.left_out == 1
    assert made(grown, tmp_path / "after.zip", "account-1").read_bytes() == before
    checkpoints.make_checkpoint(store.path, KEY)
    assert made(grown, tmp_path / "again.zip", "account-1", checkpoint="5").read_bytes() == before
    assert made(grown, tmp_path / "newest.zip", "account-1").read_bytes() != before


def test_nothing_to_bundle_is_said(store: Store, user: Path) -> None:
    with pytest.raises(NotFoundError, match="no entity to bundle"):
        plan_bundle(store, BundleRequest(("nothing-*",)))
    with pytest.raises(NotFoundError, match="no entity 'account-9'"):
        plan_bundle(store, BundleRequest(("account-9",)))
    with pytest.raises(InputError, match="there is no checkpoint"):
        plan_bundle(ingested(user / "unsigned"), BundleRequest(("account-1",)))


def test_no_key_is_taken_from_a_bundle(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/nowhere")
    assert results(judged(bundle, OTHER)) == ALL_OK | {"checkpoint": "failed"}
    found = check_bundle(bundle, [])
    assert results(found) == ALL_OK | {"checkpoint": "skipped"}
    assert (found.is_refuted, found.is_judged) == (False, False)


def test_code_is_never_run_from_a_bundle(user: Path, tmp_path: Path) -> None:
    folder = user / "coded"
    python = RULES + '[projections.thing]\nkinds = ["thing"]\npython = "rules:fold"\n'
    folder_rules = "def fold(state, event):\n    open('ran', 'w').close()\n    return {'n': 1}\n"
    store = ingested(folder, python)
    (folder / "rules.py").write_text(folder_rules)
    checkpoints.make_checkpoint(store.path, KEY)
    path = made(store, tmp_path / "thing.zip", "thing-1")
    Path("ran").unlink()
    found = judged(path)
    assert results(found) == ALL_OK | {"states": "skipped", "trail": "skipped"}
    assert "never run from a bundle" in found.checks[-2].skipped
    assert not Path("ran").exists()
    assert results(judged(path, config=read_config(folder / "esctl.toml"))) == ALL_OK
    Path("ran").unlink()
    assert results(judged(made(store, tmp_path / "other.zip", "account-1"))) == ALL_OK
    (folder / "other.toml").write_text(
        RULES + '[projections.thing]\nkinds = ["thing"]\n[projections.thing.on.Noted]\nset = { n = 2 }\n'
    )
    assert results(judged(path, config=read_config(folder / "other.toml")))["states"] == "failed"


def resealed(path: Path, change: Callable[[Files], None], target: Path, **members: Any) -> Path:
    """Change a bundle's files and members of its manifest, which names the files as they are now."""
    files = unpacked(path)
    manifest = json.loads(files.pop("manifest.json")) | members
    change(files)
    manifest["files"] = {name: {"size": len(data), "sha256": FileEntry.of(data).sha256} for name, data in files.items()}
    write_archive(target, [*files.items(), ("manifest.json", json.dumps(manifest).encode())])
    return target


def edit(name: str, old: bytes, new: bytes) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        assert old in files[name], name
        files[name] = files[name].replace(old, new)

    return change


def swap(one: str, two: str) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        files[one], files[two] = files[two], files[one]

    return change


def forge_checkpoint(files: Files) -> None:
    head = parse_checkpoint(files["checkpoint.txt"]).head
    forged = sign(Head(head.origin, head.size, bytes(32)), KEY)
    files["checkpoint.txt"] = forged


R3, R5 = f"records/{3:020d}.txt", f"records/{5:020d}.txt"
P3, P5 = f"proofs/{3:020d}.tlog-proof", f"proofs/{5:020d}.tlog-proof"


@pytest.mark.parametrize(
    ("change", "failed"),
    [
        (edit(R3, b"10.1", b"10.2"), {"records"}),
        (edit(R3, b"\n", b""), {"records"}),
        (swap(R3, R5), {"records"}),
        (swap(P3, P5), {"records"}),
        (edit(P3, b"index 2", b"index 3"), {"records"}),
        (edit(P3, b"extra ", b"extra"), {"records"}),
        (edit(P3, b"\n11\n", b"\n12\n"), {"records"}),
        (forge_checkpoint, {"checkpoint", "records"}),
        (edit("checkpoint.txt", b"\n11\n", b"\n12\n"), {"checkpoint", "records"}),
        (edit("checkpoint.txt", b"\n\n", b"\n"), {"checkpoint"}),
        (edit("states.jsonl", b"17.05", b"17.06"), {"states"}),
        (edit("states.jsonl", b'"at":1', b'"at":true'), {"states"}),
        (edit("trail.jsonl", b'"after":1', b'"after":true'), {"trail"}),
        (edit("states.jsonl", b'"balance":', b'"balance":1,"balance":'), {"states"}),
        (edit("states.jsonl", b"\n", b"\n{}\n"), {"states"}),
        (lambda files: files.update({"states.jsonl": b""}), {"states"}),
        (edit("trail.jsonl", b'"actor":"ann"', b'"actor":"bob"'), {"trail"}),
        (edit("trail.jsonl", b"{", b"["), {"trail"}),
        (edit("basis.json", b'"position": 11', b'"position": 10'), {"checkpoint", "readme"}),
        (edit("basis.json", b'"at": null', b'"at": "nonsense"'), {"readme"}),
        (edit("basis.json", b'"root"', b'"toor"'), {"checkpoint"}),
        (edit("basis.json", b'"mapping": "', b'"mapping": 0, "gnippam": "'), {"checkpoint"}),
        (edit("basis.json", b'"mapping": "', b'"note": "a key that came along is good", "mapping": "'), {"checkpoint"}),
        (edit("basis.json", b"{", b"{ "), {"checkpoint"}),
        (edit("basis.json", b'"mapping": "', b'"mapping": "0'), {"readme"}),
        (edit("README.txt", b"proves nothing", b"is as good"), {"readme"}),
        (edit("README.txt", b"\n\n", b"\n"), {"readme"}),
    ],
)
def test_every_change_is_found_though_the_manifest_agrees(
    bundle: Path, tmp_path: Path, change: Callable[[Files], None], failed: set[str]
) -> None:
    found = judged(resealed(bundle, change, tmp_path / "changed.zip"))
    assert {rule for rule, result in results(found).items() if result == "failed"} == failed, found.checks


def test_the_text_of_another_version_is_not_judged(bundle: Path, tmp_path: Path) -> None:
    def other_version(files: Files) -> None:
        for name in ("basis.json", "README.txt"):
            files[name] = files[name].replace(__version__.encode(), b"9.9.9")

    same = resealed(bundle, other_version, tmp_path / "other.zip")
    assert results(judged(same)) == ALL_OK
    text = edit("README.txt", b"proves nothing", b"is as good")
    found = judged(resealed(same, text, tmp_path / "changed.zip"))
    assert results(found) == ALL_OK | {"readme": "skipped"}
    assert "written by esctl 9.9.9" in found.checks[-1].skipped


def test_states_are_compared_by_value(bundle: Path, tmp_path: Path) -> None:
    change = edit("states.jsonl", b'"at":1,', b'"at": 1.0,')
    assert results(judged(resealed(bundle, change, tmp_path / "spelled.zip"))) == ALL_OK
    deep = edit("states.jsonl", b'"at":1,', b'"at":' + b"[" * 700 + b"]" * 700 + b",")
    assert results(judged(resealed(bundle, deep, tmp_path / "deep.zip")))["states"] == "failed"


@pytest.mark.parametrize(
    "change",
    [
        edit("interpretation.json", b'"sources"', b'"secruos"'),
        edit("interpretation.json", b'"mapping"', b'"gnippam"'),
        edit("interpretation.json", b'"order": "time"', b'"order": "odd"'),
        edit("interpretation.json", b'"set"', b'"sett"'),
        edit("interpretation.json", b'"NUMBER"', b'"NOMBRE"'),
        edit("interpretation.json", b'"data.amount"', b'"read_text(1)"'),
        edit("interpretation.json", b'"type"\n', b"7\n"),
        edit("interpretation.json", b'"dialect": {}', b'"dialect": {"encoding": "nonsense"}'),
        edit(
            "interpretation.json",
            b"{",
            b"[",
        ),
    ],
)
def test_rules_that_cannot_be_read_judge_nothing(bundle: Path, tmp_path: Path, change: Callable[[Files], None]) -> None:
    found = judged(resealed(bundle, change, tmp_path / "odd.zip"))
    assert not found.is_judged, results(found)
    assert not found.is_refuted, found.checks


@pytest.mark.parametrize(
    "change",
    [
        lambda files: files.pop("README.txt"),
        lambda files: files.update({"more.txt": b"x"}),
        lambda files: files.update({"README.txt": files["README.txt"] + b"x"}),
        lambda files: files.pop("manifest.json"),
        lambda files: files.update({"manifest.json": b"{}"}),
        lambda files: files.update({"manifest.json": files["manifest.json"].replace(b'"size": 11', b'"size": 11.5')}),
        lambda files: files.update({"manifest.json": files["manifest.json"].replace(b'"where": ""', b'"where": 1')}),
        lambda files: files.update({"manifest.json": b"[" * 100_000}),
    ],
)
def test_files_that_are_not_those_of_the_manifest_are_found(
    bundle: Path, tmp_path: Path, change: Callable[[Files], None]
) -> None:
    files = unpacked(bundle)
    change(files)
    write_archive(tmp_path / "changed.zip", files.items())
    found = judged(tmp_path / "changed.zip")
    assert results(found)["files"] == "failed"
    assert found.is_refuted


def zipped(path: Path, files: Files, entry: Callable[[str], zipfile.ZipInfo], **rest: Any) -> Path:
    with zipfile.ZipFile(path, "w", **rest) as archive:
        for name, data in files.items():
            archive.writestr(entry(name), data)
    return path


def plain_entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    entry.create_system, entry.external_attr = 3, (stat.S_IFREG | 0o644) << 16
    return entry


def linked(name: str) -> zipfile.ZipInfo:
    entry = plain_entry(name)
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


def deflated(name: str) -> zipfile.ZipInfo:
    entry = plain_entry(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def dated(name: str) -> zipfile.ZipInfo:
    entry = plain_entry(name)
    entry.date_time = (2024, 1, 1, 0, 0, 0)
    return entry


def test_odd_archives_are_refused(bundle: Path, tmp_path: Path) -> None:
    files, data, path = unpacked(bundle), bundle.read_bytes(), tmp_path / "odd.zip"
    assert zipped(path, files, plain_entry).read_bytes() == data
    for entry in (linked, deflated, dated):
        assert results(judged(zipped(path, files, entry)))["archive"] == "failed", entry
    for name in ("../../x", "/etc/passwd", "records\\x", "a/b/c", "", "records/é", "C:x", "x" * 300, "records/"):
        assert results(judged(zipped(path, files | {name: b""}, plain_entry)))["archive"] == "failed", name
    encrypted = bytearray(data)
    encrypted[6] |= 1
    for changed in (b"x" + data, data + b"x", data.replace(b"PK\x05\x06", b"xPK\x05\x06"), bytes(encrypted)):
        path.write_bytes(changed)
        try:
            assert judged(path).is_refuted
        except InputError:
            continue
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(path, "w") as archive:
        for name in ("README.txt", "README.txt"):
            archive.writestr(plain_entry(name), b"x")
    assert "twice" in judged(path).checks[0].findings[0].message
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w") as archive:
        archive.writestr(deflated("README.txt"), bytes(10_000_000))
    path.write_bytes(bomb.getvalue())
    assert "compressed" in judged(path).checks[0].findings[0].message
    for nothing in (b"", b"PK", data[: len(data) // 2], b"x" * 1000):
        path.write_bytes(nothing)
        with pytest.raises(InputError, match="is not a bundle"):
            judged(path)
    with pytest.raises(InputError, match="no such file"):
        judged(tmp_path / "nowhere.zip")


def test_an_archive_that_claims_to_be_huge_is_refused(bundle: Path, tmp_path: Path) -> None:
    data = bytearray(bundle.read_bytes())
    at = data.index(b"PK\x01\x02")
    struct.pack_into("<2L", data, at + 20, 0xFFFFFFF0, 0xFFFFFFF0)
    (tmp_path / "huge.zip").write_bytes(data)
    assert judged(tmp_path / "huge.zip").is_refuted


def test_no_flipped_bit_goes_unnoticed(bundle: Path, tmp_path: Path) -> None:
    rng, data, path = random.Random(5), bundle.read_bytes(), tmp_path / "flipped.zip"
    places = [rng.randrange(len(data) * 8) for _ in range(150)]
    places += [len(data) * 8 - 1 - number for number in range(0, 22 * 8, 5)]
    for bit in places:
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        try:
            found = judged(path)
        except EsctlError:
            continue
        assert found.is_refuted, bit


def test_a_directory_that_lies_about_its_end_is_found(bundle: Path, tmp_path: Path) -> None:
    data = bytearray(bundle.read_bytes())
    last = data.rindex(b"PK\1\2")
    for place in (30, 32):  # lengths of an extra field and of a comment that are not there
        changed = data.copy()
        changed[last + place] = 40
        (tmp_path / "b.zip").write_bytes(changed)
        assert results(judged(tmp_path / "b.zip"))["archive"] == "failed"


def test_an_undated_event_has_no_time_in_a_bundle(user: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = [event(n, "Opened", f"account-{n}", owner="x") for n in range(1, 4)]
    for number in (0, 2):
        del events[number]["time"]
    store = ingested(user / "undated", events=events)
    checkpoints.make_checkpoint(store.path, KEY)
    path = made(store, tmp_path / "undated.zip", "*", html=True)
    files = unpacked(path)
    for name in ("states.jsonl", "trail.jsonl"):
        times = {row["position"]: row["time"] for row in map(json.loads, files[name].splitlines())}
        assert times == {1: None, 2: "2024-01-02T00:00:00Z", 3: None}
    assert results(judged(path)) == ALL_OK | {"page": "ok"}
    with monkeypatch.context() as patch:
        patch.setattr(make, "states_and_trail", partial(states_and_trail, own_times=False))
        before = made(store, tmp_path / "before.zip", "*", html=True)
    assert results(judged(before)) == ALL_OK | {"states": "skipped", "trail": "skipped", "page": "ok"}
    changed = resealed(path, edit("states.jsonl", b'"time":null', b'"time":"2024-01-01T00:00:00Z"'), before)
    assert results(judged(changed))["states"] == "failed"


def test_names_that_were_read_as_globs_are_not_called_forged(
    user: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ingested(user / "before", events=[event(n, "Opened", name) for n, name in enumerate(("a*", "ab", "b"), 1)])
    checkpoints.make_checkpoint(store.path, KEY)
    with monkeypatch.context() as patch:
        patch.setattr(make, "ExactName", str)
        path = made(store, tmp_path / "before.zip", where="entity = 'a*'")
    assert unpacked(path)["states.jsonl"].count(b"\n") == 2
    found = judged(path)
    assert results(found) == ALL_OK | {"states": "skipped", "trail": "skipped"}
    assert "an earlier version" in found.checks[-2].skipped
    changed = resealed(path, edit("states.jsonl", b'"ab"', b'"ac"'), tmp_path / "changed.zip")
    assert results(judged(changed))["states"] == "failed"


def test_names_with_wildcards_are_names_in_a_bundle(user: Path, tmp_path: Path) -> None:
    names = ["a*", "abc", "a?", "ab"]
    found = [event(number, "Opened", name, secret=number - 1) for number, name in enumerate(names, 1)]
    store = ingested(user / "wild", events=found)
    checkpoints.make_checkpoint(store.path, KEY)
    for where, expected in (("data.secret = 0", [1]), ("data.secret = 2", [3]), ("data.secret IN (0, 3)", [1, 4])):
        path = made(store, tmp_path / "wild.zip", where=where)
        manifest = parse_manifest(unpacked(path)["manifest.json"])
        assert (list(manifest.records), list(manifest.entities)) == (expected, [names[n - 1] for n in expected])
        assert unpacked(path)["states.jsonl"].count(b"\n") == len(expected)
        assert results(judged(path)) == ALL_OK
