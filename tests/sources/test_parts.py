"""Lines that a container runtime cut in parts are one record each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from esctl.sources.formats.prefixes import CRI, find_prefix
from tests.support.cli_harness import esctl, good

EVENTS = [
    json.dumps({"id": f"e{n}", "type": "T", "entity": "x-1", "data": {"n": n, "text": "{ü" * 20}}, ensure_ascii=False)
    for n in (1, 2, 3)
]


def line(flag: str, text: bytes, second: int) -> bytes:
    return f"2024-03-01T10:00:0{second}.123456789Z stdout {flag} ".encode() + text + b"\n"


def log(size: int = 40) -> bytes:
    """Write the events in parts of some bytes, also in the middle of a character."""
    found = b""
    for number, event in enumerate(EVENTS, 1):
        raw = event.encode()
        for start in range(0, len(raw), size):
            found += line("F" if start + size >= len(raw) else "P", raw[start : start + size], number)
    return found


def expected(count: int = 3) -> list[tuple[str, int]]:
    return [(f"2024-03-01T10:00:0{n}.123456Z", n) for n in range(1, count + 1)]


def events(folder: Path) -> list[tuple[str, int]]:
    rows = good("log", "--columns", "time,data,invalid", cwd=folder).rows
    assert {row["invalid"] for row in rows} <= {None}
    return [(row["time"], row["data"]["n"]) for row in rows]


@pytest.mark.parametrize("size", [7, 40, 10_000])
def test_parts_are_joined_and_the_bytes_stay(size: int, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(log(size))
    good("ingest", "a.log", cwd=tmp_path)
    assert events(tmp_path) == expected()
    assert good("export", "--raw", "--source", "a.log", cwd=tmp_path).out == log(size)


def test_parts_without_their_end_wait_for_it(tmp_path: Path) -> None:
    data = log(40)
    cut = data.rindex(b" P ") + 10
    for part in (data[:cut], data[: data.rindex(b"\n", 0, -1) + 1], data):
        (tmp_path / "a.log").write_bytes(part)
        good("ingest", "a.log", cwd=tmp_path)
    assert events(tmp_path) == expected()


def test_a_last_line_without_its_end_is_taken_when_it_is_whole(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(log(40).rstrip(b"\n"))
    good("ingest", "a.log", cwd=tmp_path)
    assert events(tmp_path) == expected()


def test_a_line_of_parts_that_is_no_json_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(log() + log() + line("P", b"plain ", 4) + line("F", b"text", 4))
    done = esctl("ingest", "a.log", cwd=tmp_path)
    assert (done.row["records"], done.row["invalid"]) == (7, 1)


def test_the_prefix_is_told() -> None:
    assert find_prefix(log(40).splitlines()) == CRI
    assert find_prefix([line("F", b"plain", 1), line("F", b"text", 2)]) is None
