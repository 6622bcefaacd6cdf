"""The guide to Kafka is true: its commands run, and give what is written below them.

`ESCTL_UPDATE_GUIDE=1` writes the outputs anew.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from tests.support.kafka import Broker, needs_broker
from tests.support.readme_examples import ROOT, Run, environment, examples, execute, matches, updated

GUIDE = ROOT / "docs" / "guides" / "kafka.md"
pytestmark = needs_broker


def test_the_guide_is_true(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "sample_logs", tmp_path / "sample_logs", ignore=shutil.ignore_patterns(".esctl"))
    text = GUIDE.read_text(encoding="utf-8")
    runs, where = [], tmp_path
    env = environment(tmp_path)
    program = tmp_path / "bin" / "kcat"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/tests/support/kcat.py" "$@"\n')
    program.chmod(0o755)
    broker = Broker()
    env |= {"BROKER": broker.address}
    try:
        for topic in ("bank", "orders"):
            broker.topic(name=topic)
        for example in examples(text):
            if example.command.startswith("cd "):
                where = where / example.command[3:]
                runs.append(Run(example, (), 0))
            else:
                runs.append(execute(example, where, env))
    finally:
        broker.stop()
    if os.environ.get("ESCTL_UPDATE_GUIDE"):
        GUIDE.write_text(updated(text, runs), encoding="utf-8")
        return
    for done in runs:
        assert done.code == 0, (done.example.command, done.output)
        assert matches(done.example.expected, done.output), (done.example.command, done.output)
