"""Copies of the checkout, in which something may be changed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from reliability.report import ROOT


def checkout_files() -> list[Path]:
    """List the files of the checkout that git has or does not ignore, relative to it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    names = dict.fromkeys(filter(None, os.fsdecode(listed.stdout).split("\0")))
    return [Path(name) for name in names if (ROOT / name).is_file()]


def copy_checkout(folder: Path) -> None:
    """Copy those files to a folder, in place of what is there."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in checkout_files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    (folder / "build").symlink_to(ROOT / "build")  # the servers that tests start


def variables_of(folder: Path) -> dict[str, str]:
    """Return the variables by which Python finds a copy's modules, and tests the real logs beside the checkout."""
    logs = os.environ.get("ESCTL_REAL_LOGS", str(ROOT.parent / "shared" / "real"))
    return {"PYTHONPATH": str(folder), "ESCTL_REAL_LOGS": logs}
