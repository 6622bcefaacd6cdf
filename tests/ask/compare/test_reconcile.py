"""Reconcile finds just what was changed in a file of states, whatever its format and spelling."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esctl.ask.compare.reconcile import Comparison, reconcile
from esctl.ask.compare.same_value import ValueComparison
from esctl.errors import UsageError
from tests.ask.states.test_engine_reference import hold
from tests.reference import same
from tests.reference.mapping import dump
from tests.support import effort
from tests.support.cli_harness import esctl, good, ingest_samples, plain_event, refused, write_lines
from tests.support.drawn_values import Log
from tests.support.engine_harness import Engine, engine, exact, fetch

FORMATS = ("jsonl", "json", "csv", "tsv", "parquet", "arrow")
Row = dict[str, Any]
Key = tuple[str, str]


def differences(made: Engine, path: Path, how: Comparison | None = None) -> set[tuple[str, str, str, str]]:
    """Reconcile with a file; give (kind, entity, difference, field)."""
    rows = fetch(reconcile(made.scope(), path, None, how or Comparison()).answer)
    return {(row[1], row[0], row[2], row[3] or "") for row in rows}


def perturbed(states: dict[Key, Row], choose: Callable[[int], int]) -> tuple[list[Row], set[tuple[str, str, str, str]]]:
    """Change states at random; give the rows of a file, and the differences as one would count them by hand."""
    rows, expected = [], set()
    for (kind, entity), state in states.items():
        what = choose(8)
        if what == 0:
            expected.add((kind, entity, "missing", ""))
            continue
        told = dict(state)
        for field in state:
            new = [state[field], state[field], f"not {field}", -987654, None, [state[field]]][choose(6)]
            if not same(new, state[field]):
                told[field] = new
                expected.add((kind, entity, "different", field))
        rows.append({"kind": kind, "entity": entity, "state": dict(reversed(told.items()))})
    if choose(2):
        rows.append({"kind": "thing", "entity": "unheard-of", "state": {}})
        expected.add(("thing", "unheard-of", "extra", ""))
    return rows, expected


@pytest.mark.parametrize("number", effort.numbers(2))
def test_what_was_changed_is_found_and_nothing_else(number: int, tmp_path: Path) -> None:
    seen: Counter[str] = Counter()

    def check(log: Log) -> None:
        dice = Random(crc32(repr(log).encode()))
        with engine(log) as made:
            try:
                replayed = made.replay({})
            except UsageError:
                return
            states = {key: state.state for key, state in replayed.items() if state.state is not None}
            rows, expected = perturbed(states, dice.randrange)
            known = {name for row in rows for name in row["state"]}
            expected = {row for row in expected if not row[3] or row[3] in known}
            if made.projection and made.projection.entities:  # a glob that takes in no unheard-of entity
                expected -= {("thing", "unheard-of", "extra", "")}
            path = tmp_path / "told.jsonl"
            path.write_bytes(b"".join(dump(row) + b"\n" for row in rows) or b"\n")
            if rows:
                assert differences(made, path) == expected
                seen.update(row[2] for row in expected)

    hold(check, effort.examples(25, 10), 950 + number, always=True)
    assert seen["missing"] > 1
    assert seen["different"] > 5
    assert seen["extra"] > 1


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ingest_samples(tmp_path_factory.mktemp("reconcile"))


@pytest.mark.parametrize("kind", effort.some(FORMATS, 3))
def test_what_replay_writes_is_what_the_log_says(store: Path, kind: str) -> None:
    good("replay", "--at", "2024-03-01", "-o", f"states.{kind}", "-q", cwd=store)
    told = ("reconcile", f"states.{kind}", "--at", "2024-03-01")
    for glob, equal in (("account-*", 51), ("public.orders/*", 197), ("sku-*", 36), ("sensor-*", 4)):
        done = good(*told, glob, cwd=store)
        assert done.out == b""
        assert f"{equal} equal, 0 missing, 0 extra, 0 different" in done.err
    later = esctl("reconcile", f"states.{kind}", "--at", "2024-03-02", "account-*", cwd=store)
    assert later.code == 1
    assert b'"different"' in later.out


def test_states_of_all_projections_are_reconciled_at_once(store: Path) -> None:
    good("replay", "--at", "2024-03-01", "-o", "all.jsonl", "-q", cwd=store)
    done = good("reconcile", "all.jsonl", "--at", "2024-03-01", cwd=store)
    assert done.out == b""
    assert "289 equal, 0 missing, 0 extra, 0 different" in done.err


@pytest.fixture(scope="module")
def orders(store: Path) -> Path:
    """Write a shop's own table: order 1004 was lost, 1005 was tampered with, 99 never existed."""
    states = [row["state"] for row in good("replay", "public.orders/*", cwd=store).rows]
    with (store / "orders.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "status", "total", "shelf"])
        for state in states:
            if state["id"] != 1004:
                total = f"{Decimal(str(state['total'])):.2f}"
                status = "returned" if state["id"] == 1005 else state["status"]
                writer.writerow([state["id"], status, total, "A1"])
        writer.writerow([99, "new", "5.00", "A1"])
    return store


def test_a_table_of_another_system_is_matched_by_a_template(orders: Path) -> None:
    done = esctl("reconcile", "orders.csv", "--key", "public.orders/{id}", cwd=orders)
    assert done.code == 1
    assert [(row["entity"], row["difference"], row["field"]) for row in done.rows] == [
        ("public.orders/1004", "missing", None),
        ("public.orders/1005", "different", "status"),
        ("public.orders/99", "extra", None),
    ]
    missing, different, extra = done.rows
    assert (different["log"], different["file"]) == ("packed", "returned")
    assert different["type"] == "update"
    assert different["position"] is not None
    assert missing["log"]["status"] == "shipped"
    assert missing["position"] is not None
    assert extra["position"] is None
    assert extra["file"] == {"id": "99", "status": "new", "total": "5.00"}
    assert "note: not compared, as no state has them: shelf" in done.err
    assert "273 equal, 1 missing, 1 extra, 1 different" in done.err


def test_fields_can_be_left_out_or_all_compared(orders: Path) -> None:
    key = ("--key", "public.orders/{id}")
    done = esctl("reconcile", "orders.csv", *key, "--ignore", "status", cwd=orders)
    assert [row["difference"] for row in done.rows] == ["missing", "extra"]
    done = esctl("reconcile", "orders.csv", *key, "public.orders/1006", "--all-fields", cwd=orders)
    assert {"customer", "shelf"} <= {row["field"] for row in done.rows}
    assert "status" not in {row["field"] for row in done.rows}
    done = good("reconcile", "orders.csv", *key, "public.orders/1006", cwd=orders)
    assert done.out == b""
    assert esctl("reconcile", "orders.csv", *key, "--no-exit-code", cwd=orders).code == 0
    assert esctl("reconcile", "orders.csv", *key, "--limit", "0", cwd=orders).code == 1


def test_a_deleted_entity_that_the_file_still_has_names_its_deletion(store: Path) -> None:
    (store / "left.jsonl").write_text('{"entity": "account-009", "owner": "customer 009"}\n')
    done = esctl("reconcile", "left.jsonl", "account-009", cwd=store)
    (row,) = done.rows
    assert (row["difference"], row["type"]) == ("extra", "AccountClosed")


def test_entities_of_one_event_are_told_once_each(tmp_path: Path) -> None:
    roles = '[mapping.entities]\ngiver = "data.giver"\ntaker = "data.taker"\n'
    (tmp_path / "esctl.toml").write_text(f'[mapping]\nid = "id"\ntype = "type"\ntime = "time"\ndata = "data"\n{roles}')
    moves = [plain_event(1, giver="a", taker="b"), plain_event(2, giver="b", taker="c")]
    write_lines(tmp_path / "moves.jsonl", moves)
    good("ingest", "moves.jsonl", "-q", cwd=tmp_path)
    write_lines(tmp_path / "told.jsonl", [{"entity": "d", "giver": "x"}])
    done = esctl("reconcile", "told.jsonl", cwd=tmp_path)
    assert [(row["entity"], row["difference"], row["position"]) for row in done.rows] == [
        ("a", "missing", 1), ("b", "missing", 2), ("c", "missing", 2), ("d", "extra", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "arguments", "code", "told"),
    [
        ("a,b\n1,2\n", (), 2, "no column 'entity'"),
        ("a,b\n1,2\n", ("--key", "x/{c}"), 2, "no column 'c'"),
        ("entity,b\nx,1\nx,2\n", (), 3, "'x' twice"),
        ("entity,b\n,1\n", (), 3, "row 1 has no key"),
        ("entity,b\nx,1,2\n", (), 3, "row 1 cannot be read"),
        ("entity,b\nx,1\n", ("nothing-1",), 4, "nothing-1"),
    ],
)
def test_a_file_that_cannot_be_compared_is_told(
    store: Path, content: str, arguments: tuple[str, ...], code: int, told: str
) -> None:
    (store / "wrong.csv").write_text(content)
    assert told in refused("reconcile", "wrong.csv", *arguments, code=code, cwd=store)[0]


def test_a_comparison_of_no_field_is_refused_with_the_columns_of_both(tmp_path: Path) -> None:
    write_lines(tmp_path / "events.jsonl", [plain_event(1, "x-1", amount=1, owner="ann")])
    good("ingest", "events.jsonl", "-q", cwd=tmp_path)
    (tmp_path / "told.csv").write_text("entity,Betrag,Inhaber\nx-1,2,bob\n")
    message, hint = refused("reconcile", "told.csv", code=2, cwd=tmp_path)
    assert message == "told.csv: nothing to compare: the file has Betrag, Inhaber, and the state has amount, owner"
    assert "--all-fields" in hint
    done = esctl("reconcile", "told.csv", "--all-fields", cwd=tmp_path)
    assert {row["field"] for row in done.rows} == {"amount", "owner", "Betrag", "Inhaber"}
    (tmp_path / "told.csv").write_text("entity\nx-1\n")  # a list of what is there
    assert "1 equal" in good("reconcile", "told.csv", cwd=tmp_path).err


@pytest.mark.parametrize(("name", "content"), [("empty.csv", "entity,owner\n"), ("empty.jsonl", "")])
def test_a_system_that_has_nothing_lacks_everything(store: Path, name: str, content: str) -> None:
    (store / name).write_text(content)
    done = esctl("reconcile", name, "-p", "account", cwd=store)
    assert {row["difference"] for row in done.rows} == {"missing"}
    assert "0 equal, 56 missing, 0 extra, 0 different" in done.err


def test_a_file_that_is_none(store: Path) -> None:
    assert "no such file" in refused("reconcile", "nowhere.csv", code=3, cwd=store)[0]
    for name in (".", "/dev/null"):
        assert f"{name}: is a folder or a device, and no file" in refused("reconcile", name, code=3, cwd=store)[0]


def test_values_are_compared_as_what_they_are(tmp_path: Path) -> None:
    events = [
        plain_event(1, "x-1", amount=1, big=0.5, ok=True, note="=1+1", at="2024-01-02T00:00:00Z", tags=["a", {"b": 1}]),
        plain_event(2, "x-2", amount=2, ok=False, note="", gone=None),
    ]
    path = write_lines(tmp_path / "events.jsonl", events)
    wide = '"amount": 12345678901234567890.12345678'
    path.write_text(path.read_text().replace('"big": 0.5', wide.replace("amount", "big")))
    good("ingest", "events.jsonl", "-q", cwd=tmp_path)
    head = "entity,amount,big,ok,note,at,tags,gone\n"
    one = """x-1,1.0,12345678901234567890.12345678,TRUE,'=1+1,2024-01-02 01:00:00+01:00,"[""a"", {""b"": 1.0}]",\n"""
    two = "x-2,2,,f,,,,\n"
    (tmp_path / "told.csv").write_text(head + one + two)
    assert good("reconcile", "told.csv", cwd=tmp_path).out == b""
    (tmp_path / "told.csv").write_text(head + one.replace("12345678,TRUE", "12345679,TRUE") + two.replace("f", "1"))
    done = esctl("reconcile", "told.csv", cwd=tmp_path)
    assert [(row["entity"], row["field"]) for row in done.rows] == [("x-1", "big"), ("x-2", "ok")]
    assert "12345678901234567890.12345678" in done.text
    table = pa.table({
        "entity": ["x-1", "x-2"], "amount": pa.array([Decimal("1.00"), Decimal("2.00")]), "ok": [True, False],
        "big": pa.array([Decimal("12345678901234567890.12345678"), None]),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "told.parquet")
    assert good("reconcile", "told.parquet", cwd=tmp_path).out == b""


def reconciled(folder: Path, name: str, text: str) -> list[tuple[str, str, str]]:
    """Reconcile with a file of this text; give entity, difference and field."""
    (folder / name).write_text(text)
    return [(row["entity"], row["difference"], row["field"]) for row in esctl("reconcile", name, cwd=folder).rows]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("told.csv", "entity,state,total\no-1,open,999\no-2,WRONG,7\no-3,paid,9\n"),
        ("told.jsonl", "".join(
            json.dumps({"entity": f"o-{n}", "state": state, "total": total}) + "\n"
            for n, state, total in ((1, "open", 999), (2, "WRONG", 7), (3, "paid", 9))
        )),
    ],
)  # fmt: skip
def test_a_column_named_state_that_holds_no_objects_is_a_field(tmp_path: Path, name: str, text: str) -> None:
    told = (("open", 5), ("open", 7), ("paid", 9))
    events = [plain_event(n, f"o-{n}", state=state, total=total) for n, (state, total) in enumerate(told, 1)]
    write_lines(tmp_path / "events.jsonl", events)
    good("ingest", "events.jsonl", "-q", cwd=tmp_path)
    assert reconciled(tmp_path, name, text) == [("o-1", "different", "total"), ("o-2", "different", "state")]
    for odd in ("{draft}", ""):  # what begins as an object and is none, and a column without any value
        rows = "".join(f"o-{n},{odd},{total}\n" for n, total in ((1, 5), (2, 7), (3, 9)))
        found = reconciled(tmp_path, "odd.csv", "entity,state,total\n" + rows)
        assert found == [(f"o-{n}", "different", "state") for n in (1, 2, 3)]


def test_a_text_that_looks_like_a_number_is_compared_as_the_type_in_the_log(tmp_path: Path) -> None:
    events = [plain_event(n, f"o-{n}", ver=ver, n=1.5) for n, ver in enumerate(("1.1", "2.10", "3", "4.0"), 1)]
    path = write_lines(tmp_path / "events.jsonl", events)
    path.write_text(path.read_text().replace("1.5", "1234567890123456789.5"))  # a number that the index marks
    good("ingest", "events.jsonl", "-q", cwd=tmp_path)
    told = "entity,ver,n\n" + "".join(
        f"o-{n},{ver},1234567890123456789.{'50' if n < 4 else '6'}\n"
        for n, ver in enumerate(("1.10", "2.1", "3.0", "4.0"), 1)
    )
    assert reconciled(tmp_path, "told.csv", told) == [
        ("o-1", "different", "ver"),
        ("o-2", "different", "ver"),
        ("o-3", "different", "ver"),
        ("o-4", "different", "n"),
    ]


@pytest.mark.parametrize("cell", ["1e99999999999999999999", "1e-99999999999999999999", "-1E+99999999999999999999"])
def test_a_number_beyond_all_bounds_is_another_one(tmp_path: Path, cell: str) -> None:
    write_lines(tmp_path / "events.jsonl", [plain_event(1, "o-1", total=5)])
    good("ingest", "events.jsonl", "-q", cwd=tmp_path)
    assert reconciled(tmp_path, "told.csv", f"entity,total\no-1,{cell}\n") == [("o-1", "different", "total")]


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    events = [
        plain_event(n, f"k-{n}", name=name, cost=cost, at=f"2024-03-{n:02}T09:00:00Z", day=f"2024-03-{n:02}")
        for n, name, cost in ((5, "Müller", 1234.5), (13, "Ärger", 0.25))
    ]
    write_lines(tmp_path / "events.jsonl", events)
    good("ingest", "events.jsonl", "-q", cwd=tmp_path)
    return tmp_path


GERMAN = """entity;name;cost;at;day
k-5;Müller;1234,50;05.03.2024 10:00:00;05.03.2024
k-13;Ärger;0,25;13.03.2024 10:00;13.03.24
"""


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
@pytest.mark.parametrize("before", ["", "sep=;\n", "# exported\n"])
def test_a_table_is_read_as_a_source_is(clinic: Path, encoding: str, before: str) -> None:
    (clinic / "told.csv").write_bytes((before + GERMAN).encode(encoding))
    zone = ("--tz", "Europe/Vienna")
    assert "2 equal" in good("reconcile", "told.csv", "--decimal", ",", *zone, cwd=clinic).err
    done = esctl("reconcile", "told.csv", "--decimal", ",", cwd=clinic)
    assert {row["field"] for row in done.rows} == {"at"}  # 10:00 is another instant in UTC
    (clinic / "told.csv").write_bytes((before + GERMAN.replace(";13.03.24", ";14.03.24")).encode(encoding))
    done = esctl("reconcile", "told.csv", "--decimal", ",", *zone, cwd=clinic)
    assert [(row["entity"], row["field"]) for row in done.rows] == [("k-13", "day")]


def test_dates_of_two_readings_are_asked_for(clinic: Path) -> None:
    (clinic / "told.csv").write_text("entity,day\nk-5,03/05/2024\n")
    message, hint = refused("reconcile", "told.csv", "k-5", code=2, cwd=clinic)
    assert message == "told.csv: day and month of day cannot be told apart: '03/05/2024'"
    assert "--time-format day-first" in hint
    assert good("reconcile", "told.csv", "k-5", "--time-format", "month-first", cwd=clinic).out == b""
    assert good("reconcile", "told.csv", "k-5", "--time-format", "%m/%d/%Y", cwd=clinic).out == b""
    assert esctl("reconcile", "told.csv", "k-5", "--time-format", "day-first", cwd=clinic).code == 1


def test_texts_of_two_readings_are_compared_as_texts_where_the_log_has_no_times(tmp_path: Path) -> None:
    write_lines(tmp_path / "events.jsonl", [plain_event(1, "k-1", day="03/05/2024"), plain_event(2, "k-2", day="x")])
    good("ingest", "events.jsonl", "-q", cwd=tmp_path)
    (tmp_path / "told.csv").write_text("entity,day\nk-1,03/05/2024\nk-2,05/03/2024\n")
    done = esctl("reconcile", "told.csv", cwd=tmp_path)
    assert [row["entity"] for row in done.rows] == ["k-2"]


def test_other_readings_of_a_table_are_said_as_to_ingest(clinic: Path) -> None:
    (clinic / "told.txt").write_text("k-5|Müller\nk-13|Ärger\n".replace("|", ","))
    done = good("reconcile", "told.txt", "--input-format", "csv", "--no-header", "--key", "column_1", "--all-fields",
                "--no-exit-code", "-q", cwd=clinic)  # fmt: skip
    assert {row["field"] for row in done.rows} >= {"column_2", "name"}
    (clinic / "told.json").write_text('{"meta": [], "page": {"rows": [{"entity": "k-5", "cost": "1234.50"}]}}')
    assert good("reconcile", "told.json", "k-5", "--records-path", "page.rows", cwd=clinic).out == b""


@pytest.mark.thorough
def test_streamed_states_are_compared_field_by_field(tmp_path: Path) -> None:
    write_lines(tmp_path / "events.jsonl", [plain_event(i, f"x-{i}", n=i, deep={"k": i}) for i in (1, 2)])
    (tmp_path / "esctl.toml").write_text('[projections.patch.on."*"]\nmerge_patch = "data"\n')
    good("ingest", "events.jsonl", "-q", cwd=tmp_path)
    for kind in FORMATS:
        good("replay", "-o", f"states.{kind}", "-q", cwd=tmp_path)
        assert good("reconcile", f"states.{kind}", cwd=tmp_path).out == b"", kind
    write_lines(tmp_path / "told.jsonl", [{"entity": "x-1", "n": 1, "deep": {"k": 5}}, {"entity": "x-2", "n": 2}])
    done = esctl("reconcile", "told.jsonl", cwd=tmp_path)
    assert [(row["entity"], row["field"], row["position"]) for row in done.rows] == [
        ("x-1", "deep", 1),
        ("x-2", "deep", 2),
    ]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


@settings(max_examples=150)
@given(VALUES, VALUES)
def test_values_agree_where_they_are_the_same(a: Any, b: Any) -> None:
    from esctl.projection.json_values import dumps

    agree = ValueComparison().agree
    assert agree(dumps(a), dumps(a), 0)
    if not isinstance(b, str):
        assert agree(dumps(a), dumps(b), 0) == same(a, b)
    assert same(exact(dumps(a)), a)


@pytest.mark.parametrize("text", ["1,237.50", "1.237,50", "1'237.50", "1 237,50", "1\u00a0237,5", "1237,5", "+1,237.5"])
def test_numbers_whose_marks_are_told_apart_are_read_in_any_language(text: str) -> None:
    assert ValueComparison().agree("1237.5", json.dumps(text), 0)
    assert not ValueComparison().agree("1237.4", json.dumps(text), 0)


@pytest.mark.parametrize("text", ["1,237", "1.237", "12,37.5", "1.2375,0", "1,2,3"])
def test_numbers_whose_marks_may_be_either_are_not_guessed(text: str) -> None:
    assert not ValueComparison().agree("1237", json.dumps(text), 0)


@pytest.mark.parametrize(("text", "truth"), [("WAHR", True), ("FALSCH", False), ("Yes", True), ("faux", False)])
def test_truths_are_read_in_any_language(text: str, truth: bool) -> None:
    assert ValueComparison().agree(json.dumps(truth), json.dumps(text), 0)
    assert not ValueComparison().agree(json.dumps(not truth), json.dumps(text), 0)


@pytest.mark.parametrize(
    ("text", "same_instant"),
    [
        ("2024-01-02T10:00:00.1234567Z", True),
        ("2024-01-02 11:00:00,123456700+01:00", True),
        ("1704189600123456700", True),
        ("1704189600.1234567", True),
        ("2024-01-02T10:00:00.1234568Z", False),
        ("2024-01-02T10:00:00.123456Z", False),
        ("1704189600123456800", False),
        ("1704189600123456", False),
    ],
)
def test_times_are_told_apart_below_a_microsecond(text: str, same_instant: bool) -> None:
    assert ValueComparison().agree('"2024-01-02T10:00:00.1234567Z"', json.dumps(text), 0) is same_instant
