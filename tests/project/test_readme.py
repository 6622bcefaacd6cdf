"""The documents are true: every command in them runs, and gives what is written below it."""

from __future__ import annotations

import shutil

import pytest

from tests.support import readme_examples
from tests.support.readme_examples import ROOT, SESSIONS, Example, Run, examples, matches

ALL = [
    (document, example)
    for session in SESSIONS
    for document in session
    for example in examples((ROOT / document).read_text(encoding="utf-8"))
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Run]:
    return {
        (document, done.example.line): done
        for session in SESSIONS
        for document, found in readme_examples.run(session, tmp_path_factory.mktemp("readme")).items()
        for done in found
    }


@pytest.mark.parametrize(("document", "example"), ALL, ids=[f"{document}:{example.line}" for document, example in ALL])
def test_example(runs: dict[tuple[str, int], Run], document: str, example: Example) -> None:
    if "jq " in example.command and shutil.which("jq") is None:
        pytest.skip("the example needs jq, which is not installed")
    done = runs[document, example.line]
    assert done.code == 0, "\n".join(done.output)
    assert matches(example.expected, done.output), (
        f"{document}:{example.line}: $ {example.command}\n"
        + "\n".join(done.output)
        + "\n(make examples writes it anew)"
    )


def test_the_readme_is_read_in_one_go() -> None:
    assert 8_000 <= len((ROOT / "README.md").read_bytes()) <= 10_240


def test_there_are_examples_in_all() -> None:
    assert {session[0] for session in SESSIONS} <= {document for document, _ in ALL}
    assert len(ALL) > 20
