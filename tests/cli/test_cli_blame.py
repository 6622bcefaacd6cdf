"""blame and revert as commands: what they print, refuse and leave alone."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli_harness import (
    COLUMNS,
    copy_samples,
    good,
    ingest_samples,
    lines,
    plain_event,
    refused,
    write_lines,
)

AUDITED = "account-017"


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ingest_samples(tmp_path_factory.mktemp("blame"))


def test_the_charge_is_what_made_the_balance(bank: Path) -> None:
    done = good("blame", AUDITED, "--at", "2024-03-05", "--field", "balance", "--field", "charges", cwd=bank)
    assert done.rows == [
        {"entity": AUDITED, "kind": "account", "field": field, "value": value, "change": "contributed",
         "contributions": count, "position": 3494, "time": "2024-03-05T02:14:42Z", "role": None, "type": "CardCharged",
         "actor": "card-gateway", "id": "evt-03494"}
        for field, value, count in (("balance", 21326.9, 96), ("charges", 36, 36))
    ]  # fmt: skip
    assert done.err == "at 2024-03-05T23:59:59.999999Z, position 7164\n"


def test_blame_agrees_with_the_state_and_the_trail(bank: Path) -> None:
    rows = good("blame", "--entities", "*", "-q", cwd=bank).rows
    states = {row["entity"]: row["state"] for row in good("replay", "--deleted", "-q", cwd=bank).rows}
    told: dict[str, Any] = {}
    for row in rows:
        if row["change"] == "deleted":
            told[row["entity"]] = None
        else:
            told.setdefault(row["entity"], {})[row["field"]] = row["value"]
    assert told == {entity: state for entity, state in states.items() if state != {}}
    events = {(row["entity"], row["position"]): row for row in good("audit", "-q", cwd=bank).rows}
    for row in rows:
        event = events[row["entity"], row["position"]]
        assert [row[name] for name in ("time", "type", "actor", "id")] == [
            event[name] for name in ("time", "type", "actor", "id")
        ]


def test_all_ends_in_what_is_told_without_it(bank: Path) -> None:
    wanted = ["blame", "account-01*", "sku-100*", "-q"]
    last = {(row["entity"], row["field"]): row for row in good(*wanted, "--all", cwd=bank).rows}
    assert list(last.values()) == good(*wanted, cwd=bank).rows


def test_blame_of_a_deletion_is_a_row_without_a_field(bank: Path) -> None:
    done = good("blame", "account-009", "-f", "csv", cwd=bank)
    assert lines(done.text) == [
        ",".join(COLUMNS["blame"]),
        "account-009,account,,,deleted,0,1381,2024-01-29T11:15:42Z,,AccountClosed,teller-09,evt-01381",
    ]
    assert good("blame", "account-009", "--at", "version:1", "-q", cwd=bank).rows[0]["type"] == "AccountOpened"
    assert good("blame", "account-009", "--before", "version:1", "-q", cwd=bank).rows == []


def test_the_role_is_that_which_contributed(tmp_path: Path) -> None:
    (tmp_path / "esctl.toml").write_text(
        '[mapping.entities]\nfrom = "data.from"\nto = "data.to"\n'
        '[projections.p.on."Changed[from]"]\nsubtract = { n = "data.n" }\n'
        '[projections.p.on."Changed[to]"]\nadd = { n = "data.n" }\n'
    )
    events = [{**plain_event(1, **{"from": "a-1", "to": "a-1", "n": 5}), "stream": None}]
    write_lines(tmp_path / "a.jsonl", events)
    good("ingest", "a.jsonl", "-q", "--map", "id=id", "--map", "type=type", "--map", "data=data", cwd=tmp_path)
    rows = good("blame", "a-1", "--all", "-q", cwd=tmp_path).rows
    assert [(row["value"], row["contributions"], row["role"]) for row in rows] == [(-5, 1, "from"), (0, 2, "to")]


@pytest.mark.parametrize(
    ("arguments", "code", "at_fault", "hint"),
    [
        (["blame"], 2, "'ENTITY'", "--entities '*'"),
        (["blame", "acount-017"], 4, "'acount-017'", "did you mean account-017?"),
        (["blame", AUDITED, "--field", "balence", "-p", "account"], 4, "'balence'", "did you mean balance?"),
        (["blame", AUDITED, "--field", "zzz", "-p", "account"], 4, "'zzz'", "fields are: address, balance"),
        (["blame", AUDITED, "--at", "soon"], 2, "--at 'soon'", "@123"),
        (["blame", AUDITED, "--at", "now", "--before", "now"], 2, "--at and --before", "one of them"),
        (["blame", AUDITED, "-p", "acount"], 2, "'acount'", "account"),
        (["revert", AUDITED], 2, "'--to'", "--to 2024-03-04"),
        (["revert", "--to", "@1"], 2, "ENTITY", "esctl revert --help"),
        (["revert", "acount-017", "--to", "@1"], 4, "'acount-017'", "did you mean account-017?"),
        (["revert", AUDITED, "--to", "never"], 2, "--to 'never'", "@123"),
        (["revert", AUDITED, "--to", "id:evt-99999"], 4, "'evt-99999'", "esctl log"),
    ],
)
def test_what_is_refused_is_named(bank: Path, arguments: list[str], code: int, at_fault: str, hint: str) -> None:
    message, told = refused(*arguments, "-q", code=code, cwd=bank)
    assert at_fault in message
    assert hint in told


@pytest.mark.parametrize(
    ("template", "at_fault", "hint"),
    [
        ('{"a": "{valu}"}', "{valu}", "did you mean {value}?"),
        ('{"a": ["{zzz}"]}', "{zzz}", "{entity}, {kind}"),
        ('{"a": "{"}', "lone '{'", "write {{"),
        ('{"a": {"{field} }": 1}}', "lone '}'", "write }}"),
        ('{"{field}": 1}', "'{field}'", "further in"),
        ('{"a": {"{field}": 1, "b": 2}}', "others beside it", "alone"),
        ("{}", "not an object with members", "{entity}"),
        ('{"a": }', "--as-events", "{entity}"),
        ("nowhere.toml", "nowhere.toml", "name a file"),
    ],
)
def test_a_template_that_means_nothing_is_refused(bank: Path, template: str, at_fault: str, hint: str) -> None:
    message, told = refused("revert", AUDITED, "--to", "@1", "-q", "--as-events", template, code=2, cwd=bank)
    assert at_fault in message
    assert hint in told


def test_nothing_is_written_to_the_store(bank: Path) -> None:
    before = {path: path.read_bytes() for path in (bank / ".esctl").rglob("*") if path.is_file()}
    good("revert", "*", "--to", "2024-02-01", "-q", cwd=bank)
    good("blame", "*", "-q", cwd=bank)
    assert {path: path.read_bytes() for path in (bank / ".esctl").rglob("*") if path.is_file()} == before


TEMPLATE = """
id = "undo-{entity}-{op}-{field}"
type = "Reverted.{op}"
time = 2024-04-02T00:00:00Z
stream = "{entity}"
actor = "auditor"
data = { change = { "{field}" = "{value}" }, field = "{field}" }
causation_id = "{{{undoes}}}"
"""
RULES = """
[projections.account.on."Reverted.set"]
merge = "data.change"
[projections.account.on."Reverted.add"]
add = { balance = "data.change.balance", charges = "data.change.charges" }
[projections.account.on."Reverted.delete"]
delete = true
"""


def test_events_made_by_revert_bring_the_states_back(tmp_path: Path) -> None:
    """The store takes its own medicine: every account as it was, or gone where it was not."""
    copy_samples(tmp_path)
    fields = ("owner", "address", "daily_limit", "balance", "largest_charge", "charges", "disputed")
    unset = "".join(
        f'[projections.account.on."Reverted.uns?t{"*" * n}"]\nwhen = "data.field = \'{field}\'"\nunset = ["{field}"]\n'
        for n, field in enumerate(fields)
    )
    good("ingest", "bank.jsonl", "-q", cwd=tmp_path)
    (tmp_path / "template.toml").write_text(TEMPLATE, encoding="utf-8")
    then = good("replay", "account-*", "--at", "2024-02-20", "-q", cwd=tmp_path).rows
    wanted = ["revert", "account-*", "--to", "2024-02-20", "-q"]
    operations = {row["op"] for row in good(*wanted, cwd=tmp_path).rows}
    assert operations == {"set", "unset", "add", "create", "delete"}
    made = good(*wanted, "--as-events", "template.toml", cwd=tmp_path)
    assert made.rows[0]["causation_id"].startswith("{[")
    # Beside the log of the bank, under its mapping.
    (tmp_path / "undone-bank.jsonl").write_bytes(made.out)
    config = tmp_path / "esctl.toml"
    config.write_text(config.read_text(encoding="utf-8") + RULES + unset, encoding="utf-8")
    good("ingest", "undone-bank.jsonl", "-q", cwd=tmp_path)
    now = good("replay", "account-*", "-q", cwd=tmp_path).rows
    assert [(row["entity"], row["state"]) for row in now] == [(row["entity"], row["state"]) for row in then]
    assert good(*wanted, cwd=tmp_path).rows == []


def test_values_go_into_events_whole(tmp_path: Path) -> None:
    hostile = {"q": 'say "hi"', "braces": "{entity} }}", "esc": "\x1b[31m", "n": Decimal("1.50"), "none": None,
               "\ue000mark": ["\ue000", 12345678901234567890123]}  # fmt: skip
    text = json.dumps({**hostile, "n": 1.5})
    events = [plain_event(1, x=1), {**plain_event(2), "data": json.loads(text)}, plain_event(3, q="", n=7, none=0)]
    write_lines(tmp_path / "a.jsonl", events)
    good("ingest", "a.jsonl", "-q", cwd=tmp_path)
    template = {"f": "{field}", "v": "{value}", "text": "<{value}>", "in": [{"{field}": "{value}"}, 1.5, None, True]}
    rows = good("revert", "thing-1", "--to", "@2", "-q", "--as-events", json.dumps(template), cwd=tmp_path).rows
    told = {row["f"]: row for row in rows}
    assert set(told) == {"q", "n", "none"}
    for field, row in told.items():
        value = {**hostile, "n": 1.5}[field]
        assert row["v"] == value
        assert row["in"] == [{field: value}, 1.5, None, True]
    assert (told["q"]["text"], told["n"]["text"], told["none"]["text"]) == ('<say "hi">', "<1.5>", "<null>")
    gone = good("revert", "thing-1", "--to", "@0", "-q", "--as-events", json.dumps(template), cwd=tmp_path).row
    assert (gone["f"], gone["v"], gone["text"]) == (None, None, "<>")
    rows = good("revert", "thing-1", "--to", "@1", "-q", "--as-events", '{"t": "<{from}>"}', cwd=tmp_path).rows
    assert {"t": '<["\ue000",12345678901234567890123]>'} in rows
    done = good("revert", "thing-1", "--to", "@2", "-q", "-f", "csv", "--as-events", json.dumps(template), cwd=tmp_path)
    assert lines(done.text)[:2] == ["f,v,text,in", 'n,1.5,<1.5>,"[{""n"":1.5},1.5,null,true]"']


PYTHON = """
def fold(state, event):
    return None if event["type"] == "Closed" else {**state, **event["data"]}
"""


def test_projections_without_a_trail_say_so_and_python_ones_step(tmp_path: Path) -> None:
    (tmp_path / "rules.py").write_text(PYTHON)
    (tmp_path / "esctl.toml").write_text(
        '[projections.a]\nentities = "thing-*"\npython = "rules:fold"\n'
        '[projections.b]\nentities = "other-*"\nsql = "select entity, max(data.n) as n from events group by entity"\n'
    )
    events = [plain_event(1, n=1, m=1), plain_event(2, n=1, m=2), plain_event(3, "other-1", n=3)]
    write_lines(tmp_path / "a.jsonl", events)
    good("ingest", "a.jsonl", "-q", cwd=tmp_path)
    done = good("blame", "thing-1", "other-1", cwd=tmp_path)
    assert [(row["field"], row["position"]) for row in done.rows] == [("m", 2), ("n", 1)]
    assert "projection b is an SQL query" in done.err
    done = good("blame", "other-1", cwd=tmp_path)
    assert done.rows == []
    assert "projection b is an SQL query" in done.err
    rows = good("revert", "thing-1", "other-1", "--to", "@1", "-q", cwd=tmp_path).rows
    assert [(row["op"], row["field"], row["value"], row["undoes"]) for row in rows] == [
        ("delete", None, None, [3]), ("set", "m", 1, [2]),
    ]  # fmt: skip
