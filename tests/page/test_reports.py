"""Reports: what is in the page is what the questions answer, the same each time, and inert."""

from __future__ import annotations

import json
import re
import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from esctl.api import Store
from esctl.errors import EsctlError, UsageError
from esctl.log.merkle import inclusion_proofs
from esctl.page import make
from esctl.page.evidence import siblings
from esctl.page.html import split_page
from tests.cli.test_hostile import HOSTILE, acting, event
from tests.support.cli_harness import SAMPLES, esctl, good, plain_event, refused, write_lines
from tests.support.log_helpers import memory_tree
from tests.support.pages import inline, policy, stepped, told


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("reports")
    for name in ("bank.jsonl", "esctl.toml"):
        shutil.copy(SAMPLES / name, found)
    good("ingest", "bank.jsonl", "-q", "--erasable", cwd=found)
    good("key", "new", "auditor", "-q", cwd=found, **mine(found))
    good("checkpoint", "-q", cwd=found, **mine(found))
    return found


def mine(folder: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(folder / "config"), "XDG_STATE_HOME": str(folder / "state")}


@pytest.fixture(scope="module")
def store(folder: Path) -> Store:
    return Store.open(folder / ".esctl")


def test_a_report_says_what_the_questions_answer(folder: Path, store: Store) -> None:
    page = told(store.report("account-017", from_="2024-03-01", to="2024-03-10").html)
    rows = good("audit", "account-017", "--from", "2024-03-01", "--to", "2024-03-10", "-f", "jsonl", cwd=folder).rows
    assert [row[0] for row in page["trail"]] == [row["position"] for row in rows]
    assert [page["types"][row[3]] for row in page["trail"]] == [row["type"] for row in rows]
    states = stepped(page, 0)
    assert len(states) == len(rows) + 1
    for at, state in ((0, states[0]), (8, states[8]), (15, states[15])):
        when = f"@{rows[at - 1]['position']}" if at else "2024-02-29"
        text = good("replay", "account-017", "--at", when, "-f", "jsonl", cwd=folder).text
        assert all(f'"{name}":{value}' in text for name, value in state.items()), (at, state)
        assert len(json.loads(text)["state"]) == len(state)
    assert [row[5] for row in page["blame"]] == [3495, 3757, 3494, 3496, 3678, 3494, 35]
    assert {row[0] for row in page["related"]} >= {3204, 3492, 3678}
    assert page["basis"] == json.loads(
        good("audit", "account-017", "--from", "2024-03-01", "--to", "2024-03-10", "--basis", "-q", "-f", "jsonl",
             cwd=folder).err
    )  # fmt: skip
    raws = (folder / "bank.jsonl").read_bytes().splitlines(keepends=True)
    assert page["bytes"] == {row["position"]: raws[row["position"] - 1] for row in rows}


def test_the_same_basis_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    here = mine(folder)
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    basis = good("replay", "account-017", "--basis", "-f", "json", "-q", cwd=copy, **here).err
    (copy / "basis").write_text(basis)
    first = good("report", "account-017", "-q", cwd=copy, **here).out
    assert good("report", "account-017", "-q", cwd=copy, TZ="Asia/Kathmandu", LC_ALL="C.UTF-8", **here).out == first
    (copy / "more.jsonl").write_bytes(
        (folder / "bank.jsonl").read_bytes().splitlines(keepends=True)[2].replace(b"evt", b"new")
    )
    good("ingest", "more.jsonl", "-q", cwd=copy, **here)
    good("checkpoint", "-q", cwd=copy, **here)
    assert good("report", "account-*", "-q", cwd=copy, **here).out != first
    assert good("report", "account-017", "-q", "--basis-from", "basis", cwd=copy, **here).out == first


def test_a_basis_is_told_beside_a_page(folder: Path) -> None:
    done = good("report", "account-017", "--at", "2024-03-01", "--basis", "-q", "-o", "b.html", cwd=folder)
    assert json.loads(done.err) == told((folder / "b.html").read_bytes())["basis"]


def test_nothing_is_fetched_and_nothing_else_runs(store: Store) -> None:
    page = store.report("account-017").html
    allowed = policy(page)
    assert allowed["default-src"] == ["'none'"]
    assert (allowed["script-src"], allowed["style-src"]) == (inline(page, "script"), inline(page, "style"))
    assert len(allowed["script-src"]) == len(allowed["style-src"]) == 1
    split = split_page(page)
    assert split is not None
    assert not re.search(rb"(?i)<(?:link|img|iframe|object|embed|base|form )|\bsrc=|\bon[a-z]+=", split[1])
    assert page.count(b"<script") == page.count(b"</script>") == 3


def test_what_a_log_says_is_inert(tmp_path: Path) -> None:
    texts = [*HOSTILE, "</script><script>alert(1)</script>", "<!--<script>", "]]>&lt;<img src=x onerror=alert(1)>"]
    write_lines(tmp_path / "a.jsonl", [event(number, text) for number, text in enumerate(texts)])
    with (tmp_path / "a.jsonl").open("ab") as file:
        file.write(b'{"id": "\x1b[31m\xff\n')
    good("ingest", "a.jsonl", "-q", "--map", "entity=stream", cwd=tmp_path)
    page = good("report", "*", "-q", cwd=tmp_path).out
    assert acting(page.decode(), "\n\t") == set()
    assert page.count(b"<script") == page.count(b"</script>") == 3
    assert b"<!--" not in page
    assert b"<img" not in page
    found = told(page)
    lines = (tmp_path / "a.jsonl").read_bytes().splitlines(keepends=True)
    assert set(found["bytes"].values()) <= set(lines)
    assert len(found["bytes"]) == len(texts)
    assert {name for name, _ in found["entities"]} == set(texts)


def test_numbers_keep_every_digit(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [])
    numbers = ["12345678901234567890.123456789012345678", "0.1", "100000000000000000000000000001", "1.10"]
    text = "".join(
        f'{{"id": "e-{n}", "type": "Set", "time": "2024-01-0{n + 1}T00:00:00Z", "stream": "a-1", '
        f'"data": {{"amount": {number}, "list": [{number}]}}}}\n'
        for n, number in enumerate(numbers)
    )
    (tmp_path / "a.jsonl").write_text(text)
    good("ingest", "a.jsonl", "-q", "--map", "entity=stream", cwd=tmp_path)
    states = stepped(told(good("report", "a-1", "-q", cwd=tmp_path).out), 0)
    assert [state.get("amount") for state in states] == [None, *numbers[:3], "1.1"]
    assert [state.get("list") for state in states][1:4] == [f"[{number}]" for number in numbers[:3]]


def test_records_come_with_all_it_takes_to_check_them(store: Store) -> None:
    report = store.report("account-017")
    page = told(report.html)
    size = report.checkpoint.head.size if report.checkpoint else 0
    needed = {place for position in page["bytes"] for place in siblings(position - 1, size)}
    assert len(page["evidence"]["nodes"]) == 44 * len(needed)
    assert page["evidence"]["checkpoint"].encode() == (report.checkpoint.data if report.checkpoint else b"")
    assert (report.records, report.uncovered) == (131, 0)


def test_records_with_proofs_and_without_count_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = {"cwd": tmp_path, **mine(tmp_path)}
    for number in range(2):
        write_lines(tmp_path / f"{number}.jsonl", [plain_event(number * 4 + n) for n in range(4)])
        good("ingest", f"{number}.jsonl", "-q", **here)
        if number == 0:
            good("key", "new", "auditor", "-q", **here)
            good("checkpoint", "-q", **here)
    size = sum((tmp_path / f"{number}.jsonl").stat().st_size for number in range(2))
    store = Store.open(tmp_path / ".esctl")
    monkeypatch.setattr(make, "MOST_BYTES", size)
    report = store.report("*")
    assert (report.records, report.uncovered) == (8, 4)
    monkeypatch.setattr(make, "MOST_BYTES", size - 1)
    with pytest.raises(UsageError, match="the report would have records of more than"):
        store.report("*")


def test_erased_records_show_as_erased(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    here = {"cwd": tmp_path / "copy", **mine(folder)}
    good("redact", "@3494", "--reason", "asked", "--actor", "dpo", "--yes", "-q", **here)
    page = told(good("report", "account-017", "-q", "--from", "2024-03-05", "--to", "2024-03-06", **here).out)
    assert page["bytes"][3494] is None
    assert page["bytes"][3493]
    assert 3494 not in [row[0] for row in page["trail"]]
    assert any("erased" in note for note in page["notes"])


def test_what_cannot_be_checked_is_said(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    here = {"cwd": tmp_path / "copy", **mine(folder)}
    line = {
        "id": "late",
        "type": "CardCharged",
        "time": "2024-04-01T00:00:00Z",
        "stream": "account-017",
        "data": {"amount": 1},
    }
    write_lines(tmp_path / "copy" / "more.jsonl", [line])
    good("ingest", "more.jsonl", "-q", **here)
    done = good("report", "account-017", "-o", "r.html", **here)
    assert "1 of them came after the checkpoint of" in done.err
    shutil.rmtree(tmp_path / "copy" / ".esctl" / "checkpoints")
    done = good("report", "account-017", "-o", "r.html", **here)
    assert "there is no checkpoint, so none of them can be checked" in done.err
    assert told((tmp_path / "copy" / "r.html").read_bytes())["evidence"]["checkpoint"] == ""


def test_a_case_says_what_is_asked_and_noted(folder: Path) -> None:
    (folder / "case.toml").write_text(
        'title = "A charge of 4,950.00"\nquestion = "Who raised the limit?"\nentities = ["account-017"]\n'
        'from = "2024-03-05"\nto = "2024-03-05"\n[[notes]]\nevent = "evt-03494"\ntext = "the <b>charge</b>"\n'
    )
    page = told(good("report", "--case", "case.toml", "-q", cwd=folder).out)
    assert (page["title"], page["question"]) == ("A charge of 4,950.00", "Who raised the limit?")
    assert [row[0] for row in page["trail"]] == [3492, 3493, 3494, 3495, 3496]
    assert page["marks"] == [[3494, "the <b>charge</b>"]]
    page = told(good("report", "account-018", "--at", "2024-03-01", "--case", "case.toml", "-q", cwd=folder).out)
    assert page["entities"][0][0] == "account-018"
    assert page["basis"]["at"] == "2024-03-01T23:59:59.999999Z"


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("titel = 'x'", "unknown key 'titel'"),
        ("title = 1", "title is 1, not a text"),
        ("entities = 'a'", "not a list of names"),
        ("notes = [{event = '@1'}]", "is not a note"),
        ("title = ", "case.toml"),
        ("entities = ['account-017']\nnotes = [{event = 'nonesuch', text = 'x'}]", "a note on 'nonesuch'"),
    ],
)
def test_a_case_that_is_none_is_refused(store: Store, tmp_path: Path, case: str, message: str) -> None:
    (tmp_path / "case.toml").write_text(case)
    with pytest.raises(EsctlError, match=re.escape(message)):
        store.report("account-017", case=tmp_path / "case.toml")


def test_what_is_no_question_is_refused(folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "nothing to report on" in refused("report", "-o", "x.html", code=2, cwd=folder)[0]
    assert "no entity" in refused("report", "account-x", "-o", "x.html", code=4, cwd=folder)[0]
    assert "no entity" in refused("report", "nothing-*", "-o", "x.html", code=4, cwd=folder)[0]
    both = ("--at", "2024-03-01", "--to", "2024-03-02")
    assert "--at and --to" in refused("report", "account-017", *both, "-o", "x.html", code=2, cwd=folder)[0]
    assert "a report is HTML" in refused("report", "account-017", "-f", "csv", "-o", "x", code=2, cwd=folder)[0]
    assert esctl("report", "account-017", "--case", "none.toml", cwd=folder).code == 2
    assert not (folder / "x.html").exists()
    monkeypatch.setattr(make, "MOST_EVENTS", 100)
    with pytest.raises(EsctlError, match="more than 100 events"):
        store.report("account-017")


def test_all_that_is_left_out_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = [plain_event(n, "a") for n in range(10)]
    others = [plain_event(n, "b") | {"causation": "evt-1"} for n in range(10, 60)]
    write_lines(tmp_path / "a.jsonl", [*own, *others, *own, *own, *own, *own])
    good("ingest", "a.jsonl", "-q", "--map", "causation=causation", cwd=tmp_path)
    monkeypatch.setattr(make, "MOST_EVENTS", 20)
    monkeypatch.setattr(make, "MOST_LISTED", 5)
    with Store.open(tmp_path / ".esctl") as store:
        page = told(store.report("a").html)
    assert sum(count for _, _, count in page["checks"]) == 40  # repeated deliveries
    assert (len(page["findings"]), len(page["related"])) == (5, 5)
    assert page["cut"] == {"findings": 35, "related": 46}


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 33])
def test_the_nodes_of_a_proof_are_where_they_are_said_to_be(size: int) -> None:
    tree = memory_tree(b"".join(bytes([number]) * 32 for number in range(size)))
    for index, proof in inclusion_proofs(tree, range(size), size).items():
        places = list(siblings(index, size))
        assert len(places) == len(proof)
        for (level, number), node in zip(places, proof, strict=True):
            start = number << level
            assert tree.root(start, min(start + (1 << level), size)) == node


@pytest.mark.parametrize(
    "number", [2, pytest.param(1, marks=pytest.mark.thorough), pytest.param(7, marks=pytest.mark.thorough)]
)
def test_states_that_are_stepped_to_are_those_of_replay(samples: Path, number: int) -> None:
    """Over all of the sample logs: rows of tables, deleted entities, projections of every kind."""
    store = Store.open(samples / ".esctl")
    page = told(store.report("*").html)
    kinds = [tuple(entity) for entity in page["entities"]]
    seen = 0
    for row in store.replay(at=f"version:{number}", deleted=True).rows():
        entity = kinds.index((row["entity"], row["kind"]))
        states = stepped(page, entity)
        if row["version"] == number:
            state = {} if row["state"] is None else row["state"]
            assert {name: json.loads(value, parse_float=Decimal) for name, value in states[number].items()} == state
            seen += 1
    assert seen > 100
