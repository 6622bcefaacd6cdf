"""Answers over an in-memory DuckDB for the tests of the printers."""

from __future__ import annotations

import io
from types import SimpleNamespace

from msgspec.structs import replace

from esctl.engine.duckdb import connect
from esctl.engine.quoting import identifier, literal
from esctl.model import MARK, Answer, Column, Findings
from esctl.output import Target, write

# What a log can do to a terminal, a spreadsheet, a Markdown page or a parser.
HOSTILE_TEXTS = (
    "plain",
    "",
    "\x1b[31mred\x1b[0m \x1b]8;;http://evil.example\x07link",
    "[bold red]markup[/bold red] :smile:",
    "=cmd|' /C calc'!A0",
    "+1",
    "-2",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\uff1d1",
    'quote " and "" and, comma; semi',
    "two\nlines\r\nthree\ttab",
    "back\\slash \\x1b \\",
    "bidi \u202egnp.exe\u202c \u2066iso\u2069 zero\u200bwidth \ufeffbom \u00adsoft",
    "C1 \x9b31m DEL \x7f NUL \x00 LS \u2028 PS \u2029",
    "tag \U000e0041 private \ue000 \U000f0000",
    "| pipe | `code` <b>html</b> [link](http://x.example) www.x.example a@b.example ~~no~~ $x$ &amp;",
    "wide 漢字 zoë 🙂",
)

HOSTILE_NAME = 'n\x1b[1m"q",|=\u202e\n'

RULES = (("hostile", "text that acts {0} [x](y) <b>"), ("kept", "what no row breaks"))


def session() -> SimpleNamespace:
    """Give the one thing of a session that the printers use."""
    return SimpleNamespace(connection=connect())


def hostile_answer() -> Answer:
    """Give hostile text as text, as JSON, and as a column name."""
    rows = ", ".join(
        f"({number}, {literal(text)}, json_object('k', {literal(text)})::varchar)"
        for number, text in enumerate(HOSTILE_TEXTS, 1)
    )
    return Answer(
        session(),
        f"select * from (values {rows}) order by 1",
        (Column("n", "integer"), Column(HOSTILE_NAME, "text"), Column("j", "json")),
        findings=Findings(RULES, "'hostile'", identifier(HOSTILE_NAME), identifier(HOSTILE_NAME)),
    )


def typed_answer() -> Answer:
    """Give every kind, nulls and extremes, an exact number and a list of changes."""
    changes = (
        '[{"field":"balance","before":100.50,"after":1.0},{"field":"owner","after":"ann"},'
        '{"field":"old","before":[1,{"a":null}]}]'
    )
    exact = f'{{"amount":"{MARK}1234567890123456789012345.678","text":"{MARK}{MARK}12"}}'
    sql = f"""
        select * from (values
            (1::hugeint, 'account-42', 12.50::decimal(18,2), true, timestamp '2024-02-01 14:03:00',
             {literal(changes)}, 'a', null::varchar),
            (-170141183460469231731687303715884105727, 'account-43', -0.05, false,
             timestamp '1969-12-31 23:59:59.000001', {literal(exact)}, null, null),
            (null, null, null, null, null, null, null, null),
            (100, 'a/b', 100.00, null, timestamp '2024-03-31 01:00:00', '[1.50,-0.0,"1.0",1e5,100]', 'é', null)
        ) order by all nulls last"""
    columns = (
        Column("count", "integer"),
        Column("entity", "text"),
        Column("amount", "number"),
        Column("ok", "boolean"),
        Column("time", "time"),
        Column("changes", "json"),
        Column("text", "text"),
        Column("nothing", "text"),
    )
    return Answer(session(), sql, columns, title="Typed")


def state_answer() -> Answer:
    """Give nested states with their flat form; two fields differ in nothing but case."""
    nested = "select 'account-1' as e, '{\"balance\":5,\"Balance\":6}' as s"
    flat = "select 'account-1', 5, 6"
    flat_columns = (Column("entity", "text"), Column("state.balance", "integer"), Column("state.Balance", "integer"))
    return Answer(session(), nested, (Column("entity", "text"), Column("state", "json")), flat, flat_columns)


def number_answer(sql_values: list[str]) -> Answer:
    """Give numbers of different SQL types, one column each."""
    columns = tuple(Column(f"v{index}", "number") for index in range(len(sql_values)))
    names = ", ".join(f"{value} as {identifier(f'v{index}')}" for index, value in enumerate(sql_values))
    return Answer(session(), f"select {names}", columns)


def written(answer: Answer, target: Target) -> bytes:
    """Write an answer into memory."""
    buffer = io.BytesIO()
    write(answer, replace(target, destination=buffer))
    return buffer.getvalue()
