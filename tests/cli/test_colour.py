"""Colour on stderr is as `--color`, and then esctl.toml, say: of errors, and of the bar of an ingest."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.cli_harness import esctl, on_terminal, plain_event, write_lines

STYLE = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--color", "never", "replay"),
        ("replay", "--color=never"),
        ("replay", "--bogus", "--color", "never"),
        ("--color=never", "bogus"),
        ("--color", "never", "replay", "--limit", "-1"),
    ],
)
def test_an_error_is_not_coloured_against_the_wish(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    shown, code = on_terminal(*arguments, cwd=tmp_path)
    assert code in (2, 3)
    assert "esctl: error:" in shown
    assert not STYLE.search(shown)


def test_an_error_is_coloured_on_demand(tmp_path: Path) -> None:
    always = "--color=always"
    for arguments in (("--color", "always", "replay"), ("replay", always), ("replay", "-x", always)):
        assert "\x1b[1;31mesctl: error:\x1b[0m" in esctl(*arguments, cwd=tmp_path).err
    assert "\x1b[1;31mesctl: error:\x1b[0m" in esctl("replay", cwd=tmp_path, ESCTL_COLOR="always").err
    assert not STYLE.search(esctl("replay", cwd=tmp_path).err)


def test_esctl_toml_says_it_of_errors_too(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [plain_event(1)])
    assert esctl("ingest", "a.jsonl", cwd=tmp_path).code == 0
    (tmp_path / "esctl.toml").write_text('[output]\ncolor = "always"\n')
    for command in (("replay", "nobody"), ("show", "@9"), ("presets", "bogus")):
        assert "\x1b[1;31mesctl: error:\x1b[0m" in esctl(*command, cwd=tmp_path).err, command
        assert not STYLE.search(esctl(*command, "--color", "never", cwd=tmp_path).err), command


def test_the_bar_is_coloured_as_the_errors_are(tmp_path: Path) -> None:
    for number, (color, colored) in enumerate((("never", False), ("auto", True))):
        write_lines(tmp_path / f"{number}.jsonl", [plain_event(number)])
        shown, code = on_terminal("ingest", f"{number}.jsonl", "--color", color, "-f", "jsonl", cwd=tmp_path, width=100)
        assert (code, "records" in shown) == (0, True)
        assert bool(re.search(r"\x1b\[[0-9;]*3[0-9]", shown)) is colored
