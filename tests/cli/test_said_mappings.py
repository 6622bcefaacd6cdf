"""What is said of a mapping: it has the effect that was meant, or is refused with the line to type."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli_harness import Done, esctl, good

BOOKED = """Nr;Buchungstag;Valuta;Konto;Saldo;Gebucht von
1;20.01.2024;22.01.2024;DE-1;30;M. Roth
2;03.01.2024;05.01.2024;DE-1;10;System
3;14.01.2024;15.01.2024;DE-1;20;M. Roth
4;14.01.2024;16.01.2024;DE-2;5;K. Lang
"""


def typed(done: Done, folder: Path) -> Done:
    """Run the command that a hint ends with."""
    line = next(line for line in done.err.splitlines() if line.startswith("hint: "))
    return esctl(*shlex.split(line.rpartition("esctl ")[2]), cwd=folder)


def states(folder: Path, *options: str) -> dict[str, Any]:
    return {row["entity"]: row["state"].get("Saldo") for row in esctl("replay", *options, cwd=folder).rows}


def test_the_hint_for_a_time_leads_to_an_order_by_time(tmp_path: Path) -> None:
    (tmp_path / "bank.csv").write_text(BOOKED)
    done = esctl("ingest", "bank.csv", cwd=tmp_path)
    assert (done.code, "any of several fields could be the time" in done.err) == (2, True)
    said = typed(done, tmp_path)
    assert said.code == 0, said.err
    assert "order        time" in said.err
    assert states(tmp_path) == {"DE-1": "30", "DE-2": "5"}
    assert states(tmp_path, "--at", "2024-01-13") == {"DE-1": "10"}


def test_in_other_languages_who_did_it_is_no_thing(tmp_path: Path) -> None:
    (tmp_path / "bank.csv").write_text(BOOKED)
    done = esctl("ingest", "bank.csv", "--map", "time=Buchungstag", cwd=tmp_path)
    assert done.code == 0, done.err
    assert {row["actor"] for row in good("audit", "DE-1", cwd=tmp_path).rows} == {"M. Roth", "System"}


@pytest.mark.parametrize("how", ["option", "file"])
def test_an_entity_that_no_record_has_is_refused(how: str, tmp_path: Path) -> None:
    (tmp_path / "bank.csv").write_text(BOOKED)
    said = ["--map", "time=Buchungstag", "--map", "entity=Kontonr"]
    if how == "file":
        (tmp_path / "esctl.toml").write_text('[mapping]\nentity = "Kontonr"\ntime = "Buchungstag"\n')
        said = []
    done = esctl("ingest", "bank.csv", *said, cwd=tmp_path)
    assert done.code == 2
    assert "the entity is said to be Kontonr, which none of its first records has" in done.err
    assert "hint: did you mean Konto? esctl reindex " in done.err
    assert typed(done, tmp_path).code == 0
    assert states(tmp_path) == {"DE-1": "30", "DE-2": "5"}


def test_the_object_that_a_path_leads_through_is_not_proposed(tmp_path: Path) -> None:
    events = [{"type": "T", "time": f"2024-01-0{n}T00:00:00Z", "stream": "a", "data": {"sum": n}} for n in (1, 2)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    told = good("ingest", "a.jsonl", "--map", "entities.of=stream", "--map", "entities.from=data.x", cwd=tmp_path).err
    assert "the entities.from is said to be data.x, which none of its first records has\n" in told
    told = good("reindex", "--map", "entities.of=stream", "--map", "entities.from=data.sun", cwd=tmp_path).err
    assert (
        "the entities.from is said to be data.sun, which none of its first records has; did you mean data.sum?" in told
    )


def test_a_slip_that_was_said_for_all_logs_is_taken_back_by_the_hint(tmp_path: Path) -> None:
    events = [{"type": "T", "time": f"2024-01-0{n}T00:00:00Z", "order_id": "o-1", "Saldo": n} for n in (1, 2)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    good("ingest", "a.jsonl", cwd=tmp_path)
    (tmp_path / "bank.csv").write_text(BOOKED)
    done = esctl("ingest", "bank.csv", "--map", "entity=Kontonr", "--map", "bank.csv:time=Buchungstag", cwd=tmp_path)
    assert (done.code, "bank.csv: the events are kept, but the entity is said to be Kontonr" in done.err) == (2, True)
    assert typed(done, tmp_path).code == 0
    assert states(tmp_path) == {"DE-1": "30", "DE-2": "5", "o-1": 2}


def test_what_was_said_for_one_log_is_refused_for_another(tmp_path: Path) -> None:
    (tmp_path / "bank.csv").write_text(BOOKED)
    good("ingest", "bank.csv", "--map", "time=Buchungstag", cwd=tmp_path)
    events = [{"type": "T", "at": f"2024-01-0{day}T00:00:00Z", "order_id": "o-1", "n": day} for day in (1, 2)]
    (tmp_path / "b.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    done = esctl("ingest", "b.jsonl", cwd=tmp_path)
    assert (done.code, "b.jsonl: the events are kept, but the time is said to be Buchungstag" in done.err) == (2, True)
    assert "to say a path of some sources only: --map 'SOURCE:KEY=PATH'" in done.err


def test_of_several_logs_each_is_asked_about(tmp_path: Path) -> None:
    (tmp_path / "bank.csv").write_text(BOOKED.replace("Konto", "Schrank") + "5;15.01.2024;15.01.2024;DE-2;6;K. Lang\n")
    events = [{"type": "T", "time": f"2024-01-0{day}T00:00:00Z", "order_id": "o-1", "Saldo": day} for day in (1, 2)]
    (tmp_path / "b.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    done = esctl("ingest", "bank.csv", "b.jsonl", cwd=tmp_path)
    while done.code == 2:
        done = typed(done, tmp_path)
    assert done.code == 0, done.err
    assert states(tmp_path) == {"DE-1": "30", "DE-2": "6", "o-1": 2}


def test_a_stanza_that_says_too_little_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bank.csv").write_text(BOOKED)
    (tmp_path / "esctl.toml").write_text("""[mapping]\nactor = '"Gebucht von"'\n""")
    done = esctl("ingest", "bank.csv", cwd=tmp_path)
    assert done.code == 2
    assert "[mapping] says where some fields are and so of all, and it says neither entity nor time" in done.err


def test_events_without_an_entity_are_told_where_one_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"type": "T", "time": "2024-01-01T00:00:00Z", "n": 1}\n')
    esctl("ingest", "a.jsonl", cwd=tmp_path)
    done = esctl("replay", "a-1", cwd=tmp_path)
    assert (done.code, "hint: no event of the store has an entity: esctl doctor --homeless" in done.err) == (4, True)


def test_the_actor_is_the_member_that_all_records_have(tmp_path: Path) -> None:
    actors = [{"type": "Key", "id": "key_9", "name": "deploy"}, {"type": "User", "id": "usr_1", "email": "a@x.org"}]
    events = [
        {"id": n, "action": "edit", "at": f"2024-01-0{n}T00:00:00Z", "actor": actors[n % 3 > 0],
            "target": {"type": "Doc", "id": f"d{n % 2}"}}
        for n in range(1, 7)
    ]  # fmt: skip
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    good("ingest", "a.jsonl", cwd=tmp_path)
    assert {row["actor"] for row in good("log", cwd=tmp_path).rows} == {"key_9", "usr_1"}


def test_letters_and_digits_are_enough_to_be_understood(tmp_path: Path) -> None:
    events = [{"type": "T", "time": "2024-01-01T00:00:00Z", "stream": f"Order/ORD-{n}"} for n in (1003, 1030, 103)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    good("ingest", "a.jsonl", cwd=tmp_path)
    assert "hint: did you mean Order/ORD-1003?" in esctl("replay", "ORD1003", cwd=tmp_path).err


def test_a_file_of_keys_that_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "bank.csv").write_text(BOOKED)
    good("ingest", "bank.csv", "--map", "time=Buchungstag", cwd=tmp_path)
    done = esctl("verify", "--trust", "no.pub", cwd=tmp_path)
    assert (done.code, "--trust no.pub: it is neither a key nor a file that there is" in done.err) == (2, True)
