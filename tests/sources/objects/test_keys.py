"""Patterns of keys are of the same keys as the shell's patterns are of paths."""

from __future__ import annotations

import glob
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esctl.sources.objects.keys import fixed_part, is_read_in_folder, matcher

KEYS = (
    "a.gz", "b.json", ".hidden.gz", "logs/a.gz", "logs/b.json", "logs/2024/01/a.gz", "logs/2024/02/b.gz",
    "logs/.tmp/a.gz", "logs/2024/.a.gz", "logs2/a.gz", "x[1].gz", "x1.gz",
)  # fmt: skip
PATTERNS = (
    "*", "*.gz", "**", "**/*.gz", "logs/*", "logs/**", "logs/**/*.gz", "logs/*/*/a.gz", "**/2024/**/?.gz", "logs?/a.gz",
    "logs/.tmp/*", "logs/.*/*", "**/.a.gz", "x[1].gz", "[!x]*.gz", "logs/**/**/a.gz", "nothing*", "logs*/**/a.*",
)  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_is_of_what_it_is_of_in_a_folder(tmp_path: Path, pattern: str) -> None:
    for key in KEYS:
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).touch()
    there = glob.glob(pattern, root_dir=tmp_path, recursive=True)
    paths = {path.rstrip("/") for path in there if (tmp_path / path).is_file()}
    assert {key for key in KEYS if matcher(pattern)(key)} == paths | ({pattern} & set(KEYS))


@given(st.lists(st.sampled_from(["a", "b", "**", "*", "a*"]), min_size=1, max_size=6), st.text("ab/", max_size=12))
def test_the_folder_of_a_pattern_has_all_of_its_keys(parts: list[str], key: str) -> None:
    pattern = "/".join(["a", *parts, "*"])
    if matcher(pattern)(key):
        assert key.startswith(f"{fixed_part(pattern)}/")


def test_many_stars_cost_no_more_than_their_number() -> None:
    is_match = matcher("/".join(["**", "*a*a*a*"] * 12 + ["b"]))
    assert not is_match("/".join(["a" * 60] * 60))


@pytest.mark.parametrize(
    ("key", "is_read"),
    [("logs/a", True), ("logs/.a", False), ("logs/.b/a", False), ("logs/esctl.toml", False), ("logs/b/a.toml", True)],
)
def test_what_is_hidden_is_not_read_where_a_folder_is_named(key: str, is_read: bool) -> None:
    assert is_read_in_folder("logs", key) is is_read


def test_a_hidden_folder_that_is_named_is_read() -> None:
    assert is_read_in_folder(".logs/b", ".logs/b/a")
