"""Messages of Protocol Buffers, decoded by the text of their schema."""

from __future__ import annotations

import json
from typing import Any

import pytest

from esctl.index.decode.protobuf import protobuf_decoder

protobuf = pytest.importorskip("google.protobuf")
VERSION = tuple(int(part) for part in protobuf.__version__.split(".")[:2])
FIELDS = "string a = 1; string b = 2; int64 n = 3;"


def decoded(schema: str, body: bytes) -> Any:
    decode = protobuf_decoder({"schema": schema, "references": []})
    return json.loads(decode(b"\0", body))


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (f'syntax = "proto3"; message M {{ {FIELDS} }}', {"a": "x", "b": "", "n": 0}),
        ("message M { optional string a = 1; optional string b = 2; optional int64 n = 3; }", {"a": "x"}),
        (f'edition = "2023"; message M {{ {FIELDS} }}', {"a": "x"}),
        (
            f'edition = "2023"; option features.field_presence = IMPLICIT; message M {{ {FIELDS} }}',
            {"a": "x", "b": "", "n": 0},
        ),
        (
            'edition = "2023"; message M { string a = 1; int64 n = 3;'
            ' string b = 2 [deprecated = true, features.field_presence = IMPLICIT, json_name = "c"]; }',
            {"a": "x", "b": ""},
        ),
        (
            'edition = "2023"; option features = { field_presence: IMPLICIT [pb.cpp] { string_type: VIEW } };'
            " message M { string a = 1; string b = 2; int64 n = 3 [features.field_presence = EXPLICIT]; }",
            {"a": "x", "b": ""},
        ),
    ],
)
def test_a_field_without_presence_is_there_when_it_is_not_set(schema: str, expected: dict[str, Any]) -> None:
    assert decoded(schema, b"\x0a\x01x") == expected


@pytest.mark.skipif(VERSION < (6, 32), reason="this release of protobuf reads no edition after 2023")
def test_the_words_of_an_edition_that_say_who_sees_a_type() -> None:
    schema = f'edition = "2024"; export message M {{ local enum E {{ Z = 0; }} {FIELDS} }}'
    assert decoded(schema, b"\x0a\x01x") == {"a": "x"}


def test_features_of_an_edition_say_how_bytes_are_read() -> None:
    schema = """edition = "2023";
    message Line { string text = 1; }
    enum Closed { option features.enum_type = CLOSED; NONE = 0; CASH = 1; }
    enum Open { UNKNOWN = 0; }
    message M {
      Line line = 1 [features = { message_encoding: DELIMITED }];
      repeated Line lines = 2 [features.message_encoding = DELIMITED];
      Closed closed = 3; Open open = 4; map<string, int64> totals = 5;
    }"""
    line = b"\x0a\x01x"
    body = b"\x0b" + line + b"\x0c" + b"\x13" + line + b"\x14" + b"\x18\x07" + b"\x20\x07"
    decode = protobuf_decoder({"schema": schema, "references": []})
    found = json.loads(decode(b"\x02\x02", body))
    assert found == {"line": {"text": "x"}, "lines": [{"text": "x"}], "open": 7, "totals": {}}


@pytest.mark.parametrize(
    "schema",
    ['edition = "1234"; message M {}', 'edition = "2023"; option features.field_presence = SOMETIMES; message M {}'],
)
def test_an_edition_that_is_not_known_is_refused(schema: str) -> None:
    with pytest.raises(ValueError, match=r"EDITION_1234|SOMETIMES"):
        protobuf_decoder({"schema": schema, "references": []})
