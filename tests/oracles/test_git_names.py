"""A git history whose file names are as odd as git allows, made with the script that made the real ones."""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

from tests.oracles.test_git import CONFIG, Tree, tree_of
from tests.support.real_log_helpers import json_lines, load, rows_of

NAMES = [
    b"plain.txt", b"a*b?.txt", b"a[1].txt", b"o'brien; drop table x.txt", b"tab\there", b"new\nline", b"caf\xe9.txt",
    b"caf\xe8.txt", b"\xff\xfe", "é.txt".encode(), "e\u0301.txt".encode(), "\u202ertl".encode(), "💥/x".encode(),
    b"back\\slash", b'"quoted"', b" leading", b"trailing ", b"a/b/c/d/e", b"NULL", b"null", b"%41", b"{x}", b"id:1",
    b"-rf", b"\x1b[31mred", b"=1+1", b"data.path", "\u2028line".encode(), "\ue000mark".encode(), b"[bold]x",
]  # fmt: skip
# A name that is not UTF-8 stands in `path` with replacement characters, and exactly in `path_b64`.
MAPPED = CONFIG.replace('to = "path"', 'to = ["path_b64", "path"]')


def make_repository(folder: Path, commits: int, seed: int) -> None:
    """Commit random changes of files with odd names; times go back and repeat."""
    rng, clock, live = random.Random(seed), 1_600_000_000, set[bytes]()
    root = os.fsencode(folder)
    subprocess.run(["git", "init", "-q", folder], check=True)
    for _ in range(commits):
        clock += rng.choice((0, 0, 1, 60, -30))
        for _ in range(rng.randint(1, 5)):
            change_file(rng, root, live)
        people = {f"GIT_{role}_{what}": "a@b" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        times = {f"GIT_{role}_DATE": f"{clock} +0200" for role in ("AUTHOR", "COMMITTER")}
        environment = {**os.environ, **people, **times, "GIT_CONFIG_GLOBAL": os.devnull}
        for command in (["add", "-A"], ["commit", "-q", "--allow-empty", "-m", "x"]):
            subprocess.run(["git", "-C", folder, *command], check=True, env=environment, capture_output=True)


def change_file(rng: random.Random, root: bytes, live: set[bytes]) -> None:
    """Write, delete or rename one file."""
    name, other = rng.choice(NAMES), rng.choice(NAMES)
    path, target = os.path.join(root, name), os.path.join(root, other)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    step = rng.random()
    if name in live and step < 0.3:
        os.unlink(path)
        live.discard(name)
    elif name in live and other not in live and step < 0.6 and max(name + other) < 128:
        os.rename(path, target)
        live.symmetric_difference_update((name, other))
    else:
        Path(os.fsdecode(path)).write_text(str(rng.random()), encoding="ascii")
        os.chmod(path, rng.choice((0o644, 0o755)))
        live.add(name)


@pytest.fixture(scope="module")
def history(real_logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of events and trees of such a repository."""
    script = real_logs / "git2events.py"
    if not script.is_file() or not shutil.which("git") or not shutil.which("zstd"):
        pytest.skip("needs git2events.py among the real logs, git and zstd")
    if sys.platform == "darwin":
        pytest.skip("its file systems refuse names that are no UTF-8")
    folder = tmp_path_factory.mktemp("names")
    make_repository(folder / "repository", 60, seed=3)
    command = [sys.executable, str(script), str(folder / "repository"), str(folder / "log")]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "log"


def entity_of(path: bytes) -> str:
    try:
        return path.decode("utf-8")
    except UnicodeDecodeError:
        return base64.b64encode(path).decode("ascii")


def tree(file: Path) -> Tree:
    """Read a tree as git listed it, by entity."""
    found: Tree = {}
    for line in zstandard.ZstdDecompressor().stream_reader(file.read_bytes()).read().split(b"\n"):
        if line:
            mode, blob, path = line.split(b"\t", 2)
            parts = path.split(b"\\\\")
            raw = b"\\".join(part.replace(b"\\n", b"\n").replace(b"\\t", b"\t") for part in parts)
            found[entity_of(raw)] = (mode.decode(), blob.decode())
    return found


def test_trees_of_odd_names(history: Path, tmp_path: Path) -> None:
    oracle = json.loads((history / "checkpoints.json").read_text(encoding="utf-8"))
    assert oracle["non_utf8_paths"] > 0
    assert oracle["time_goes_back"] > 0
    store, summary = load(tmp_path, [history / "events.jsonl"], MAPPED)
    assert (summary.new, summary.invalid, summary.duplicates) == (oracle["events"], 0, 0)
    for checkpoint in oracle["checkpoints"]:
        assert tree_of(store, at=f"seq:{checkpoint['last_seq']}") == tree(history / checkpoint["file"])
    for instant in oracle["asof"]:
        assert tree_of(store, at=instant["T"]) == tree(history / instant["file"])


def test_every_odd_name_can_be_asked_for(history: Path, tmp_path: Path) -> None:
    store, _ = load(tmp_path, [history / "events.jsonl"], MAPPED)
    trails: dict[str, list[int]] = {}
    for event in json_lines(history / "events.jsonl"):
        names = [event.get("old_path"), event.get("path_b64", event["path"])]
        for name in dict.fromkeys(name for name in names if name is not None):
            trails.setdefault(name, []).append(event["seq"])
    for name, sequence in trails.items():
        # A name with wildcards is a glob: it finds itself among what it matches.
        rows = [row for row in rows_of(store.audit(name)) if row["entity"] == name]
        assert list(dict.fromkeys(row["position"] for row in rows)) == sequence
