"""The guide to one's own log lists what there is: keys, forms of times, functions."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from esctl.index.decode.times.python import likely_instant
from esctl.index.decode.times.reading import check_format
from esctl.index.envelope import mapping
from esctl.index.envelope.mapping import parse_mapping
from esctl.projection import compiler
from esctl.projection.expressions import Expression
from esctl.projection.values import Value

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "guides" / "your-own-log.md").read_text(encoding="utf-8")


def table(section: str) -> list[list[str]]:
    """Return the rows of the first table of a section, as cells."""
    text = GUIDE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]*)`", cell)


KEYS = {quoted(key)[0]: quoted(example)[0] for key, _, example in table("Keys of a mapping")}


def test_every_key_is_told() -> None:
    assert set(KEYS) == set(mapping._KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_the_example_of_a_key_is_accepted(key: str) -> None:
    more = 'sequence = "n"\n' if key == "order" else ""
    parse_mapping(tomllib.loads(f"{more}{key} = {KEYS[key]}"))


@pytest.mark.parametrize("text", [text for _, examples in table("Times") for text in quoted(examples)])
def test_a_time_is_read(text: str) -> None:
    instant = likely_instant(text)
    if not re.match(r"13\.03|3/13", text):  # these need the order that the source tells
        assert instant is not None
        assert 1_483_228_800 <= instant // 10**6 <= 1_709_683_200


def test_formats_by_name_are_accepted() -> None:
    names = quoted(GUIDE.split("letters of strptime, or as one of")[1].split(";")[0])
    assert [check_format(name) for name in names] == names
    assert len(names) == 11


EXAMPLES = [text for _, examples in table("Functions in rules") for text in quoted(examples)]


def value_of(path: tuple[str | int, ...]) -> Value:
    return NUMBER if path[-1] in ("n", "a", "b") else Value("x", "text", text="x")


NUMBER = Value("x", "dynamic", text="x", json_type="t", number="n")


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_expression_is_accepted(text: str) -> None:
    Expression(text, "here").compile(value_of)


def test_every_function_is_told() -> None:
    own = {name[1:] for name in vars(compiler._Compiler) if re.fullmatch(r"_[a-z]+", name)}
    inner = {"text", "paren", "connected", "calculate", "beyond", "extreme", "compare"}
    tried = {type(node).__name__.lower() for text in EXAMPLES for node in Expression(text, "here").tree.walk()}
    assert own - inner - tried == set()
    named = {name.lower() for name in (*compiler.COMPARISONS, *compiler.TESTS, *compiler.TEXT_FUNCTIONS)}
    assert named - tried - {"gte", "lte"} == set()
