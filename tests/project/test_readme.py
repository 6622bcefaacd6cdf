"""The documents are true: every command in them runs, and gives what is written below it."""

from __future__ import annotations

import shutil

import pytest

from tests.support import readme_examples
from tests.support.readme_examples import ROOT, SESSIONS, Run, examples, matches

ALL = [
    (document, example)
    for session in SESSIONS
    for document in session
    for example in examples((ROOT / document).read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("session", SESSIONS, ids=[session[0] for session in SESSIONS])
def test_examples_give_what_is_written(session: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> None:
    runs = readme_examples.run(session, tmp_path_factory.mktemp("readme"))  # a short path: tables show it
    found = [(document, done) for document in session for done in runs[document] if is_possible(done)]
    wrong = [text for document, done in found if (text := problem(document, done))]
    assert not wrong, "\n\n".join([*wrong, "(make examples writes them anew)"])
    if len(found) < sum(map(len, runs.values())):
        pytest.skip("all examples are right but those that need jq, which is not installed")


def is_possible(done: Run) -> bool:
    """Say whether all that an example needs is installed."""
    return "jq " not in done.example.command or shutil.which("jq") is not None


def problem(document: str, done: Run) -> str:
    """Say what is wrong with what an example gave; nothing where it gave what is written."""
    if done.code == 0 and matches(done.example.expected, done.output):
        return ""
    where = f"{document}:{done.example.line}: $ {done.example.command} (exit code {done.code})"
    return "\n".join([where, *done.output])


def test_the_readme_is_read_in_one_go() -> None:
    assert 8_000 <= len((ROOT / "README.md").read_bytes()) <= 10_240


def test_there_are_examples_in_all() -> None:
    assert {session[0] for session in SESSIONS} <= {document for document, _ in ALL}
    assert len(ALL) > 20
