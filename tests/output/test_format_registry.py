"""The table of output formats: every row can be loaded, and what the command line says comes from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from esctl.errors import UsageError
from esctl.output.formats import FORMATS, SUFFIXES, format_named
from esctl.output.target import choose_format
from tests.support.cli_harness import good


@pytest.mark.parametrize("name", FORMATS)
def test_every_writer_is_there(name: str) -> None:
    assert callable(FORMATS[name].load())


def test_every_suffix_chooses_one_format() -> None:
    assert len(SUFFIXES) == sum(len(form.suffixes) for form in FORMATS.values())
    for suffix, name in SUFFIXES.items():
        assert choose_format(None, Path(f"answer{suffix.upper()}"), {}, None, terminal=False) == name


def test_help_names_every_format(tmp_path: Path) -> None:
    told = good("help", "options", cwd=tmp_path).text
    assert all(name in told for name in FORMATS)


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown format 'jsonal' in the target") as caught:
        format_named("jsonal")
    assert caught.value.hint == "did you mean jsonl?"
