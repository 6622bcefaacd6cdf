"""The real program in subprocesses, over stores of the sample logs."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.warm import Warm

ROOT = Path(__file__).resolve().parents[2]
COMPACT = os.environ.get("ESCTL_COMPACT") == "always"
"""Every ingest is to end with a compaction: nothing but the files may be another."""
ESCTL = (
    [sys.executable, str(ROOT / "tests" / "support" / "compacting.py")] if COMPACT else [sys.executable, "-m", "esctl"]
)
uncompacted = pytest.mark.skipif(COMPACT, reason="it counts files, which are fewer after a compaction")
COLD = COMPACT or os.environ.get("ESCTL_COLD") == "always"
"""Every process is to start from nothing; else most are forked from one that has everything imported."""
_EARLY = ("PYTHON", "LC_", "LANG")  # variables that count when Python starts
_WARM = Warm([sys.executable, str(ROOT / "tests" / "support" / "warm.py")])
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "ESCTL_SNAPSHOTS", "PYTEST_CURRENT_TEST")
"""Variables that the program gets as they are here; of the last one it knows nothing (see reliability/reached.py)."""
SAMPLES = ROOT / "sample_logs"

USER_FOLDERS = tempfile.TemporaryDirectory(prefix="esctl-user-")
"""Where the tests' user keeps keys and what was last seen of stores: never the real one's."""

COLUMNS = {
    "replay": ["entity", "kind", "state", "version", "position", "time"],
    "diff": ["entity", "kind", "change", "field", "before", "after", "positions"],
    "audit": [
        "position",
        "time",
        "recorded_at",
        "entity",
        "kind",
        "role",
        "type",
        "actor",
        "id",
        "correlation",
        "version",
        "changes",
    ],
    "when": [
        "entity",
        "kind",
        "start",
        "end",
        "position",
        "id",
        "type",
        "actor",
        "end_position",
        "end_id",
        "end_type",
        "end_actor",
    ],
    "series": ["time", "group", "value"],
    "blame": [
        "entity",
        "kind",
        "field",
        "value",
        "change",
        "contributions",
        "position",
        "time",
        "role",
        "type",
        "actor",
        "id",
    ],
    "revert": ["entity", "kind", "op", "field", "value", "from", "to", "undoes", "undoes_ids"],
    "log": [
        "position",
        "source",
        "offset",
        "time",
        "recorded_at",
        "id",
        "type",
        "kind",
        "entity",
        "role",
        "actor",
        "sequence",
        "correlation",
        "causation",
        "data",
        "invalid",
        "duplicate_of",
    ],
    "types": ["type", "count", "first", "last", "entities", "fields"],
    "entities": ["entity", "kind", "events", "first", "last"],
    "ingest": ["records", "new", "duplicates", "conflicts", "invalid", "head", "seconds", "events_per_second"],
}
"""What the commands promise, in the words of their documentation."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a run ended and what it wrote."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode("utf-8")

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Read JSON Lines, or a JSON array."""
        text = self.text
        found: list[dict[str, Any]] = json.loads(text) if text.startswith("[") else list(map(json.loads, lines(text)))
        return found

    @property
    def row(self) -> dict[str, Any]:
        (row,) = self.rows
        return row


def lines(text: str) -> list[str]:
    """Split at LF alone: JSON text may hold other line ends."""
    return text.removesuffix("\n").split("\n") if text else []


def surroundings(**more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    user = {f"XDG_{kind}_HOME": f"{USER_FOLDERS.name}/{kind.lower()}" for kind in ("CONFIG", "STATE", "CACHE")}
    return {**kept, **user, "PYTHONPATH": str(ROOT), "TERM": "xterm", **more}


def esctl(*arguments: object, cwd: Path, stdin: bytes = b"", command: list[str] = ESCTL, **variables: str) -> Done:
    """Run esctl in a folder."""
    if command is ESCTL and not COLD and not any(name.startswith(_EARLY) for name in variables):
        code, out, err = _WARM.run(list(map(str, arguments)), cwd, stdin, surroundings(**variables))
        return Done(code, out, err.decode("utf-8"))
    done = subprocess.run(
        [*command, *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        env=surroundings(**variables),
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr.decode("utf-8"))


def good(*arguments: object, cwd: Path, stdin: bytes = b"", **variables: str) -> Done:
    """Run esctl and make sure that it went well."""
    done = esctl(*arguments, cwd=cwd, stdin=stdin, **variables)
    assert done.code == 0, done.err
    return done


def refused(*arguments: object, code: int, cwd: Path, stdin: bytes = b"", **variables: str) -> tuple[str, str]:
    """Run esctl, make sure that it fails as told: nothing on stdout, two lines on stderr; give message and hint."""
    done = esctl(*arguments, cwd=cwd, stdin=stdin, **variables)
    assert done.code == code, (done.code, done.err, done.text[:300])
    assert done.out == b""
    told = done.err.splitlines()[-2:]
    assert len(told) == 2, done.err
    assert told[0].startswith("esctl: error: "), done.err
    assert told[1].startswith("hint: "), done.err
    assert "Traceback" not in done.err
    return told[0].removeprefix("esctl: error: "), told[1].removeprefix("hint: ")


def on_terminal(
    *arguments: object, cwd: Path, width: int = 80, answer: bytes = b"", **variables: str
) -> tuple[str, int]:
    """Run esctl on a pseudo-terminal; give what it showed, stdout and stderr together, and the exit code.

    `answer` is what is typed, whenever it is read.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    process = subprocess.Popen(
        [*ESCTL, *map(str, arguments)],
        cwd=cwd,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=surroundings(**{"ESCTL_NO_PAGER": "1", **variables}),
    )
    os.close(slave)
    os.write(master, answer)
    shown = b""
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:  # how Linux tells that the other side is closed
            break
        if not data:
            break
        shown += data
    os.close(master)
    return shown.decode().replace("\r\n", "\n"), process.wait()


def copy_samples(folder: Path) -> Path:
    """Put the sample logs and their esctl.toml into a folder."""
    for path in SAMPLES.glob("*.jsonl"):
        shutil.copy(path, folder)
    shutil.copytree(SAMPLES / "shop", folder / "shop")
    shutil.copy(SAMPLES / "esctl.toml", folder)
    return folder


def ingest_samples(folder: Path) -> Path:
    """Put the sample logs, and a store they were ingested into, into a folder: a copy of one made once a process."""
    return Path(shutil.copytree(_ingested_samples(), folder, dirs_exist_ok=True))


@cache
def _ingested_samples() -> Path:
    folder = Path(USER_FOLDERS.name) / "samples"
    folder.mkdir()
    good("ingest", "*.jsonl", "shop/", "-q", cwd=copy_samples(folder))
    return folder


def write_lines(path: Path, events: Iterable[object]) -> Path:
    """Write values as JSON Lines."""
    path.write_text("".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events), encoding="utf-8")
    return path


def plain_event(number: int, entity: str = "thing-1", **data: Any) -> dict[str, Any]:
    """Make an event of the plain envelope, a minute after the one before."""
    return {
        "id": f"evt-{number}",
        "type": "Changed",
        "time": f"2024-01-02T{number // 60 % 24:02d}:{number % 60:02d}:00Z",
        "stream": entity,
        "actor": "ann",
        "data": data or {"n": number},
    }
