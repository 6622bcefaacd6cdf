"""What each command loads: speed is mostly what is left unloaded. And what a shell is told while one types."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import effort
from tests.support.cli_harness import Done, esctl, good, ingest_samples, surroundings, write_lines

HEAVY = ("duckdb", "numpy", "pandas", "pyarrow", "rich", "sqlglot", "filelock", "textual")
PROGRAM = f"""
import sys
from esctl.cli import app
try:
    app.main()
finally:
    sys.stderr.write("loaded: " + " ".join(name for name in {HEAVY!r} if name in sys.modules))
"""


def loaded(*arguments: object, cwd: Path) -> set[str]:
    """Run esctl and name the heavy modules that it loaded."""
    done = esctl(*arguments, cwd=cwd, command=[sys.executable, "-c", PROGRAM])
    assert done.code == 0, done.err
    return set(done.err.partition("loaded: ")[2].split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["replay", "--help"],
        ["ingest", "--help"],
        ["config", "show", "--help"],
        ["browse", "--help"],
    ],
)
def test_help_loads_nothing_heavy(tmp_path: Path, arguments: list[str]) -> None:
    assert loaded(*arguments, cwd=tmp_path) == set()


def test_arrow_does_not_load_pandas(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [{"id": 1, "type": "T", "time": "2024-01-01T00:00:00Z", "stream": "a-1"}])
    write_lines(tmp_path / "table.jsonl", [{"stream": "a-1"}])
    assert "pandas" not in loaded("ingest", "a.jsonl", cwd=tmp_path)
    others = (
        ["verify", "--full"],
        ["reindex"],
        ["snapshot"],
        ["report", "a-1", "-o", "report.html"],
        ["reconcile", "table.jsonl", "--key", "stream"],
    )
    for arguments in effort.some(others, 2):
        assert "pandas" not in loaded(*arguments, cwd=tmp_path), arguments


def test_code_of_a_projection_may_load_pandas(tmp_path: Path) -> None:
    pytest.importorskip("pandas", reason="pip install pandas")
    write_lines(tmp_path / "a.jsonl", [{"id": 1, "type": "T", "time": "2024-01-01T00:00:00Z", "stream": "a-1"}])
    code = "def fold(state, event):\n    import pandas as pd\n    return {'n': int(pd.Series([1, 2]).sum())}\n"
    (tmp_path / "own.py").write_text(code)
    (tmp_path / "esctl.toml").write_text('[projections.p]\npython = "own.py:fold"\n')
    good("ingest", "a.jsonl", cwd=tmp_path)
    assert [row["state"] for row in good("replay", cwd=tmp_path).rows] == [{"n": 3}]


PLAIN = """
[mapping]
id = "id"
type = "type"
time = "time"
entity = "stream"
actor = "actor"
data = "data"

[projections.account]
entities = "account-*"
[projections.account.on."Account*pened"]
set = { owner = "data.owner", limit = "data.daily_limit" }
[projections.account.on.MoneyDeposited]
add = { paid = "data.amount" }
"""


def test_one_entity_of_an_index_that_is_up_to_date_needs_duckdb_alone(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parents[2] / "sample_logs" / "bank.jsonl", tmp_path)
    (tmp_path / "esctl.toml").write_text(PLAIN)
    good("ingest", "bank.jsonl", "-q", cwd=tmp_path)
    for arguments in (
        ["replay", "account-013"],
        ["replay", "account-013", "--at", "2024-02-01", "-f", "csv"],
        ["blame", "account-013", "--all"],
        ["revert", "account-013", "--to", "2024-02-01"],
        ["log", "account-013"],
        ["entities"],
    ):
        assert loaded(*arguments, cwd=tmp_path) <= {"duckdb", "numpy"}, arguments
    assert "rich" in loaded("replay", "account-013", "-f", "table", cwd=tmp_path)


def test_the_package_gives_its_names_without_loading_them() -> None:
    program = (
        "import sys, esctl; assert 'Store' in dir(esctl)\n"
        f"sys.stdout.write(' '.join(n for n in {HEAVY!r} if n in sys.modules)); esctl.Store"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=surroundings(), check=True)
    assert done.stdout == b""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the samples and some names that no shell should be shown."""
    folder = ingest_samples(tmp_path_factory.mktemp("completion"))
    names = ["odd\x1b[31m", "odd\nline", "odd name", "odd'quote"]
    write_lines(folder / "odd.jsonl", [{"id": i, "type": "odd", "stream": name} for i, name in enumerate(names)])
    good("ingest", "odd.jsonl", "--map", "odd.jsonl:entity=stream", "-q", cwd=folder)
    return folder


def bash(words: str, cwd: Path) -> list[str]:
    done: Done = esctl(
        cwd=cwd,
        _ESCTL_COMPLETE="complete_bash",
        COMP_WORDS=words,
        COMP_CWORD=str(len(words.split()) - 1 + words.endswith(" ")),
    )
    assert (done.code, done.err) == (0, "")
    return [line for line in done.text.splitlines() if line]


def zsh(words: str, cwd: Path) -> str:
    done = esctl(cwd=cwd, _ESCTL_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS=words)
    assert (done.code, done.err) == (0, "")
    return done.text


ACCOUNTS = [f"account-{number:03d}" for number in range(10, 20)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("esctl re", ["reindex", "replay", "revert", "reconcile", "report", "redact", "repair"]),
        ("esctl replay --bef", ["--before"]),
        ("esctl replay --proj", ["--projection", "--projection-file"]),
        ("esctl replay account-01", ACCOUNTS),
        ("esctl audit account-01", ACCOUNTS),
        ("esctl diff @1 @2 account-01", ACCOUNTS),
        ("esctl log --type Money", ["MoneyDeposited", "MoneyTransferred", "MoneyWithdrawn"]),
        ("esctl audit --type Account", ["AccountClosed", "AccountOpened", "AccountReopened"]),
        ("esctl replay -p a", ["account"]),
        ("esctl replay -p ", ["account", "sku", "order", "sensor"]),
        ("esctl replay -f j", ["json", "jsonl", "junit"]),
        ("esctl config s", ["show"]),
        ("esctl replay odd", ["odd name", "odd'quote"]),
        ("esctl replay nothing-", []),
    ],
)
def test_names_are_completed(store: Path, words: str, expected: list[str]) -> None:
    assert bash(words, store) == expected
    shown = zsh(words, store)
    assert "\x1b" not in shown
    assert [name for name in expected if name.replace("'", "") not in shown.replace("'", "").replace('"', "")] == []


def test_completion_finds_the_store_that_was_named(store: Path, tmp_path: Path) -> None:
    assert bash("esctl replay account-01", tmp_path) == []
    assert bash(f"esctl --store {store / '.esctl'} replay account-01", tmp_path) == ACCOUNTS
    assert bash(f"esctl replay --store {store / '.esctl'} account-01", tmp_path) == ACCOUNTS


def test_completion_is_silent_whatever_goes_wrong(tmp_path: Path) -> None:
    (tmp_path / ".esctl").mkdir()
    (tmp_path / ".esctl" / "format.json").write_text("nonsense")
    assert bash("esctl replay account-01", tmp_path) == []
    (tmp_path / "esctl.toml").write_text("nonsense")
    assert bash("esctl replay -p a", tmp_path) == []


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_completion_script_is_shown(tmp_path: Path, shell: str) -> None:
    done = esctl(cwd=tmp_path, _ESCTL_COMPLETE=f"source_{shell}")
    assert done.code == 0
    assert "_ESCTL_COMPLETE=complete_" + shell in done.text
