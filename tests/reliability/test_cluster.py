"""The campaign of engines compares what they give, and tells what differs and what was not tried."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reliability import cluster, report


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let a campaign be of one engine, and of a disk."""
    monkeypatch.setattr(report, "FOLDER", tmp_path)
    monkeypatch.setattr("sys.argv", ["cluster", "200"])
    monkeypatch.setattr(cluster, "BINARY", tmp_path / "none")
    engines = {"here": ("esctl", "local:1"), "Far": ("no_such_module", "ray:local")}
    monkeypatch.setattr(cluster, "ENGINES", engines)
    return tmp_path / "cluster.json"


def test_what_is_the_same_is_told_and_what_is_not(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter(range(100))
    monkeypatch.setattr(cluster, "findings_digest", lambda store: str(next(numbers)))
    assert cluster.main() == 1
    lines = json.loads(kept.read_text())
    assert any("Of 8 answers, 1 differ." in line for line in lines)
    assert "Not tried: Far, as no_such_module is not installed." in lines
    assert sum(" **differs** " in line for line in lines) == 1
