"""Byte-exact outputs. To accept new ones run this file with ESCTL_UPDATE_GOLDEN=1, then read the diff."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from esctl.output import Target
from tests.support.output_answers import hostile_answer, state_answer, typed_answer, written

GOLDEN = Path(__file__).parent / "golden"
ANSWERS = {"hostile": hostile_answer, "typed": typed_answer, "state": state_answer}
SUFFIX = {"table": "txt", "markdown": "md"}


def check(name: str, found: bytes) -> None:
    path = GOLDEN / name
    if os.environ.get("ESCTL_UPDATE_GOLDEN"):
        path.write_bytes(found)
    assert found == path.read_bytes()


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv", "tsv", "markdown"])
def test_every_text_format_is_byte_exact(answer: str, form: str) -> None:
    check(f"{answer}.{SUFFIX.get(form, form)}", written(ANSWERS[answer](), Target(format=form)))


@pytest.mark.parametrize(("width", "color"), [(130, False), (130, True), (80, True)])
def test_tables_fit_their_terminal(width: int, color: bool) -> None:
    name = f"typed_{width}{'_color' if color else ''}.txt"
    check(name, written(typed_answer(), Target(width=width, color=color)))


@pytest.mark.parametrize("form", ["table", "jsonl"])
def test_times_are_shown_in_the_zone_that_is_asked_for(form: str) -> None:
    target = Target(format=form, tz="Asia/Kathmandu", columns=("time",))
    check(f"typed_kathmandu.{SUFFIX.get(form, form)}", written(typed_answer(), target))
