"""The guides to PostgreSQL are true: their commands run, and give what is written below them.

`ESCTL_UPDATE_GUIDE=1` writes the outputs anew.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.support import postgres
from tests.support.readme_examples import ROOT, environment, hold, walk

GUIDES = ("view-in-postgresql.md", "follow-postgresql.md")
pytestmark = pytest.mark.skipif(bool(postgres.why_not()), reason=postgres.why_not() or "there is a server")


@pytest.mark.parametrize("guide", GUIDES)
def test_a_guide_is_true(guide: str, tmp_path: Path) -> None:
    programs = postgres.programs()
    assert programs is not None
    shutil.copytree(ROOT / "sample_logs", tmp_path / "sample_logs", ignore=shutil.ignore_patterns(".esctl"))
    document = f"docs/guides/{guide}"
    with postgres.running(**postgres.LOGICAL) as server, environment(tmp_path) as env:
        env |= {"PGHOST": str(server.folder), "PGUSER": postgres.USER, "PGDATABASE": "postgres"}
        env["PATH"] = os.pathsep.join([env["PATH"], str(programs)])
        runs, _ = walk(document, tmp_path, env)
    hold(document, runs)
