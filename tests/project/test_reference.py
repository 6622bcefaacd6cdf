"""Reference pages, manual pages and help are made from one table, and are those of today."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from esctl.cli.help.catalogue import GROUPS, LINES, module_of
from esctl.cli.help.examples import EXAMPLES
from tests.support import effort
from tests.support.cli_harness import esctl, surroundings
from tests.support.readme_examples import REFERENCE, ROOT, environment

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "sample_logs" / "README.md"])
FINDS = {"when", "diff", "doctor", "reconcile"}
"""Commands whose exit code tells what they found."""


def test_pages_are_what_the_command_table_makes() -> None:
    done = subprocess.run([sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == [], "python docs/generate.py writes them anew"
    assert done.returncode == 0, done.stderr


def test_every_command_has_its_page_its_manual_and_two_examples() -> None:
    assert set(REFERENCE) | {"help"} == set(LINES)
    assert all((ROOT / "docs" / "man" / f"esctl-{name}.1").exists() for name in LINES)
    assert {name: len(examples) for name, examples in EXAMPLES.items()} == dict.fromkeys(LINES, 2)
    assert sum(map(len, GROUPS.values())) == len(LINES)
    folder = ROOT / "esctl" / "cli" / "commands"
    assert {module_of(name).rpartition(".")[2] for name in LINES} == {
        path.stem for path in folder.glob("*.py") if path.stem != "__init__"
    }


def test_every_option_says_what_it_is() -> None:
    bare = [
        f"{page.name}: {line}"
        for page in (ROOT / "docs" / "reference").glob("*.md")
        for line in page.read_text(encoding="utf-8").splitlines()
        if re.fullmatch(r"\| `[^`]+` \|\s*\|", line)
    ]
    assert bare == []


def anchors(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    found = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def links(path: Path) -> Iterator[str]:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return (found for found in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in found)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    for link in links(path):
        target, _, anchor = link.partition("#")
        found = (path.parent / target).resolve() if target else path
        assert found.exists(), link
        assert not anchor or anchor in anchors(found), link


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory, samples: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder with the sample logs and their store, and what else the examples take to be there."""
    folder = tmp_path_factory.mktemp("shell")
    here = folder / "here"
    shutil.copytree(samples, here, symlinks=True)
    with environment(folder) as env:
        prepared = (
            "esctl key new keeper > auditor.pub && esctl checkpoint > first.checkpoint && "
            "esctl prove evt-03494 > evt-03494.tlog-proof && esctl show evt-03494 --raw > charge.json && "
            "esctl bundle account-017 -q -o evidence.zip && printf 'id,status\\n1003,paid\\n' > orders.csv"
        )
        subprocess.run(["sh", "-c", prepared], cwd=here, env=env, check=True, capture_output=True)
        yield here, env


ASKING = [name for name in EXAMPLES if name not in ("browse", "init", "key", "mcp", "redact")]


@pytest.mark.parametrize("name", effort.some(ASKING, 12))
def test_examples_of_a_command_run(name: str, shell: tuple[Path, dict[str, str]]) -> None:
    here, env = shell
    for words, _ in effort.some(EXAMPLES[name], 1):
        done = subprocess.run(["sh", "-c", words], cwd=here, env=env, capture_output=True, text=True)
        assert done.returncode in ({0, 1} if name in FINDS else {0}), (words, done.stderr)


def test_examples_that_need_a_store_of_their_own_run(shell: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    here, env = shell
    shutil.copy(here / "bank.jsonl", tmp_path)
    subprocess.run(["esctl", "ingest", "bank.jsonl", "--erasable", "-q"], cwd=tmp_path, env=env, check=True)
    for name in ("redact", "key", "init"):
        for words, _ in EXAMPLES[name]:
            done = subprocess.run(["sh", "-c", words], cwd=tmp_path, env=env, capture_output=True, text=True)
            assert done.returncode == 0, (words, done.stderr)


@pytest.mark.parametrize("name", LINES)
def test_help_ends_with_the_examples(name: str) -> None:
    done = esctl(name, "--help", cwd=ROOT)
    assert done.code == 0
    assert done.text.rstrip().endswith(EXAMPLES[name][1][1])
    assert "--memory-limit SIZE" not in done.text, "what all commands have is explained once"


def test_help_of_topics() -> None:
    listed = esctl("help", cwd=ROOT).text
    for page in (ROOT / "docs" / "concepts").glob("*.md"):
        assert f"  {page.stem} " in listed
        assert esctl("help", page.stem, cwd=ROOT).text == page.read_text(encoding="utf-8")
    assert esctl("help", "view", "create", cwd=ROOT).text == esctl("view", "create", "--help", cwd=ROOT).text
    done = esctl("help", "tmes", cwd=ROOT)
    assert (done.code, done.err.splitlines()[-1]) == (4, "hint: did you mean times?")


@pytest.mark.skipif(shutil.which("man") is None, reason="there is no man here")
def test_manual_pages_are_laid_out() -> None:
    env = {**surroundings(), "MANWIDTH": "80", "PATH": os.environ["PATH"], "MANROFFOPT": "-ww"}
    for page in ("esctl.1", "esctl-ingest.1", "esctl-view.1"):
        done = subprocess.run(
            ["man", "--warnings", f"./{page}"], cwd=ROOT / "docs" / "man", env=env, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, ""), page
        assert "SYNOPSIS" in done.stdout


@pytest.mark.thorough
def test_the_site_is_built_without_a_warning_and_asks_nobody() -> None:
    done = subprocess.run([sys.executable, "docs/site.py"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    site = ROOT / "build" / "site"
    pages = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    assert {
        "index.html",
        "sample-logs.html",
        "guides/kafka.html",
        *(f"reference/{name}.html" for name in LINES),
    } <= pages
    text = (site / "index.html").read_text(encoding="utf-8")
    assert re.findall(r'(?:src|href)="(https?://(?!zensical)[^"]*)"', text) == []
