"""Every command in every format: columns as documented, data on stdout, talk on stderr."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from esctl.output import FORMATS
from tests.support.cli_harness import COLUMNS, esctl, good, ingest_samples, lines, on_terminal, refused

COMMANDS = {
    "replay": ["replay", "account-013", "account-017"],
    "diff": ["diff", "2024-02-01", "2024-02-03", "account-013"],
    "audit": ["audit", "account-013", "--limit", "5"],
    "blame": ["blame", "account-013", "account-009"],
    "revert": ["revert", "account-013", "account-009", "--to", "2024-01-20"],
    "when": ["when", "balance < 1000", "account-01*", "--every"],
    "series": ["series", "sum(balance)", "account-01*", "--every", "1w", "--by", "kind"],
    "log": ["log", "account-013", "--limit", "5"],
    "types": ["types"],
    "entities": ["entities", "account-01*"],
}
OTHERS = {
    "show": ["show", "evt-00002"],
    "status": ["status"],
    "config": ["config", "show"],
    "summary": ["diff", "2024-02-01", "2024-02-03", "--summary"],
    "export": ["export", "--source", "bank.jsonl", "--limit", "3"],
}
STATE = ["owner", "address", "daily_limit", "balance", "largest_charge", "charges", "disputed"]


def flat(name: str) -> list[str]:
    columns = COLUMNS[name]
    if name != "replay":
        return columns
    return [*columns[:2], *(f"state.{field}" for field in STATE), *columns[3:]]


def cells(form: str, out: bytes) -> list[list[str]]:
    """Read a delimited answer, header first; TSV quotes a field only where CSV would."""
    delimiter = {"csv": ",", "tsv": "\t"}[form]
    return list(csv.reader(io.StringIO(out.decode(), newline=""), delimiter=delimiter))


def table_of(form: str, out: bytes) -> pa.Table:
    if form == "parquet":
        return pq.read_table(io.BytesIO(out))
    return pa.ipc.open_stream(out).read_all()


@pytest.mark.parametrize("name", COMMANDS)
def test_rows_have_the_documented_columns_in_every_format(samples: Path, name: str) -> None:
    def answer(form: str) -> bytes:
        done = good(*COMMANDS[name], "-q", "-f", form, cwd=samples)
        assert done.err == ""
        return done.out

    rows = [json.loads(line) for line in lines(answer("jsonl").decode())]
    assert rows
    assert all(list(row) == COLUMNS[name] for row in rows)
    assert json.loads(answer("json")) == rows
    for form in ("csv", "tsv"):
        head, *body = cells(form, answer(form))
        assert (head, len(body)) == (flat(name), len(rows))
    for form in ("parquet", "arrow"):
        table = table_of(form, answer(form))
        assert (table.column_names, table.num_rows) == (flat(name), len(rows))
    head, rule, *body = lines(answer("markdown").decode())
    assert head.startswith("| ")
    assert set(rule) <= set("|-: ")
    assert len(body) == len(rows)
    shown = answer("table").decode()
    assert f"{len(rows)} row" in shown or f"the first {len(rows)} rows" in shown
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("name", OTHERS)
def test_all_formats_tell_the_same(samples: Path, name: str) -> None:
    arguments = [*OTHERS[name], "-q"]
    rows = good(*arguments, "-f", "jsonl", cwd=samples).rows
    assert rows
    columns = list(rows[0])
    again = good(*arguments, "-f", "json", cwd=samples).rows
    assert [row for row in again if row.get("setting") != "format"] == [
        row for row in rows if row.get("setting") != "format"
    ]
    for form in ("csv", "tsv"):
        head, *body = cells(form, good(*arguments, "-f", form, cwd=samples).out)
        assert (head, len(body)) == (columns, len(rows))
    for form in ("parquet", "arrow"):
        table = table_of(form, good(*arguments, "-f", form, cwd=samples).out)
        assert (table.column_names, table.num_rows) == (columns, len(rows))
    for form in ("table", "markdown"):
        assert len(good(*arguments, "-f", form, cwd=samples).text.splitlines()) >= len(rows) + 2


@pytest.mark.parametrize(
    ("suffix", "form"),
    [
        ("json", "json"),
        ("jsonl", "jsonl"),
        ("ndjson", "jsonl"),
        ("csv", "csv"),
        ("tsv", "tsv"),
        ("md", "markdown"),
        ("parquet", "parquet"),
    ],
)
def test_an_output_file_holds_what_stdout_would(samples: Path, tmp_path: Path, suffix: str, form: str) -> None:
    path = tmp_path / f"answer.{suffix}"
    done = good("replay", "account-013", "-o", path, cwd=samples, ESCTL_FORMAT="table")
    assert (done.out, done.err) == (b"", "")
    assert path.read_bytes() == good("replay", "account-013", "-f", form, cwd=samples).out


def test_an_arrow_file_is_feather(samples: Path, tmp_path: Path) -> None:
    path = tmp_path / "answer.arrow"
    good("replay", "account-013", "-o", path, cwd=samples)
    stream = good("replay", "account-013", "-f", "arrow", cwd=samples).out
    with pa.ipc.open_file(path) as reader:
        assert reader.read_all().equals(pa.ipc.open_stream(stream).read_all())


def test_columns_and_limit_choose_before_and_after_the_name(samples: Path) -> None:
    wanted = [{"state.balance": 13333.66, "entity": "account-013"}]
    after = good(
        "replay", "account-013", "account-017", "--columns", "state.balance,entity", "--limit", "1", cwd=samples
    )
    before = good(
        "--columns", "state.balance,entity", "--limit", "1", "replay", "account-013", "account-017", cwd=samples
    )
    assert after.rows == before.rows == wanted
    variables = good(
        "replay", "account-013", "account-017", cwd=samples, ESCTL_COLUMNS="state.balance,entity", ESCTL_LIMIT="1"
    )
    assert variables.rows == wanted
    assert good("replay", "--limit", "0", cwd=samples).out == b""
    assert good("replay", "--limit", "0", "-f", "json", cwd=samples).rows == []


def test_an_option_outranks_a_variable_and_a_variable_the_file(samples: Path, tmp_path: Path) -> None:
    config = tmp_path / "esctl.toml"
    config.write_text('[output]\nformat = "tsv"\ntz = "Asia/Kathmandu"\n' + (samples / "esctl.toml").read_text())
    arguments = ["--config", config, "entities", "account-013", "--columns", "first"]
    assert good(*arguments, cwd=samples).text == "first\n2024-01-02T15:45:23.078000+05:45\n"
    assert good(*arguments, cwd=samples, ESCTL_TZ="-01:00").text == "first\n2024-01-02T09:00:23.078000-01:00\n"
    assert (
        good(*arguments, "--tz", "UTC", cwd=samples, ESCTL_TZ="-01:00").text == "first\n2024-01-02T10:00:23.078000Z\n"
    )
    assert good(*arguments, cwd=samples, ESCTL_FORMAT="csv", ESCTL_TZ="UTC").out.startswith(b"first\n")
    assert good(*arguments, "-f", "jsonl", cwd=samples, ESCTL_FORMAT="csv").out.startswith(b'{"first":')


@pytest.mark.parametrize("form", [name for name, form in FORMATS.items() if not form.takes_findings])
def test_times_are_shown_in_the_zone_that_is_asked_for(samples: Path, form: str) -> None:
    done = good("entities", "account-013", "--tz", "Asia/Kathmandu", "-f", form, cwd=samples)
    if form in ("parquet", "arrow"):  # an instant is an instant, whatever zone it is shown in
        first = table_of(form, done.out)["first"].cast(pa.timestamp("us", "UTC")).to_pylist()[0]
        assert first.isoformat() == "2024-01-02T10:00:23.078000+00:00"
    elif form in ("table", "markdown"):
        assert "Asia/Kathmandu" in done.text
        assert "2024-01-02" in done.text
        assert "15:45:23.078" in done.text
    else:
        assert "2024-01-02T15:45:23.078000+05:45" in done.text


def test_variables_name_store_and_configuration(samples: Path, tmp_path: Path) -> None:
    named = {"ESCTL_STORE": str(samples / ".esctl"), "ESCTL_CONFIG": str(samples / "esctl.toml")}
    assert good("replay", "account-013", cwd=tmp_path, **named).out == good("replay", "account-013", cwd=samples).out
    below = samples / "shop"
    assert good("replay", "account-013", cwd=below).out == good("replay", "account-013", cwd=samples).out


def test_notes_go_to_stderr_unless_quiet(samples: Path) -> None:
    done = good("replay", "account-013", "--at", "2024-02-01", cwd=samples)
    assert "2024-02-01T23:59:59.999999Z" in done.err
    assert done.row["entity"] == "account-013"
    for quiet in ({"ESCTL_QUIET": "1"}, {}):
        again = good("replay", "account-013", "--at", "2024-02-01", *([] if quiet else ["-q"]), cwd=samples, **quiet)
        assert (again.out, again.err) == (done.out, "")


def test_the_summary_of_ingest_is_one_document_in_a_pipe_and_a_table_on_a_terminal(tmp_path: Path) -> None:
    folder = ingest_samples(tmp_path)
    done = good("ingest", "bank.jsonl", "-q", cwd=folder)
    assert done.text.count("\n") == 1
    assert list(done.row) == COLUMNS["ingest"]
    assert (done.row["new"], done.row["head"]) == (0, 7164)
    assert list(json.loads(good("ingest", "bank.jsonl", "-q", "-f", "json", cwd=folder).text)[0]) == COLUMNS["ingest"]
    shown, code = on_terminal("ingest", "bank.jsonl", cwd=folder, width=120)
    assert code == 0
    assert "7164" in shown
    assert "{" not in shown
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)
    assert [name for name in COLUMNS["ingest"] if name not in plain] == []


def test_a_terminal_gets_a_table_and_a_pipe_lines(samples: Path) -> None:
    shown, code = on_terminal("replay", "account-013", cwd=samples)
    assert code == 0
    assert "balance: 13333.66" in shown
    assert "1 row" in shown
    assert good("replay", "account-013", cwd=samples).out.startswith(b'{"entity":"account-013"')


@pytest.mark.thorough
def test_the_machines_zone_and_locale_change_no_answer(samples: Path, tmp_path: Path) -> None:
    asked = [
        ["replay", "account-013", "--at", "2024-02-01"],
        ["replay", "sensor-*", "-f", "table"],
        ["audit", "account-013", "--from", "2024-02-01", "--to", "2024-02-03T12:00:00"],
        ["diff", "2024-02-01", "2024-02-03", "-f", "csv"],
        ["log", "--invalid"],
        ["types", "-f", "markdown"],
    ]
    for arguments in asked:
        there = esctl(*arguments, cwd=samples, TZ="Asia/Kathmandu", LC_ALL="C")
        here = esctl(*arguments, cwd=samples, TZ="UTC", LC_ALL="C.UTF-8")
        assert there == here
        assert here.code == 0


def test_the_machines_zone_and_locale_change_nothing_that_is_ingested(tmp_path: Path) -> None:
    answers = []
    for name, variables in (("a", {"TZ": "Asia/Kathmandu", "LC_ALL": "C"}), ("b", {"TZ": "UTC", "LC_ALL": "C.UTF-8"})):
        folder = tmp_path / name
        folder.mkdir()
        events = ({"id": i, "time": "2024-01-02 03:04:05", "type": "Käufe", "stream": "läger-1"} for i in range(3))
        text = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events)
        (folder / "läger.jsonl").write_text(text, encoding="utf-8")
        first = good("ingest", "läger.jsonl", cwd=folder, **variables)
        second = good("log", "--columns", "position,source,time,type,entity", cwd=folder, **variables)
        answers.append((first.err, second.out, second.err))
    assert answers[0] == answers[1]
    assert "läger.jsonl" in answers[0][1].decode()


def test_more_rows_than_a_table_shows_are_told(samples: Path) -> None:
    done = good("log", "-f", "table", "--columns", "position", cwd=samples)
    assert "the first 1,000 rows; all of them: --limit N, or -f jsonl" in done.text


def test_columns_that_are_not_there_are_refused(samples: Path) -> None:
    message, hint = refused("replay", "account-013", "--columns", "ballance", code=2, cwd=samples)
    assert "'ballance'" in message
    assert "state.balance" in hint


def test_a_sum_of_many_digits_is_exact_as_a_cell_and_in_a_condition(tmp_path: Path) -> None:
    amount = '{"id":"%s","type":"Added","time":"2024-01-0%sT00:00:00Z","stream":"thing-1","data":{"n":%s}}\n'
    lines = amount % (1, 1, "12345678901234567890.12345678") + amount % (2, 2, "1")
    (tmp_path / "a.jsonl").write_text(lines, encoding="utf-8")
    (tmp_path / "esctl.toml").write_text('[projections.p.on.Added]\nadd = { n = "data.n" }\n', encoding="utf-8")
    good("ingest", "a.jsonl", "-q", cwd=tmp_path)
    for where, rows in (("true", 1), ("n > 12345678901234567891.1", 1), ("n > 12345678901234567891.2", 0)):
        done = good("replay", "--where", where, "-f", "csv", "--columns", "state.n", cwd=tmp_path)
        assert done.text.splitlines()[1:] == ["12345678901234567891.12345678"] * rows
