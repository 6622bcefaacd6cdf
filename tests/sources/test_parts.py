"""Lines that a container runtime cut in parts are one record each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from esctl.sources.formats.prefixes import find_prefix
from esctl.sources.formats.text.split_lines import CRI
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


def container(lines: list[bytes]) -> bytes:
    found = b""
    for number, each in enumerate(lines):
        found += line("P", each[:20], number) + line("F", each[20:], number)
    return found


def test_a_text_log_in_a_container_is_read_by_its_lines(tmp_path: Path) -> None:
    logs = Path(__file__).parent / "text" / "logs"
    data = container((logs / "access.log").read_bytes().splitlines())
    (tmp_path / "a.log").write_bytes(data)
    good("ingest", "a.log", cwd=tmp_path)
    rows = good("log", "--columns", "time,type,entity,invalid", cwd=tmp_path).rows
    assert tuple(rows[0].values()) == ("2024-03-05T09:00:00Z", "GET", "/reports/7", None)
    assert {row["invalid"] for row in rows} == {None}
    assert len(rows) == 5
    assert good("export", "--raw", "--source", "a.log", cwd=tmp_path).out == data


def test_lines_without_a_time_of_their_own_have_that_of_the_runtime(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(
        container([b"user_id=u1 msg=hello level=info", b"user_id=u2 msg=hello level=info"])
    )
    good("ingest", "a.log", cwd=tmp_path)
    rows = good("log", "--columns", "time,entity", cwd=tmp_path).rows
    assert rows[1] == {"time": "2024-03-01T10:00:01.123456Z", "entity": "u2"}


def test_other_lines_of_containers_are_messages(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(line("P", b"starting ", 1) + line("F", b"up", 1) + line("F", b"done", 2))
    good("ingest", "a.log", cwd=tmp_path)
    rows = good("log", "--columns", "time,type,data", cwd=tmp_path).rows
    assert rows[0] == {
        "time": "2024-03-01T10:00:01.123456Z", "type": "stdout",
        "data": {"stream": "stdout", "message": "starting up"},
    }  # fmt: skip


def test_a_pattern_is_of_the_line_without_the_prefix_or_with_it(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(line("F", b"order o-1 paid", 1))
    for number, pattern in enumerate(
        (r"^order (?P<order_id>\S+) (?P<type>\w+)", r"F order (?P<order_id>\S+) (?P<type>\w+)")
    ):
        good("ingest", "a.log", "--pattern", pattern, "--store", str(number), cwd=tmp_path)
        rows = good("log", "--columns", "time,type,entity", "--store", str(number), cwd=tmp_path).rows
        assert [(row["type"], row["entity"]) for row in rows] == [("paid", "o-1")]


def docker(lines: list[str], size: int = 30, spaced: bool = False) -> bytes:
    """Write lines as Docker's json-file does, in parts of some characters."""
    found, separators = "", (", ", ": ") if spaced else (",", ":")
    for number, each in enumerate(lines, 1):
        text = each + "\n"
        for start in range(0, len(text), size):
            part = {"log": text[start : start + size], "stream": "stdout", "time": f"2024-03-01T10:00:0{number}.1Z"}
            found += json.dumps(part, separators=separators) + "\n"
    return found.encode()


@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize("size", [7, 40, 10_000])
def test_parts_of_docker_are_joined_and_the_bytes_stay(size: int, spaced: bool, tmp_path: Path) -> None:
    data = docker(EVENTS, size, spaced)
    (tmp_path / "a.log").write_bytes(data)
    good("ingest", "a.log", cwd=tmp_path)
    rows = good("log", "--columns", "type,entity,data,invalid", cwd=tmp_path).rows
    assert [(row["type"], row["entity"], row["data"]["n"], row["invalid"]) for row in rows] == [
        ("T", "x-1", n, None) for n in (1, 2, 3)
    ]
    assert good("export", "--raw", "--source", "a.log", cwd=tmp_path).out == data


def test_parts_of_docker_that_lack_their_end_wait_for_it(tmp_path: Path) -> None:
    data = docker(EVENTS)
    cut = data[: data.rindex(b"\n", 0, -1) + 1]
    for part, count in ((cut, 2), (data, 3)):
        (tmp_path / "a.log").write_bytes(part)
        good("ingest", "a.log", cwd=tmp_path)
        assert len(good("log", cwd=tmp_path).rows) == count


def test_whole_lines_of_docker_without_a_line_feed_stay_single(tmp_path: Path) -> None:
    lines = [json.dumps({"log": event, "stream": "stdout", "time": "2024-03-01T10:00:01Z"}) + "\n" for event in EVENTS]
    (tmp_path / "a.log").write_text("".join(lines))
    assert good("ingest", "a.log", cwd=tmp_path).row["records"] == 3


TRACE = [b"java.lang.IllegalStateException: x", b"\tat a.b.C(D.java:1)", b"\tat a.b.Longer(D.java:20)", b"Caused by: y"]


def test_traces_of_a_container_belong_to_the_line_before(tmp_path: Path) -> None:
    lines = [b"12:00:01 starting up", b"12:00:02 it failed badly", *TRACE, b"12:00:03 and goes on"]
    data = b"".join(line("F", each, 1) for each in lines)
    data = data.replace(line("F", TRACE[2], 1), line("P", TRACE[2][:15], 1) + line("F", TRACE[2][15:], 1))
    (tmp_path / "a.log").write_bytes(data)
    assert good("ingest", "a.log", cwd=tmp_path).row["invalid"] == 0
    messages = [row["data"]["message"] for row in good("log", "--columns", "data", cwd=tmp_path).rows]
    traced = b"\n".join([b"12:00:02 it failed badly", *TRACE]).decode()
    assert messages == ["12:00:01 starting up", traced, "12:00:03 and goes on"]
    assert good("export", "--raw", "--source", "a.log", cwd=tmp_path).out == data


def test_traces_in_a_known_log_of_a_container_belong_to_its_lines(tmp_path: Path) -> None:
    lines = [f"2024/03/05 10:00:0{n} [error] 7#8: *{n} it failed".encode() for n in range(9)]
    (tmp_path / "a.log").write_bytes(container([*lines, TRACE[1], TRACE[2]]))
    good("ingest", "a.log", cwd=tmp_path)
    rows = good("log", "--columns", "type,data,invalid", cwd=tmp_path).rows
    assert [(row["type"], row["invalid"]) for row in rows] == [("error", None)] * 9
    assert rows[8]["data"]["message"] == "it failed\n\tat a.b.C(D.java:1)\n\tat a.b.Longer(D.java:20)"
