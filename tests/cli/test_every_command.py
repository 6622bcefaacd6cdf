"""Every command there is, over a store in which everything is hostile: nothing it says acts, in any format."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from esctl.cli import app
from esctl.output import FORMATS
from tests.cli.test_hostile import HOSTILE, acting, event
from tests.support import effort
from tests.support.cli_harness import Done, write_lines

CALLS: dict[str, list[list[str]]] = {
    "ingest": [["more.jsonl"]],
    "init": [["-o", "-"]],
    "status": [[]],
    "types": [[]],
    "entities": [[]],
    "log": [[], ["--invalid"]],
    "show": [["@1"]],
    "replay": [[], ["--basis"]],
    "diff": [["@0", "@99"]],
    "audit": [[]],
    "browse": [[]],  # which needs a terminal: tests/tui/
    "trace": [["@1"]],
    "doctor": [[], ["--invalid"], ["--conflicts"]],
    "blame": [["*"]],
    "revert": [["*", "--to", "@0"]],
    "reconcile": [["table.jsonl"]],
    "sql": [["select * from events"]],
    "when": [["version > 0"]],
    "series": [["count(*)", "--by", "entity", "--every", "1d"]],
    "verify": [["--full"]],
    "checkpoint": [[]],
    "prove": [["@1", "-o", "proof"]],
    "verify-proof": [["proof", "--event", "more.jsonl"]],
    "bundle": [["*", "-o", "bundle.zip"]],
    "report": [["*", "-o", "report.html"]],
    "verify-bundle": [["bundle.zip"]],
    "key": [["list"], ["show"]],
    "redact": [["@2", "--reason", HOSTILE[0], "--actor", HOSTILE[6], "--dry-run", "--no-duplicates"]],
    "repair": [[]],
    "export": [[], ["--raw", "--source", "a\x1b[31m\u202e.jsonl"]],
    "reindex": [[]],
    "presets": [[], ["okta"]],
    "compact": [[]],
    "snapshot": [[], ["--list"]],
    "emit": [["states"], ["events"], ["revert", "*", "--back-to", "@0"]],
    "view": [["list"], ["status"], ["create", "v", "--to", "sqlite:v.db/v"], ["refresh", "v"], ["check", "v"]],
    "config": [["show"]],
    "help": [[], ["times"], ["view"]],
    "mcp": [["--store", "nowhere"]],  # what it says to programs: tests/assistants
}
"""How each command is called. A new command is not done before it stands here."""

TEXTS = ("table", "jsonl", "csv", "tsv", "markdown", "sarif", "junit")
RAW = {("export", "--raw"), ("show", "@1")}
"""What gives bytes of a log as they are, because that is what was asked for."""


def inside(*arguments: str) -> Done:
    """Run esctl in this process: hundreds of calls would take minutes otherwise."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = out, err
    try:
        code = app.build().main(list(arguments), prog_name="esctl", standalone_mode=False)
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.stdout, sys.stderr = before
    out.flush()
    err.flush()
    return Done(int(code or 0), out.buffer.getvalue(), err.buffer.getvalue().decode())  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    found = tmp_path_factory.mktemp("every")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(found)
        for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
            patch.setenv(name, str(found / "user"))
        short = [text[:3000] for text in HOSTILE]
        events = [event(number, text) for number, text in enumerate(short)]
        again = {**events[0], "data": {"other": short[0]}}
        write_lines(found / "a\x1b[31m\u202e.jsonl", [*events, again])
        with (found / "a\x1b[31m\u202e.jsonl").open("ab") as file:
            file.write(b'{"id": "\x1b[31m\xff\n[not json \x1b]8;;http://evil\x07\n')
        write_lines(found / "more.jsonl", [event(50, short[5])])
        write_lines(found / "table.jsonl", [{"entity": text, "value": f"{text}!"} for text in short])
        done = inside("ingest", "a\x1b[31m\u202e.jsonl", "--erasable", "--map", "entity=stream", "--map", "type=type")
        assert (done.code, acting(done.err)) == (0, set()), done.err
        assert inside("key", "new", "keeper").code == 0
        assert inside("checkpoint").code == 0
        yield found


def test_every_command_is_here() -> None:
    assert set(CALLS) == set(app.COMMANDS)
    assert set(FORMATS) <= {*TEXTS, "json", "parquet", "arrow"}


@pytest.mark.parametrize("command", CALLS)
def test_nothing_acts(folder: Path, command: str) -> None:
    for call in CALLS[command]:
        for form in effort.some(TEXTS, 4):
            done = inside(command, *call, "-f", form, *(["--limit", "40"] if form == "table" else []))
            assert done.code in (0, 1, 2, 3), (call, form, done.err)
            assert acting(done.err) == set(), (call, form)
            assert "Traceback" not in done.err
            if (command, *call[:1]) not in RAW:
                check(form, done, command)
            if done.code == 2:
                assert form in ("sarif", "junit") or not done.out, (call, form, done.err)
                assert [line.split()[0] for line in done.err.splitlines()[-2:]] == ["esctl:", "hint:"]
                if form == "sarif":
                    break  # it is not a check: nor can it be written as JUnit XML


def check(form: str, done: Done, command: str) -> None:
    text = done.text
    assert acting(text, "\n\t\r" if form in ("csv", "tsv") else "\n") == set(), (command, form)
    if done.code in (2, 3) or not text or command in ("init", "checkpoint", "key", "prove"):
        return
    if form in ("csv", "tsv"):
        for row in csv.reader(io.StringIO(text, newline=""), delimiter="\t" if form == "tsv" else ","):
            formulas = [cell for cell in row if cell[:1] in ("=", "+", "-", "@", "\t", "\r") and cell]
            assert all(re.fullmatch(r"-[0-9.]+", cell) for cell in formulas), (command, formulas[:3])
    elif form == "markdown":
        lines = text.removesuffix("\n").split("\n")
        bars = {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in lines}
        assert len(bars) == 1, (command, bars)
        assert not re.search(r"(?<!\\)(?:\\\\)*[<\[`]", text), command
    elif form == "junit":
        assert ET.fromstring(text).tag == "testsuites"
    elif form in ("sarif", "jsonl"):
        lines = [text] if form == "sarif" else text.removesuffix("\n").split("\n")
        assert all(isinstance(json.loads(line), dict) for line in lines)


@pytest.mark.parametrize("command", CALLS)
def test_what_is_typed_does_not_act_either(folder: Path, command: str) -> None:
    for text in ("'; drop \x1b[31mred\x1b]8;;x\x07 \u202e\x9b\n\n", "x" * 65_536, "\udcff\x1b"):
        for call in ([command, text], [command, f"--{text}"], [command, text, text, "-o", os.devnull]):
            done = inside(*call)
            assert done.code != 70, (call, done.err)
            assert "Traceback" not in done.err
            assert acting(done.err) == set(), call
            assert acting(done.text) == set(), call
