"""Names that are nowhere in the log are refused, with what was meant; names that are out of bounds are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli_harness import good, plain_event, refused, write_lines

BOB = "arn:aws:iam::111122223333:user/bob"
STEPPED = """
[projections.thing]
on.AmountChanged = { merge_patch = "data" }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    events = [
        {**plain_event(n), "type": "AmountChanged", "actor": BOB, "data": {"amount": n, "note": f"n{n}"}}
        for n in range(3)
    ]
    events.append({**plain_event(60, "other-1"), "type": "Closed", "actor": "Ann"})
    write_lines(tmp_path / "a.jsonl", events)
    good("ingest", "a.jsonl", "-q", cwd=tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", ["log", "audit"])
@pytest.mark.parametrize(
    ("option", "given", "message", "hint"),
    [
        ("--actor", "bob", "no actor 'bob' in the log", f"did you mean '*bob*', as in {BOB}?"),
        ("--actor", "BOB", "no actor 'BOB' in the log", f"did you mean '*bob*', as in {BOB}?"),
        ("--actor", "ann", "no actor 'ann' in the log", "did you mean Ann?"),
        ("--type", "Close", "no type 'Close' in the log", "did you mean '*Close*', as in Closed?"),
        ("--type", "AmountChangd", "no type 'AmountChangd' in the log", "did you mean AmountChanged?"),
        ("--type", "", "no type '' in the log", "did you mean"),
    ],
)
def test_a_name_that_no_event_has_is_refused(
    command: str, option: str, given: str, message: str, hint: str, folder: Path
) -> None:
    told = refused(command, option, given, code=4, cwd=folder)
    assert told[0] == message
    assert told[1].startswith(hint)


def test_one_wrong_name_beside_a_right_one_is_refused(folder: Path) -> None:
    assert refused("log", "--actor", "Ann", "--actor", "An", code=4, cwd=folder)[0] == "no actor 'An' in the log"


def test_a_name_that_is_out_of_bounds_is_an_empty_answer(folder: Path) -> None:
    assert good("log", "--actor", "Ann", "--to", "2024-01-02T00:30:00Z", cwd=folder).out == b""
    assert good("audit", "--type", "Closed", "--before", "@2", cwd=folder).out == b""
    assert good("log", "thing-1", "--actor", "Ann", cwd=folder).out == b""
    assert good("audit", "other-1", "--field", "amount", cwd=folder).out == b""


def test_a_glob_that_matches_nothing_is_told_of(folder: Path) -> None:
    done = good("log", "--actor", "*jane*", cwd=folder)
    assert (done.out, done.err) == (b"", "note: no actor in the log matches '*jane*'; did you mean Ann?\n")
    assert "no type in the log matches 'Amount'" not in good("audit", "--type", "Amount*", cwd=folder).err


def test_the_glob_that_is_proposed_finds_what_was_meant(folder: Path) -> None:
    assert len(good("log", "--actor", "*bob*", cwd=folder).rows) == 3


def test_where_no_event_has_an_actor_that_is_said(tmp_path: Path) -> None:
    events = [{name: value for name, value in plain_event(n).items() if name != "actor"} for n in range(2)]
    write_lines(tmp_path / "a.jsonl", events)
    good("ingest", "a.jsonl", "-q", cwd=tmp_path)
    told = refused("log", "--actor", "bob", code=4, cwd=tmp_path)
    assert told == ("no actor 'bob' in the log", "no event has one; see how it is read: esctl log --limit 3")


@pytest.mark.parametrize("rules", ["", STEPPED], ids=["set-wise", "event by event"])
@pytest.mark.parametrize("command", ["audit", "blame"])
def test_a_field_that_no_event_touched_is_refused(command: str, rules: str, folder: Path) -> None:
    (folder / "esctl.toml").write_text(rules)
    told = refused(command, "thing-1", "--field", "amonut", code=4, cwd=folder)
    assert told == ("the state has no field 'amonut'", "did you mean amount?")
    assert good(command, "thing-1", "--field", "amount", cwd=folder).rows
    assert good(command, "thing-1", "--field", "amount", "--before", "2024-01-01", cwd=folder).out == b""


def test_an_entity_that_is_part_of_a_longer_name_is_proposed_as_a_glob(folder: Path) -> None:
    assert refused("log", "thing", code=4, cwd=folder)[1] == "did you mean '*thing*', as in thing-1?"


def test_log_lists_the_events_of_a_source(folder: Path) -> None:
    write_lines(folder / "b.jsonl", [plain_event(100)])
    good("ingest", "b.jsonl", "-q", cwd=folder)
    assert [row["position"] for row in good("log", "--source", "b.jsonl", cwd=folder).rows] == [5]
    assert len(good("log", "--source", "*.jsonl", cwd=folder).rows) == 5
    assert refused("log", "--source", "b.json", code=4, cwd=folder) == ("no source 'b.json'", "did you mean b.jsonl?")
    assert refused("export", "--source", "b", code=4, cwd=folder)[0] == "no source 'b'"


def test_a_projection_that_claims_nothing_has_no_states_and_nothing_is_said_of_names(folder: Path) -> None:
    projection = """[projections.shop]\nentities = "shop-*"\non."*" = { merge = "data" }\n"""
    (folder / "esctl.toml").write_text(projection, encoding="utf-8")
    done = good("replay", "-p", "shop", cwd=folder)
    assert (done.out, done.err) == (b"", "")
