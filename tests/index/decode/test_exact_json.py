"""Records become text that DuckDB reads exactly, or invalid ones with a reason."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esctl.engine.duckdb import connect
from esctl.engine.exact_text import canonical_json_sql, is_number_mark_sql, unmark, unmark_json_sql, unmark_text_sql
from esctl.index.decode.exact_json import Judged, _objects_are_plain, judge_records
from esctl.index.decode.strict_json import canonical_number, examine, mark_numbers
from esctl.model import MARK, Cursor
from tests.support import effort

pytestmark = pytest.mark.usefixtures("both_ways")

JSONL = Cursor(format="jsonl")
CONNECTION = connect(threads=1)


def judged(*raws: bytes | None) -> Judged:
    return judge_records(pa.array(raws, pa.large_binary()), JSONL, CONNECTION)


def one(expression: str, text: str) -> Any:
    """Evaluate SQL over one text, which it names `j`."""
    return CONNECTION.execute(f"SELECT {expression} FROM (SELECT $1::VARCHAR AS j)", [text]).fetchall()[0][0]


def exact(text: str) -> Any:
    def refuse(name: str) -> Any:
        raise ValueError(name)

    return json.loads(text, parse_float=Decimal, parse_int=Decimal, parse_constant=refuse)


def through_duckdb(raw: bytes) -> Any:
    """Read a record as the index does: judged, extracted, canonical, unmarked."""
    text = judged(raw).text[0].as_py()
    return exact(one(unmark_json_sql(canonical_json_sql("json_extract(j, '$')")), text))


numbers = st.one_of(
    st.integers(),
    st.integers(-(10**40), 10**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, allow_infinity=False, places=14),
    st.decimals(-1, 1, allow_nan=False, allow_infinity=False, places=28),
    st.sampled_from(
        ["-0", "-0.0", "0.0", "1.50", "1E5", "1e-7", "0.00001", "1E400", "-1e+2", "100000000000000000000.0", "0e999"]
    ),
).map(lambda number: number if isinstance(number, str) else str(number))
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.text(max_size=6).map(lambda text: MARK + text.encode("utf-8", "ignore").decode()),
    numbers.map(lambda number: MARK + number),
    st.sampled_from(
        [': "x', "[1.0]", ",]", "1.0,", "nan]", ":inf}", '{"', "\x7f", "\u2028", "\U0001f600", 'a"' + MARK + "5"]
    ),
)


@st.composite
def json_text(draw: st.DrawFn, depth: int = 4) -> str:
    """JSON text whose numbers, spacing, escapes and repeated keys are chosen freely."""
    kind = draw(st.integers(0, 5 if depth else 3))
    space = draw(st.sampled_from(["", "", " ", "\t", "\n", " \r\n"]))
    if kind == 0:
        return draw(numbers)
    if kind == 1:
        return draw(st.sampled_from(["true", "false", "null"]))
    if kind <= 3:
        return json.dumps(draw(texts), ensure_ascii=draw(st.booleans()))
    values = draw(st.lists(json_text(depth - 1), max_size=4))
    if kind == 4:
        return f"[{space}{(space + ',' + space).join(values)}{space}]"
    keys = [json.dumps(draw(st.one_of(texts, st.sampled_from("ab")))) for _ in values]
    members = [f"{key}{space}:{space}{value}" for key, value in zip(keys, values, strict=True)]
    return f"{{{space}{(',' + space).join(members)}{space}}}"


@settings(max_examples=150)
@given(json_text())
def test_every_value_comes_back_exactly(text: str) -> None:
    assert through_duckdb(text.encode()) == exact(text)


@settings(max_examples=200)
@given(json_text())
def test_python_undoes_marks_as_sql_does(text: str) -> None:
    written = judged(text.encode()).text[0].as_py()
    assert exact(unmark(written)) == exact(text)
    assert one(unmark_json_sql("j"), written) == unmark(written)


@settings(max_examples=120)
@given(json_text())
def test_marking_numbers_alone_is_marking_where_there_is_nothing_else(text: str) -> None:
    whole = examine(text)
    if (
        MARK not in text
        and "\\ue000" not in text
        and whole.text is not None
        and exact(unmark(whole.text)) == exact(text)
    ):
        alone = mark_numbers(text)
        assert alone.text is not None
        assert exact(unmark(alone.text)) == exact(text)


@settings(max_examples=effort.examples(200, 60))
@given(st.lists(json_text(), min_size=1, max_size=30))
def test_a_batch_is_judged_as_its_records_alone(batch: list[str]) -> None:
    together = judged(*(text.encode() for text in batch))
    alone = [judged(text.encode()) for text in batch]
    assert together.text.to_pylist() == [each.text[0].as_py() for each in alone]
    assert together.marked.to_pylist() == [each.marked[0].as_py() for each in alone]


@settings(max_examples=120)
@given(st.text(st.sampled_from('{}[]:,"\\ue0dD1.-+eEntfx \n\x01aN/'), max_size=12))
def test_strict_reader_agrees_with_python_on_what_is_json(text: str) -> None:
    try:
        json.dumps(exact(text), default=str, ensure_ascii=False).encode()
        expected = True
    except (ValueError, UnicodeEncodeError):
        expected = False
    assert (examine(text).reason is None) == expected
    assert (judged(text.encode()).text[0].as_py() is not None) == expected


@pytest.mark.parametrize(
    ("raw", "part"),
    [
        (b'{"a":1,}', "comma before a closing bracket"),
        (b"[NaN]", "unexpected character"),
        (b'{"a": -Infinity}', "unexpected character"),
        (b"[1] x", "something follows"),
        (b"", "empty"),
        (b" \r\n", "empty"),
        (b'{"a":', "ends too early"),
        (b'{"a":"\xff"}', "no UTF-8 at byte 6"),
        (b'"\\ud800"', "surrogate"),
        (b'["a\tb"]', "control character"),
        (b"01", "not expected here at byte 1"),
        (b"[1/*x*/]", "unexpected character"),
        (b'{"a":1e9999999999999999999}', "exponent"),
        (b"[" * 10_001 + b"]" * 10_001, "nested over 10000 levels"),
        (b'{"a":' * 10_001 + b"1" + b"}" * 10_001, "nested over 10000 levels"),
    ],
)
def test_what_is_no_json_has_a_reason(raw: bytes, part: str) -> None:
    result = judged(b'{"fine":1}', raw)
    assert result.text.to_pylist() == ['{"fine":1}', None]
    assert result.invalid[0].as_py() is None
    assert part in result.invalid[1].as_py()


@pytest.mark.parametrize("before", range(2))
def test_a_text_is_refused_wherever_its_letters_lie(before: int) -> None:
    """DuckDB's message shows a text as far as some byte, which may be inside a letter."""
    text = '["' + "x" * before + "é" * 60 + '",}'
    assert "comma before a closing bracket" in judged(text.encode()).invalid[0].as_py()


def test_tombstone_has_neither_text_nor_reason() -> None:
    result = judged(None, b"\xff", b"1")
    assert result.text.to_pylist() == [None, None, "1"]
    assert [reason is None for reason in result.invalid.to_pylist()] == [True, False, True]


def test_blanks_and_byte_order_marks_are_trimmed() -> None:
    result = judged(b'\xef\xbb\xbf\r\n {"a":1} \r\n', b'\n\n{"b":"\xef\xbb\xbf"}\n')
    assert result.text.to_pylist() == ['{"a":1}', '{"b":"\ufeff"}']


def test_depth_of_ten_thousand_is_read() -> None:
    deep = b'{"a":' * 9_999 + b"[1e5]" + b"}" * 9_999
    result = judged(deep)
    assert result.marked[0].as_py()
    assert result.text[0].as_py().count("{") == 9_999


def test_last_of_two_equal_keys_wins_at_any_depth() -> None:
    plain = [b'{"id":1,"data":{"x":1}}'] * 300
    odd = [
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"c":[{"d":1,"d":3}]}}',
        b'[{"k":1,"\\u006b":2}]',
        b'{"a":{"x":1},"b":2,"a":{"y":[1,2]}}',
        b'{"a":1,"a":2,"a":3}',
    ]
    result = judged(*plain, *odd)
    assert result.marked.to_pylist() == [False] * 300 + [True] * 5
    assert [exact(text) for text in result.text.to_pylist()[300:]] == [exact(raw.decode()) for raw in odd]


def test_shape_check_takes_objects_in_arrays_and_braces_in_strings_for_unproven() -> None:
    def plain(*texts: str) -> bool:
        CONNECTION.register("esctl_judge", pa.table({"row": range(len(texts)), "j": list(texts)}))
        try:
            return _objects_are_plain(CONNECTION, ["", "/data"])
        finally:
            CONNECTION.unregister("esctl_judge")

    assert plain('{"id":1,"data":{"x":1}}', '{"id":2,"data":{"y":1}}', "[1]", '"x"')
    assert not plain('{"id":1,"data":{"x":1,"x":2}}')
    assert not plain('{"id":1,"data":{"x":1}}', '{"id":1,"data":[{"x":1}]}')
    assert not plain('{"id":"{"}')


def test_plain_numbers_are_left_as_they_are() -> None:
    plain = [b'{"a": 12.5, "b": 123456789012345678, "c": 0.1, "d": 0.30000000000000004, "t": "1e5"}', b"[0.0001,-1.5]"]
    result = judged(*plain)
    assert result.text.to_pylist() == [raw.decode() for raw in plain]
    assert not any(result.marked.to_pylist())


@pytest.mark.parametrize(
    ("number", "canonical"),
    [
        ("1.50", "1.5"),
        ("-0.0", "0"),
        ("1e5", "100000"),
        ("1E-7", "0.0000001"),
        ("12.5e+1", "125"),
        ("0.1234567890123456789012345678", "0.1234567890123456789012345678"),
        ("1e99", "1" + "0" * 99),
        ("1e100", "1e+100"),
        ("-12e300", "-1.2e+301"),
        ("1e-100", "0." + "0" * 99 + "1"),
        ("1.5e-100", "1.5e-100"),
        ("0e99999999999999999999", "0"),
        ("1" * 101, "1." + "1" * 100 + "e+100"),
    ],
)
def test_canonical_numbers(number: str, canonical: str) -> None:
    assert canonical_number(number) == canonical


@given(numbers)
def test_canonical_number_keeps_the_value(number: str) -> None:
    assert Decimal(canonical_number(number)) == Decimal(number)
    assert canonical_number(canonical_number(number)) == canonical_number(number)


def test_text_of_an_extracted_string_is_unmarked() -> None:
    raw = b'{"n":1.00000000000000000001,"s":"plain","m":"\\ue0005","mm":"\\uE000\\ue000"}'
    text = judged(raw).text[0].as_py()
    values = {}
    for key in ("n", "s", "m", "mm"):
        extracted = f"json_extract_string(j, '/{key}')"
        values[key] = one(f"[{unmark_text_sql(extracted)}, {is_number_mark_sql(extracted)}::VARCHAR]", text)
    assert values == {
        "n": ["1.00000000000000000001", "true"],
        "s": ["plain", "false"],
        "m": [MARK + "5", "false"],
        "mm": [MARK * 2, "false"],
    }


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("1.0", "1"),
        ("[1.0,10.50,1.05, 100.0 ]", "[1,10.5,1.05, 100 ]"),
        ('{"a":"1.0]","b":2.0}', '{"a":"1.0]","b":2}'),
        ('["\\"",1.0,"\\\\",2.00]', '["\\"",1,"\\\\",2]'),
    ],
)
def test_canonical_json_drops_zeros_outside_strings(text: str, canonical: str) -> None:
    assert one(canonical_json_sql("j"), text) == canonical


def test_json_test_suite(real_logs: Path) -> None:
    files = sorted((real_logs / "suites" / "JSONTestSuite" / "test_parsing").glob("*.json"))
    result = judged(*(file.read_bytes() for file in files))
    wrong = []
    for file, text, reason in zip(files, result.text.to_pylist(), result.invalid.to_pylist(), strict=True):
        assert (text is None) != (reason is None)
        if file.name.startswith("n_") and text is not None:
            wrong.append(file.name)
        if file.name.startswith("y_") and (
            text is None or through_duckdb(file.read_bytes()) != exact(file.read_text())
        ):
            wrong.append(file.name)
    assert len(files) > 300
    assert wrong == []


def test_csv_rows_become_objects_of_texts() -> None:
    header = base64.b64encode(b"id,name,amount\n").decode()
    cursor = Cursor(format="csv", header=header, dialect={"delimiter": ","})
    result = judge_records(
        pa.array([b'1,"a,b",12.50\n', f"2,{MARK}5,\n".encode(), b"3,x,1,2\n", b"4,\xff,1\n"]), cursor, CONNECTION
    )
    assert result.text.to_pylist() == [
        '{"id":"1","name":"a,b","amount":"12.50"}',
        f'{{"id":"2","name":"{MARK * 2}5"}}',
        None,
        None,
    ]
    assert [bool(reason) for reason in result.invalid.to_pylist()] == [False, False, True, True]
