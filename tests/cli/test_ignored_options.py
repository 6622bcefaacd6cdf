"""An option that a command would ignore is refused, and nothing is written; a variable is a default, and is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli_harness import good, ingest_samples, refused


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ingest_samples(tmp_path_factory.mktemp("ignored"))


LIMIT, COLUMNS, BOTH = ("--limit", "3"), ("--columns", "id"), ("--limit", "3", "--columns", "id")


@pytest.mark.parametrize(
    ("call", "more", "message"),
    [
        (["series", "count(*)", "--plot"], LIMIT, "--limit is not for a chart"),
        (["series", "count(*)", "--plot"], COLUMNS, "--columns is not for a chart"),
        (["series", "count(*)", "-o", "x.svg"], BOTH, "--columns and --limit are not for a chart"),
        (["export", "--raw", "--source", "bank.jsonl"], LIMIT, "--limit is not for the bytes of a source"),
        (["export", "--raw", "--source", "bank.jsonl"], COLUMNS, "--columns is not for the bytes of a source"),
        (["export", "--raw", "--source", "bank.jsonl"], ("-f", "csv"), "--format is not for the bytes of a source"),
        (["show", "@1", "--raw"], COLUMNS, "--columns is not for the bytes of a record"),
        (["report", "account-017", "-o", "x.html"], LIMIT, "--limit is not for a report"),
        (["report", "account-017", "-o", "x.html"], COLUMNS, "--columns is not for a report"),
        (["bundle", "account-017", "-o", "x.zip"], LIMIT, "--limit is not for a bundle"),
        (["prove", "@1", "-o", "x.proof"], COLUMNS, "--columns is not for proofs"),
        (["export"], ("--skip-erased",), "--skip-erased is for --raw, which is not given"),
    ],
)
def test_what_would_be_ignored_is_refused(folder: Path, call: list[str], more: tuple[str, ...], message: str) -> None:
    for arguments in ([*call, *more], *([[*more, *call]] if more[0] != "--skip-erased" else [])):
        assert refused(*arguments, code=2, cwd=folder)[0] == message
    assert not list(folder.glob("x.*"))


def test_a_variable_is_a_default_for_what_has_rows(folder: Path) -> None:
    defaults = {"ESCTL_LIMIT": "3", "ESCTL_COLUMNS": "id"}
    whole = good("export", "--raw", "--source", "bank.jsonl", cwd=folder, **defaults).out
    assert whole == (folder / "bank.jsonl").read_bytes()
    good("report", "account-017", "-o", "y.html", cwd=folder, **defaults)
