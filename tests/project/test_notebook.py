"""The guides to Python run: the notebook gives the outputs that it shows, and the examples of the guide theirs."""

from __future__ import annotations

import doctest
from pathlib import Path
from typing import Any

import pytest

from tests.support import notebook
from tests.support.cli_harness import ingest_samples
from tests.support.readme_examples import ROOT, steady

pytest.importorskip("polars")
GUIDE = ROOT / "docs" / "guides" / "python.md"


def settled(output: dict[str, Any]) -> dict[str, Any]:
    """Leave out what differs from run to run: digests, times of recording, how a chart is drawn."""
    data = {kind: [steady(line) for line in text] for kind, text in output.get("data", {}).items()}
    if "image/svg+xml" in data:
        data["image/svg+xml"] = data["image/svg+xml"][0][:4]
    return {"text": output.get("text"), "data": data}


def test_the_notebook_gives_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("vl_convert")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    written = notebook.read()
    shown = [cell["outputs"] for cell in written["cells"] if cell["cell_type"] == "code"]
    outputs = notebook.run(written, tmp_path)
    assert [[settled(each) for each in cell] for cell in outputs] == [
        [settled(each) for each in cell] for cell in shown
    ]
    assert (written["nbformat"], len({cell["id"] for cell in written["cells"]})) == (4, len(written["cells"]))


def test_the_examples_of_the_guide_are_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("duckdb")
    monkeypatch.chdir(ingest_samples(tmp_path))
    text = GUIDE.read_text(encoding="utf-8").replace("```\n", "\n")  # an empty line ends what is expected
    test = doctest.DocTestParser().get_doctest(text, {}, "python.md", str(GUIDE), 0)
    told: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=told.append)
    assert test.examples
    assert not told, "".join(told)
