"""What somebody meets who begins: `esctl` alone, options by the names of other programs, words that complete."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from esctl.cli.help.catalogue import LINES
from esctl.cli.meant import _COMMANDS, OPTIONS
from tests.support.cli_harness import esctl, good


def test_esctl_alone_tells_of_the_store_and_what_it_can_be_asked(samples: Path, tmp_path: Path) -> None:
    done = esctl(cwd=samples)
    assert (done.code, done.out) == (2, b"")
    first, *asked = done.err.splitlines()
    assert first.startswith(f"store {samples}/.esctl: ")
    for line in asked:
        words = shlex.split(line.partition("   ")[0] if "   " in line.strip() else line.rpartition("  ")[0])
        assert esctl(*words[1:], cwd=samples).code in (0, 1), line
    assert "no store here" in esctl(cwd=tmp_path).err
    (tmp_path / ".esctl").mkdir()
    done = esctl(cwd=tmp_path)
    assert done.code == 2
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["audit", "--since", "2024-01-01"], "--from"),
        (["audit", "--user", "x"], "--actor"),
        (["replay", "--as-of", "now"], "--at"),
        (["replay", "--json"], "--format json"),
        (["log", "-n", "5"], "--limit"),
        (["replay", "--collumns", "entity"], "--columns"),
        (["audit", "--by", "x"], "--actor"),
        (["replay", "--on", "2024-01-01"], "--at"),
        (["replay", "--version", "3"], "--at version:N"),
        (["log", "--last", "5"], "--tail"),
        (["audit", "--last", "5"], "--limit"),
        (["log", "--search", "x"], "--grep"),
        (["replay", "--output-format", "json"], "--format"),
        (["state", "x"], "replay"),
        (["history", "x"], "audit"),
        (["who"], "blame or audit"),
        (["import", "x"], "ingest"),
    ],
)
def test_a_word_is_found_by_what_it_means_elsewhere(samples: Path, words: list[str], meant: str) -> None:
    done = esctl(*words, cwd=samples)
    assert done.code == 2
    assert done.err.splitlines()[-1] == f"hint: did you mean {meant}?"


def test_what_is_meant_is_an_option_of_some_command() -> None:
    told = good("help", "options", cwd=Path.cwd()).text
    pages = [
        good(name, "--help", cwd=Path.cwd()).text for name in ("audit", "replay", "series", "ingest", "diff", "log")
    ]
    meant = [option for options in OPTIONS.values() for option in options]
    assert [option for option in meant if not any(option in page for page in (told, *pages))] == []
    assert {name for names in _COMMANDS.values() for name in names} <= set(LINES)
    assert not set(_COMMANDS) & set(LINES)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["doctor", "--bogus"], "see: esctl doctor --help"),
        (["log", "--entity", "account-017"], "entities are named without an option: esctl log NAME"),
        (["frobnicate"], "list them: esctl --help"),
        (["version"], "it is an option: esctl --version"),
    ],
)
def test_what_is_like_nothing_is_not_guessed(samples: Path, words: list[str], hint: str) -> None:
    assert esctl(*words, cwd=samples).err.splitlines()[-1] == f"hint: {hint}"
