"""Text logs that are known by name: recognised without a word, each line an event, and the bytes given back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from esctl.index.envelope.presets import PRESETS
from esctl.sources.formats.text.known import TEXT_FORMATS, find_text_format
from esctl.sources.formats.text.years import first_month
from tests.support.cli_harness import esctl, good

LOGS = Path(__file__).parent / "logs"
COLUMNS = ("time", "type", "entity", "actor")
Row = tuple[str | None, str, str, str | None]

BUCKET, BOB = "reports-test", "arn:aws:iam::111122223333:user/bob"

EXPECTED: dict[str, tuple[str, list[Row]]] = {
    "access.log": (
        "access_log",
        [
            ("2024-03-05T09:00:00Z", "GET", "/reports/7", "bob"),
            ("2024-03-05T09:00:01Z", "POST", "/login", "192.0.2.8"),
            ("2024-03-05T09:00:02Z", "request", "\\x16\\x03\\x01", "192.0.2.9"),
            ("2024-03-05T09:00:03Z", "DELETE", "/reports/7", "2001:db8::1"),
            ("2024-03-05T09:00:04Z", "HEAD", "/", "bob"),
        ],
    ),
    "elb_access.log": (
        "elb_access",
        [
            ("2024-03-05T10:00:00.186641Z", "GET", "/reports/7", "192.0.2.7"),
            ("2024-03-05T10:00:01.186641Z", "POST", "/", "2001:db8::1"),
            ("2024-03-05T10:00:02.186641Z", "request", "app/shop/50dc6c495c0c9188", "192.0.2.9"),
            ("2024-03-05T10:00:03.186641Z", "GET", "/ws", "192.0.2.7"),
        ],
    ),
    "elb_classic.log": (
        "elb_access",
        [
            ("2024-03-05T10:00:00.945958Z", "GET", "/", "192.0.2.7"),
            ("2024-03-05T10:00:01.945958Z", "request", "old-shop", "192.0.2.8"),
        ],
    ),
    "s3_access.log": (
        "s3_access",
        [
            ("2024-03-05T09:00:00Z", "REST.PUT.OBJECT", f"{BUCKET}/2024/q1%2Bdraft.pdf", BOB),
            ("2024-03-05T09:00:01Z", "REST.GET.VERSIONING", BUCKET, "192.0.2.8"),
            ("2024-03-05T09:00:02Z", "REST.POST.MULTI_OBJECT_DELETE", BUCKET, BOB),
            ("2024-03-05T09:00:02Z", "BATCH.DELETE.OBJECT", f"{BUCKET}/2024/a.pdf", BOB),
            ("2024-03-05T09:00:02Z", "BATCH.DELETE.OBJECT", f"{BUCKET}/2024/b.pdf", BOB),
            ("2024-03-05T09:01:00Z", "S3.EXPIRE.OBJECT", f"{BUCKET}/2024/q1%2Bdraft.pdf", "AmazonS3"),
        ],
    ),
    "squid.log": (
        "squid",
        [
            ("2024-03-05T09:00:00.123000Z", "GET", "http://shop.test/a?b=c", "bob"),
            ("2024-03-05T09:00:01.456000Z", "CONNECT", "evil.test:443", "192.0.2.8"),
        ],
    ),
    "cef.log": (
        "cef",
        [
            ("2024-03-05T09:00:00.123000Z", "Login failed | twice", "root", "bob"),
            ("2024-03-05T10:00:02Z", "Login", "192.0.2.1", "ann"),
            ("2024-03-05T09:00:03Z", "Logout", "gw.test", "ann"),
            ("2024-03-05T09:00:04Z", "File deleted", "/etc/passwd", "eve"),
            (None, "Nothing", "Gate", None),
        ],
    ),
    "apache_error.log": (
        "apache_error",
        [
            ("2024-03-05T10:00:00.123456Z", "error", "core", "192.0.2.7"),
            ("2024-03-05T10:00:01.000001Z", "notice", "mpm_event", None),
            ("2024-03-05T10:00:02Z", "error", "apache", "192.0.2.8"),
        ],
    ),
    "nginx_error.log": (
        "nginx_error",
        [
            ("2024-03-05T10:00:00Z", "error", "/x", "192.0.2.7"),
            ("2024-03-05T10:00:01Z", "notice", "nginx", None),
        ],
    ),
    "syslog_5424.log": (
        "syslog",
        [
            ("2024-03-05T22:14:15.003000Z", "billing", "host.test", None),
            ("2024-03-05T20:14:16Z", "su", "host.test", None),
            ("2024-03-05T20:14:17.500000Z", "cron", "host.test", None),
        ],
    ),
    "postgresql.log": (
        "postgresql",
        [
            ("2024-03-05T10:00:00.123000Z", "LOG", "postgresql", None),
            ("2024-03-05T10:00:01.123000Z", "ERROR", "shop", "bob"),
            ("2024-03-05T10:00:01.124000Z", "STATEMENT", "shop", "bob"),
            ("2024-03-05T10:00:02.123000Z", "CREATE TABLE", "shop/public.account", "bob"),
            ("2024-03-05T10:00:03Z", "LOG", "shop", "bob"),
            ("2024-03-05T10:00:04Z", "LOG", "shop", "bob"),
        ],
    ),
    "audit.log": (
        "auditd",
        [
            ("2024-03-05T10:00:00.243000Z", "SYSCALL", "/usr/bin/cat", "1000"),
            ("2024-03-05T10:00:00.243000Z", "CWD", "/home/bob", None),
            ("2024-03-05T10:00:00.243000Z", "PATH", "/etc/ssh/sshd_config", None),
            ("2024-03-05T10:00:00.243000Z", "PROCTITLE", "cat /etc/ssh/sshd_config", None),
            ("2024-03-05T10:00:37.100000Z", "USER_LOGIN", "eve", None),
            ("2024-03-05T10:00:38Z", "EXECVE", "ls", None),
            ("2024-03-05T10:00:39Z", "AVC", "shadow", None),
            ("2024-03-05T10:00:40Z", "USER_CMD", "/usr/bin/sudo", "bob"),
        ],
    ),
    **{
        f"csvlog_{version}.csv": (
            "postgresql",
            [
                ("2024-03-05T10:00:01.123000Z", "CREATE TABLE", "shop/public.account", "bob"),
                ("2024-03-05T10:00:02.123000Z", "SELECT", "shop/public.account", "bob"),
                ("2024-03-05T10:00:03.123000Z", "ERROR", "shop", "bob"),
            ],
        )
        for version in (12, 13, 14)
    },
}  # fmt: skip


def taken(folder: Path, name: str, *more: str) -> list[dict[str, Any]]:
    """Ingest a log, and return its events; its bytes must come back as they were."""
    (folder / name).write_bytes((LOGS / name).read_bytes())
    done = esctl("ingest", name, *more, cwd=folder)
    assert done.code == 0, done.err
    assert (told := EXPECTED.get(name)) is None or f"mapping of {name}: {told[0]}\n" in done.err
    assert good("export", "--raw", "--source", name, cwd=folder).out == (LOGS / name).read_bytes()
    return good("log", "--columns", "time,type,entity,actor,correlation,id,data,invalid", cwd=folder).rows


def envelope(rows: list[dict[str, Any]]) -> list[Row]:
    return [tuple(row[name] for name in COLUMNS) for row in rows]  # type: ignore[misc]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_log_is_recognised_and_read_as_its_events(name: str, tmp_path: Path) -> None:
    _, expected = EXPECTED[name]
    rows = taken(tmp_path, name)
    assert envelope(rows) == expected
    assert {row["invalid"] for row in rows} == {None}
    assert esctl("replay", cwd=tmp_path).code == 0
    assert esctl("doctor", "--payloads", cwd=tmp_path).rows == []


def test_what_a_load_balancer_did_is_in_fields(tmp_path: Path) -> None:
    first, _, third, _ = taken(tmp_path, "elb_access.log")
    assert first["correlation"] == "Root=1-58337281-1d84f3d73c47ec4e58577259"
    told = {"host": "shop.test:443", "elb_status_code": 200, "target_processing_time": 0.001, "query": "full=1"}
    assert {name: first["data"][name] for name in told} == told
    assert (third["data"]["request"], third["data"]["classification"]) == ("- http://shop.test:80- -", "Ambiguous")
    assert third["data"]["more"] == '"shop.test" "-"'  # fields that were added since
    assert "elb_status_code" not in taken(tmp_path, "elb_classic.log")[-1]["data"]


def test_values_of_cef_have_blanks_and_what_they_escape(tmp_path: Path) -> None:
    rows = taken(tmp_path, "cef.log")
    assert rows[0]["data"] == {
        "cef_version": "0", "cs1Label": "Rule", "duser": "root", "name": "Login failed | twice", "product": "Gate",
        "msg": "wrong password a=1 and c:\\temp\\x with  two blanks", "severity": "5", "signature": "100",
        "src": "192.0.2.7", "suser": "bob", "vendor": "Vendor", "version": "1.0",
    }  # fmt: skip
    assert rows[1]["data"]["msg"] == "line one\nline two"
    assert rows[1]["data"]["request"] == "https://x.test/?a=1&b=2"


def test_the_parts_of_a_request_are_fields(tmp_path: Path) -> None:
    access = taken(tmp_path, "access.log")[0]
    assert access["data"] == {
        "agent": 'Mozilla/5.0 (X11; \\"L\\")', "bytes": 5120, "client": "192.0.2.7", "ident": "-", "method": "GET",
        "path": "/reports/7", "protocol": "HTTP/1.1", "query": "full=1", "referrer": "https://intra.test/",
        "status": 200, "user": "bob",
    }  # fmt: skip


def test_a_message_of_several_lines_is_one_and_what_pgaudit_says_is_read(tmp_path: Path) -> None:
    pg = taken(tmp_path, "postgresql.log")
    assert pg[2]["data"]["message"] == "select x\n\tfrom y\n\n\twhere z"
    assert pg[3]["data"]["audit"] == {
        "audit_type": "SESSION", "statement_id": "1", "substatement_id": "1", "class": "DDL",
        "command": "CREATE TABLE", "object_type": "TABLE", "object_name": "public.account",
        "statement": 'create table account\n\t(id int, name text default "x")', "parameter": "<not logged>",
    }  # fmt: skip


def test_rows_of_csvlog_have_ids_and_what_pgaudit_says(tmp_path: Path) -> None:
    rows = taken(tmp_path, "csvlog_14.csv")
    assert [row["id"] for row in rows] == [f"65e6f0a1.4d3/{number}" for number in (1, 2, 3)]
    assert rows[0]["data"]["audit"]["statement"] == 'create table account\n(id int, name text default "x")'
    assert rows[1]["data"]["audit"]["audit_type"] == "OBJECT"
    assert "audit" not in rows[2]["data"]


def test_records_of_one_event_of_auditd_are_tied_and_hexadecimal_text_is_read(tmp_path: Path) -> None:
    rows = taken(tmp_path, "audit.log")
    assert {row["correlation"] for row in rows[:4]} == {"1709632800.243:24287"}
    assert rows[0]["data"]["a0"] == "ffffff9c"
    assert rows[5]["data"]["a1"] == "ä ö"
    assert rows[5]["correlation"] == "web1/1709632838.000:24291"
    assert (rows[6]["data"]["result"], rows[6]["data"]["permissions"]) == ("denied", "read open")
    assert (rows[7]["data"]["cmd"], rows[7]["data"]["cwd"]) == ("ls -l", "/root")


def test_times_of_syslog_without_a_year_are_undated_until_somebody_says_it(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes((LOGS / "syslog_3164.log").read_bytes())
    done = esctl("ingest", "a.log", cwd=tmp_path)
    assert "its times have no year" in done.err
    assert {row["time"] for row in good("log", "--columns", "time", cwd=tmp_path).rows} == {None}
    good("reindex", "--map", "year=2023", cwd=tmp_path)
    rows = good("log", "--columns", ",".join(COLUMNS), cwd=tmp_path).rows
    assert envelope(rows) == [
        ("2023-12-31T23:59:58Z", "sshd", "web1", None),
        ("2023-12-31T23:59:59Z", "kernel", "web1", None),
        ("2024-01-01T00:00:02Z", "su", "web1", None),
        ("2024-01-01T00:00:03Z", "message", "web1", None),
    ]
    assert esctl("reindex", "--map", "year=24", cwd=tmp_path).code == 2


def test_a_year_can_be_told_in_the_mapping_of_a_source(tmp_path: Path) -> None:
    (tmp_path / "esctl.toml").write_text('[mapping.sources."*.log"]\nyear = 2019\n')
    rows = taken(tmp_path, "syslog_3164.log", "--config", "esctl.toml")
    assert [row["time"][:4] for row in rows] == ["2019", "2019", "2020", "2020"]


def test_lines_of_key_and_value_are_read(tmp_path: Path) -> None:
    rows = taken(tmp_path, "logfmt.log")
    assert [(row["time"], row["data"]["msg"]) for row in rows] == [
        ("2024-03-05T10:00:00Z", 'user "bob" logged in'),
        ("2024-03-05T10:00:01Z", "slow"),
    ]
    assert "took" not in rows[1]["data"]


def test_every_text_log_has_a_preset_or_is_recognised_by_its_fields() -> None:
    assert {name for name, preset in PRESETS.items() if preset.lines} == set(TEXT_FORMATS) - {"logfmt"}


def test_a_preset_says_which_lines_it_is_for(tmp_path: Path) -> None:
    rows = good("presets", "auditd", cwd=tmp_path).rows
    assert next(row["where"] for row in rows if row["field"] == "lines").startswith("of the Linux audit daemon")


@pytest.mark.parametrize(
    "lines",
    [
        [b"id,type,time", b"1,a,2024-03-05", b"2,b,2024-03-06"],
        [b"hello world", b"this is = no log", b"x=1"],
        [b"# title", b"", b"some prose: with words"],
        [b"2024-03-05T10:00:00Z ERROR boom", b"2024-03-05T10:00:01Z INFO ok"],
        [b"2024-03-05T10:00:00.123456+00:00 ERROR com.acme.Orders: boom"],
        [b"2024-03-05T10:00:00Z worker order: paid", b"2024-03-05T10:00:01Z worker order: shipped"],
        [b"Mar  5 10:00:00 [WARN] app: slow"],
        [b"Mar  5 10:00:00 INFO started"],
        [b"Mar  5 10:00:00 order paid", b"Mar  5 10:00:01 order shipped"],
    ],
)
def test_other_text_is_no_known_log(lines: list[bytes]) -> None:
    assert find_text_format(lines) == ""


@pytest.mark.parametrize(
    ("line", "month"),
    [
        (b"<34>Mar  5 10:00:00 web su: x\n", "3"), (b"Dec 31 10:00:00 web su: x", "12"), (b"", ""),
        (b"2024-03-05T10:00:00Z web: since Mar  5 10:00:00\n", ""), (b"Tue Mar 05 10:00:00 2024 x\n", ""),
    ],
)  # fmt: skip
def test_the_month_of_a_time_without_a_year_is_told(line: bytes, month: str) -> None:
    assert first_month(line) == month


@pytest.mark.parametrize(
    ("digits", "address"),
    [
        ("02000016C0A8010A0000000000000000", "192.168.1.10:22"),
        ("0A000050" + "0" * 8 + "0" * 31 + "1" + "0" * 8, "[0000:0000:0000:0000:0000:0000:0000:0001]:80"),
        ("01002F72756E2F6C6F6700", "/run/log"),
        ("0100002F746D702F78", "@/tmp/x"),
        ("100000000000000000000000", "100000000000000000000000"),
        ("0200", "0200"),
    ],
)
def test_the_address_of_a_socket_is_decoded(digits: str, address: str, tmp_path: Path) -> None:
    (tmp_path / "audit.log").write_text(f"type=SOCKADDR msg=audit(1709604132.123:457): saddr={digits}\n")
    good("ingest", "audit.log", cwd=tmp_path)
    (row,) = good("log", "--columns", "entity,data", cwd=tmp_path).rows
    assert (row["entity"], row["data"]["saddr"]) == (address, address)
