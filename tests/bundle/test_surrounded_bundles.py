"""A bundle of records that were read with what stood around them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from esctl.bundle.archive import write_archive
from esctl.bundle.contents import FileEntry, headers_name, parse_manifest
from esctl.log.leaves.leaf import headers_bytes, parse_headers
from tests.support.cli_harness import esctl, good

KEYS: dict[str, str] = {}
"""The environment that says where keys are."""


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Bundle an entity that stands around its records only."""
    monkeypatch.setitem(KEYS, "XDG_CONFIG_HOME", str(tmp_path / "keys"))
    page = {"logGroup": "group-1", "logEvents": [{"id": f"e{n}", "timestamp": 1709287200000 + n} for n in range(2)]}
    (tmp_path / "a.json").write_text(json.dumps(page))
    (tmp_path / "esctl.toml").write_text('[mapping]\nid = "id"\ntime = "timestamp"\nentity = "wrapper.logGroup"\n')
    good("key", "new", cwd=tmp_path, **KEYS)
    good("ingest", "a.json", "--checkpoint", cwd=tmp_path, **KEYS)
    good("bundle", "group-1", "-o", "b.zip", cwd=tmp_path, **KEYS)
    return tmp_path / "b.zip"


def changed(path: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """Write a bundle anew with some files otherwise, or gone, and a manifest that goes with them."""
    with zipfile.ZipFile(path) as archive:
        found = {name: change(name, archive.read(name)) for name in archive.namelist()}
    files = {name: data for name, data in found.items() if data is not None}
    manifest = json.loads(files["manifest.json"])
    manifest["files"] = {
        name: {"size": entry.size, "sha256": entry.sha256}
        for name, entry in ((name, FileEntry.of(data)) for name, data in files.items() if name != "manifest.json")
    }
    files["manifest.json"] = json.dumps(manifest).encode()
    write_archive(path, files.items())
    return path


def test_what_stood_around_is_in_a_bundle_and_judged(bundled: Path) -> None:
    checks = {
        row["check"]: row["result"] for row in good("verify-bundle", bundled.name, cwd=bundled.parent, **KEYS).rows
    }
    assert set(checks.values()) == {"ok"}
    with zipfile.ZipFile(bundled) as archive:
        told = parse_headers(archive.read(headers_name(1)))
        assert [each["name"] for each in told] == ["wrapper"]
        assert b"headers/" in archive.read("README.txt")
        assert headers_name(2) in parse_manifest(archive.read("manifest.json")).files


def test_what_stood_around_may_not_be_otherwise(bundled: Path) -> None:
    def other(name: str, data: bytes) -> bytes:
        return data.replace(b"group-1", b"group-2") if name.startswith("headers/") else data

    done = esctl("verify-bundle", changed(bundled, other).name, cwd=bundled.parent, **KEYS)
    checks = {row["check"]: row for row in done.rows}
    assert (done.code, checks["records"]["result"]) == (1, "failed")
    assert checks["records"]["file"] in (headers_name(1), headers_name(2))


def test_without_what_stood_around_it_is_not_judged(bundled: Path) -> None:
    path = changed(bundled, lambda name, data: None if name.startswith("headers/") else data)
    done = esctl("verify-bundle", path.name, cwd=bundled.parent, **KEYS)
    checks = {row["check"]: row for row in done.rows}
    assert (done.code, checks["records"]["result"], checks["states"]["result"]) == (3, "ok", "not checked")
    assert "what stood around them" in checks["states"]["message"]


def test_no_more_of_a_record_is_given_than_it_is_read_with(bundled: Path) -> None:
    folder = bundled.parent
    (folder / "esctl.toml").write_text('[mapping]\nid = "id"\ntime = "timestamp"\nentity = { const = "all" }\n')
    good("bundle", "all", "-o", "c.zip", cwd=folder, **KEYS)
    with zipfile.ZipFile(folder / "c.zip") as archive:
        assert not [name for name in archive.namelist() if name.startswith(("keys/", "headers/"))]
    good("verify-bundle", "c.zip", cwd=folder, **KEYS)


@pytest.mark.parametrize("data", [b"1:a", b"1:a2:b", b"01:a1:b", b"-:1:b", b"1:a-:x", b"\xff", b"9" * 30, b"1:\xff1:b"])
def test_headers_that_are_none_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_headers(data)


def test_headers_are_read_as_they_are_written() -> None:
    headers = [{"name": "é", "value": b"\x00:-:"}, {"name": "", "value": None}, {"name": "é", "value": b""}]
    assert parse_headers(headers_bytes(headers)) == headers
