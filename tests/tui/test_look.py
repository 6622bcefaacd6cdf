"""Texts take the cells that they are given, and lose nothing where they are wrapped."""

from __future__ import annotations

from datetime import UTC

import pytest

from esctl.tui.look import clip, fit, moment, shorten, width_of, wrap

TEXTS = ("", " ", "word " * 40, "漢字" * 50, "x" * 200, "a🙂" * 30, "é" * 30 + " 漢", " " * 30, "e\u0301" * 20)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("width", [2, 3, 7, 20, 33])
def test_texts_fit(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert "".join(lines) == text
    assert max(map(width_of, lines)) <= width
    assert width_of(fit(text, width)) == width
    assert width_of(fit(text, width, right=True)) == width
    assert width_of(shorten(text, width)) <= width
    assert sum(width_of(part) for part, _ in clip([(text, ""), (text, "bold")], width)) <= width


def test_lines_break_at_blanks_and_names_keep_their_ends() -> None:
    assert wrap("one two three four", 10) == ["one two ", "three four"]
    assert shorten("account-000000000017", 10) == "acco…00017"


def test_instants_that_no_calendar_has_are_told_as_numbers() -> None:
    assert moment(None, UTC) == "undated"
    assert moment(1_709_251_200_123_000, UTC) == "2024-03-01 00:00:00.123"
    assert moment(1 << 62, UTC).endswith(" µs")
