"""What is sent is what the log and `replay` say, with where it comes from, and nothing is sent unasked."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from esctl.sinks.jsonl import message_line
from esctl.sinks.protocol import Message
from tests.support.cli_harness import esctl, good, on_terminal, refused

EVENTS = [
    '{"id": 1, "type": "Opened", "time": "2024-01-01T00:00:00Z", "stream": "a", "data": {"n": 1.50}}',
    '{"id": 2, "type": "Opened", "time": "2024-01-02T00:00:00Z", "stream": "b", "data": {"n": 12345678901234567890.5}}',
    '{"id": 2, "type": "Opened", "time": "2024-01-02T00:00:00Z", "stream": "b", "data": {"n": 12345678901234567890.5}}',
    "not json",
    '{"id": 3, "type": "Closed", "time": "2024-01-03T00:00:00Z", "stream": "b", "data": {}}',
]
CONFIG = '[projections.p.on."*"]\nmerge = "data"\n[projections.p.on.Closed]\ndelete = true\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "log.jsonl").write_text("".join(f"{event}\n" for event in EVENTS))
    (tmp_path / "esctl.toml").write_text(CONFIG)
    esctl("ingest", "log.jsonl", "--erasable", cwd=tmp_path)
    return tmp_path


def sent(*arguments: str, cwd: Path) -> list[dict[str, Any]]:
    text = good("emit", *arguments, cwd=cwd).text
    return [json.loads(one, parse_float=Decimal) for one in text.splitlines()]


def test_states_are_those_of_replay_with_their_place_in_the_log(folder: Path) -> None:
    (row,) = good("replay", "-p", "p", "-f", "jsonl", cwd=folder).rows
    first, second = sent("states", "-p", "p", "--deleted", cwd=folder)
    assert first["key"] == first["headers"]["esctl-entity"] == "a"
    assert json.loads(json.dumps(first["value"], default=float)) == row["state"]
    assert (first["headers"]["esctl-position"], first["headers"]["esctl-version"]) == ("1", "1")
    assert first["headers"]["esctl-head"] == "5"
    assert len(first["headers"]["esctl-root"]) == 64
    assert (second["key"], second["value"]) == ("b", None)


def test_events_are_the_bytes_of_their_records(folder: Path) -> None:
    lines = good("emit", "events", cwd=folder).text.splitlines()
    assert [json.loads(one)["headers"]["esctl-position"] for one in lines] == ["1", "2", "5"]
    for one, position in zip(lines, (0, 1, 4), strict=True):
        assert one.endswith(f'"value":{EVENTS[position]},"end":"\\n"}}')
    assert [one["key"] for one in sent("events", "--type", "Closed", cwd=folder)] == ["b"]


def test_what_was_erased_is_not_sent_again(folder: Path) -> None:
    good("redact", "@1", "--reason", "asked for", "--yes", cwd=folder)
    assert [one["headers"]["esctl-position"] for one in sent("events", cwd=folder)] == ["2", "5"]


def test_compensations_name_what_they_undo(folder: Path) -> None:
    template = '{"type": "Corrected", "stream": "{entity}", "data": {"{field}": "{value}"}}'
    found = sent("revert", "b", "--back-to", "@2", "-p", "p", "--as-events", template, cwd=folder)
    told = good("revert", "b", "--to", "@2", "-p", "p", "--as-events", template, cwd=folder).text.splitlines()
    assert [one["value"] for one in found] == [json.loads(one, parse_float=Decimal) for one in told]
    assert {one["headers"]["esctl-undoes"] for one in found} == {"[5]"}


def test_nothing_is_sent_unasked_and_a_dry_run_shows_the_same_bytes(folder: Path) -> None:
    call = ("emit", "states", "-p", "p", "--to", "jsonl:out.jsonl")
    message, hint = refused(*call, code=2, cwd=folder)
    assert "would be sent" in message
    assert "--yes" in hint
    shown = good(*call, "--dry-run", cwd=folder).out
    assert not (folder / "out.jsonl").exists()
    assert on_terminal(*call, cwd=folder, answer=b"n\n")[1] == 1
    assert not (folder / "out.jsonl").exists()
    good(*call, "--yes", cwd=folder)
    assert (folder / "out.jsonl").read_bytes() == shown
    assert good("emit", "states", "-p", "p", cwd=folder).out == shown


def test_a_target_that_is_none_is_refused(folder: Path) -> None:
    for to in ("nowhere", "jsonl:", "http://h/t"):
        assert "is not a target" in refused("emit", "states", "--to", to, "--yes", code=2, cwd=folder)[0]
    (folder / "kept").write_text("mine")
    (folder / "esctl.toml").write_text(CONFIG.replace('"data"', '"data.n"').replace("merge", "set = { x") + "")
    assert esctl("emit", "states", "-p", "p", "--to", "jsonl:kept", "--yes", cwd=folder).code == 2
    assert (folder / "kept").read_text() == "mine"


@pytest.mark.parametrize(
    ("value", "member"),
    [
        (None, '"value":null'),
        (b'{"a": 1.0}', '"value":{"a": 1.0}'),
        (b"[]\r\n", '"value":[],"end":"\\r\\n"'),
        (b"{\n}", '"text":"{\\n}"'),
        (b"{nothing", '"text":"{nothing"'),
        (b"\xff", f'"base64":"{base64.b64encode(bytes([255])).decode()}"'),
    ],
)
def test_each_value_can_be_told_from_its_line(value: bytes | None, member: str) -> None:
    assert message_line(Message(b"k", value, (("h", b"v"),))) == f'{{"key":"k","headers":{{"h":"v"}},{member}}}'
