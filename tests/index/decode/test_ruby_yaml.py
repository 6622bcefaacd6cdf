"""The YAML that Ruby writes of changes is read as JSON, or stays the text that it is."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from esctl.index.decode.ruby_yaml import yaml_json

CHANGES = """---
title:
-
- A
count:
- 1
- 2.5
note:
- 'it''s: "so"'
- "line\\nbreak \\u00e4"
text:
- |-
  first
  - second
- ~
done:
- false
- true
code:
- '007'
- 12345678901234567890
updated_at:
- 2024-03-01 10:00:00.123456000 Z
- !ruby/object:ActiveSupport::TimeWithZone
  utc: &1 2024-03-02 10:00:00.123456000 Z
  zone: &2 !ruby/object:ActiveSupport::TimeZone
    name: Etc/UTC
  time: *1
"""
READ = {
    "title": [None, "A"],
    "count": [1, 2.5],
    "note": ['it\'s: "so"', "line\nbreak ä"],
    "text": ["first\n- second", None],
    "done": [False, True],
    "code": ["007", "12345678901234567890"],
    "updated_at": ["2024-03-01 10:00:00.123456000 Z", "2024-03-02 10:00:00.123456000 Z"],
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CHANGES, READ),
        ("--- !ruby/hash:ActiveSupport::HashWithIndifferentAccess\nid:\n- \n- 4\n", {"id": [None, 4]}),
        ("---\nid: 4\ntitle: A\nbody:\ntags: []\n", {"id": 4, "title": "A", "body": None, "tags": []}),
        ("--- {}\n", {}),
        ("---\nid:\n  - 1\n  - 2\n", {"id": [1, 2]}),
    ],
)
def test_changes_are_read(text: str, expected: Any) -> None:
    found = yaml_json(text.encode())
    assert found is not None
    assert json.loads(found) == expected


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        '{"a": 1}',
        "---\n- 1\n",
        "---\na:\n- *1\n",
        "---\na:\n- !ruby/object:BigDecimal 18:0.1e1\n",
        "---\na:\n  b: 1\n",
        "---\na: [1, 2]\n",
        '---\na: "not closed\n',
        "---\nno key\n",
        "--- text\n",
    ],
)
def test_what_is_more_than_that_stays_a_text(text: str) -> None:
    assert yaml_json(text.encode()) is None


def test_no_bytes_are_no_yaml() -> None:
    assert yaml_json(None) is None
    assert yaml_json(b"---\na: \xff\n") is None


@pytest.mark.parametrize("number", ["12345678901234567.89", "-123456.123456789012345", "0.10"])
def test_numbers_keep_their_digits(number: str) -> None:
    found = yaml_json(f"---\nn: {number}\nm:\n- {number}\n- '{number}'\n".encode())
    assert found is not None
    assert json.loads(found, parse_int=Decimal, parse_float=Decimal) == {
        "n": Decimal(number),
        "m": [Decimal(number), number],
    }
