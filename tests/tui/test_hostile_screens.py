"""Nothing from a log acts on the terminal, and nothing needs colours."""

from __future__ import annotations

import asyncio
import shlex
import unicodedata
from pathlib import Path

import pytest

from esctl.output.text import visible
from esctl.tui.lines import Lines, word
from esctl.tui.values import Entity, Ground, Spot
from tests.cli.test_hostile import ACTING, HOSTILE
from tests.support.cli_harness import good, write_lines
from tests.support.effort import ALL
from tests.tui.conftest import browsing, run

TEXTS = [
    text[:3000] for text in HOSTILE if ALL or text.startswith(("\x1b", "c1", "[bold", "bidi", "two", "wide", "-rf"))
]


def hostile(number: int, text: str) -> dict[str, object]:
    return {
        "id": f"id {text}", "type": f"type {text}", "time": f"2024-01-02T00:{number:02d}:00Z", "stream": text,
        "actor": f"by {text}", "data": {"value": text, f"key {text}": {text: [text]}},
    }  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    write_lines(folder / "log.jsonl", [hostile(number, text) for number, text in enumerate(TEXTS)])
    good("ingest", "log.jsonl", "-q", "--map", "entity=stream", "--map", "type=type", cwd=folder)
    return folder / ".esctl"


def acting(text: str) -> set[str]:
    return {character for character in text if unicodedata.category(character) in ACTING}


def test_nothing_of_a_log_acts_on_the_screen(store: Path) -> None:
    async def story() -> None:
        async with browsing(store, size=(160, 48)) as hand:
            await hand.press("home")
            seen = []
            for _ in TEXTS:
                lines = hand.screen()
                assert acting("".join(lines)) == set()
                seen.append("".join(lines))
                await hand.press("down")
            assert any("[bold red]markup[/bold red] :smile:" in text for text in seen)
            assert any(r"\x1b[31mred" in text for text in seen)
            assert any("漢字" in text for text in seen)
            for key in ("v", "escape", "t", "escape", "y", "tab", "v", "escape", "tab", "y"):
                await hand.press(key)
                assert acting("".join(hand.screen())) == set()
                assert acting(hand.app.copied) == set()
            await hand.type("g", "\x1b[31m")
            assert acting("".join(hand.screen())) == set()

    run(story)


@pytest.mark.parametrize("text", [text[:3000] for text in HOSTILE])
def test_words_of_a_copied_command_neither_act_nor_change(text: str) -> None:
    import subprocess

    written = word(text)
    assert visible(written) == written
    if "\x00" not in text:
        done = subprocess.run(["bash", "-c", f"printf %s {written}"], capture_output=True, check=True)
        assert done.stdout.decode() == text
    if written[:2] != "$'":
        assert shlex.split(written) == [text]


def test_a_copied_command_names_an_entity_with_a_nul(tmp_path: Path) -> None:
    """No argument can have a NUL: a shell ends the name there, and that may be the name of another entity."""
    names = ["x", "x\0y"]
    events = [{"id": f"{n}", "type": "T", "stream": name, "data": {"n": n}} for n, name in enumerate(names)]
    write_lines(tmp_path / "log.jsonl", events)
    good("ingest", "log.jsonl", "-q", "--map", "entity=stream", cwd=tmp_path)
    lines, entity, spot = Lines((), Ground()), Entity(names[1], "entity"), Spot("valid", "@2", 1)
    for line in (lines.replay(entity, spot), lines.audit(entity), lines.blame(entity, "n", spot)):
        rows = good(*shlex.split(line)[1:], cwd=tmp_path).rows
        assert {row["entity"] for row in rows} == {names[1]}
    assert lines.blame(entity, "a\0b", spot) == "esctl blame --at @2 'x?y'"


def test_without_colours_there_are_none(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def story() -> None:
        async with browsing(store, size=(80, 24)) as hand:
            filters = hand.app.get_line_filters()
            styles = set()
            for strip in hand.app.screen._compositor.render_strips():
                segments = list(strip)
                for each in filters:
                    segments = each.apply(segments, hand.app.screen.background_colors[0])
                styles |= {segment.style for segment in segments if segment.style is not None}
            assert {style.color.name for style in styles if style.color} <= {"default"}
            assert {style.bgcolor.name for style in styles if style.bgcolor} <= {"default"}
            assert any(style.reverse for style in styles)
            assert "▶" in hand.text()

    run(story)


def test_an_exception_is_the_commands_to_report(store: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def story() -> None:
        async with browsing(store) as hand:
            hand.app.session.asker.ask("view", lambda store: 1 // 0)
            while hand.app.failure is None:
                await asyncio.sleep(0.001)
            assert isinstance(hand.app.failure, ZeroDivisionError)

    with pytest.raises(ZeroDivisionError):
        run(story)
    assert capfd.readouterr() == ("", "")
