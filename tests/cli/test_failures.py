"""Each kind of failure: its exit code, a message that names what is at fault, a hint that says what to do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli_harness import (
    ESCTL,
    copy_samples,
    esctl,
    good,
    plain_event,
    refused,
    surroundings,
    write_lines,
)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a store of a few events; never changed."""
    folder = tmp_path_factory.mktemp("small")
    write_lines(folder / "log.jsonl", [plain_event(i, f"thing-{i % 2}", n=i, name=f"n{i}") for i in range(20)])
    good("ingest", "log.jsonl", "-q", cwd=folder)
    return folder


@pytest.fixture
def own(small: Path, tmp_path: Path) -> Path:
    """Give a copy of that folder to damage."""
    return Path(shutil.copytree(small, tmp_path / "own"))


ASKED = [["replay"], ["log"], ["status"], ["export", "--raw"]]


@pytest.mark.parametrize(
    ("arguments", "at_fault", "hint"),
    [
        (["replya"], "'replya'", "did you mean replay?"),
        (["replay", "--att", "x"], "--att", "did you mean --at?"),
        (["replay", "--at", "tomorow"], "--at 'tomorow'", "2024-02-01"),
        (["replay", "--before", "seq:"], "--before 'seq:'", "seq:9"),
        (["replay", "--known-at", "@x"], "--known-at '@x'", "@123"),
        (["replay", "--at", "now", "--before", "now"], "--at and --before", "one of them"),
        (["replay", "--at", "2024-02-30"], "--at '2024-02-30'", "2024-02-01"),
        (["audit", "--from", "x"], "--from 'x'", "2024-02-01"),
        (["diff", "2024-01-01", "never"], "B 'never'", "2024-02-01"),
        (["replay", "--tz", "Asia/Katmandoo"], "'Asia/Katmandoo'", "did you mean Asia/Katmandu?"),
        (["replay", "--tz", "Mars"], "'Mars'", "Europe/Vienna"),
        (["replay", "--columns", "stat"], "'stat'", "did you mean state?"),
        (["replay", "-f", "yaml"], "'yaml'", "jsonl"),
        (["replay", "-f", "parqet"], "'parqet'", "did you mean parquet?"),
        (["replay", "-p", "acount"], "'acount'", "esctl init"),
        (["replay", "--where", "n >"], "--where", ""),
        (["replay", "--where", "nn > 1"], "'nn'", "n"),
        (["replay", "--where", "(select 1)"], "--where", ""),
        (["log", "--where", "data.n; drop table x"], "--where", ""),
        (["log", "--invalid", "--conflicts"], "--invalid and --conflicts", "one of them"),
        (["replay", "--at", "seq:3"], "seq:3", "sequence"),
        (["replay", "--memory-limit", "lots"], "--memory-limit 'lots'", "2GiB"),
        (["replay", "--config", "no.toml"], "no.toml", "esctl init"),
        (["ingest", "log.jsonl", "--input-format", "jsnl"], "--input-format jsnl", "jsonl"),
        (["ingest", "log.jsonl", "--max-record", "big"], "--max-record 'big'", "512MB"),
        (["ingest", "log.jsonl", "--map", "entity"], "--map 'entity'", "entity=data.account"),
        (["ingest", "log.jsonl", "--map", "entty=x"], "entty", "entity"),
        (["ingest", "log.jsonl", "--map", "preset=cloudtrial"], "cloudtrial", "cloudtrail"),
        (["ingest", "log.jsonl", "--erasable"], "erasable", "when a store is made"),
        (["reindex", "--map", "entity=a..b"], "a..b", "data"),
        (["export", "--raw", "--tz", "x", "--limit", "-1"], "--limit -1", "0 or more"),
        (["replay", "-o", "no/such/folder/a.csv"], "no/such/folder", "-o"),
        (["ingest"], "source", "esctl ingest --help"),
    ],
)
def test_wrong_usage_is_2(small: Path, arguments: list[str], at_fault: str, hint: str) -> None:
    message, told = refused(*arguments, code=2, cwd=small)
    assert at_fault.lower() in message.lower()
    assert hint in told


@pytest.mark.parametrize(
    ("arguments", "at_fault", "hint"),
    [
        (["replay", "thing-2"], "'thing-2'", "did you mean thing-"),
        (["audit", "nobody"], "'nobody'", "esctl entities"),
        (["log", "thing-3"], "'thing-3'", "thing-"),
        (["entities", "thing-3"], "'thing-3'", "thing-"),
        (["diff", "@1", "@5", "thing-3"], "'thing-3'", "thing-"),
        (["blame", "thing-3"], "'thing-3'", "thing-"),
        (["revert", "thing-3", "--to", "@1"], "'thing-3'", "thing-"),
        (["show", "evt-99"], "'evt-99'", "esctl log"),
        (["show", "@99"], "'@99'", "esctl log"),
        (["replay", "--at", "id:evt-99"], "'evt-99'", "esctl log"),
        (["export", "--raw", "--source", "lgo.jsonl"], "'lgo.jsonl'", "did you mean log.jsonl?"),
    ],
)
def test_what_does_not_exist_is_4(small: Path, arguments: list[str], at_fault: str, hint: str) -> None:
    message, told = refused(*arguments, code=4, cwd=small)
    assert at_fault in message
    assert hint in told


@pytest.mark.parametrize("words", ["sql -", "ingest -", "verify-proof -"])
def test_a_stdin_that_is_closed_is_said(small: Path, words: str) -> None:
    told = _without_stdin(words, small)
    assert told == (3, "esctl: error: stdin is closed\nhint: give a file, or write into it: command | esctl ...\n")


def test_a_file_is_read_though_stdin_is_closed(small: Path) -> None:
    assert _without_stdin("ingest -q log.jsonl", small) == (0, "")


def _without_stdin(words: str, folder: Path) -> tuple[int, str]:
    script = f'exec "{sys.executable}" -m esctl {words} <&-'
    done = subprocess.run(["sh", "-c", script], cwd=folder, env=surroundings(), capture_output=True, check=False)
    return done.returncode, done.stderr.decode()


@pytest.mark.parametrize("words", [["replay"], ["diff", "@1", "@5"], ["diff", "--known-at", "@1", "@5", "*"]])
def test_an_entity_that_is_empty_is_none_rather_than_all(small: Path, words: list[str]) -> None:
    assert refused(*words, "", code=4, cwd=small)[0] == "no entity ''"


@pytest.mark.parametrize(
    "command",
    [
        "replay",
        "diff",
        "audit",
        "blame",
        "revert",
        "log",
        "types",
        "entities",
        "status",
        "show",
        "export",
        "reindex",
        "init",
    ],
)
def test_no_store_is_3(tmp_path: Path, command: str) -> None:
    more = {"diff": ["@1", "@2"], "show": ["@1"], "blame": ["*"], "revert": ["*", "--to", "@1"]}.get(command, [])
    message, hint = refused(command, *more, code=3, cwd=tmp_path)
    assert "no store" in message
    assert "esctl ingest FILE" in hint
    if command in ("replay", "status"):
        message, hint = refused(command, *more, "--store", "elsewhere", code=3, cwd=tmp_path)
        assert "elsewhere" in message
    assert list(tmp_path.iterdir()) == []


def test_a_missing_source_is_3_and_makes_no_store(tmp_path: Path) -> None:
    message, _ = refused("ingest", "no-such.jsonl", code=3, cwd=tmp_path)
    assert "no-such.jsonl" in message
    message, _ = refused("ingest", "*.nothing", code=3, cwd=tmp_path)
    assert "*.nothing" in message
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_compressed_source_is_3(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(b"\x1f\x8b\x08\x00not a gzip stream")
    message, _ = refused("ingest", "a.gz", code=3, cwd=tmp_path)
    assert "a.gz" in message


def commit_file(folder: Path) -> Path:
    return next((folder / ".esctl" / "commits").glob("0*.json"))


@pytest.mark.parametrize("damage", ["garbage", "empty", "changed", "gone"])
def test_a_damaged_commit_is_3(own: Path, damage: str) -> None:
    path = commit_file(own)
    if damage == "gone":
        shutil.copy(path, path.with_name("00000000000000000003.json"))
        path.unlink()
    else:
        text = path.read_bytes()
        path.write_bytes({"garbage": b"{]", "empty": b"", "changed": text.replace(b'"size":20', b'"size":21')}[damage])
        assert path.read_bytes() != text
    for arguments in ASKED:
        message, hint = refused(*arguments, code=3, cwd=own)
        assert path.name in message
        assert "restore it from a copy" in hint
    refused("ingest", "log.jsonl", code=3, cwd=own)


@pytest.mark.parametrize("damage", ["truncated", "gone", "garbage"])
def test_a_damaged_segment_is_3_and_the_index_still_answers(own: Path, damage: str) -> None:
    (segment,) = (own / ".esctl" / "log").glob("*.parquet")
    if damage == "gone":
        segment.unlink()
    else:
        segment.write_bytes(segment.read_bytes()[:300] if damage == "truncated" else b"PAR1 no PAR1")
    assert len(good("replay", cwd=own).rows) == 2
    for arguments in (["export", "--raw"], ["show", "evt-3"], ["reindex"]):
        message, hint = refused(*arguments, code=3, cwd=own)
        assert segment.name in message
        assert hint


def test_a_damaged_format_file_is_3(own: Path) -> None:
    (own / ".esctl" / "format.json").write_text('{"format": 99, "store_id": "x", "erasable": false}')
    message, hint = refused("replay", code=3, cwd=own)
    assert "99" in message
    assert "newer" in hint
    (own / ".esctl" / "format.json").write_text("nonsense")
    message, _ = refused("replay", code=3, cwd=own)
    assert "format.json" in message


@pytest.mark.parametrize(
    "content",
    ["nonsense", "[]", '{"format":3}', '{"format":3,"head":"x","files":[],"stanzas":[],"sources":{}}', "null", "\x00"],
)
def test_a_damaged_manifest_is_3_with_the_way_to_mend_it(own: Path, content: str) -> None:
    (manifest,) = (own / ".esctl" / "index").glob("*/manifest.json")
    before = good("replay", cwd=own).out
    version = json.loads(manifest.read_text())["format"]
    manifest.write_text(content.replace('"format":3', f'"format":{version}'))
    for arguments in (["replay"], ["log"], ["types"]):
        message, hint = refused(*arguments, code=3, cwd=own)
        assert "manifest.json" in message
        assert "esctl reindex" in hint
    good("reindex", cwd=own)
    assert good("replay", cwd=own).out == before


@pytest.mark.parametrize("damage", ["truncated", "gone", "garbage"])
def test_a_damaged_index_file_is_3_with_the_way_to_mend_it(own: Path, damage: str) -> None:
    shutil.rmtree(own / ".esctl" / "snapshots", ignore_errors=True)  # from one it could be answered
    (file,) = (own / ".esctl" / "index").glob("*/*.parquet")
    before = good("replay", cwd=own).out
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-50] if damage == "truncated" else b"PAR1 no PAR1")
    message, hint = refused("replay", code=3, cwd=own)
    assert file.name in message
    assert "esctl reindex" in hint
    good("reindex", cwd=own)
    assert good("replay", cwd=own).out == before


def configured(folder: Path, text: str) -> Path:
    (folder / "esctl.toml").write_text(text)
    return folder


RULE = '[projections.thing.on."Changed"]\n'


@pytest.mark.parametrize(
    ("text", "at_fault", "hint"),
    [
        ("[projections", "esctl.toml", "TOML"),
        ("x = 1\x00", "esctl.toml", "TOML"),
        ("[mappings]\n", "[mappings]", "did you mean [mapping]?"),
        ("[nonsense]\n", "[nonsense]", "mapping, projections, output"),
        ("mapping = 1\n", "mapping", ""),
        ('[mapping]\nentty = "x"\n', "mapping.entty", "entity"),
        ('[mapping]\npreset = "cloudtrial"\n', "cloudtrial", "cloudtrail"),
        ('[mapping]\norder = "tim"\n', "mapping.order", "time"),
        ("[output]\nfromat = 'csv'\n", "fromat", "did you mean format?"),
        ("[output]\nformat = 'cvs'\n", "'cvs'", "did you mean csv?"),
        ("[output]\ntz = 'Asia/Katmandoo'\n", "Katmandoo", "did you mean"),
        ("[output]\ncolor = 'pink'\n", "'pink'", "auto, always or never"),
        ("[output]\nlimit = 3\n", "limit", "format"),
        (
            f'{RULE}sett = {{ n = "data.n" }}\n',
            'projections.thing.on."Changed": unknown operation',
            "did you mean set?",
        ),
        (
            '[[projections.thing.on]]\nset = { n = "data.n" }\n',
            "projections.thing.on[0] has no type",
            'type = "Money*"',
        ),
        ('[[projections.thing.on]]\ntype = "T"\nsett = { n = "data.n" }\n', "projections.thing.on[0]", "mean set?"),
        ('[[projections.thing.on.T]]\nsett = { n = "data.n" }\n', 'projections.thing.on."T"[0]', "mean set?"),
        ('[projections.thing]\non = "T"\n', "projections.thing.on is not a table", "[[projections.thing.on]]"),
        (f'{RULE}explode = {{ n = "data.n" }}\n', "'explode'", "one of: set"),
        ('[projections.thing]\nentites = "x"\n', "'entites'", "did you mean entities?"),
        (f'{RULE}set = {{ n = "select 1" }}\n', "set.n", ""),
        (f'{RULE}set = {{ n = "(select max(n) from events)" }}\n', "set.n", ""),
        (f"{RULE}set = {{ n = \"read_text('/etc/hostname')\" }}\n", "set.n", ""),
        (f'{RULE}set = {{ n = "data.n; drop table x" }}\n', "set.n", ""),
        (f'{RULE}set = {{ n = "sum(data.n)" }}\n', "set.n", ""),
        (f'{RULE}set = {{ n = "data.n +" }}\n', "set.n", ""),
        (f'{RULE}set = {{ n = "" }}\n', "set.n", ""),
        (f'{RULE}when = "data.n >"\nset = {{ n = "data.n" }}\n', "when", ""),
        (f'{RULE}add = {{ n = "data.n" }}\nmax = {{ n = "data.n" }}\n', "'n'", "one accumulating operation per field"),
        (
            f'[projections.thing]\ntypes = {{ n = "decimal(3,2)" }}\n{RULE}add = {{ n = "data.n" }}\n',
            "@11",
            'esctl.toml: projections.thing.on."Changed".add.n',
        ),
        (f'[projections.thing]\ntypes = {{ n = "number" }}\n{RULE}add = {{ n = "data.n" }}\n', "types.n", "decimal"),
        (f'{RULE}add = {{ n = "data.name" }}\n', "event @1: data.name is not a number", ".add.n"),
        (f"{RULE}delete = 1\n", "delete", "delete = true"),
        (f'{RULE}set = "data.n"\n', ".set", ""),
        ('[projections.thing]\nsql = "drop table events"\n', "thing", ""),
        ('[projections.thing]\nsql = "select 1"\npython = "a:b"\n', "sql and python", "one way"),
        ('[projections.thing]\npython = "no_such_module:fold"\n', "no_such_module", ""),
    ],
)
def test_a_wrong_configuration_is_2_and_names_file_and_key(own: Path, text: str, at_fault: str, hint: str) -> None:
    configured(own, text)
    message, told = refused("replay", code=2, cwd=own)
    assert at_fault in message
    assert hint in told


@pytest.mark.parametrize("command", ["ingest", "replay", "config"])
def test_a_configuration_that_cannot_be_read_names_itself(own: Path, command: str) -> None:
    (own / "esctl.toml").mkdir()
    message, _ = refused(command, *{"ingest": ["log.jsonl"], "config": ["show"]}.get(command, []), code=3, cwd=own)
    assert "esctl.toml" in message


def test_a_projection_that_is_not_there_is_2(samples: Path) -> None:
    message, hint = refused("replay", "-p", "acount", code=2, cwd=samples)
    assert (message, hint) == ("no projection 'acount'", "did you mean account?")


def test_diff_says_by_its_exit_code_whether_anything_differs(samples: Path) -> None:
    def code(*arguments: str) -> int:
        return esctl("diff", *arguments, cwd=samples).code

    assert code("2024-02-01", "2024-02-03", "account-013") == 0
    assert code("2024-02-01", "2024-02-03", "account-013", "--exit-code") == 1
    assert code("2024-02-01", "2024-02-03", "account-013", "--exit-code", "--summary") == 1
    assert code("2024-02-01", "2024-02-01", "--exit-code") == 0
    assert code("2024-02-01", "2024-02-01", "--exit-code", "--summary") == 0
    assert code("2024-02-01", "2024-02-03", "account-013", "--exit-code", "--limit", "0") == 1


def test_an_empty_answer_is_no_failure(samples: Path) -> None:
    for arguments in (["replay", "--at", "1990-01-01"], ["log", "--type", "Nothing*"], ["replay", "no-such-*"]):
        done = good(*arguments, "-q", cwd=samples)
        assert done.out == b""


@pytest.mark.parametrize(
    "arguments",
    [
        ["log"],
        ["replay", "-f", "csv"],
        ["audit"],
        ["export"],
        ["diff", "@1", "@6000"],
        ["export", "--raw", "--source", "bank.jsonl"],
    ],
)
def test_a_reader_that_leaves_ends_it_with_141_in_silence(samples: Path, arguments: list[str]) -> None:
    process = subprocess.Popen(
        [*ESCTL, "-q", *arguments], cwd=samples, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=surroundings()
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().endswith(b"\n")
    process.stdout.close()
    assert (process.wait(timeout=60), process.stderr.read()) == (141, b"")
    process.stderr.close()


@pytest.fixture
def unprivileged() -> None:
    if os.geteuid() == 0:
        pytest.skip("a superuser may write everywhere")


def read_only(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    folder.chmod(0o555)


def writable(folder: Path) -> None:
    folder.chmod(0o755)
    for path in sorted(folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def without_privileges(*arguments: object, cwd: Path) -> list[str]:
    """Give the command, as a user who is not a superuser: they may write anywhere."""
    if os.geteuid() != 0:
        return [*ESCTL]
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("a superuser may write everywhere, and there is no setpriv here")
    return [setpriv, "--bounding-set", "-all", "--inh-caps", "-all", *ESCTL]


@pytest.mark.parametrize("indexed", [True, False])
def test_a_reader_answers_from_a_store_that_it_cannot_write(own: Path, indexed: bool) -> None:
    expected = good("replay", cwd=own).out
    store = own / ".esctl"
    if not indexed:
        shutil.rmtree(store / "index")
    command = without_privileges(cwd=own)
    before = sorted(str(path) for path in store.rglob("*"))
    read_only(store)
    try:
        done = esctl("replay", cwd=own, command=command)
        refusal = esctl("ingest", "log.jsonl", cwd=own, command=command)
    finally:
        writable(store)
    assert (done.code, done.out, done.err) == (0, expected, "")
    assert sorted(str(path) for path in store.rglob("*")) == before
    assert refusal.code == 3
    assert ".esctl" in refusal.err
    assert len(refusal.err.splitlines()) == 2


def test_a_folder_that_cannot_be_written_takes_no_store(tmp_path: Path) -> None:
    folder = copy_samples(tmp_path)
    command = without_privileges(cwd=folder)
    read_only(folder)
    try:
        done = esctl("ingest", "bank.jsonl", cwd=folder, command=command)
        listed = sorted(path.name for path in folder.iterdir())
    finally:
        writable(folder)
    assert done.code == 3
    assert "cannot make a store in .esctl" in done.err
    assert len(done.err.splitlines()) == 2
    assert ".esctl" not in listed
