"""An answer in Python: rows, frames and tables of others, what a notebook shows, and what it rests on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from esctl import Store
from esctl.api.shown import MOST_CHARACTERS, MOST_ROWS
from esctl.ask.scope.basis import parse_basis
from esctl.errors import UsageError
from tests.support.cli_harness import good, plain_event, write_lines


@pytest.fixture(scope="module")
def store(samples: Path) -> Iterator[Store]:
    with Store.open(samples / ".esctl") as opened:
        yield opened


def test_an_answer_is_a_collection_of_its_rows(store: Store) -> None:
    sensors = store.replay("sensor-*")
    assert len(sensors) == 4
    assert list(sensors) == sensors.rows()
    assert sensors
    assert not store.replay("sensor-*", where="version < 0")
    assert repr(sensors) == "<Relation states: entity, kind, state, version, position, time>"
    assert repr(store) == f"<Store {str(store.path)!r}>"


def test_rows_of_two_answers_are_read_side_by_side(store: Store) -> None:
    pairs = zip(store.replay("sensor-*"), store.entities("sensor-*"), strict=True)
    assert all(state["entity"] == entity["entity"] for state, entity in pairs)


def test_an_answer_is_taken_by_others_as_it_is(store: Store) -> None:
    polars, pandas, duckdb = (pytest.importorskip(name) for name in ("polars", "pandas", "duckdb"))
    states = store.replay("account-01*")
    table = states.arrow()
    assert pa.table(states).equals(table)
    assert polars.DataFrame(states).to_arrow().column("state.balance").to_pylist() == [
        row["state"].get("balance") for row in states.rows()
    ]
    assert states.pl().equals(polars.DataFrame(states))
    assert pandas.DataFrame.from_arrow(states).shape == states.df().shape == table.shape
    assert duckdb.sql("select count(*) from states").fetchall() == [(len(states),)]
    ((total,),) = states.relation().aggregate('sum("state.balance")').fetchall()
    assert total == sum(row["state"]["balance"] for row in states.rows())


def test_nothing_is_copied_on_the_way(store: Store) -> None:
    polars = pytest.importorskip("polars")
    table = store.entities().arrow()
    (events,) = table.column("events").chunks
    taken = polars.DataFrame(table).get_column("events").to_arrow()
    assert taken.buffers()[1].address == events.buffers()[1].address


def test_a_library_that_is_missing_is_named_with_its_extra(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, method in (("pandas", "df"), ("polars", "pl")):
        monkeypatch.setitem(__import__("sys").modules, name, None)
        with pytest.raises(UsageError, match=f"needs {name}") as refused:
            getattr(store.types(), method)()
        assert refused.value.hint == f"pip install 'esctl-audit[{name}]'"


def test_an_answer_tells_its_basis_and_notes_as_the_command_does(store: Store, samples: Path) -> None:
    done = good("replay", "sensor-*", "--at", "2024-02-01", "--basis", "-f", "jsonl", cwd=samples)
    states = store.replay("sensor-*", at="2024-02-01")
    *notes, basis = done.err.splitlines()
    assert states.basis == parse_basis(basis)
    assert states.notes() == notes
    assert store.verify().basis is None


def test_an_answer_that_is_bound_to_a_basis_rests_on_it(store: Store) -> None:
    basis = store.replay("sensor-*", at="2024-02-01", projection="sensor").basis
    assert basis is not None
    with store.on_basis(basis) as bound:
        assert bound.replay("sensor-*", projection="sensor").basis == basis
        with pytest.raises(UsageError, match="the basis has the projections"):
            bound.replay("sensor-*")
        with pytest.raises(UsageError, match="supposes other events away"):
            bound.replay("sensor-*", projection="sensor", without="@1")
        with pytest.raises(UsageError, match="the basis has 2024-02-01"):
            bound.replay("sensor-*", projection="sensor", at="2024-02-02")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("hostile")
    told = {"text": "<script>alert(1)</script>\x1b[31m\u202e", "long": "x" * 5000, "<b>": Decimal(1)}
    count = MOST_ROWS + 5
    events = [plain_event(n, f"<img src=x>-{n % count:02d}", **{**told, "<b>": n}) for n in range(2 * count)]
    write_lines(folder / "a.jsonl", events)
    with Store.create(folder / ".esctl") as opened:
        opened.ingest(folder / "a.jsonl", map="entity=stream")
        yield opened


def test_a_notebook_shows_a_table_in_which_nothing_acts(hostile: Store) -> None:
    states = hostile.replay(at="2024-02-01")
    page = states._repr_html_()
    for acting in ("<script", "<img", "<b>", "\x1b", "\u202e"):
        assert acting not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\x1b[31m\\u202e" in page
    assert page.count("<tr>") == 1 + MOST_ROWS
    assert f"the first {MOST_ROWS} rows; there are more" in page
    assert f"{'x' * MOST_CHARACTERS}… (5,000 characters)" in page
    basis = states.basis
    assert basis is not None
    assert basis.root in page
    assert "at 2024-02-01T23:59:59.999999Z, position 50" in page
    assert "there are more" not in hostile.replay("*-03")._repr_html_()
    assert "no rows" in hostile.replay(where="version < 0")._repr_html_()


def test_digits_are_kept_wherever_they_go(tmp_path: Path) -> None:
    wide = "12345678901234567890.123456789012345678"
    line = json.dumps(plain_event(1, n=0)).replace('"n": 0', f'"n": {wide}')
    (tmp_path / "a.jsonl").write_text(line + "\n")
    with Store.create(tmp_path / ".esctl") as store:
        store.ingest(str(tmp_path / "a.jsonl"))
        states = store.replay()
        assert states.rows()[0]["state"]["n"] == Decimal(wide)
        assert states.arrow().column("state.n").to_pylist() == [Decimal(wide)]
        assert wide in states._repr_html_()
        assert states.pl()["state.n"].to_list() == [Decimal(wide)]


def test_a_closed_store_says_so_and_leaves_nothing(samples: Path) -> None:
    with Store.open(samples / ".esctl") as store:
        types = store.types()
        folder = store.session.folder
        assert types
    assert not folder.exists()
    for late in (types.rows, store.types, types.arrow, types._repr_html_):
        with pytest.raises(UsageError, match="the store was closed"):
            late()
    assert repr(store).endswith(", closed>")
    store.close()


def test_a_name_may_stand_where_several_may(store: Store) -> None:
    one = store.diff_what_if("account-013", without="@4976").rows()
    assert one == store.diff_what_if("account-013", without=["@4976"]).rows()
    assert store.occurrences("conflicts").rows() == store.occurrences(["conflicts"]).rows()


def test_a_log_is_read_as_its_reader_says(tmp_path: Path) -> None:
    (tmp_path / "odd.csv").write_text("nr;was;wer;n\n1;T;a-1;1,5\n2;T;a-1;2,5\n")
    with Store.create(tmp_path / ".esctl") as store:
        outcome = store.ingest(tmp_path / "odd.csv", map=["id=nr", "type=was", "entity=wer"], decimal=",")
        assert repr(outcome) == "<Outcome 2 records: 2 new, 0 duplicates, 0 conflicts, 0 invalid, 0 of no entity>"
        assert store.replay("a-1").rows()[0]["state"] == {"n": "2.5"}
        assert store.overrides == ("id=nr", "type=was", "entity=wer")


def test_what_is_no_relation_is_shown_short_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from esctl.ledger.sign.keys import new_key

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    write_lines(tmp_path / "a.jsonl", [plain_event(n) for n in range(3)])
    new_key("k")
    with Store.create(tmp_path / ".esctl") as store:
        store.ingest(tmp_path / "a.jsonl", map="entity=stream")
        store.checkpoint()
        assert repr(store.prove("@1", "@3")) == "<Proofs of 2 records against 3>"
        assert repr(store.bundle(tmp_path / "b.zip", "*")) == "<Bundle 3 records, 1 entities>"
        assert repr(store.report("thing-1")).startswith("<Report 3 records, 0 not covered, ")
        view = store.create_view("v", to=f"sqlite:{tmp_path}/v.db/v")
        assert repr(view) == f"<View v: sqlite:{tmp_path}/v.db/v>"


TYPED = """
from decimal import Decimal
from esctl import Store

with Store.open("x") as store:
    rows = store.replay("a-*", at="2024-01-01", where="n > 1").rows()
    for row in store.audit(actor="x", from_="2024-01-01"):
        reveal_type(row)
    reveal_type(len(store.blame("a")))
    reveal_type(store.series("sum(n)", every="1d").chart(".png"))
    reveal_type(store.types().arrow())
    reveal_type(store.when("n > 1", which="last").held())
    store.replay(when="now")
"""


@pytest.mark.thorough
def test_whoever_uses_it_is_told_types(tmp_path: Path) -> None:
    import subprocess
    import sys

    (tmp_path / "user.py").write_text(TYPED)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--ignore-missing-imports", "user.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    for told in ('"dict[str, Any]"', '"int"', '"bytes"', '"bool"', 'Unexpected keyword argument "when"'):
        assert told in done.stdout, done.stdout
