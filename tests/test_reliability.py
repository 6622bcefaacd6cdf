"""Seeded samples of the campaigns in reliability/; `make reliability` runs them whole.

ESCTL_CAMPAIGN=N draws other points, N times as many.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

from reliability import crash, damage, flips, race
from reliability.running import BROKEN, esctl, prepare
from reliability.stores import write_log

CAMPAIGN = int(os.environ.get("ESCTL_CAMPAIGN", "0"))
SEED = secrets.randbits(32) if CAMPAIGN else 7
SCENARIOS = {scenario.name: scenario for scenario in crash.SCENARIOS}


@pytest.fixture(scope="module", autouse=True)
def _prepared(tmp_path_factory: pytest.TempPathFactory) -> None:
    if problem := prepare(tmp_path_factory.mktemp("build")):
        pytest.skip(problem)


@pytest.mark.parametrize("name", ["ingest, a new store", "redact", "compact"])
def test_a_command_that_fails_anywhere_leaves_the_store_whole(name: str) -> None:
    figures = crash.campaign(6 * max(CAMPAIGN, 1), SEED, [SCENARIOS[name]])
    assert figures.failures == [], SEED
    assert figures.points.total() <= 6 * max(CAMPAIGN, 1)


def test_calls_of_all_libraries_are_seen(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    write_log(work)
    calls = esctl(work, ["ingest", "one.jsonl"]).calls
    assert {call.partition(" ")[0] for call in calls} >= {
        "create",
        "write",
        "fsync",
        "rename",
        "link",
        "unlink",
        "mkdir",
    }
    assert any(call.startswith("write .esctl/index/") and ".parquet" in call for call in calls)  # by Arrow's own writer
    ran = esctl(work, ["reindex"], BROKEN, 2)
    assert ran.code == 3, ran.said


def test_flipped_bits_are_found_and_mislead_nobody() -> None:
    figures = flips.campaign(400 * max(CAMPAIGN, 1), SEED, workers=1, read_every=20)
    assert figures.failures == [], SEED
    kinds = {kind for kind, _ in figures.flips}
    assert kinds >= {
        "segment", "index file", "manifest", "summary", "commit", "checkpoint", "format.json", "mapping.json",
    }  # fmt: skip
    assert "another file" not in kinds
    assert figures.reads["refused, the file named"]


def test_files_that_are_cut_gone_old_or_anothers_are_found() -> None:
    figures = damage.campaign()
    assert figures.failures == []
    assert {what for _, what in figures.cases} >= {"removed", "cut in half", "another's content", "older version"}


def test_writers_and_readers_at_once() -> None:
    figures = race.campaign(3, 2)
    assert figures.failures == []
    assert (figures.records, figures.writers) == (3 * 2 * race.RECORDS, 3)
    assert figures.reads
