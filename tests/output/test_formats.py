"""What the formats promise: exact values, harmless text, one row a line."""

from __future__ import annotations

import csv
import io
import json
import re
import time as clock
import unicodedata
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from esctl.engine.duckdb import EVENT_ERROR
from esctl.errors import UsageError
from esctl.model import Answer, Column, Findings
from esctl.output import FORMATS, Target, write
from tests.support.output_answers import (
    HOSTILE_NAME,
    HOSTILE_TEXTS,
    hostile_answer,
    number_answer,
    session,
    state_answer,
    typed_answer,
    written,
)

TEXT_FORMATS = [name for name, form in FORMATS.items() if not form.binary]


def read_arrow(data: bytes) -> pa.Table:
    return pa.ipc.open_stream(io.BytesIO(data)).read_all()


def one(sql: str, kind: Any, **options: Any) -> Any:
    answer = Answer(session(), f"select {sql} as v", (Column("v", kind),))
    return written(answer, Target(format="jsonl", **options)).decode().removeprefix('{"v":').removesuffix("}\n")


@pytest.mark.parametrize("form", TEXT_FORMATS)
def test_no_character_of_the_log_acts_on_a_terminal(form: str) -> None:
    text = written(hostile_answer(), Target(format=form)).decode()
    allowed = "\n\t\r" if form in ("csv", "tsv") else "\n"
    acting = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")} - set(allowed)
    assert not acting


def test_colour_is_the_only_escape_in_a_coloured_table() -> None:
    colored = written(hostile_answer(), Target(color=True)).decode()
    plain = [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", colored).splitlines()]
    assert plain == written(hostile_answer(), Target()).decode().splitlines()


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_json_gives_hostile_text_back_unchanged(form: str) -> None:
    text = written(hostile_answer(), Target(format=form)).decode()
    rows = json.loads(text) if form == "json" else [json.loads(line) for line in text.splitlines()]
    assert [row[HOSTILE_NAME] for row in rows] == list(HOSTILE_TEXTS)
    assert [row["j"]["k"] for row in rows] == list(HOSTILE_TEXTS)


def test_csv_disarms_formulas_in_text_only() -> None:
    rows = list(csv.reader(io.StringIO(written(hostile_answer(), Target(format="csv")).decode(), newline="")))
    texts = [row[1] for row in rows[1:]]
    assert not [text for text in texts if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d"))]
    assert {"'+1", "'-2", "'=cmd|' /C calc'!A0"} <= set(texts)
    numbers = written(number_answer(["-5::decimal(9,1)"]), Target(format="csv")).decode()
    assert numbers.splitlines()[1] == "-5"


@pytest.mark.parametrize("start", list("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"))
@pytest.mark.parametrize("form", ["csv", "tsv"])
def test_no_text_starts_a_formula(form: str, start: str) -> None:
    """A spreadsheet skips a tab or a line end before it looks for one."""
    answer = Answer(session(), f"select chr({ord(start)}) || '=1+1'", (Column(f"{start}x", "text"),))
    name, text = csv.reader(io.StringIO(written(answer, Target(format=form)).decode(), newline=""), delimiter="\t")
    assert name[0].startswith("'")
    assert text[0].startswith("'")


def test_csv_tells_null_from_empty_text() -> None:
    answer = Answer(session(), "select null::varchar, ''", (Column("a", "text"), Column("b", "text")))
    assert written(answer, Target(format="csv")) == b'a,b\n,""\n'


def test_tsv_has_a_line_a_row_and_a_tab_a_column() -> None:
    lines = written(hostile_answer(), Target(format="tsv")).decode().split("\n")
    assert len(lines) == len(HOSTILE_TEXTS) + 2
    assert {line.count("\t") for line in lines[:-1]} == {2}


def test_markdown_has_a_line_a_row_and_no_live_markup() -> None:
    lines = written(hostile_answer(), Target(format="markdown")).decode().split("\n")
    assert len(lines) == len(HOSTILE_TEXTS) + 3
    row = next(line for line in lines if "html" in line)
    assert not re.findall(r"(?<!\\)[`<>*\[\]~$&]", row)
    assert len(re.findall(r"(?<!\\)\|", row)) == 4


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("1.50::decimal(18,4)", "1.5"),
        ("100::decimal(18,2)", "100"),
        ("1234567890123456789012345678.0123456789::decimal(38,10)", "1234567890123456789012345678.0123456789"),
        ("0.1::double + 0.2::double", "0.30000000000000004"),
        ("-0.0::double", "0"),
        ("1e20::double", "1e+20"),
        ("1e15::double", "1000000000000000"),
        ("'nan'::double", "null"),
        ("'-inf'::double", "null"),
        ("99999999999999999999999999999999999999999999::bignum", "99999999999999999999999999999999999999999999"),
        ("null::double", "null"),
        ("0.00::decimal(9,2)", "0"),
    ],
)
def test_numbers_are_exact_and_without_trailing_zeros(sql: str, text: str) -> None:
    assert one(sql, "number") == text
    cells = written(number_answer([sql]), Target(format="csv")).decode().splitlines()
    assert cells[1:] == ["" if text == "null" else text]


@pytest.mark.parametrize(
    ("utc", "tz", "text"),
    [
        ("2024-02-01 14:03:00", "UTC", "2024-02-01T14:03:00Z"),
        ("2024-02-01 14:03:00.5", "utc", "2024-02-01T14:03:00.500000Z"),
        ("2024-02-01 14:03:00", "Asia/Kathmandu", "2024-02-01T19:48:00+05:45"),
        ("2024-02-01 14:03:00", "asia/kathmandu", "2024-02-01T19:48:00+05:45"),
        ("2024-02-01 14:03:00", "-03:30", "2024-02-01T10:33:00-03:30"),
        ("2024-02-01 14:03:00", "-00:30", "2024-02-01T13:33:00-00:30"),
        ("2024-03-31 00:59:59", "Europe/Vienna", "2024-03-31T01:59:59+01:00"),
        ("2024-03-31 01:00:00", "Europe/Vienna", "2024-03-31T03:00:00+02:00"),
        ("2024-10-27 00:30:00", "Europe/Vienna", "2024-10-27T02:30:00+02:00"),
        ("2024-10-27 01:30:00", "Europe/Vienna", "2024-10-27T02:30:00+01:00"),
        ("1969-12-31 23:59:59.999999", "UTC", "1969-12-31T23:59:59.999999Z"),
        ("1880-01-01 00:00:00", "Europe/Vienna", "1880-01-01T01:05:00+01:05"),
        ("0900-01-01 00:00:00", "UTC", "0900-01-01T00:00:00Z"),
    ],
)
def test_times_are_rfc_3339_in_the_zone_asked_for(utc: str, tz: str, text: str) -> None:
    assert one(f"timestamp '{utc}'", "time", tz=tz) == f'"{text}"'


def test_an_infinite_time_is_null() -> None:
    assert one("'infinity'::timestamp", "time") == '"infinity"'


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_an_infinite_time_is_null_among_typed_columns_too(form: str) -> None:
    sql = "SELECT unnest(['infinity'::timestamp, '-infinity'::timestamp, timestamp '2024-01-01'])"
    data = written(Answer(session(), sql, (Column("t", "time"),)), Target(format=form))
    table = pq.read_table(io.BytesIO(data)) if form == "parquet" else read_arrow(data)
    first, second, third = table.column("t").to_pylist()
    assert (first, second, third.year) == (None, None, 2024)


@pytest.mark.parametrize("tz", ["Mars/Olympus", "+25:00", "", "'; drop table t; --"])
def test_an_unknown_zone_is_a_usage_error(tz: str) -> None:
    with pytest.raises(UsageError, match="unknown time zone"):
        one("timestamp '2024-01-01'", "time", tz=tz)


def test_a_misspelt_zone_is_guessed() -> None:
    with pytest.raises(UsageError) as caught:
        one("timestamp '2024-01-01'", "time", tz="Europe/Viena")
    assert caught.value.hint == "did you mean Europe/Vienna?"


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_columnar_formats_are_typed_and_exact(form: str) -> None:
    data = written(typed_answer(), Target(format=form))
    table = pq.read_table(io.BytesIO(data)) if form == "parquet" else read_arrow(data)
    types = dict(zip(table.schema.names, map(str, table.schema.types), strict=True))
    assert types["amount"] == "decimal128(18, 2)"
    assert types["time"] == "timestamp[us, tz=UTC]"
    assert types["ok"] == "bool"
    assert types["changes"] == types["entity"] == "string"
    row = next(row for row in table.to_pylist() if row["entity"] == "account-43")
    assert row["amount"] == Decimal("-0.05")
    assert row["changes"] == '{"amount":1234567890123456789012345.678,"text":"\ue00012"}'
    assert table.num_rows == 4


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_columnar_formats_hold_hostile_text_unchanged(form: str) -> None:
    data = written(hostile_answer(), Target(format=form))
    table = pq.read_table(io.BytesIO(data)) if form == "parquet" else read_arrow(data)
    assert table.column(HOSTILE_NAME).to_pylist() == list(HOSTILE_TEXTS)


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_columnar_formats_of_no_rows_keep_their_columns(form: str) -> None:
    data = written(typed_answer(), Target(format=form, limit=0))
    table = pq.read_table(io.BytesIO(data)) if form == "parquet" else read_arrow(data)
    assert table.num_rows == 0
    assert "timestamp[us, tz=UTC]" in map(str, table.schema.types)


def test_an_arrow_file_is_feather(tmp_path: Path) -> None:
    write(typed_answer(), Target(format="arrow", destination=tmp_path / "a.feather"))
    with pa.memory_map(str(tmp_path / "a.feather")) as source:
        assert pa.ipc.open_file(source).read_all().num_rows == 4


@pytest.mark.parametrize(
    ("form", "text"), [("json", "[]\n"), ("jsonl", ""), ("csv", "entity,state.balance,state.Balance\n")]
)
def test_no_rows_are_a_whole_document_too(form: str, text: str) -> None:
    assert written(state_answer(), Target(format=form, limit=0)).decode() == text


@pytest.mark.parametrize("form", [name for name, form in FORMATS.items() if not form.takes_findings])
def test_a_limit_holds_in_every_format_of_rows(form: str) -> None:
    assert write(hostile_answer(), Target(format=form, limit=3, destination=io.BytesIO())).rows == 3


@pytest.mark.parametrize("form", FORMATS)
def test_an_error_in_the_data_is_explained_in_every_format(form: str) -> None:
    # The row of the error comes late: it is met while rows are fetched.
    sql = f"select case when i < 300000 then i else error('{EVENT_ERROR}evt-9: no number') end from range(300001) t(i)"
    findings = Findings((), "'odd'", "'odd'", "i") if FORMATS[form].takes_findings else None
    answer = Answer(session(), sql, (Column("i", "integer"),), findings=findings)
    with pytest.raises(UsageError, match="evt-9: no number"):
        write(answer, Target(format=form, limit=400_000, destination=io.BytesIO()))
    assert answer.session.connection.execute("select 7").fetchall() == [(7,)]


def test_rows_are_written_while_the_query_still_runs() -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            if self.tell() > 1000:
                raise BrokenPipeError
            return super().write(data)

    answer = Answer(session(), "select i from range(1000000000000) t(i)", (Column("i", "integer"),))
    started = clock.monotonic()
    with pytest.raises(BrokenPipeError):
        write(answer, Target(format="jsonl", destination=Full()))
    assert clock.monotonic() - started < 60
    assert answer.session.connection.execute("select 7").fetchall() == [(7,)]


def test_a_table_says_when_rows_were_kept_back() -> None:
    answer = Answer(session(), "select i from range(5000) t(i)", (Column("i", "integer"),))
    text = written(answer, Target()).decode()
    assert "999" in text
    assert text.splitlines()[-1] == "the first 1,000 rows; all of them: --limit N, or -f jsonl"
    assert written(answer, Target(limit=5000)).decode().splitlines()[-1] == "5,000 rows"


def test_long_ids_are_folded_never_cut() -> None:
    entity = "account-" + "0123456789abcdef" * 12
    answer = Answer(
        session(),
        f"select '{entity}', 'x', 12345678901234567890::hugeint",
        (Column("entity", "text"), Column("other", "text"), Column("n", "integer")),
    )
    text = written(answer, Target(width=70)).decode()
    width = next(line for line in text.splitlines() if line.startswith("account-")).index(" ")
    assert "".join(line[:width].strip() for line in text.splitlines()[2:-1]) == entity
    assert all(len(line) <= 70 for line in text.splitlines())


@pytest.mark.parametrize("width", [30, 50, 80, 200])
def test_tables_keep_their_width(width: int) -> None:
    from rich.cells import cell_len

    for answer in (typed_answer(), hostile_answer()):
        lines = written(answer, Target(width=width)).decode().splitlines()
        assert max(map(cell_len, lines)) <= width


def test_before_is_struck_and_after_green_where_colour_is_wanted() -> None:
    columns = (Column("field", "text"), Column("before", "json"), Column("after", "json"))
    answer = Answer(session(), "select 'balance', '1.50', '2'", columns)
    text = written(answer, Target(color=True)).decode()
    assert re.search("\x1b\\[9;31m1\\.5", text)
    assert re.search("\x1b\\[32m2", text)
    assert "\x1b" not in written(answer, Target()).decode()


def test_changes_that_are_none_are_shown_as_json() -> None:
    deep = "[" * 5000 + "]" * 5000
    broken = '[{"field":1,"before":2}]'
    for text in (deep, broken, '[{"field":"a"}]', "[{" + '"field"'):
        answer = Answer(session(), f"select '{text}'", (Column("changes", "json"),))
        assert text[:20] in written(answer, Target()).decode()


def test_columns_are_picked_by_name_in_the_order_given() -> None:
    assert written(state_answer(), Target(format="csv", columns=("state.Balance", "entity"))) == (
        b"state.Balance,entity\n6,account-1\n"
    )
    assert written(state_answer(), Target(format="jsonl", columns=("state.balance",))) == b'{"state.balance":5}\n'
    assert written(state_answer(), Target(format="csv", columns=("state",))) == b"state.balance,state.Balance\n5,6\n"


def test_the_column_that_is_unknown_is_named_whatever_else_is_asked_for() -> None:
    for columns in (("state.balance", "owner.name"), ("entity", "owner.name", "state.balance")):
        with pytest.raises(UsageError, match=re.escape("unknown column 'owner.name'")):
            written(state_answer(), Target(format="jsonl", columns=columns))


def test_a_table_shows_its_own_columns_unless_others_are_asked_for() -> None:
    target = Target(table_columns=("entity",))
    assert b"state" not in written(state_answer(), target)
    assert b"state" in written(state_answer(), replace(target, columns=("state",)))
    assert b"state" in written(state_answer(), replace(target, format="jsonl"))


def test_an_unknown_column_is_guessed() -> None:
    with pytest.raises(UsageError) as caught:
        written(state_answer(), Target(format="jsonl", columns=("entty",)))
    assert caught.value.hint == "did you mean entity?"
    with pytest.raises(UsageError) as caught:
        written(state_answer(), Target(format="jsonl", columns=("zzz",)))
    assert "state.balance" in caught.value.hint
