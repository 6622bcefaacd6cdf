"""The READMEs are true: every command in them runs, and gives what is written below it."""

from __future__ import annotations

import shutil

import pytest

from esctl.cli.app import COMMANDS
from tests.support import readme_examples
from tests.support.readme_examples import READMES, ROOT, Example, Run, examples, matches

ALL = [(readme, example) for readme in READMES for example in examples((ROOT / readme).read_text(encoding="utf-8"))]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Run]:
    return {
        (readme, done.example.line): done
        for readme in READMES
        for done in readme_examples.run(readme, tmp_path_factory.mktemp("readme"))
    }


@pytest.mark.parametrize(("readme", "example"), ALL, ids=[f"{readme}:{example.line}" for readme, example in ALL])
def test_example(runs: dict[tuple[str, int], Run], readme: str, example: Example) -> None:
    if "jq " in example.command and shutil.which("jq") is None:
        pytest.skip("the example needs jq, which is not installed")
    done = runs[readme, example.line]
    assert done.code == 0, "\n".join(done.output)
    assert matches(example.expected, done.output), (
        f"{readme}:{example.line}: $ {example.command}\n" + "\n".join(done.output) + "\n(make examples writes it anew)"
    )


def test_every_command_has_its_section() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    sections = {line[4:].partition(" ")[0] for line in text.splitlines() if line.startswith("### ")}
    assert set(COMMANDS) <= sections


def test_there_are_examples_in_all() -> None:
    assert {readme for readme, _ in ALL} == set(READMES)
    assert len(ALL) > 20
