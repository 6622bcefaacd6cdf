"""What somebody meets who begins: `esctl` alone, options by the names of other programs, words that complete."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from esctl.cli.help.catalogue import LINES
from esctl.cli.meant import _COMMANDS, OPTIONS
from tests.support import effort
from tests.support.cli_harness import esctl, good


def test_esctl_alone_tells_of_the_store_and_what_it_can_be_asked(samples: Path, tmp_path: Path) -> None:
    done = esctl(cwd=samples)
    assert (done.code, done.out) == (2, b"")
    first, *asked = done.err.splitlines()
    assert first.startswith(f"store {samples}/.esctl: ")
    for line in asked:
        words = shlex.split(line.partition("   ")[0] if "   " in line.strip() else line.rpartition("  ")[0])
        assert esctl(*words[1:], cwd=samples).code in (0, 1), line
    assert "doctor              what is wrong: 1 conflicting event, 6 invalid records, 2 dup" in done.err
    assert "no store here" in esctl(cwd=tmp_path).err
    (tmp_path / ".esctl").mkdir()
    done = esctl(cwd=tmp_path)
    assert done.code == 2
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["audit", "--since", "2024-01-01"], "--from"),
        (["audit", "--user", "x"], "--actor"),
        (["replay", "--as-of", "now"], "--at"),
        (["replay", "--json"], "--format json"),
        (["log", "-n", "5"], "--limit"),
        (["replay", "--collumns", "entity"], "--columns"),
        (["audit", "--by", "x"], "--actor"),
        (["replay", "--on", "2024-01-01"], "--at"),
        (["replay", "--version", "3"], "--at version:N"),
        (["log", "--last", "5"], "--tail"),
        (["audit", "--last", "5"], "--limit"),
        (["log", "--search", "x"], "--grep"),
        (["replay", "--output-format", "json"], "--format"),
        (["state", "x"], "replay"),
        (["history", "x"], "audit"),
        (["who"], "blame or audit"),
        (["import", "x"], "ingest"),
    ],
)
def test_a_word_is_found_by_what_it_means_elsewhere(samples: Path, words: list[str], meant: str) -> None:
    done = esctl(*words, cwd=samples)
    assert done.code == 2
    assert done.err.splitlines()[-1] == f"hint: did you mean {meant}?"


def test_what_is_meant_is_an_option_of_some_command() -> None:
    told = good("help", "options", cwd=Path.cwd()).text
    pages = [
        good(name, "--help", cwd=Path.cwd()).text for name in ("audit", "replay", "series", "ingest", "diff", "log")
    ]
    meant = [option for options in OPTIONS.values() for option in options]
    assert [option for option in meant if not any(option in page for page in (told, *pages))] == []
    assert {name for names in _COMMANDS.values() for name in names} <= set(LINES)
    assert not set(_COMMANDS) & set(LINES)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["doctor", "--bogus"], "see: esctl doctor --help"),
        (["log", "--entity", "account-017"], "entities are named without an option: esctl log NAME"),
        (["frobnicate"], "list them: esctl --help"),
        (["version"], "it is an option: esctl --version"),
    ],
)
def test_what_is_like_nothing_is_not_guessed(samples: Path, words: list[str], hint: str) -> None:
    assert esctl(*words, cwd=samples).err.splitlines()[-1] == f"hint: {hint}"


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["replay", "--at", "3494"], "--at '3494'", "did you mean @3494, the position? or write a time"),
        (["replay", "--at", "3 days"], "--at '3 days'", "did you mean '3 days ago'?"),
        (["replay", "--at", "02:14"], "--at '02:14'", "say of which day: '2024-02-01 02:14'"),
        (["replay", "--at", "evt-03494"], "--at 'evt-03494'", "an event is written id:evt-03494; else write a time"),
        (
            ["audit", "--from", "2024-03-06", "--to", "2024-03-05"],
            "--from '2024-03-06' is after --to '2024-03-05'",
            "did you mean --from 2024-03-05 --to 2024-03-06?",
        ),
        (["log", "--from", "@9", "--to", "@8"], "--from '@9' is after --to '@8'", "did you mean --from @8 --to @9?"),
        (
            ["diff", "account-017", "2024-03-04", "2024-03-05"],
            "A 'account-017' and B '2024-03-04' are not two points",
            "did you mean: esctl diff 2024-03-04 2024-03-05 account-017",
        ),
        (["when", "blance < 0", "-p", "account"], "no field 'blance'", "did you mean balance?"),
        (["when", "owner = paid", "-p", "account"], "no field 'paid'", "a text is written in single quotes: 'paid'"),
        (
            ["replay", "account-017", "--columns", "entity,state.balace"],
            "no state has 'balace', which --columns 'state.balace' asks for",
            "did you mean state.balance?",
        ),
        (["replay", "--where", "n >"], "'n >' is not", "something is missing beside '>'"),
        (["replay", "--where", "n < 1,000"], "'n < 1,000' is not", "',' is not expected there"),
        (["replay", "--where", "(n > 1"], "'(n > 1' is not", "')' is missing behind '1'"),
        (["replay", "--where", "n = 'a"], "is not an SQL expression", "a quote is not closed"),
    ],
)
def test_a_wrong_value_is_told_with_what_may_be_meant(samples: Path, words: list[str], message: str, hint: str) -> None:
    done = esctl(*words, cwd=samples)
    assert done.code == 2
    first, second = done.err.splitlines()[-2:]
    assert message in first
    assert hint in second


def test_a_day_is_its_end_however_it_is_written(samples: Path) -> None:
    def at(*bound: str) -> object:
        (row,) = good("replay", "account-017", *bound, cwd=samples).rows
        return row["version"]

    whole = at("--at", "2024-03-05")
    assert whole != at("--before", "2024-03-05")
    days = ("5 March 2024", "Mar 5 2024", "2024-065", "2024-W10-2", "2024/03/05", "05-MAR-24")
    for day in effort.some(days, 3):
        assert at("--at", day) == whole
        assert at("--before", day) == at("--before", "2024-03-05")
    assert at("--at", "2024-03-05 00:00") != whole


@pytest.mark.parametrize(
    ("words", "note"),
    [
        (
            ["replay", "account-017", "-p", "sku"],
            "note: 'account-017' names none of the entities that projection sku is for: leave out -p",
        ),
        (["audit", "account-99*"], "note: no entity in the log matches 'account-99*'; did you mean account-009?"),
    ],
)
def test_an_answer_that_is_empty_for_its_names_says_so(samples: Path, words: list[str], note: str) -> None:
    done = good(*words, cwd=samples)
    assert done.out == b""
    assert done.err.splitlines()[-1] == note


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["show", "3494"], "did you mean @3494, the position?"),
        (["prove", "3494"], "did you mean @3494, the position?"),
        (["blame", "account-017", "balance"], "nothing is named like it: esctl entities"),
        (["help", "mapping"], "did you mean configuration?"),
        (["help", "exit"], "did you mean exit-codes?"),
    ],
)
def test_what_is_not_there_is_told_with_what_may_be_meant(samples: Path, words: list[str], hint: str) -> None:
    done = esctl(*words, cwd=samples)
    assert done.code == 4
    assert done.err.splitlines()[-1].startswith(f"hint: {hint}")
