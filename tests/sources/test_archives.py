"""Archives are read as folders are; what lies, leads out or unpacks to far more is refused."""

from __future__ import annotations

import gzip
import io
import json
import re
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from esctl.errors import InputError
from esctl.sources.files import archives
from esctl.sources.files.finding import is_sidecar
from esctl.sources.streams import LIMITS
from tests.support.cli_harness import esctl, good, refused


def event(number: int) -> bytes:
    return json.dumps({"id": f"e{number}", "type": "T", "entity": "x", "data": {"n": number}}).encode() + b"\n"


FILES = {"b/2.jsonl": event(2), "a.jsonl.gz": gzip.compress(event(1)), "c.json": b"[" + event(3) + b"]"}
EXTRA = {".hidden": b"x", "__MACOSX/._a": b"x", "b/README.md": b"# read me\n", "manifest.json": b'{"id":"m"}'}


def zipped(files: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", how) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


def tarred(files: dict[str, bytes], packing: str = "") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=f"w:{packing}") as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return made.getvalue()


ARCHIVES: dict[str, Any] = {
    "a.zip": zipped,
    "stored.zip": lambda files: zipped(files, zipfile.ZIP_STORED),
    "no suffix": zipped,
    "a.tar": tarred,
    "a.tar.gz": lambda files: tarred(files, "gz"),
    "a.tgz": lambda files: tarred(files, "gz"),
    "a.tar.xz": lambda files: tarred(files, "xz"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_members_are_sources(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(ARCHIVES[name]({**FILES, **EXTRA}))
    done = good("ingest", name, cwd=tmp_path)
    assert (done.row["records"], done.row["invalid"]) == (3, 0)
    assert f"left out, as by their names they hold no events: {name}!b/README.md, {name}!manifest.json" in done.err
    rows = good("log", "--columns", "source,data", cwd=tmp_path).rows
    assert [(row["source"], row["data"]["n"]) for row in rows] == [
        (f"{name}!a.jsonl.gz", 1),
        (f"{name}!b/2.jsonl", 2),
        (f"{name}!c.json", 3),
    ]
    assert good("export", "--raw", "--source", f"{name}!b/2.jsonl", cwd=tmp_path).out == FILES["b/2.jsonl"]
    assert good("ingest", name, cwd=tmp_path).row["new"] == 0
    (tmp_path / "folder").mkdir()
    (tmp_path / name).rename(tmp_path / "folder" / name)
    assert good("ingest", "folder", cwd=tmp_path).row["new"] == 0
    assert good("verify", "--full", cwd=tmp_path).code == 0


def test_a_member_that_leads_out_is_but_a_name(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, data in (
        ("a.zip", zipped({"../../out.jsonl": event(1)})),
        ("b.tar", tarred({"/etc/out.jsonl": event(2)})),
    ):
        (tmp_path / "in" / name).write_bytes(data)
    assert good("ingest", "a.zip", "b.tar", cwd=tmp_path / "in").row["records"] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]
    rows = good("log", "--columns", "source", cwd=tmp_path / "in").rows
    assert [row["source"] for row in rows] == ["a.zip!../../out.jsonl", "b.tar!/etc/out.jsonl"]


def test_links_in_a_tar_are_no_members(tmp_path: Path) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
            entry = tarfile.TarInfo(f"link{kind!r}")
            entry.type, entry.linkname = kind, "/etc/passwd"
            archive.addfile(entry)
        entry = tarfile.TarInfo("a.jsonl")
        entry.size = len(event(1))
        archive.addfile(entry, io.BytesIO(event(1)))
    (tmp_path / "a.tar").write_bytes(made.getvalue())
    assert good("ingest", "a.tar", cwd=tmp_path).row["records"] == 1


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_a_bomb_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(ARCHIVES[name]({"a.jsonl": b'{"id":1}' + b" " * (8 << 20) + b"\n"}))
    told, hint = refused("ingest", name, "--max-unpacked", "1MiB", code=3, cwd=tmp_path)
    assert "unpacks to more than 1,048,576 bytes" in told
    assert "--max-unpacked" in hint or "by hand" in hint


@pytest.mark.parametrize("name", ["a.zip", "stored.zip", "a.tar", "a.tar.gz"])
def test_what_comes_before_damage_is_kept(name: str, tmp_path: Path) -> None:
    whole = b"".join(event(number * 7919 % 100_003) for number in range(3000))
    data = ARCHIVES[name]({"a.jsonl": whole, "b.jsonl": whole})
    at = len(data) * 3 // 10
    spoiled = data[:at] + bytes(byte ^ 0x5A for byte in data[at : at + 40]) + data[at + 40 :]
    (tmp_path / name).write_bytes(spoiled if name.endswith("zip") else data[: len(data) * 7 // 10])
    told, _ = refused("ingest", name, code=3, cwd=tmp_path)
    assert name in told
    kept = good("status", cwd=tmp_path).row["head"]
    assert 1000 < kept <= 6000


THREE = tarred({f"{name}.jsonl": event(number) for number, name in enumerate("abc", 1)})


@pytest.mark.parametrize(
    ("data", "at", "kept"),
    [
        (THREE[:1148] + bytes([THREE[1148] ^ 1]) + THREE[1149:], "1,024", 1),
        (THREE[:1224], "1,024", 1),
        (THREE[:1024], "1,024", 1),
        (THREE[:2048], "2,048", 2),
    ],
)
def test_a_tar_that_does_not_end_is_damaged(data: bytes, at: str, kept: int, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(data)
    told, _ = refused("ingest", "a.tar", code=3, cwd=tmp_path)
    assert f"a.tar: damaged or cut off at byte {at}" in told
    assert good("status", cwd=tmp_path).row["head"] == kept


def test_a_sparse_member_says_so(tmp_path: Path) -> None:
    with (tmp_path / "hole.jsonl").open("wb") as file:
        file.truncate(1 << 20)
        file.seek(1 << 20)
        file.write(event(1))
    (tmp_path / "b.jsonl").write_bytes(event(2))
    subprocess.run(["tar", "-Scf", "a.tar", "hole.jsonl", "b.jsonl"], cwd=tmp_path, check=True)
    told, _ = refused("ingest", "a.tar", code=3, cwd=tmp_path)
    assert "a.tar!hole.jsonl cannot be read: it is kept as a sparse file" in told
    assert good("status", cwd=tmp_path).row["head"] == 1


def test_an_encrypted_member_says_so(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.jsonl": event(1)}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    told, _ = refused("ingest", "a.zip", code=3, cwd=tmp_path)
    assert "a.zip!a.jsonl cannot be read: it is encrypted" in told


@pytest.mark.parametrize("data", [b"PK\x03\x04", b"PK\x03\x04" + b"x" * 600, zipped(FILES)[:-30]])
def test_a_damaged_archive_says_so(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(data)
    told, _ = refused("ingest", "a.zip", code=3, cwd=tmp_path)
    assert "a.zip: damaged archive" in told


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tgz"])
def test_an_archive_of_too_many_members_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_MOST_MEMBERS", 3)
    path = tmp_path / name
    path.write_bytes(ARCHIVES[name]({f"{number}.jsonl": event(number) for number in range(3)}))
    assert len(archives.members_of(name, path, LIMITS) or ()) == 3
    path.write_bytes(ARCHIVES[name]({f"{number}.jsonl": event(number) for number in range(4)}))
    with pytest.raises(InputError, match=f"^{name} has more than 3 members$"):
        archives.members_of(name, path, LIMITS)


@pytest.mark.parametrize(("name", "packed"), [("a.zip", zipped), ("a.tar", tarred)])
def test_an_archive_that_is_gone_says_so(name: str, packed: Callable[..., bytes], tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(packed(FILES))
    members = archives.members_of(name, path, LIMITS)
    assert members
    path.unlink()
    gone = rf"{re.escape(name)}(!a\.jsonl\.gz)?: cannot be opened: No such file"
    with pytest.raises(InputError, match=f"^{gone}"):
        archives.members_of(name, path, LIMITS)
    with pytest.raises(InputError, match=f"^{gone}"):
        archives.open_member(path, members[0], LIMITS)


def test_a_link_that_leads_nowhere_says_so(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("x" * 300)
    told, _ = refused("ingest", "link", code=3, cwd=tmp_path)
    assert "link: cannot be opened: File name too long" in told


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("README.md", True),
        ("out/manifest.json", True),
        ("x-manifest.json", True),
        ("checksums.sha256", True),
        ("SHA256SUMS", True),
        ("part-0.json.crc", True),
        ("_SUCCESS", True),
        ("1_CloudTrail-Digest_eu_x.json.gz", True),
        ("1_CloudTrail_eu_x.json.gz", False),
        ("readings.json", False),
        ("manifests.jsonl", False),
        ("notices.jsonl", False),
        ("NOTICE", True),
        ("notice.txt", True),
        ("notice.log", False),
        ("notice.00:00:00-01:00:00.log.gz", False),
        ("part-00000.json", False),
        ("logs/export.py", True),
        ("run.sh", True),
        ("chart.png", True),
        ("app.log", False),
        ("notes.txt", False),
        ("access.log.1", False),
        ("table.xlsx", False),
    ],
)
def test_what_holds_no_events_is_told_by_its_name(name: str, expected: bool) -> None:
    assert is_sidecar(name) is expected


def test_what_people_have(tmp_path: Path, real_logs: Path) -> None:
    for number, name in enumerate(("logs.zip", "logs.tar.gz")):
        done = esctl("ingest", real_logs / "cases" / "24-archives" / name, "--store", str(number), cwd=tmp_path)
        assert (done.row["records"], done.row["invalid"]) == (3, 0)
    done = esctl("ingest", real_logs / "cases" / "44-sidecar-files" / "out", "--store", "c", cwd=tmp_path)
    assert (done.row["records"], done.row["invalid"]) == (1, 0)
    assert all(name in done.err for name in ("README.md", "checksums.sha256", "manifest.json"))
