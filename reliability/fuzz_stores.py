"""Fuzz the files of a store and those made from it: commits, summaries, format, manifests, overrides, pins, bundles."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pyarrow as pa

from esctl.api import Store
from esctl.bundle.archive import open_archive, write_archive
from esctl.bundle.check import check_bundle
from esctl.bundle.contents import MANIFEST, FileEntry, parse_manifest
from esctl.bundle.make import BundleRequest, plan_bundle
from esctl.errors import EsctlError
from esctl.index.files.manifest import MANIFEST as INDEX_MANIFEST
from esctl.index.files.manifest import digest_holds, read_manifest
from esctl.ledger.check.commits import walk
from esctl.ledger.check.verify import VerifyOptions, verify
from esctl.ledger.sign import checkpoints
from esctl.ledger.sign.last_seen import pin_path, pinned_keys, read_pin
from esctl.ledger.sign.note import SigningKey
from esctl.log.commit_json import commit_from_json, commit_to_json
from esctl.log.commits import CommitLog, create_store, open_log
from esctl.log.reader import export_raw
from esctl.log.store_state import commit_name
from esctl.log.writer import LogWriter, Part
from esctl.model import FileCursor
from esctl.sources.files.finding import Source
from esctl.sources.files.reading import SourceOptions, read
from reliability.target import Target, each

KEY = SigningKey("keeper", bytes(32))
LINES = [
    json.dumps(
        {"id": f"e-{number}", "type": "Set", "time": f"2024-01-02T00:00:{number:02d}Z", "stream": f"thing-{number % 3}",
         "actor": "ann", "data": {"n": number}}
    ).encode() + b"\n"
    for number in range(12)
]  # fmt: skip
CSV = b"id,type,time,stream,n\r\n1,Set,2024-01-02,thing-1,5\r\n"


def store_targets(folder: Path) -> list[Target]:
    """Return the targets that read the files of a store, after making a good store in `folder`."""
    os.environ["XDG_STATE_HOME"] = os.environ["XDG_CONFIG_HOME"] = str(folder / "user")
    path = _store(folder / "store")
    files = _Files(path)
    archive = folder / "bundle.zip"
    write_archive(archive, plan_bundle(Store.open(path), BundleRequest(("thing-1",))).files())
    commits = tuple(file.read_bytes() for file in sorted((path / "commits").glob("*.json")))
    index = next((path / "index").iterdir()) / INDEX_MANIFEST
    summarised = folder / "summary"
    shutil.copytree(path, summarised)
    open_log(summarised).write_summary(3)
    summary = summarised / "commits" / f"summary-{commit_name(3)}"
    pin = pin_path(path)
    return [
        Target("commit files", 3, (commits[-1],), each(files.commit), is_json=True),
        Target("summaries", 2, (summary.read_bytes(),), each(lambda data: _summary(summary, data)), is_json=True),
        Target("format.json", 2, ((path / "format.json").read_bytes(),), each(files.format), is_json=True),
        Target("index manifest", 6, (index.read_bytes(),), each(lambda data: _manifest(index, data)), is_json=True),
        Target("overrides", 2, (b'["entity=stream", "id=data.n"]\n',), each(files.overrides), is_json=True),
        Target("pins", 2, (pin.read_bytes(),), each(lambda data: _pin(path, pin, data)), is_json=True),
        Target("checkpoint files", 0.5, (next((path / "checkpoints").iterdir()).read_bytes(),), each(files.checkpoint)),
        Target("bundle manifest", 6, (_members(archive)[MANIFEST],), each(_bundle_manifest), is_json=True),
        Target("bundles", 2, (archive.read_bytes(),), each(lambda data: _bundle(folder / "b.zip", archive, data))),
        Target("bundle contents", 0.05, tuple(_members(archive).values()), each(_Contents(folder / "c.zip", archive))),
    ]


def _store(path: Path) -> Path:
    create_store(path)
    with LogWriter(path, clock=lambda: 1_700_000_000_000_000) as writer:
        for lines, name, kind in (
            (LINES[:6], "a.jsonl", "jsonl"),
            (LINES[6:], "b.jsonl", "jsonl"),
            ([CSV[23:]], "c.csv", "csv"),
        ):
            data = CSV if kind == "csv" else b"".join(lines)
            offsets = [len(data) - sum(map(len, lines[number:])) for number in range(len(lines))]
            batch = pa.table({"offset": pa.array(offsets, pa.int64()), "raw": pa.array(lines, pa.large_binary())})
            digest = sha256(data).hexdigest()
            told = (
                {"header": "aWQsdHlwZSx0aW1lLHN0cmVhbSxuDQo=", "dialect": {"delimiter": ","}} if kind == "csv" else {}
            )
            cursor = FileCursor(len(data), digest, len(data), digest, format=kind, records=len(lines), **told)
            writer.append([Part(name, [batch], cursor)])
    assert Store.open(path).view
    checkpoints.make_checkpoint(path, KEY)
    return path


class _Files:
    """A store in which one file at a time is replaced, and restored afterwards."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last = sorted((path / "commits").glob("[0-9]*.json"))[-1]
        self._good = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
        self._root = open_log(path).read().root

    def commit(self, data: bytes) -> None:
        """Read a store with another last commit, and continue a source from its cursors."""
        data = reseal(data)
        with_file(self._last, data, self._good[self._last], lambda: self._ask_all(data))

    def _ask_all(self, data: bytes) -> None:
        checks = walk(self._path).checks
        try:
            commit = commit_from_json(json.loads(data))
            assert commit_from_json(commit_to_json(commit)) == commit
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            assert any(check.findings for check in checks)
        store_state = open_log(self._path).read()
        for name in store_state.cursors:
            with suppress(EsctlError):
                b"".join(export_raw(store_state, name))
        source = self._path.parent / "c.csv"
        source.write_bytes(CSV + b"2,Set,2024-01-03,thing-1,6\r\n")
        for delivery in read(Source("c.csv", source), SourceOptions(), store_state.cursors):
            assert delivery.cursor.records

    def format(self, data: bytes) -> None:
        """Read a store with another format.json."""
        file = self._path / "format.json"
        with_file(file, data, self._good[file], lambda: _open_log(self._path))

    def overrides(self, data: bytes) -> None:
        """Read a store with other overrides of its mapping."""
        file = self._path / "mapping.json"
        with_file(
            file,
            reseal(data),
            self._good.get(file, b"[]\n"),
            lambda: Store(self._path, Store.open(self._path).config).index_folder,
        )

    def checkpoint(self, data: bytes) -> None:
        """Verify a store with another checkpoint: it is a finding, unless the checkpoint still names the key."""
        file = next(file for file in self._good if file.parent.name == "checkpoints")

        def check() -> None:
            verified = verify(self._path, VerifyOptions(trust=(KEY.verifier,)))
            assert not verified.is_intact or b"keeper" in data

        with_file(file, data, self._good[file], check)


def with_file(file: Path, data: bytes, good: bytes, ask: Callable[[], object]) -> None:
    """Ask something while a file holds other bytes."""
    file.write_bytes(data)
    try:
        ask()
    finally:
        file.write_bytes(good)


def _open_log(path: Path) -> CommitLog:
    checks = walk(path).checks
    log = open_log(path)
    assert log.read().head
    assert checks
    return log


def reseal(data: bytes) -> bytes:
    """Return a file's bytes with its digest of itself set right: otherwise only that check would be tested."""
    try:
        value = json.loads(data)
        if "sha256" not in value:
            return data
        del value["sha256"]
        return _line(value | {"sha256": sha256(_line(value)).hexdigest()})
    except (ValueError, TypeError, RecursionError):
        return data


def _line(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _summary(file: Path, data: bytes) -> None:
    """Read a summary: one that does not agree with the commits is ignored, whatever it says."""
    file.write_bytes(reseal(data))
    path = file.parent.parent
    assert open_log(path).read().seq == 3
    walk(path)


def _manifest(path: Path, data: bytes) -> None:
    """Read the manifest of an index with its digest set right: otherwise only that check would be tested."""
    text = data.decode(errors="replace")
    body, mark, _ = text.rpartition(',"sha256":"')
    if not mark:
        try:
            value = json.loads(data)
            value.pop("sha256", None)
            body = json.dumps(value, separators=(",", ":"), sort_keys=True)[:-1]
        except (ValueError, AttributeError, TypeError, RecursionError):
            body = text
    sealed = f'{body},"sha256":"{sha256((body + "}").encode(errors="replace")).hexdigest()}"}}'
    path.write_bytes((sealed if digest_holds(sealed) else text).encode(errors="replace"))
    manifest = read_manifest(path.parent)
    if manifest is not None:
        assert manifest.head >= 0
        assert all(file.ranges for file in manifest.files if file.groups)
        assert manifest.fields is not None


def _pin(store: Path, path: Path, data: bytes) -> None:
    good = path.read_bytes()

    def ask() -> None:
        pinned_keys("x")
        pin = read_pin(store)
        assert pin is not None
        verify(store, VerifyOptions())

    with_file(path, data, good, ask)


def _bundle_manifest(data: bytes) -> None:
    try:
        manifest = parse_manifest(data)
    except ValueError:
        return
    assert parse_manifest(manifest.data) == manifest


def _members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _bundle(path: Path, good: Path, data: bytes) -> None:
    """Check that an archive is refuted, unless it has the same bytes as the good one."""
    path.write_bytes(data)
    if data == good.read_bytes():
        return
    found = check_bundle(path, (KEY.verifier,))
    assert found.is_refuted


class _Contents:
    """Checks archives in which one file is replaced and the manifest agrees with it."""

    def __init__(self, path: Path, good: Path) -> None:
        self._path, self._files = path, _members(good)
        self._names = {data: name for name, data in self._files.items()}
        self._turn = 0

    def __call__(self, data: bytes) -> None:
        names = sorted(self._files)
        name = self._names.get(data) or names[self._turn % len(names)]
        self._turn += 1
        files = {**self._files, name: data}
        if name != MANIFEST:
            told = json.loads(files[MANIFEST])
            entry = FileEntry.of(data)
            told["files"][name] = {"size": entry.size, "sha256": entry.sha256}
            files[MANIFEST] = json.dumps(told, indent=1, ensure_ascii=False).encode() + b"\n"
        write_archive(self._path, files.items())
        with open_archive(self._path) as archive:
            assert set(archive.names) == set(files)
        found = check_bundle(self._path, (KEY.verifier,))
        if name.startswith(("records/", "proofs/", "checkpoint", "states", "trail")) and data != self._files[name]:
            assert found.is_refuted or name.startswith("proofs/"), name
