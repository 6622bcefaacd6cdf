"""Logs in the W3C's extended format: a comment names their columns, and may do so again."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from esctl.sources.formats.tables import Dialect, find_dialect
from tests.support.cli_harness import esctl, good, refused

IIS = """#Software: Microsoft Internet Information Services 10.0
#Version: 1.0
#Date: 2024-03-05 09:00:00
#Fields: date time cs-method cs-uri-stem cs-username c-ip cs(User-Agent) sc-status
2024-03-05 09:00:00 GET /reports/7 CORP\\bob 192.0.2.7 Mozilla/5.0+(X11) 200
2024-03-05 09:00:01 POST /login - 192.0.2.8 "odd+agent 401
"""
AGAIN = IIS.partition("\n2024")[0] + "\n2024-03-05 09:20:00 DELETE /reports/7 CORP\\bob 192.0.2.7 curl/8 204\n"
OTHERS = AGAIN.replace("cs-method cs-uri-stem", "cs-uri-stem cs-method").replace("DELETE /reports/7", "/a PUT")
CLOUDFRONT = (
    "#Version: 1.0\n#Fields: date time c-ip cs-method cs(Host) cs-uri-stem sc-status x-edge-request-id\n"
    "2024-03-05\t09:00:00\t192.0.2.7\tGET\td1.test\t/index.html\t200\tSOX4==\n"
    "2024-03-05\t09:00:02\t192.0.2.8\tPUT\td1.test\t/cart\t403\tk6WG==\n"
)
PROXY = (
    "#Software: SGOS 6.7\n#Version: 1.0\n#Fields: date time cs-method cs-uri-stem cs-username cs(User-Agent)\n"
    '2024-03-05 09:00:00 GET /a bob "Mozilla/5.0 (X11; ""L"")"\n2024-03-05 09:00:01 GET /b - curl/8\n'
)
TRACKING = (
    "#Software: Microsoft Exchange Server\n#Log-type: Message Tracking Log\n"
    "#Fields: date-time,event-id,internal-message-id,message-id,message-subject,sender-address\n"
    '2024-03-05T09:00:00.123Z,RECEIVE,1,<m1@corp.test>,"Hello, ""you""",ann@corp.test\n'
)
COLUMNS = "time,type,entity,actor,id"


def read(folder: Path, text: str, columns: str = COLUMNS) -> list[tuple[str, ...]]:
    (folder / "a.log").write_bytes(text.encode())
    good("ingest", "a.log", cwd=folder)
    assert good("export", "--raw", cwd=folder).out == text.encode()
    return [tuple(row.values()) for row in good("log", "--columns", columns, cwd=folder).rows]


def test_requests_of_iis(tmp_path: Path) -> None:
    assert read(tmp_path, IIS + AGAIN) == [
        ("2024-03-05T09:00:00Z", "GET", "/reports/7", "CORP\\bob", None),
        ("2024-03-05T09:00:01Z", "POST", "/login", "192.0.2.8", None),
        ("2024-03-05T09:20:00Z", "DELETE", "/reports/7", "CORP\\bob", None),
    ]
    agents = [row["data"]["cs(User-Agent)"] for row in good("log", "--columns", "data", cwd=tmp_path).rows]
    assert agents == ["Mozilla/5.0+(X11)", '"odd+agent', "curl/8"]


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_requests_of_cloudfront(end: str, tmp_path: Path) -> None:
    assert read(tmp_path, CLOUDFRONT.replace("\n", end)) == [
        ("2024-03-05T09:00:00Z", "GET", "/index.html", "192.0.2.7", "SOX4=="),
        ("2024-03-05T09:00:02Z", "PUT", "/cart", "192.0.2.8", "k6WG=="),
    ]


def test_quotes_count_where_cells_have_blanks(tmp_path: Path) -> None:
    rows = read(tmp_path, PROXY, 'entity,actor,data."cs(User-Agent)"')
    assert rows == [("/a", "bob", 'Mozilla/5.0 (X11; "L")'), ("/b", None, "curl/8")]


def test_messages_that_exchange_tracks(tmp_path: Path) -> None:
    (row,) = read(tmp_path, TRACKING, 'time,type,entity,actor,data."message-subject"')
    assert row == ("2024-03-05T09:00:00.123000Z", "RECEIVE", "<m1@corp.test>", "ann@corp.test", 'Hello, "you"')


def test_a_row_of_other_width_is_invalid(tmp_path: Path) -> None:
    rows = read(tmp_path, IIS + "2024-03-05 09:00:02 GET /a b - 192.0.2.8 curl/8 200\n", "invalid")
    assert rows[2] == ("9 cells where the header has 8",)


@pytest.mark.parametrize("end", ["", "\n"])
def test_other_columns_end_what_is_read_with_a_line_to_go_on(end: str, tmp_path: Path) -> None:
    text = IIS + OTHERS.rstrip("\n") + end
    (tmp_path / "a.log").write_bytes(text.encode())
    told, hint = refused("ingest", "a.log", code=3, cwd=tmp_path)
    assert told.startswith(f"a.log: its columns are others from byte {len(IIS) + OTHERS.index('#Fields')} on")
    assert len(good("log", cwd=tmp_path).rows) == 2
    if shutil.which("csplit") is None:
        pytest.skip("csplit is not there")
    subprocess.run(shlex.split(hint.removeprefix("read it in parts: ")), cwd=tmp_path, check=True, capture_output=True)
    good("ingest", "a.log.00", "a.log.01", cwd=tmp_path)
    rows = good("log", "--columns", "type,entity", cwd=tmp_path).rows
    assert [tuple(row.values()) for row in rows] == [("GET", "/reports/7"), ("POST", "/login"), ("PUT", "/a")]


def test_what_is_read_later_goes_on_as_it_began(tmp_path: Path) -> None:
    read(tmp_path, IIS)
    (tmp_path / "a.log").write_bytes((IIS + AGAIN).encode())
    assert good("ingest", "a.log", cwd=tmp_path).rows[0]["new"] == 1
    (tmp_path / "a.log").write_bytes((IIS + AGAIN + OTHERS).encode())
    assert esctl("ingest", "a.log", cwd=tmp_path).code == 3
    assert len(good("log", cwd=tmp_path).rows) == 3


@pytest.mark.parametrize("text", ["#Fields\n1 2\n", "a b\n#Fields: a b\n", "#Software: x\n# nothing\n"])
def test_what_is_no_such_log(text: str) -> None:
    found = find_dialect(text.encode(), True)
    assert found is None or not found.fields


def test_a_log_without_rows_yet() -> None:
    assert find_dialect(b"#Fields: date time cs-method\n", True) == Dialect(" ", null="-", fields="#Fields:")
