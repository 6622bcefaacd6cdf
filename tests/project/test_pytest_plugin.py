"""The fixtures for pytest and the hook for commits: what fails names the event and the line, what passes is silent."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from esctl.errors import UsageError
from esctl.testing import EventLog
from esctl.testing.check import main
from esctl.testing.values import as_json, differences, same
from tests.support.cli_harness import ROOT, plain_event, surroundings, write_lines

TOML = """
[mapping]
id = "id"
type = "type"
time = "time"
entity = "stream"
actor = "actor"
data = "data"
[projections.account]
kinds = ["account"]
[projections.account.on.Changed]
add = { balance = "data.n" }
set = { last = "data.n" }
"""


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    amounts = [10, 5, -30, 100, -1]
    lines = [plain_event(n, f"account-{n % 2}", n=amount) for n, amount in enumerate(amounts)]
    write_lines(folder / "a.jsonl", lines)
    text = (folder / "a.jsonl").read_text().replace("\n", "\n\n", 1)
    (folder / "a.jsonl").write_text(text)
    (folder / "esctl.toml").write_text(TOML)
    return folder


@pytest.fixture(scope="module")
def log(logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with EventLog.of(logs / "a.jsonl", folder=tmp_path_factory.mktemp("store"), config=logs / "esctl.toml") as log:
        yield log


def test_what_never_held_passes(log: EventLog) -> None:
    log.assert_never("balance > 1000")
    log.assert_never("balance < 0", "account-1", to="2024-01-02T00:01:00Z")


def test_what_held_is_told_with_event_and_line(log: EventLog, logs: Path) -> None:
    with pytest.raises(AssertionError) as failed:
        log.assert_never("balance < 0")
    assert str(failed.value).splitlines() == [
        "balance < 0 held, and never should:",
        f"  {logs}/a.jsonl:4: account-0: balance < 0 from 2024-01-02T00:02:00Z on, by event evt-2 (Changed by ann)",
    ]
    with pytest.raises(AssertionError, match="by event evt-2"):
        log.assert_never("balance < 0", from_="2024-01-02T00:03:00Z")  # it held then already
    with pytest.raises(AssertionError, match="account-0") as failed:
        log.assert_never("balance < 50", from_="2024-01-02T00:03:30Z")
    assert "account-1" not in str(failed.value)  # it was above by then
    with pytest.raises(UsageError, match="no_such"):
        log.assert_never("no_such < 0")


def test_a_state_is_compared_by_value(log: EventLog) -> None:
    log.assert_state("account-0", {"balance": -21})
    log.assert_state("account-0", {"balance": 10.0, "gone": None}, before="@3")
    log.assert_state("account-1", {"balance": Decimal("105.00"), "last": 100}, exact=True)


def test_another_state_is_told_with_its_events(log: EventLog, logs: Path) -> None:
    with pytest.raises(AssertionError) as failed:
        log.assert_state("account-0", {"balance": 0, "owner": "ann"}, at="@3")
    assert str(failed.value).splitlines() == [
        "the state of account-0 at @3 is another:",
        f"  balance is -20, not 0, since event evt-2 (Changed by ann), {logs}/a.jsonl:4",
        '  owner is missing, not "ann"',
    ]
    with pytest.raises(AssertionError, match=r"last is 100, not missing, since event evt-3"):
        log.assert_state("account-1", {"balance": 105}, exact=True)
    with pytest.raises(AssertionError, match="no entity 'account-7'"):
        log.assert_state("account-7", {})
    with pytest.raises(AssertionError, match="has no state at @0"):
        log.assert_state("account-0", {}, at="@0")


def test_events_can_be_written_in_the_test(tmp_path: Path) -> None:
    wide = Decimal("12345678901234567890.10")
    events = [{**plain_event(1, "a-1"), "data": {"n": wide, "tags": ["x", None, True]}}]
    with EventLog.of(events, folder=tmp_path, map="entity=stream") as log:
        log.assert_state("a-1", {"n": wide, "tags": ["x", None, True]}, exact=True)
        with pytest.raises(AssertionError, match=r"n is 12345678901234567890\.1, not 1\.23"):
            log.assert_state("a-1", {"n": float(wide)})
    with pytest.raises(UsageError, match="entity is a guess: stream") as refused:
        EventLog.of(events, folder=tmp_path / "unsure")
    assert refused.value.hint == "say it: map='entity=stream'"
    assert refused.value.__notes__ == [f"hint: {refused.value.hint}"]  # pytest shows these
    with pytest.raises(UsageError, match="no event has an entity"):
        EventLog.of([{"some": "thing"}], folder=tmp_path / "other")


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text("mine\n")
    for logs in ([[plain_event(1, "a-1")]], [[plain_event(1, "a-1")], tmp_path / "events.jsonl"]):
        with pytest.raises(UsageError, match=r"events\.jsonl is there already"):
            EventLog.of(*logs, folder=tmp_path, map="entity=stream")
    assert (tmp_path / "events.jsonl").read_text() == "mine\n"
    assert not (tmp_path / ".esctl").exists()


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (1, Decimal("1.0"), True), (Decimal("0.1"), 0.1, True), (1, True, False), ("1", 1, False), (None, None, True),
        ([1, {"a": 2}], [1.0, {"a": 2}], True), ([1], [1, 2], False), ({"a": 1}, {"a": 1, "b": 2}, False),
        ((1, 2), [1, 2], True),
    ],
)  # fmt: skip
def test_values_are_the_same_in_json(one: Any, other: Any, alike: bool) -> None:
    assert same(one, other) is alike
    assert bool(differences({"f": one}, {"f": other}, exact=False)) is not alike


def test_a_value_is_written_with_its_digits() -> None:
    assert as_json({"a": [Decimal("1.50"), "ü\n", None]}) == '{"a": [1.50, "ü\\n", null]}'
    with pytest.raises(TypeError):
        as_json(object())


GUIDE = (ROOT / "docs" / "guides" / "tests.md").read_text(encoding="utf-8")
FIRST = """
import sys

def test_nothing_is_loaded():
    assert not {"duckdb", "pyarrow", "esctl.api", "esctl.testing.event_log"} & {*sys.modules}
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


def test_the_guide_is_right_and_the_plugin_loads_late(tmp_path: Path) -> None:
    shutil.copytree(
        ROOT / "sample_logs", tmp_path / "sample_logs", ignore=shutil.ignore_patterns("*.py", "__pycache__")
    )
    (tmp_path / "pytest.ini").write_text("".join(blocks("ini")))
    (tmp_path / "test_guide.py").write_text("\n".join([FIRST, *blocks("python")]))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q"], cwd=tmp_path, env=surroundings(),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "1 failed, 4 passed" in done.stdout, done.stdout + done.stderr
    for line in blocks("text")[0].splitlines():
        assert line in done.stdout.replace(f"{tmp_path}/", "")
    assert "event_log.py" not in done.stdout  # the traceback ends in the test


def test_the_hook_names_the_lines(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(logs)
    assert main(["a.jsonl", "--config", "esctl.toml", "--never", "balance > 1000"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["a.jsonl", "--config", "esctl.toml", "--never", "balance < 0"]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("a.jsonl:4: account-0: balance < 0 from ")
    again = json.dumps(plain_event(0, "account-0", n=11))
    (tmp_path / "bad.jsonl").write_text(f"{(logs / 'a.jsonl').read_text()}{again}\nno \x1b[31mJSON\n")
    assert main([str(tmp_path / "bad.jsonl"), "--config", "esctl.toml"]) == 1
    told = capsys.readouterr().out
    assert f"{tmp_path}/bad.jsonl:8: invalid" in told
    assert f"{tmp_path}/bad.jsonl:7: conflicts" in told
    assert "\x1b" not in told
    assert main(["nowhere.jsonl"]) == 2
    assert "nowhere.jsonl" in capsys.readouterr().err
    assert main(["a.jsonl", "--checks", "nothing"]) == 2


def test_the_hook_is_what_is_declared() -> None:
    text = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    assert "entry: python -m esctl.testing.check\n" in text
    entry_points = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    assert entry_points["pytest11"] == {"esctl": "esctl.testing.plugin"}
