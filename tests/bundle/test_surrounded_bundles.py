"""A bundle of records that were read with what stood around them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.cli_harness import esctl, good


def test_what_a_bundle_does_not_have_is_not_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "keys"))
    page = {"logGroup": "group-1", "logEvents": [{"id": f"e{n}", "timestamp": 1709287200000 + n} for n in range(2)]}
    (tmp_path / "a.json").write_text(json.dumps(page))
    (tmp_path / "esctl.toml").write_text('[mapping]\nid = "id"\ntime = "timestamp"\nentity = "wrapper.logGroup"\n')
    good("key", "new", cwd=tmp_path)
    good("ingest", "a.json", "--checkpoint", cwd=tmp_path)
    good("bundle", "group-1", "-o", "b.zip", cwd=tmp_path)
    checks = {row["check"]: row for row in esctl("verify-bundle", "b.zip", cwd=tmp_path).rows}
    assert checks["records"]["result"] == "ok"
    assert checks["states"]["result"] == "not checked"
    assert "what stood around them" in checks["states"]["message"]
