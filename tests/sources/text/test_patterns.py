"""Patterns of one's own: grok expressions and named groups, what continues a line, and what is refused."""

from __future__ import annotations

import gzip
import io
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esctl.engine.duckdb import connect
from esctl.errors import UsageError
from esctl.sources.feed import Feed
from esctl.sources.formats.text.grok import compile_pattern
from esctl.sources.formats.text.grok_names import NAMES
from esctl.sources.formats.text.known import text_format
from esctl.sources.formats.text.lines import TextReader
from esctl.sources.formats.text.rows import TOO_LONG, UNMATCHED, lines_to_json
from esctl.sources.streams import ByteStream
from tests.support.cli_harness import esctl, good

GROK = (
    r"%{TIMESTAMP_ISO8601:time} +%{LOGLEVEL:level} +\[%{DATA:thread}\] %{JAVACLASS:logger} - "
    r"order %{NOTSPACE:order_id} %{WORD:action} by %{USER:user}(?: for %{NUMBER:amount:float})?"
)
NAMED = r"^(?P<time>\S+ \S+) +(?<level>\w+) .* - order (?P<order_id>\S+) (?P<action>\w+) by (?P<user>\w+)"
LOG = b"""2024-03-05 10:00:00,123 INFO  [main] com.acme.Orders - order o-1 created by bob for 12.50
2024-03-05 10:00:01,123 ERROR [main] com.acme.Orders - order o-2 failed by eve
java.lang.IllegalStateException: boom
\tat com.acme.Orders.run(Orders.java:12)

Caused by: java.io.IOException: x
\t... 12 more
a line of something else
2024-03-05 10:00:02,123 INFO  [main] com.acme.Orders - order o-1 shipped by bob
"""
EVENTS = [
    ("2024-03-05T10:00:00.123000Z", "created", "o-1", "bob", None),
    ("2024-03-05T10:00:01.123000Z", "failed", "o-2", "eve", None),
    (None, None, None, None, UNMATCHED),
    ("2024-03-05T10:00:02.123000Z", "shipped", "o-1", "bob", None),
]


def events(folder: Path) -> list[tuple[Any, ...]]:
    rows = good("log", "--columns", "time,type,entity,actor,invalid", cwd=folder).rows
    return [(None if row["invalid"] else row["time"], *list(row.values())[1:]) for row in rows]


def toml(pattern: str, glob: str = "app*") -> str:
    return f"[mapping.sources.\"{glob}\"]\npattern = '''{pattern}'''\n"


@pytest.mark.parametrize("pattern", [GROK, NAMED])
def test_a_pattern_in_the_mapping_reads_the_lines_of_a_source(pattern: str, tmp_path: Path) -> None:
    (tmp_path / "app.log").write_bytes(LOG)
    (tmp_path / "esctl.toml").write_text(toml(pattern))
    good("ingest", "app.log", cwd=tmp_path)
    assert events(tmp_path) == EVENTS
    assert good("export", "--raw", "--source", "app.log", cwd=tmp_path).out == LOG
    data = good("log", "--columns", "data", "--type", "failed", cwd=tmp_path).rows[0]["data"]
    assert data["continued"].startswith("java.lang.IllegalStateException: boom\n\tat com.acme")
    assert data["continued"].endswith("\t... 12 more")


def test_a_pattern_as_an_option_is_kept(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_bytes(LOG)
    good("ingest", "--pattern", GROK, "app.log", cwd=tmp_path)
    assert events(tmp_path) == EVENTS
    (tmp_path / "app2.log").write_bytes(LOG.replace(b"o-1", b"o-9"))
    good("ingest", "app2.log", cwd=tmp_path)
    assert [row[2] for row in events(tmp_path)] == ["o-1", "o-2", None, "o-1", "o-9", "o-2", None, "o-9"]


def test_a_pattern_can_be_told_later(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_bytes(LOG)
    done = esctl("ingest", "app.log", cwd=tmp_path)
    assert done.code == 3
    assert "esctl reindex --pattern" in done.err
    good("reindex", "--pattern", NAMED, cwd=tmp_path)
    assert events(tmp_path) == EVENTS
    good("verify", "--full", cwd=tmp_path)


def test_the_pattern_does_not_touch_json(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id":"1","type":"T","time":"2024-03-05T10:00:00Z","entity":"x"}\n')
    assert "the pattern that is told is not used" in good("ingest", "--pattern", NAMED, "a.jsonl", cwd=tmp_path).err
    assert [row[2] for row in events(tmp_path)] == ["x"]


def test_numbers_and_paths_of_fields(tmp_path: Path) -> None:
    pattern = "^%{IP:[client][ip]} %{INT:[client][port]:int} %{NUMBER:took:float} %{WORD:a}(?: %{WORD:b})?$"
    texts = pa.array(["192.0.2.7 80 0.50 x", "::1 007 1 x y", "nothing"], pa.large_string())
    found, reasons = lines_to_json(texts, {"pattern": pattern}, connect())
    assert found.to_pylist() == [
        '{"took":0.50,"a":"x","client":{"ip":"192.0.2.7","port":80}}',
        '{"took":1,"a":"x","b":"y","client":{"ip":"::1","port":"007"}}',
        None,
    ]
    assert reasons == {2: UNMATCHED}


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_grok_can_be_used(name: str) -> None:
    assert compile_pattern(f"%{{{name}:x}}").fields[0].path == ("x",)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("IP", "2001:db8::1"), ("IP", "::ffff:192.0.2.7"), ("IPORHOST", "a-b.example"),
        ("UUID", "0" * 8 + "-0000" * 3 + "-" + "0" * 12),
        ("TIMESTAMP_ISO8601", "2024-03-05 10:00:00,123+01:00"), ("HTTPDATE", "05/Mar/2024:10:00:00 +0000"),

        ("SYSLOGTIMESTAMP", "Mar  5 10:00:00"),
        ("QS", '"a \\" b"'),
        ("URI", "https://u@h.test:80/a?b=c"), ("MAC", "00:1A:2b:3c:4d:5e"),

        ("DATESTAMP_RFC2822", "Tue, 05 Mar 2024 10:00:00 +0000"), ("LOGLEVEL", "WARN"),
        ("NUMBER", "-1.5"), ("PATH", "C:\\a\\b"),

        ("EMAILADDRESS", "a.b@c.test"), ("HTTPDERROR_DATE", "Tue Mar 05 10:00:00.1 2024"),
    ],
)  # fmt: skip
def test_names_match_what_they_are_for(name: str, text: str) -> None:
    found, _ = lines_to_json(pa.array([text], pa.large_string()), {"pattern": f"^%{{{name}:x}}$"}, connect())
    assert found[0].as_py() is not None


def test_apache_logs_by_their_grok_name(tmp_path: Path) -> None:
    line = '192.0.2.7 - bob [05/Mar/2024:10:00:00 +0000] "GET /a HTTP/1.1" 200 12'
    found, _ = lines_to_json(pa.array([line], pa.large_string()), {"pattern": "%{COMMONAPACHELOG}"}, connect())
    assert found[0].as_py() == (
        '{"clientip":"192.0.2.7","auth":"bob","timestamp":"05/Mar/2024:10:00:00 +0000","verb":"GET","request":"/a",'
        '"httpversion":"1.1","response":200,"bytes":12}'
    )


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("%{IPP:x}", "%{IPP} is not a name"), ("%{IP:x:date}", "not a kind of field"), ("(?P<a>x(?=y))", "looks ahead"),
        ("(?<!x)(?P<a>y)", "looks behind"),
        (r"(?P<a>.)\1", "refers to a group"), ("abc", "names no field"),
        ("(?P<a>x", "is none"),
        ("(?P<a>(a{1000}){1000})", "is none"),
        ("(?P<a>x*+)", "is none"), ("(?>x)(?P<a>y)", "atomic"),
    ],
)  # fmt: skip
def test_what_cannot_be_matched_is_refused(pattern: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        compile_pattern(pattern)
    (tmp_path / "esctl.toml").write_text(toml(pattern))
    (tmp_path / "app.log").write_bytes(LOG)
    done = esctl("ingest", "app.log", cwd=tmp_path)
    assert done.code == 2
    assert 'esctl.toml: mapping.sources."app*".pattern' in done.err


def test_a_name_that_no_text_log_has_is_refused() -> None:
    with pytest.raises(UsageError, match="no text log is called 'nginx'") as told:
        text_format("nginx")
    assert told.value.hint == "did you mean nginx_error?"


def test_a_pattern_that_would_run_away_elsewhere_ends_here() -> None:
    texts = pa.array(["a" * (1 << 20)], pa.large_string())
    assert lines_to_json(texts, {"pattern": "^(?P<a>(?:a+)+)b$"}, connect())[1] == {0: UNMATCHED}
    longer = pa.array(["a" * ((1 << 20) + 1)], pa.large_string())
    assert lines_to_json(longer, {"pattern": "^(?P<a>(?:a+)+)b$"}, connect())[1] == {0: TOO_LONG}


LINES = st.sampled_from(
    [
        b"10:00 a x\n",
        b"10:01 b\r\n",
        b"\tat x\n",
        b"Caused by: y\n",
        b"\n",
        b" \n",
        b"junk\n",
        b"ValueError: x\n",
        b" 10:02 c\n",
        b"\xff\n",
    ]
)


def cut(data: bytes, size: int) -> tuple[list[bytes], bytes]:
    feed = Feed(ByteStream("a", io.BytesIO(data), None, plain=True), 1 << 20)
    reader = TextReader(feed, size, False, r"^ ?(?P<t>\d\d:\d\d) (?P<w>\w)")
    raws, tail = [], b""
    for piece in reader:
        raws += piece.raws.to_pylist()
        tail = piece.tail
        feed.release(piece.upto)
    assert b"".join(raws) + tail + data[len(data) - reader.pending :][: reader.pending] == data
    return raws, tail


@given(st.lists(LINES, max_size=12), st.sampled_from([b"", b"10:05 z", b"\tat", b"ju"]))
def test_records_do_not_depend_on_how_they_are_read(lines: list[bytes], rest: bytes) -> None:
    data = b"".join(lines) + rest
    whole, _ = cut(data, 1 << 20)
    assert cut(data, 1)[0] == whole
    assert all(not raw.strip().startswith((b"at", b"Caused")) for raw in whole[1:])


def test_a_gzipped_log_and_one_on_stdin_are_read_alike(tmp_path: Path) -> None:
    (tmp_path / "app.log.gz").write_bytes(gzip.compress(LOG, mtime=0))
    (tmp_path / "esctl.toml").write_text(toml(GROK))
    good("ingest", "app.log.gz", cwd=tmp_path)
    assert events(tmp_path) == EVENTS
    other = tmp_path / "other"
    other.mkdir()
    good("ingest", "-", "--pattern", GROK, "--store", "other/.esctl", cwd=tmp_path, stdin=LOG)
    assert events(other) == EVENTS


def test_lines_that_are_added_are_read_on(tmp_path: Path) -> None:
    lines = LOG.splitlines(keepends=True)
    (tmp_path / "esctl.toml").write_text(toml(GROK))
    for count in (1, 7, 9):
        (tmp_path / "app.log").write_bytes(b"".join(lines[:count]))
        good("ingest", "app.log", cwd=tmp_path)
    assert events(tmp_path) == EVENTS


def test_a_preset_reads_lines_that_are_few_of_many(tmp_path: Path) -> None:
    line = b"<34>Jan  1 00:00:02 web1 su: failed\n"
    (tmp_path / "app.log").write_bytes(b"one\ntwo\nthree\n" + line)
    esctl("ingest", "--preset", "syslog", "app.log", cwd=tmp_path)
    assert [row[4] for row in events(tmp_path)] == [UNMATCHED, UNMATCHED, UNMATCHED, None]


def test_fields_of_a_pattern_are_mapped(tmp_path: Path) -> None:
    (tmp_path / "esctl.toml").write_text(
        toml("%{COMBINEDAPACHELOG}") + 'time = "timestamp"\nentity = "clientip"\ntype = "verb"\nactor = "auth"\n'
    )
    line = b'192.0.2.7 - bob [05/Mar/2024:10:00:00 +0000] "GET /a HTTP/1.1" 200 12 "-" "curl"\n'
    (tmp_path / "app.log").write_bytes(line)
    good("ingest", "app.log", cwd=tmp_path)
    assert events(tmp_path) == [("2024-03-05T10:00:00Z", "GET", "192.0.2.7", "bob", None)]


def test_a_log_in_utf_16_is_read(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_bytes(LOG.decode().encode("utf-16"))
    (tmp_path / "esctl.toml").write_text(toml(GROK))
    good("ingest", "app.log", cwd=tmp_path)
    assert events(tmp_path) == EVENTS


def test_several_patterns_are_tried_in_order(tmp_path: Path) -> None:
    one, two = (
        r"^(?P<time>\S+) (?P<order_id>o-\d) (?P<action>\w+)$",
        r"^(?P<time>\S+) (?P<action>\w+) (?P<order_id>o-\d)",
    )
    (tmp_path / "app.log").write_bytes(b"2024-03-05T10:00:00Z o-1 paid\n2024-03-05T10:00:01Z shipped o-1 late\nx\n")
    expected = [
        ("2024-03-05T10:00:00Z", "paid", "o-1", None, None), ("2024-03-05T10:00:01Z", "shipped", "o-1", None, None),
        (None, None, None, None, UNMATCHED),
    ]  # fmt: skip
    good("ingest", "app.log", "--pattern", one, "--pattern", two, cwd=tmp_path)
    assert events(tmp_path) == expected
    good("reindex", "--map", "", cwd=tmp_path)
    (tmp_path / "esctl.toml").write_text(f"[mapping.sources.\"app*\"]\npattern = ['{one}', '{two}']\n")
    good("reindex", cwd=tmp_path)
    assert events(tmp_path) == expected


TRACES = {
    "python": b"""Traceback (most recent call last):
  File "/srv/x.py", line 1, in <module>
mymod.NotFound: x

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/y.py", line 1, in <module>
KeyError: 'x'
""",
    "go": b"""goroutine 19 [running]:
net/http.(*conn).serve.func1(0xc000112)
\t/usr/local/go/src/net/http/server.go:1801 +0x13a
panic(0x6f, 0x83)
\t/usr/local/go/src/runtime/panic.go:975 +0x47a
main.main()
created by net/http.(*Server).Serve
\t/usr/local/go/src/net/http/server.go:2969 +0x36c
""",
    "php": b"""Stack trace:
#0 /srv/a.php(7): f()
#1 {main}
  thrown in /srv/a.php on line 3
""",
    "dotnet": b"""System.InvalidOperationException: boom
 ---> System.IO.IOException: x
   at A.B() in C:\\\\a.cs:line 1
   --- End of inner exception stack trace ---
""",
    "node": b"""TypeError: x is not a function
    at Object.<anonymous> (/srv/a.js:1:1) {
  code: 'E'
}
""",
}


@pytest.mark.parametrize("name", TRACES)
def test_traces_belong_to_the_record_before(name: str, tmp_path: Path) -> None:
    first, last = b"2024-03-05T10:00:00Z ERROR boom\n", b"2024-03-05T10:00:01Z INFO ok\n"
    trace = TRACES[name]
    (tmp_path / "app.log").write_bytes(first + trace + last)
    pattern = r"^(?P<time>\S+Z) (?P<level>\w+) (?P<message>.*)"
    good("ingest", "app.log", "--pattern", pattern, "--map", "entity==app", cwd=tmp_path)
    rows = good("log", "--columns", "data", cwd=tmp_path).rows
    assert [row["data"]["message"] for row in rows] == ["boom\n" + trace.decode().rstrip("\n"), "ok"]


def test_fields_of_records_as_they_came_are_those_of_the_pattern(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_bytes(LOG)
    (tmp_path / "esctl.toml").write_text(toml(GROK))
    good("ingest", "app.log", cwd=tmp_path)
    rows = good("log", "--where", "raw.thread = 'main' and raw.order_id = 'o-2'", "--columns", "raw.user", cwd=tmp_path)
    assert [list(row.values()) for row in rows.rows] == [["eve"]]
