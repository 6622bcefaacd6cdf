"""What is asked at a terminal of how logs are read, and what is written of the answers."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli_harness import ESCTL, esctl, good, on_terminal, surroundings


def moves(count: int = 14, **more: Any) -> list[dict[str, Any]]:
    return [
        {"at": f"2024-01-{i + 1:02d}T00:00:00Z", "action": "moved", "machine id": f"m{i % 3}", "room": f"r{i % 4}"}
        | {"by": f"u{i % 2}"}
        | more
        for i in range(count)
    ]


def write(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def entities(folder: Path) -> set[str]:
    return {row["entity"] for row in good("log", cwd=folder).rows}


def test_what_is_unsure_is_asked_at_a_terminal_and_written_for_its_source(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", moves())
    shown, code = on_terminal("ingest", "a.jsonl", cwd=tmp_path, answer=b"2\n\n", width=200)
    assert code == 0, shown
    assert '1  "machine id"  (3 values: m0, m1, m2)' in shown
    assert "entity r0; time 2024-01-01 00:00:00 UTC; type moved; actor u0" in shown
    assert shown.count("    entity r") == 3
    written = tomllib.loads((tmp_path / "esctl.toml").read_text())
    assert written["mapping"]["sources"]["a.jsonl"]["entity"] == "room"
    assert entities(tmp_path) == {"r0", "r1", "r2", "r3"}


def test_nothing_is_asked_where_all_is_sure_or_nobody_answers(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [record | {"order_id": f"o{i}"} for i, record in enumerate(moves(2))])
    shown, code = on_terminal("ingest", "a.jsonl", cwd=tmp_path)
    assert (code, "Is that right?" in shown) == (0, False)
    write(tmp_path / "b.jsonl", moves())
    for number, more in enumerate([(), ("--no-ask",), ("-q",)]):
        store = ("--store", str(number))
        if more:
            shown, code = on_terminal("ingest", "b.jsonl", *store, *more, cwd=tmp_path)
        else:
            done = esctl("ingest", "b.jsonl", *store, cwd=tmp_path)
            shown, code = done.err, done.code
        assert (code, "which field" in shown) == (2, False)
    assert not (tmp_path / "esctl.toml").exists()


@pytest.mark.parametrize(
    "arguments", [("init", "--interactive"), ("ingest", "--ask", "a.jsonl"), ("ingest", "--ask", "-")]
)
def test_asking_needs_a_terminal(arguments: tuple[str, ...], tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", moves())
    esctl("ingest", "a.jsonl", "--store", ".esctl", cwd=tmp_path)
    done = esctl(*arguments, cwd=tmp_path)
    assert done.code == 2
    assert "asks, and there is no terminal" in done.err or "cannot be combined with records on stdin" in done.err


def test_all_fields_can_be_changed_and_wrong_answers_are_asked_again(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", moves(late="2024-05-05T00:00:00Z"))
    answers = ["room", "what?", "type", "nosuch[", "by", "actor", "none", "time", "77", "late", "entity", "{by}/{room}"]
    typed = "".join(f"{answer}\n" for answer in [*answers, "yes"]).encode()
    shown, code = on_terminal("ingest", "a.jsonl", "--ask", cwd=tmp_path, answer=typed, width=200)
    assert code == 0, shown
    assert "'what?' is none of these" in shown
    assert "there is no field 77" in shown
    row = good("log", "--limit", "1", "--columns", "time,type,entity,actor", cwd=tmp_path).rows[0]
    assert row == {"time": "2024-05-05T00:00:00Z", "type": "u0", "entity": "u0/r0", "actor": None}


def test_day_and_month_are_asked_about(tmp_path: Path) -> None:
    records = [{"when": f"0{i + 1}/03/2024", "order_id": f"o{i % 3}", "x": i} for i in range(8)]
    write(tmp_path / "a.jsonl", records)
    shown, code = on_terminal("ingest", "a.jsonl", cwd=tmp_path, answer=b"may\nmonth-first\n\n", width=200)
    assert code == 0, shown
    assert good("log", cwd=tmp_path).rows[1]["time"] == "2024-02-03T00:00:00Z"


def test_init_asks_about_each_source_that_has_no_stanza(tmp_path: Path) -> None:
    (tmp_path / "esctl.toml").write_text('# mine\n[output]\ntz = "UTC"\n[mapping.sources."a.jsonl"]\nentity = "room"\n')
    write(tmp_path / "a.jsonl", moves())
    write(tmp_path / "b.jsonl", moves(vessel="v"))
    write(tmp_path / "c.jsonl", moves(15, vessel="v")[1:])
    assert esctl("ingest", "a.jsonl", "b.jsonl", "c.jsonl", cwd=tmp_path).code == 2
    shown, code = on_terminal("init", "--interactive", cwd=tmp_path, answer=b"vessel\n\n", width=200)
    assert code == 0, shown
    assert "b.jsonl and 1 more" in shown
    text = (tmp_path / "esctl.toml").read_text()
    assert text.startswith("# mine\n")
    assert list(tomllib.loads(text)["mapping"]["sources"]) == ["a.jsonl", "b.jsonl", "c.jsonl"]
    assert entities(tmp_path) == {"r0", "r1", "r2", "r3", "v"}
    shown, code = on_terminal("init", "--interactive", cwd=tmp_path)
    assert (code, "each source has a stanza of its own" in shown) == (0, True)


def test_what_map_said_is_written_and_goes_before_no_more(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", moves())
    write(tmp_path / "b.jsonl", [{**each, "action": "left"} for each in moves()])
    good("ingest", "a.jsonl", "--map", "entity=machine id", "--map", "type==moved", cwd=tmp_path)
    shown, code = on_terminal(
        "ingest", "b.jsonl", "--ask", cwd=tmp_path, answer=b"entity\nroom\ntype\naction\n\n", width=200
    )
    assert code == 0, shown
    rows = good("log", "--columns", "source,entity,type", cwd=tmp_path).rows
    assert (rows[0]["entity"], rows[0]["type"]) == ("m0", "moved")
    assert (rows[14]["entity"], rows[14]["type"]) == ("r0", "left")


@pytest.mark.parametrize("answer", [b"2\n", b"2\n\x03", b"\x03", b"\x04", b"2\n\x04", b"2\ntype\n\x03"])
def test_nothing_is_half_written_where_answers_end(answer: bytes, tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", moves())
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*ESCTL, "ingest", "a.jsonl"], cwd=tmp_path, stdin=slave, stdout=slave, stderr=slave,
        env=surroundings(ESCTL_NO_PAGER="1"), start_new_session=True, preexec_fn=take_terminal,
    )  # fmt: skip
    os.close(slave)
    shown = b""
    while b"which field" not in shown:
        shown += os.read(master, 65536)
    os.write(master, answer if answer[-1:] in b"\x03\x04" else answer + b"\x03")
    try:
        while data := os.read(master, 65536):
            shown += data
    except OSError:
        pass
    os.close(master)
    assert process.wait() == (2 if answer[-1:] == b"\x04" else 130), shown
    assert sorted(path.name for path in tmp_path.iterdir()) == [".esctl", "a.jsonl"]
    assert good("verify", "--full", cwd=tmp_path).code == 0
    good("reindex", "--map", 'entity="machine id"', cwd=tmp_path)
    assert entities(tmp_path) == {"m0", "m1", "m2"}


def take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
