"""Numbers of any digits and exponent, in conditions, aggregates and columns, however states are folded."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from decimal import MAX_EMAX, MIN_EMIN, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal, localcontext
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from esctl.engine.duckdb import connect
from esctl.errors import UsageError
from esctl.index.decode.strict_json import canonical_number
from esctl.model import MARK
from esctl.projection import wide
from esctl.projection.spec import parse_projection
from tests.support import effort
from tests.support.cli_harness import esctl, good, plain_event, refused, write_lines

EXACT = Context(prec=3000, Emax=MAX_EMAX, Emin=MIN_EMIN)
NUMBERS = (
    "0", "-0", "1", "-1", "9", "10", "2.5", "2.50", "0.4", "1e40", "1e-40", "1E+2", "1e400", "-1e400", "1e-400", "-1.5",
    "123456789012345678901234567890123456789012.5", "-0.000000000001", "1e21", "1e-18", "99999999999999999999", "-0.05",
    "1e100", "1e99", "1e-99", "12.5e-101", "7", "-3", "6.02e23", "33333333333333333333.3333333333333333333333",
)  # fmt: skip
BEYOND = "error('beyond')"


def keyed(expression: str) -> list[tuple[str, str, str | None]]:
    """Give a result for each pair of NUMBERS: `x` and `y` are their keys."""
    listed = ", ".join(f"({i}, '{text}')" for i, text in enumerate(NUMBERS))
    table = f"SELECT i, s, {wide.number_key('s')} AS k FROM (VALUES {listed}) t(i, s)"
    pairs = f"SELECT a.i AS i, b.i AS j, a.s AS s, b.s AS t, a.k AS x, b.k AS y FROM ({table}) a, ({table}) b"
    return connect(threads=1).execute(f"SELECT s, t, {expression} FROM ({pairs}) ORDER BY i, j").fetchall()


def test_keys_compare_as_their_numbers_do() -> None:
    for s, t, found in keyed("[x < y, x = y]"):
        assert found == [Decimal(s) < Decimal(t), Decimal(s) == Decimal(t)], (s, t)


@pytest.mark.parametrize("operation", ["added", "multiplied", "divided", "remainder", "floor", "rounded", "negated"])
def test_keys_are_reckoned_with_exactly(operation: str) -> None:
    sql = {
        "added": wide.added("x", "y", BEYOND),
        "multiplied": wide.multiplied("x", "y", BEYOND),
        "divided": wide.divided("x", "y", 12, BEYOND),
        "remainder": wide.remainder("x", "y", BEYOND),
        "floor": wide.to_whole("x", up=False),
        "rounded": wide.rounded("x", 2),
        "negated": wide.negated("x"),
    }[operation]
    for s, t, found in keyed(wide.key_text(sql)):
        with localcontext(EXACT):
            wanted = _reckoned(operation, Decimal(s), Decimal(t))
        assert found == (None if wanted is None else canonical_number(str(wanted).lower())), (s, t)


def _reckoned(operation: str, x: Decimal, y: Decimal) -> Decimal | None:
    if operation in ("divided", "remainder") and y == 0:
        return None
    match operation:
        case "added":
            return x + y
        case "multiplied":
            return x * y
        case "divided":
            return (x / y).quantize(Decimal("1e-12"), ROUND_HALF_UP)
        case "remainder":
            return x % y
        case "floor":
            return x.to_integral_value(ROUND_FLOOR)
        case "rounded":
            return x.quantize(Decimal("0.01"), ROUND_HALF_UP)
        case _:
            return -x


CONFIG = """
[projections.set.on."*"]
merge = "data"
[projections.patch.on."*"]
merge_patch = "data"
[projections.replaced.on."*"]
replace = "data"
[projections.code]
python = "code:fold"
"""
WAYS = ("set", "patch", "replaced", "code")


def store(folder: Path, values: Sequence[Any], config: str = CONFIG) -> Path:
    """Ingest an event a day, each of an entity of its own but for the second, which is of the first's."""
    lines = []
    for i, value in enumerate(values, 1):
        entity = f"a-{max(i - 1, 1)}"
        data = value if isinstance(value, str) and value.startswith("{") else f'{{"n":{value}}}'
        time = f"2024-01-{i:02d}T00:00:00Z"
        lines.append(f'{{"id":{i},"type":"T","time":"{time}","stream":"{entity}","data":{data}}}\n')
    (folder / "log.jsonl").write_text("".join(lines), encoding="utf-8")
    (folder / "esctl.toml").write_text(config, encoding="utf-8")
    (folder / "code.py").write_text("def fold(s, e):\n    return {**s, **(e['data'] or {})}\n", encoding="utf-8")
    good("ingest", "log.jsonl", cwd=folder)
    return folder


def rows(*arguments: object, cwd: Path) -> list[dict[str, Any]]:
    done = good(*arguments, "-f", "jsonl", cwd=cwd)
    assert MARK not in done.text
    return [json.loads(line, parse_float=Decimal, parse_int=Decimal) for line in done.text.splitlines()]


LOGS = (
    ("1e40", "2.5", "0.4", "77"),
    ("1e21", "1e-18", "-3"),
    ("0.000000000001", "0", "0.000000000002", "-0"),
    ("1e400", "1e-400", "1E+2", "123456789012345678901234567890123456789012.5"),
)
CONDITIONS = (
    "n > 2.6",
    "n = 2.5",
    "n = 0",
    "n >= 1e-18",
    "n < 1e-300",
    "n * 2 + 1 > 6",
    "n - 1 <= -0.6",
    "n in (100, 77)",
)


def test_conditions_are_those_of_a_filter_over_the_states(tmp_path: Path) -> None:
    for number, values in enumerate(effort.some(LOGS, 2)):
        folder = tmp_path / str(number)
        folder.mkdir()
        store(folder, values)
        found = {row["entity"]: row["state"]["n"] for row in rows("replay", cwd=folder)}
        for way, condition in effort.some([*product(WAYS, CONDITIONS)], 13):
            test = condition.replace(" = ", " == ")
            for literal in ("2.6", "2.5", "1e-18", "1e-300", "0.6"):
                test = test.replace(literal, f"Decimal('{literal}')")
            with localcontext(EXACT):
                wanted = [name for name, n in found.items() if eval(test, {"Decimal": Decimal, "n": n})]
            told = [row["entity"] for row in rows("replay", "-p", way, "--where", condition, cwd=folder)]
            assert told == wanted, (values, way, condition)


@pytest.mark.parametrize("way", WAYS)
def test_aggregates_are_exact(tmp_path: Path, way: str) -> None:
    folder = store(tmp_path, LOGS[0])

    def last(expression: str) -> Any:
        return rows("series", expression, "-p", way, "--every", "1d", "--from", "2024-01-03", cwd=folder)[-1]["value"]

    assert last("sum(n)") == Decimal("79.9")
    assert last("avg(n)") == Decimal("26.633333333333")
    assert last("min(n)") == Decimal("0.4")
    assert last("max(n) - min(n)") == Decimal("76.6")
    assert last("count(distinct n)") == 3
    assert last("sum(n * n) filter (n > 1)") == Decimal("5935.25")
    first = rows("series", "sum(n)", "-p", way, "--every", "1d", cwd=folder)[0]
    assert first["value"] == Decimal("1e40")
    moments = rows("when", "n < 3", "-p", way, cwd=folder)
    assert [row["position"] for row in moments] == [2, 3]


def test_events_are_picked_by_numbers_of_any_digits(tmp_path: Path) -> None:
    config = """
[projections.p.on.T]
when = "data.n <= 10"
count = "c"
add = { t = "data.n" }
max = { m = "data.n" }
"""
    folder = store(tmp_path, LOGS[0], config)
    assert [row["position"] for row in rows("log", "--where", "data.n > 2.5", cwd=folder)] == [1, 4]
    assert [row["state"] for row in rows("replay", "-p", "p", cwd=folder)] == [
        {"c": 1, "t": Decimal("2.5"), "m": Decimal("2.5")},
        {"c": 1, "t": Decimal("0.4"), "m": Decimal("0.4")},
        {},
    ]


def test_an_error_about_a_value_shows_no_mark(tmp_path: Path) -> None:
    folder = store(tmp_path, ["1e40", '"x"', "[12345678901234567890.5]"])
    message, _ = refused("log", "--where", "data.n", code=2, cwd=folder)
    assert message == "event @1: data.n is neither true nor false: 10000000000000000000000000000000000000000"
    message, _ = refused("log", "--where", "data.n > 1 and position = 3", code=2, cwd=folder)
    assert MARK not in message


NESTED = ('{"o":{"x":2.55}}', '{"o":{"x":12.25}}', '{"o":{"x":1e-20}}')


@pytest.mark.parametrize("way", WAYS)
def test_numbers_inside_objects_keep_their_digits(tmp_path: Path, way: str) -> None:
    folder = store(tmp_path, NESTED)
    for condition, wanted in (("o.x > 2.55", ["a-1"]), ("o.x > 0", ["a-1", "a-2"]), ("o.x = 1e-20", ["a-2"])):
        assert [row["entity"] for row in rows("replay", "-p", way, "--where", condition, cwd=folder)] == wanted


def test_a_quotient_that_was_set_keeps_its_digits(tmp_path: Path) -> None:
    config = '[projections.p.on."*"]\nset = { q = "data.n / 4" }\n'
    folder = store(tmp_path, ["7", "5", "1"], config)
    assert [row["entity"] for row in rows("replay", "-p", "p", "--where", "q = 0.25", cwd=folder)] == ["a-2"]


EXTREMES = """
[projections.p]
types = {{ {types} }}
on.T.max = {{ m = "data.n" }}
{more}
"""
STEPPED = 'on.Never.merge_patch = "{}"'


@pytest.mark.parametrize("more", ["", STEPPED])
@pytest.mark.parametrize(
    ("types", "wanted"),
    [
        ("", "event @1: data.n is not a number: \"b\""),
        ('m = "decimal(9,2)"', "event @1: data.n is not a number: \"b\""),
        ('m = "varchar"', ["b", "c"]),
        ('m = "text"', ["b", "c"]),
    ],
)  # fmt: skip
def test_both_ways_to_fold_agree_about_the_maximum_of_texts(
    tmp_path: Path, types: str, wanted: str | list[str], more: str
) -> None:
    folder = store(tmp_path, ['"b"', '"a"', '"c"'], EXTREMES.format(types=types, more=more))
    if isinstance(wanted, str):
        assert refused("replay", "-p", "p", code=2, cwd=folder)[0] == wanted
    else:
        assert [row["state"]["m"] for row in rows("replay", "-p", "p", cwd=folder)] == wanted


@pytest.mark.parametrize("more", ["", STEPPED])
@pytest.mark.parametrize(
    ("written", "known"),
    [
        (" decimal(3,2)", "decimal(3,2)"),
        ("decimal(3,\\t2)\\n", "decimal(3,2)"),
        ("\\t NUMERIC( 3 , 2 ) ", "NUMERIC(3,2)"),
        (" bigint\\t", "bigint"),
    ],
)
def test_blanks_in_a_declared_type_change_nothing(tmp_path: Path, written: str, known: str, more: str) -> None:
    number = "6917529027641081856" if known == "bigint" else "9.99"
    toml = f'[projections.p]\ntypes = {{ t = "{written}", u = "{written}" }}\non.T.add.t = "data.n"\n'
    folder = store(tmp_path, [number] * 3, f'{toml}on.T.set.u = "data.n"\n{more}\n')
    assert good("replay", "-p", "p", "--at", "@1", "--columns", "state", cwd=folder).text == (
        f'{{"state":{{"t":{number},"u":{number}}}}}\n'
    )
    message, _ = refused("replay", "-p", "p", code=2, cwd=folder)
    assert message == f"event @1: t is {2 * Decimal(number)}, which does not fit {known}"


@pytest.mark.parametrize(
    "written", ["decimal (3,2)", "big int", "decimal(3)", "decimal(\N{ARABIC-INDIC DIGIT THREE},2)", ""]
)
def test_what_is_no_declared_type_is_refused(written: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"c.toml: projections.p.types.t: unknown type {written!r}")):
        parse_projection("p", {"types": {"t": written}}, "c.toml")


FOLDS = (
    'types = { t = "decimal(4,2)" }\non.T.add = { t = "data.n" }',
    'types = { t = "decimal(4,2)" }\non.T.set = { t = "data.n" }',
    'types = { n = "decimal(4,2)" }\non.T.merge = "data"',
    'types = { n = "timestamp" }\non.T.merge = "data"',
    'types = { t = "int" }\non.T.set = { t = "data.n" }',
    'on.T.add = { t = "data.n" }\non.U.set = { t = "data.n" }',
    'on.T.append = { t = "data.n" }',
    'on.T.add = { t = "data.n / 3" }',
    'on.T.merge = "data.n"',
)


@pytest.mark.parametrize("values", [("60", "50", "1"), ("1.5", "2.25", "0.125"), ('"x"', "1", "2")])
def test_a_rule_that_never_applies_changes_no_answer_and_no_error(tmp_path: Path, values: Sequence[str]) -> None:
    pairs = [f"[projections.p{i}]\n{fold}\n[projections.q{i}]\n{fold}\n{STEPPED}\n" for i, fold in enumerate(FOLDS)]
    folder = store(tmp_path, values, "".join(pairs))
    for i, fold in effort.some([*enumerate(FOLDS)], 5):
        for asked in (("-f", "csv"), ("--where", "t > 1"), ("--where", "nothing > 1")):
            done = [esctl("replay", "-p", f"{name}{i}", *asked, cwd=folder) for name in "pq"]
            # Of several events at fault, a condition names whichever it comes to first.
            told = [(one.code, "" if one.code else one.text, "t >" in asked[1] or _error(one.err)) for one in done]
            assert told[0] == told[1], (fold, asked)
            if done[0].code:
                break  # of two mistakes at once, either may be told


def _error(told: str) -> str:
    return "".join(line for line in told.splitlines() if line.startswith("esctl: error"))


@pytest.mark.parametrize("way", WAYS)
def test_columns_of_states_keep_the_kind_of_their_values(tmp_path: Path, way: str) -> None:
    values = [
        '{"n":1}',
        '{"n":-5.25,"b":true,"s":"=x","o":{"k":1.5},"x":1}',
        '{"n":7,"b":false,"s":"y","o":[1],"x":"1"}',
    ]
    folder = store(tmp_path, values)
    names = ("n", "b", "s", "o", "x")
    asked = ("replay", "-p", way, "--columns", ",".join(f"state.{name}" for name in names))
    wanted = [{name: row["state"][name] for name in names} for row in rows("replay", "-p", way, cwd=folder)]
    assert rows(*asked, cwd=folder) == [{f"state.{name}": value for name, value in row.items()} for row in wanted]
    assert good(*asked, "-f", "csv", cwd=folder).text.splitlines()[1] == """-5.25,true,'=x,"{""k"":1.5}",1"""
    good("replay", "-p", way, "-f", "parquet", "-o", "states.parquet", cwd=folder)
    table = pq.read_table(folder / "states.parquet")
    assert table["state.n"].to_pylist() == [Decimal("-5.25"), Decimal(7)]
    assert table["state.b"].to_pylist() == [True, False]
    twice = good("replay", "-p", way, "--columns", "entity,state.n,state,entity", "-f", "jsonl", cwd=folder).text
    for line in twice.splitlines():
        keys = [key for key, _ in json.loads(line, object_pairs_hook=list)]
        assert len(keys) == len(set(keys))


@pytest.mark.parametrize("count", [3, 600])
def test_a_field_is_a_column_beside_the_whole_state_however_many_there_are(tmp_path: Path, count: int) -> None:
    data = {"n": 2.5, "o": {"z": 1}, **{f"k{number}": number for number in range(count)}}
    record = {"id": "1", "type": "T", "time": "2024-01-01T00:00:00Z", "stream": "a-1", "data": data}
    (tmp_path / "log.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
    good("ingest", "log.jsonl", cwd=tmp_path)
    asked = ("replay", "--columns", "entity,state.n,state.o,state")
    told = json.loads(good(*asked, "-f", "jsonl", cwd=tmp_path).text)
    assert told == {"entity": "a-1", "state.n": 2.5, "state.o": {"z": 1}, "state": data}
    cells = good("replay", "--columns", "entity,state.n,state.o", "-f", "csv", cwd=tmp_path).text
    assert cells.splitlines() == ["entity,state.n,state.o", 'a-1,2.5,"{""z"":1}"']
    good("replay", "--columns", "state.n", "-f", "parquet", "-o", "out.parquet", cwd=tmp_path)
    assert pq.read_table(tmp_path / "out.parquet")["state.n"].to_pylist() == [Decimal("2.5")]


def test_a_quotient_of_wide_numbers_is_that_of_their_digits(tmp_path: Path) -> None:
    a, b = "1234567890123456789012345678901234567890123.5", "617283945061728394506172839450617283945061.75"
    (tmp_path / "a.jsonl").write_text(f'{{"id":"1","type":"T","stream":"s-1","data":{{"a":{a},"b":{b},"c":3}}}}\n')
    good("ingest", "a.jsonl", cwd=tmp_path)
    for where in ("data.a / data.b = 2", "data.b / data.a = 0.5", "data.c / 2 = 1.5"):
        assert good("log", "--where", where, "--columns", "position", cwd=tmp_path).rows == [{"position": 1}]


def test_types_that_can_be_cast_to_are_named(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [plain_event(1, x=1)])
    good("ingest", "a.jsonl", cwd=tmp_path)
    told = refused("log", "--where", "cast(data.x as blob) = 1", code=2, cwd=tmp_path)
    hint = "one of: decimal(p,s), bigint, double, varchar, boolean, timestamp"
    assert told == ("--where: unknown type 'BLOB'", hint)
