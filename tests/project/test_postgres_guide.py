"""The guides to PostgreSQL are true: their commands run, and give what is written below them.

`ESCTL_UPDATE_GUIDE=1` writes the outputs anew.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.support import postgres
from tests.support.readme_examples import ROOT, Run, environment, examples, execute, matches, updated

GUIDES = ("view-in-postgresql.md", "follow-postgresql.md")
pytestmark = pytest.mark.skipif(bool(postgres.why_not()), reason=postgres.why_not() or "there is a server")


@pytest.mark.parametrize("guide", GUIDES)
def test_a_guide_is_true(guide: str, tmp_path: Path) -> None:
    programs = postgres.programs()
    assert programs is not None
    shutil.copytree(ROOT / "sample_logs", tmp_path / "sample_logs", ignore=shutil.ignore_patterns(".esctl"))
    env = environment(tmp_path)
    path = ROOT / "docs" / "guides" / guide
    text = path.read_text(encoding="utf-8")
    runs, where = [], tmp_path
    with postgres.running(**postgres.LOGICAL) as server:
        env |= {"PGHOST": str(server.folder), "PGUSER": postgres.USER, "PGDATABASE": "postgres"}
        env["PATH"] = os.pathsep.join([env["PATH"], str(programs)])
        for example in examples(text):
            if example.command.startswith("cd "):
                where = where / example.command[3:]
                runs.append(Run(example, (), 0))
            else:
                runs.append(execute(example, where, env))
    if os.environ.get("ESCTL_UPDATE_GUIDE"):
        path.write_text(updated(text, runs), encoding="utf-8")
        return
    for done in runs:
        assert done.code == 0, (done.example.command, done.output)
        assert matches(done.example.expected, done.output), (done.example.command, done.output)
