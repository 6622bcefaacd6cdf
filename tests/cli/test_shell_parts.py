"""The parts of the command line that can be asked directly."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from esctl.cli import completion
from esctl.cli.diagnostics import color_wanted
from esctl.cli.options import Shared, from_values, merge, parse_columns
from esctl.cli.pager import pager_command
from esctl.errors import UsageError


def test_options_after_the_command_win() -> None:
    outer = Shared(store=Path("a"), limit=5, verbose=1, quiet=True, columns=("x",))
    inner = Shared(store=Path("b"), limit=0, verbose=1)
    assert merge(outer, inner) == Shared(store=Path("b"), limit=0, verbose=2, quiet=True, columns=("x",))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b", ("a", "b")),
        (" a , state.b ,", ("a", "state.b")),
        ('"state.a,b",c', ("state.a,b", "c")),
        ("", ()),
    ],
)
def test_column_lists_are_csv(text: str, names: tuple[str, ...]) -> None:
    assert parse_columns(text) == names


def test_impossible_values_are_usage_errors() -> None:
    with pytest.raises(UsageError, match="--color"):
        from_values({"color": "blue", "limit": None})
    with pytest.raises(UsageError, match="--limit"):
        from_values({"limit": -1})


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, ["less", "-R"]),
        ({"PAGER": "most -s"}, ["most", "-s"]),
        ({"PAGER": "most", "ESCTL_PAGER": "bat --paging 'al ways'"}, ["bat", "--paging", "al ways"]),
        ({"PAGER": "most", "ESCTL_PAGER": ""}, []),
        ({"PAGER": "cat"}, []),
        ({"PAGER": "less 'unclosed"}, []),
    ],
)
def test_the_pager_is_the_users(environ: dict[str, str], words: list[str]) -> None:
    assert pager_command(environ) == words


@pytest.mark.parametrize(
    ("choice", "environ", "terminal", "wanted"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"NO_COLOR": "1", "CLICOLOR_FORCE": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"CLICOLOR_FORCE": "1"}, False, True),
        ("auto", {"CLICOLOR_FORCE": "0"}, False, False),
        ("auto", {"CLICOLOR": "0"}, True, False),
        ("auto", {"TERM": "dumb"}, True, False),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"CLICOLOR_FORCE": "1"}, True, False),
    ],
)
def test_colour_is_decided_by_rank(choice: str, environ: dict[str, str], terminal: bool, wanted: bool) -> None:
    assert color_wanted(choice, environ, terminal) is wanted


def fake_store(monkeypatch: pytest.MonkeyPatch, names: Any) -> list[Any]:
    calls: list[Any] = []

    class Store:
        @classmethod
        def open(cls, path: Path | None, config: Path | None) -> Store:
            calls.append((path, config))
            return cls()

        def names(self, what: str, prefix: str, limit: int) -> list[str]:
            calls.append((what, prefix, limit))
            return names()

    module = ModuleType("esctl.api")
    module.Store = Store  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "esctl.api", module)
    return calls


def test_names_are_completed_from_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_store(monkeypatch, lambda: ["acc-1", "acc-\x1b[31m", "acc-\n2", "other"])
    outer = SimpleNamespace(params={"store": "here", "config": "c.toml"}, parent=None)
    context: Any = SimpleNamespace(params={"store": None}, parent=outer)
    assert completion.complete_entity(context, "acc") == ["acc-1"]
    assert completion.complete_type(context, "acc") == ["acc-1"]
    assert completion.complete_projection(context, "o") == ["other"]
    assert calls[:2] == [(Path("here"), Path("c.toml")), ("entity", "acc", 200)]


def test_completion_is_silent_whatever_happens(monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    def fail() -> list[str]:
        raise RuntimeError("broken")

    fake_store(monkeypatch, fail)
    context: Any = SimpleNamespace(params={}, parent=None)
    assert completion.complete_entity(context, "a") == []
    assert capfd.readouterr() == ("", "")
