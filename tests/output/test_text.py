"""No text keeps a character that acts, and JSON keeps its value."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from functools import cache
from itertools import product

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esctl.engine import exact_text
from esctl.engine.duckdb import connect
from esctl.engine.exact_text import printable_json_sql, unmark
from esctl.model import MARK
from esctl.output import text as texts
from esctl.output.text import escape_json, visible, visible_lines
from esctl.output.writers.changes import Change, parse_changes

ACTING = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")

# DuckDB's text is UTF-8: it has no lone surrogates.
any_text = st.text(st.characters(exclude_categories=["Cs"]) | st.characters(categories=["Cc", "Cf", "Co", "Zl", "Zp"]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | any_text,
    lambda inner: st.lists(inner) | st.dictionaries(any_text, inner),
    max_leaves=8,
)


@cache
def connection() -> duckdb.DuckDBPyConnection:
    return connect()


def printed(text: str) -> str:
    shown: str = connection().execute(f"select {printable_json_sql('$1')}", [text]).fetchall()[0][0]
    return shown


def acts(text: str) -> bool:
    return any(unicodedata.category(c) in ACTING for c in text)


def test_every_acting_character_of_unicode_is_known() -> None:
    acting = [char for char in map(chr, range(sys.maxunicode + 1)) if acts(char)]
    assert not [hex(ord(c)) for c in acting if visible(c) == c]
    assert not [hex(ord(c)) for c in acting if visible_lines(c) == c and c not in "\n\t"]
    assert not [hex(ord(c)) for c in acting if ord(c) >= 0x7F and escape_json(c) == c]


def test_a_look_at_the_bytes_finds_whatever_the_patterns_find() -> None:
    every = [chr(code) for code in range(sys.maxunicode + 1)]
    assert not [hex(ord(c)) for c in every if re.search(texts._IN_JSON, c) and escape_json(f"a{c}b") == f"a{c}b"]
    assert not [hex(ord(c)) for c in every if re.search(texts._IN_LINES, c) and visible_lines(f"a{c}b") == f"a{c}b"]


@given(any_text)
def test_visible_text_is_one_harmless_line(text: str) -> None:
    assert not acts(visible(text))


@given(any_text)
def test_visible_text_is_the_text_where_nothing_acts(text: str) -> None:
    if not acts(text):
        harmless = "".join(c for c in text if unicodedata.category(c) != "Cn")
        assert visible(harmless) == harmless


@given(any_text)
def test_visible_lines_keep_tabs_and_line_ends_alone(text: str) -> None:
    shown = visible_lines(text)
    assert not acts(shown.replace("\r\n", "").replace("\n", "").replace("\t", ""))
    assert shown.count("\n") == text.count("\n")


@given(json_values)
def test_escaped_json_is_harmless_and_has_the_same_value(value: object) -> None:
    text = escape_json(json.dumps(value, ensure_ascii=False))
    assert not acts(text)
    assert json.loads(text) == value


@given(json_values)
def test_printed_json_has_the_same_value(value: object) -> None:
    # The mark is taken off by printing: values that begin with it are the business of the marked texts below.
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace(MARK, "")
    assert json.loads(printed(text)) == json.loads(text)


def test_a_search_finds_whatever_the_pattern_for_untidy_numbers_finds() -> None:
    texts = ("".join(each) for length in range(1, 6) for each in product('01.-,]}eE"', repeat=length))
    untidy = [text for text in texts if re.search(exact_text._UNTIDY.replace("$", r"\Z"), text)]
    assert len(untidy) > 1000
    parts = exact_text._MAYBE_UNTIDY
    assert not [text for text in untidy if not text.endswith("0") and not any(part in text for part in parts)]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("1.50", "1.5"),
        ("1.0", "1"),
        ("-0.0", "0"),
        ("-0", "0"),
        ("-0.50", "-0.5"),
        ("100", "100"),
        ("10.010", "10.01"),
        ("1.500e10", "1.5e10"),
        ("[1.50]", "[1.5]"),
        ("[-0]", "[0]"),
        ('{"a":1.50,"b":-0.5}', '{"a":1.5,"b":-0.5}'),
        ('{"a":1,"b":2.0}', '{"a":1,"b":2}'),
        ('["1.50",1.50,"-0.0",-0.0,{"a":2.0}]', '["1.50",1.5,"-0.0",0,{"a":2}]'),
        ('{"1.0":"a\\"1.0,","b":1.0}', '{"1.0":"a\\"1.0,","b":1}'),
        ('{"a":\n1}', '{"a": 1}'),
        (f'["{MARK}1.5","{MARK}{MARK}1.5","a{MARK}1.5"]', f'[1.5,"{MARK}1.5","a{MARK}1.5"]'),
        (f'{{"{MARK}{MARK}k":"{MARK}-1e+400"}}', f'{{"{MARK}k":-1e+400}}'),
        (f'"\\"{MARK}1\\""', f'"\\"{MARK}1\\""'),
    ],
)
def test_json_is_printed_with_exact_plain_numbers(text: str, shown: str) -> None:
    assert printed(text) == shown
    if MARK in text:
        assert unmark(text) == shown


def test_changes_keep_numbers_as_they_were() -> None:
    first = '{"field":"a","before":12345678901234567890.10,"after":{"b":[1.0,"x",null,true]}}'
    text = f'[{first},{{"field":"c","after":-1e400}}]'
    assert parse_changes(text) == [
        Change("a", "12345678901234567890.10", '{"b":[1.0,"x",null,true]}'),
        Change("c", None, "-1e400"),
    ]
