"""Things that are no plain files, put where one is expected, and a canary that nobody may touch."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

KINDS = ("link", "dangling", "folder link", "fifo", "socket", "device")
CANARY = b"not yours\n"


class Canary:
    """A folder with a file, outside whatever is tested; `check` holds that both are as they were."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "canary"
        self.folder.mkdir()
        self.file = self.folder / "precious"
        self.file.write_bytes(CANARY)
        for name in (
            ".tmp-left",
            "manifest.json",
            "00000000000000000001-00000000000000000002.0a0b0c0d.parquet",
            "x.ids",
        ):
            (self.folder / name).write_bytes(CANARY)
            os.utime(self.folder / name, (1, 1))
        self.mode = stat.S_IMODE(self.file.stat().st_mode)
        self._seen = self._state()

    def _state(self) -> dict[str, tuple[bytes, int, int, int]]:
        return {
            path.name: (path.read_bytes(), *(getattr(path.stat(), f"st_{name}") for name in ("mode", "ino", "nlink")))
            for path in self.folder.iterdir()
        }

    def check(self, told: object = "") -> None:
        assert self._state() == self._seen, told


def put(kind: str, path: Path, canary: Canary) -> None:
    """Put something odd at a path; what stands there goes."""
    if kind == "link":
        path.symlink_to(canary.file)
    elif kind == "dangling":
        path.symlink_to(canary.folder / "not there")
    elif kind == "folder link":
        path.symlink_to(canary.folder)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        place = os.open(path.parent, os.O_RDONLY)
        with socket.socket(socket.AF_UNIX) as made:  # by a short name: those of sockets are
            made.bind(f"/proc/self/fd/{place}/{path.name}")
        os.close(place)
    else:
        device(path)


def device(path: Path, minor: int = 3) -> None:
    """Make a private null device (5: of zeros), or skip the test where that is not allowed."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, minor))
        os.close(os.open(path, os.O_RDWR))
    except OSError as error:
        pytest.skip(f"no devices can be made here: {error.strerror}")
