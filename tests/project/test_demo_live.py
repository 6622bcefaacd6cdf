"""The demonstration of a topic that is followed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.kafka import needs_broker

ROOT = Path(__file__).parents[2]


@needs_broker
@pytest.mark.thorough
def test_it_says_what_it_does_and_what_to_type_next(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "sample_logs" / "live.py"), str(tmp_path / "live")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = done.stdout.splitlines()
    assert told[0] == "A bank emits events to a topic, and esctl follows it. This starts, on this machine alone:"
    assert "largest_charge  369.35" in done.stdout
    assert "16763.38" in done.stdout
    assert told[-5].startswith("cd live")
    assert told[-2] == "esctl verify --full"
    folder = tmp_path / "live"
    for line in told[-4:-1]:
        again = subprocess.run(
            [sys.executable, "-m", *line.split()], cwd=folder, capture_output=True, text=True, check=False
        )
        assert again.returncode == 0, again.stdout + again.stderr
