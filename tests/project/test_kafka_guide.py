"""The guides to Kafka are true: their commands run, and give what is written below them.

`ESCTL_UPDATE_GUIDE=1` writes the outputs anew.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.support.kafka import Broker, needs_broker
from tests.support.readme_examples import ROOT, environment, hold, walk

TOPICS: dict[str, dict[str, dict[str, str]]] = {
    "kafka.md": {"bank": {}, "orders": {}},
    "view-in-kafka.md": {"accounts": {"cleanup_policy": "compact"}, "bank-events": {}},
}
"""The topics that a guide takes to be there, and their settings."""
pytestmark = needs_broker


@pytest.mark.parametrize("guide", TOPICS)
def test_a_guide_is_true(guide: str, tmp_path: Path) -> None:
    document = f"docs/guides/{guide}"
    shutil.copytree(ROOT / "sample_logs", tmp_path / "sample_logs", ignore=shutil.ignore_patterns(".esctl"))
    broker = Broker()
    try:
        for topic, settings in TOPICS[guide].items():
            broker.topic(1, topic, **settings)
        with environment(tmp_path) as env:
            program = tmp_path / "bin" / "kcat"
            program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/tests/support/kcat.py" "$@"\n')
            program.chmod(0o755)
            runs, _ = walk(document, tmp_path, env | {"BROKER": broker.address})
    finally:
        broker.stop()
    hold(document, runs)
