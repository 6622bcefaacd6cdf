"""Text that would act on a terminal, a spreadsheet, a page, a shell or a query: it stays text, and can be asked for."""

from __future__ import annotations

import csv
import io
import json
import tomllib
import unicodedata
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.support.cli_harness import Done, esctl, good, on_terminal, write_lines

HOSTILE = (
    "\x1b[31mred\x1b[0m\x1b]8;;http://evil.example\x07link",
    "c1 \x9b31m del \x7f bell \x07 back \x08",
    "[bold red]markup[/bold red] :smile:",
    "=cmd|' /C calc'!A0",
    "+1",
    "@SUM(A1)",
    "bidi \u202egnp.exe\u202c \u2066iso\u2069",
    "zero\u200bwidth \ufeff \u00ad soft",
    "quote \" and ' and \"\" and ''",
    "two\nlines\r\nthree\ttab",
    "nul \x00 inside",
    "../../etc/passwd",
    "-rf",
    "--help",
    "'; drop table events; --",
    '"; drop table events; --',
    "back\\slash \\x1b \\",
    "100%_like*?[a]",
    "| pipe | `code` <b>html</b> [link](http://x.example)",
    "wide 漢字 é 🙂 é",
    "{data.x} ${HOME} $(id) `id`",
    "long " + "x" * 65_536,
    "\ue000marked",
    "#comment",
    "sep\u2028para\u2029",
    " blank at both ends ",
)
ACTING = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def event(number: int, text: str) -> dict[str, Any]:
    return {
        "id": f"id {text}",
        "type": f"type {text}",
        "time": f"2024-01-02T00:{number:02d}:00Z",
        "stream": text,
        "actor": f"by {text}",
        "data": {"n": number, "value": text, f"key {text}": text, "deep": {text: [text]}},
    }


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a store of entities, types, actors, ids, fields and values that are all hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    write_lines(folder / "a.jsonl", [event(number, text) for number, text in enumerate(HOSTILE)])
    done = good("ingest", "a.jsonl", "--map", "entity=stream", "--map", "type=type", cwd=folder)
    assert done.row["invalid"] == 0
    assert acting(done.err) == set()
    return folder


def acting(text: str, allowed: str = "\n") -> set[str]:
    """Name the characters that act, by themselves."""
    return {hex(ord(c)) for c in text if c not in allowed and unicodedata.category(c) in ACTING}


def state(number: int, text: str) -> dict[str, Any]:
    found: dict[str, Any] = event(number, text)["data"]
    return found


def test_a_terminal_is_shown_nothing_that_acts(hostile: Path) -> None:
    for command in (["replay"], ["audit"], ["log"], ["entities"], ["types"]):
        shown, code = on_terminal(*command, "--color", "never", cwd=hostile)
        assert code == 0
        assert acting(shown) == set()
        assert "\\x1b[31mred" in shown
        if command == ["entities"]:
            assert "[bold red]markup[/bold red] :smile:" in shown


def test_json_is_exact(hostile: Path) -> None:
    states = {row["entity"]: row["state"] for row in good("replay", cwd=hostile).rows}
    assert states == {text: state(number, text) for number, text in enumerate(HOSTILE)}
    assert good("replay", "-f", "json", cwd=hostile).rows == good("replay", cwd=hostile).rows
    for number, (text, row) in enumerate(zip(HOSTILE, good("log", cwd=hostile).rows, strict=True)):
        made = event(number, text)
        assert [row[name] for name in ("id", "type", "entity", "actor")] == [
            made[name] for name in ("id", "type", "stream", "actor")
        ]
        assert row["data"] == made["data"]
    assert {row["type"] for row in good("types", cwd=hostile).rows} == {f"type {text}" for text in HOSTILE}


def test_parquet_is_exact(hostile: Path) -> None:
    table = pq.read_table(io.BytesIO(good("entities", "-f", "parquet", cwd=hostile).out))
    assert set(table["entity"].to_pylist()) == set(HOSTILE)
    states = pq.read_table(io.BytesIO(good("replay", "-f", "parquet", cwd=hostile).out))
    assert {f"state.key {text}" for text in HOSTILE} < set(states.column_names)


def test_a_spreadsheet_is_given_no_formula(hostile: Path) -> None:
    for form, delimiter in (("csv", ","), ("tsv", "\t")):
        text = good("entities", "--columns", "entity", "-f", form, cwd=hostile).text
        cells = [row[0] for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)]
        assert len(cells) == len(HOSTILE) + 1
        assert not [cell for cell in cells if cell[:1] in "=+-@\t\r" and cell]


EXACT = tuple(text for text in HOSTILE if not set(text) & set("\x00*?") and len(text) < 1000)
"""Names that a command line can hold and that are no globs."""


def test_what_was_named_can_be_asked_for(hostile: Path) -> None:
    expected = {text: state(HOSTILE.index(text), text) for text in EXACT}
    states = {row["entity"]: row["state"] for row in good("replay", "--", *EXACT, cwd=hostile).rows}
    assert states == expected
    fields = {(row["entity"], row["field"]): row["value"] for row in good("blame", "--", *EXACT, cwd=hostile).rows}
    assert fields == {(text, name): value for text, fields in expected.items() for name, value in fields.items()}
    globs = {row["entity"] for row in good("replay", "--", "nul ? inside", "long x*", "100%_like*", cwd=hostile).rows}
    assert globs == set(HOSTILE) - set(EXACT)
    for option, prefix, column in (("--type", "type ", "type"), ("--actor", "by ", "actor")):
        for command in ("log", "audit"):
            rows = good(command, *(f"{option}={prefix}{text}" for text in EXACT), cwd=hostile).rows
            assert {row[column] for row in rows} == {prefix + text for text in EXACT}
    quoted = ", ".join("'" + text.replace("'", "''") + "'" for text in EXACT)
    rows = good("log", "--where", f"data.value in ({quoted})", cwd=hostile).rows
    assert {row["entity"] for row in rows} == set(EXACT)


@pytest.mark.parametrize(
    "text", ["'; drop table events; --", "-rf", " blank at both ends ", "sep\u2028para\u2029", "@SUM(A1)"]
)
def test_one_name_is_one_name(hostile: Path, text: str) -> None:
    assert good("replay", "--", text, cwd=hostile).row["entity"] == text
    assert good("show", "--", f"id {text}", cwd=hostile).row["entity"] == text
    assert good("replay", "--at", f"id:id {text}", "-q", "--", text, cwd=hostile).row["version"] == 1
    done = esctl("replay", "--", f"no such {text}", cwd=hostile)
    assert (done.code, done.out, len(done.err.splitlines())) == (4, b"", 2)
    assert acting(done.err) == set()


def test_init_writes_toml_that_means_the_same(hostile: Path, tmp_path: Path) -> None:
    done: Done = good("init", "-o", "-", cwd=hostile)
    assert acting(done.text) == set()
    document = tomllib.loads(done.text)
    assert set(document) <= {"mapping", "projections"}
    config = tmp_path / "esctl.toml"
    config.write_bytes(done.out)
    before = good("replay", cwd=hostile).rows
    assert good("--config", config, "replay", cwd=hostile).rows == before


HOSTILE_FILES = (
    "a;rm -rf x.jsonl",
    "b'quote\".jsonl",
    "c\x1b[31m.jsonl",
    "d\u202e.jsonl",
    "-e.jsonl",
    "f[1].jsonl",
    "g#2.jsonl",
)


CLOCKS = ("time", "timestamp", "occurred_at", "created_at", "ts", "@timestamp", "date")


def test_names_of_sources_are_names(tmp_path: Path) -> None:
    for number, name in enumerate(HOSTILE_FILES):
        # Every source has its own envelope, so that each needs a stanza of its own.
        made = event(number, f"thing-{number}")
        made[CLOCKS[number]] = made.pop("time")
        write_lines(tmp_path / name, [made] * 3)
    done = good("ingest", ".", cwd=tmp_path)
    assert acting(done.err) == set()
    assert done.row["new"] == 3 * len(HOSTILE_FILES)
    sources = {row["source"] for row in good("log", cwd=tmp_path).rows}
    assert sources == set(HOSTILE_FILES)
    for name in HOSTILE_FILES:
        assert good("export", "--raw", f"--source={name}", cwd=tmp_path).out == (tmp_path / name).read_bytes()
    good("init", "-q", cwd=tmp_path)
    assert (tmp_path / "esctl.toml").read_text(encoding="utf-8").count("[mapping.sources.") == len(HOSTILE_FILES)
    (tmp_path / "empty.toml").touch()
    before = good("log", "--config", "empty.toml", cwd=tmp_path).rows
    assert good("log", cwd=tmp_path).rows == before


def named(text: str) -> bool:
    """Say whether a column of a CSV file may be called so: blanks around a name are not part of it."""
    return "\x00" not in text and len(text) < 1000 and text == text.strip() and not text.startswith("\ue000")


def test_a_csv_header_is_hostile_too(tmp_path: Path) -> None:
    head = ["id", "time", "type", "stream", *(text for text in HOSTILE if named(text))]
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows([head, ["1", "2024-01-02", "Set", "thing-1", *map(str, range(len(head) - 4))]])
    (tmp_path / "a.csv").write_text(buffer.getvalue(), encoding="utf-8", newline="")
    done = good("ingest", "a.csv", "--input-format", "csv", cwd=tmp_path)
    assert acting(done.err) == set()
    assert done.row["invalid"] == 0
    found = json.loads(good("replay", cwd=tmp_path).text)["state"]
    assert found == {name: str(number) for number, name in enumerate(head[4:])}
