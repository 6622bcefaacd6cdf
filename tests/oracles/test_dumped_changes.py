"""A real change log as tools dump its topics: it replays to the same rows as the log itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.real_log_helpers import load, rows_of, text_of

Message = dict[str, Any]
FLOAT = "\x01"
"""What floats begin with while messages are taken apart, so that their digits stay."""


def text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def kcat(number: int, message: Message) -> str:
    """Write a message as `kcat -J` does."""
    headers = [part for name, value in message["headers"].items() for part in (name, text(value))]
    told = {"topic": message["topic"], "partition": 0, "offset": number, "tstype": "create", "ts": number, "broker": 0}
    sides = {name: None if message[name] is None else text(message[name]) for name in ("key", "value")}
    return json.dumps({**told, "headers": headers, "key": sides["key"], "payload": sides["value"]}, ensure_ascii=False)


def console(number: int, message: Message) -> str:
    """Write a message as Kafka's console consumer does, with all that it can print."""
    headers = ",".join(f"{name}:{text(value)}" for name, value in message["headers"].items()) or "NO_HEADERS"
    return "\t".join([f"CreateTime:{number}", "Partition:0", f"Offset:{number}", headers, keyed(number, message)])


def keyed(number: int, message: Message) -> str:
    """Write a message as Kafka's console consumer does with keys alone: nothing ties a key to the one before."""
    return f"{text(message['key'])}\t{text(message['value'])}"


def with_floats(line: str) -> str:
    """Write the floats of a line as they were."""
    for quote in ('\\"', '"'):
        mark = json.dumps(FLOAT)[1:-1]
        for escaped in (mark.replace("\\", "\\\\"), mark):
            while (start := line.find(f"{quote}{escaped}")) >= 0:
                after = start + len(quote) + len(escaped)
                end = line.index(quote, after)
                line = line[:start] + line[after:end] + line[end + len(quote) :]
    return line


@pytest.mark.thorough
@pytest.mark.parametrize("write", [kcat, console, keyed])
def test_a_dump_is_its_log(write: Callable[[int, Message], str], real_logs: Path, tmp_path: Path) -> None:
    log = real_logs / "debezium_shop" / "plain.jsonl.zst"
    if not log.is_file():
        pytest.skip("no debezium_shop among the real logs")
    lines = text_of(log).rstrip("\n").split("\n")
    messages = [json.loads(line, parse_float=lambda digits: FLOAT + digits) for line in lines]
    written = [with_floats(write(number, message)) for number, message in enumerate(messages)]
    (tmp_path / "dump.txt").write_text("".join(f"{line}\n" for line in written), encoding="utf-8")
    dumped, told = load(tmp_path / "dumped", [tmp_path / "dump.txt"])
    assert (told.records, told.invalid) == (len(lines), 0)
    itself = load(tmp_path / "itself", [log])[0]
    for at in ("", f"@{len(lines) // 2}"):
        found, expected = (
            {row["entity"]: row["state"] for row in rows_of(each.replay(at=at))} for each in (dumped, itself)
        )
        assert found == expected
