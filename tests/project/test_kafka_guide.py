"""The guides to Kafka are true: their commands run, and give what is written below them.

`ESCTL_UPDATE_GUIDE=1` writes the outputs anew.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.kafka import Broker, needs_broker
from tests.support.readme_examples import ROOT, Run, environment, examples, execute, matches, updated

TOPICS: dict[str, dict[str, dict[str, str]]] = {
    "kafka.md": {"bank": {}, "orders": {}},
    "view-in-kafka.md": {"accounts": {"cleanup_policy": "compact"}, "bank-events": {}},
}
"""The topics that a guide takes to be there, and their settings."""
pytestmark = needs_broker


@pytest.mark.parametrize("guide", TOPICS)
def test_a_guide_is_true(guide: str, tmp_path: Path) -> None:
    path = ROOT / "docs" / "guides" / guide
    shutil.copytree(ROOT / "sample_logs", tmp_path / "sample_logs", ignore=shutil.ignore_patterns(".esctl"))
    text = path.read_text(encoding="utf-8")
    runs, where = [], tmp_path
    env = environment(tmp_path)
    program = tmp_path / "bin" / "kcat"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/tests/support/kcat.py" "$@"\n')
    program.chmod(0o755)
    broker = Broker()
    env |= {"BROKER": broker.address}
    try:
        for topic, settings in TOPICS[guide].items():
            broker.topic(1, topic, **settings)
        for example in examples(text):
            if example.command.startswith("cd "):
                where = where / example.command[3:]
                runs.append(Run(example, (), 0))
            else:
                runs.append(execute(example, where, env))
    finally:
        broker.stop()
    if os.environ.get("ESCTL_UPDATE_GUIDE"):
        path.write_text(updated(text, runs), encoding="utf-8")
        return
    for done in runs:
        assert done.code == 0, (done.example.command, done.output)
        assert matches(done.example.expected, done.output), (done.example.command, done.output)
