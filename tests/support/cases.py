"""Small inputs with what is expected of them, kept beside the repository."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parents[3] / "shared" / "real"
CASES = Path(os.environ.get("ESCTL_REAL_LOGS") or _BESIDE) / "cases"


def case(number: str, folder: Path) -> list[str]:
    """Copy the input files of a case into a folder; gives their names. Skips the test where the case is absent."""
    found = sorted(CASES.glob(f"{number}-*")) if CASES.is_dir() else []
    if not found:
        pytest.skip(f"case {number} is not among the real logs")
    names = []
    for path in sorted(found[0].iterdir()):
        if path.name != "case.md":
            copied = shutil.copytree(path, folder / path.name) if path.is_dir() else shutil.copy(path, folder)
            Path(copied).chmod(0o755 if path.is_dir() else 0o644)
            names.append(path.name)
    return names
