"""All that is written in an expression counts, or is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli_harness import good, plain_event, refused, write_lines


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("parts")
    write_lines(path / "log.jsonl", [plain_event(1, a="xhix", z="00120", n=2.789, c="x")])
    good("ingest", "log.jsonl", "-q", cwd=path)
    return path


def test_the_characters_that_are_trimmed_are_those_given(folder: Path) -> None:
    for text, trimmed in (
        ("trim(data.a, 'x')", "hi"), ("trim(data.a, data.c)", "hi"), ("ltrim(data.z, '0')", "120"),
        ("rtrim(data.z, '02')", "001"), ("trim(both 'x' from data.a)", "hi"), ("trim('  b ')", "b"),
        ("trim(leading 'x' from data.a)", "hix"),
    ):  # fmt: skip
        assert len(good("log", "--where", f"{text} = '{trimmed}'", cwd=folder).rows) == 1, text
    (folder / "trim.toml").write_text('[projections.p.on."*"]\nset = { x = "trim(data.a, \'x\')" }\n')
    assert good("replay", "--config", "trim.toml", cwd=folder).row["state"] == {"x": "hi"}
    states = good("replay", "--where", "trim(a, 'x') = 'hi'", cwd=folder).rows
    assert len(states) == 1


def test_what_is_not_read_is_refused(folder: Path) -> None:
    for text in (
        "floor(data.n, 1) = 2", "ceil(data.n, 1) = 3", "data.n between symmetric 5 and 1", "length(data.a, 'x') = 4",
        "round(data.n, 1, 1) = 2.7", "data.n in (select 1)",
    ):  # fmt: skip
        message, _ = refused("log", "--where", text, code=2, cwd=folder)
        assert "is not allowed in an expression" in message, text
        assert "--where" in message


def test_of_two_members_of_one_name_the_last_counts(folder: Path) -> None:
    rule = """[projections.p.on."*"]\nappend = { l = "{'k': data.a, 'o': 1, 'k': data.c}" }\n"""
    for more in ("", '[projections.p.on.Never]\nmerge_patch = "data"\n'):  # stepped
        (folder / "twice.toml").write_text(rule + more)
        done = good("replay", "--config", "twice.toml", "-f", "jsonl", cwd=folder)
        assert '"state":{"l":[{"k":"x","o":1}]}' in done.text
