"""How much the tests try: what a change must pass, or everything.

`make test` draws the same examples in every run and leaves out what is marked `thorough`. `make test-all` sets
ESCTL_TESTS=all: nothing is left out, and to the fixed examples come fresh ones, of a seed that is printed;
ESCTL_SEED=N draws those of another run again. ESCTL_CAMPAIGN=N does all that with N times as many fresh ones.
"""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

import hypothesis.core
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.internal.conjecture import providers

T = TypeVar("T")
CAMPAIGN = int(os.environ.get("ESCTL_CAMPAIGN", "0"))
ALL = CAMPAIGN > 0 or os.environ.get("ESCTL_TESTS") == "all"
TIMES = max(CAMPAIGN, 1)
SEED = int(os.environ.setdefault("ESCTL_SEED", str(secrets.randbits(32)))) if ALL else 0
"""What fresh examples are drawn from; 0 where there are none. Processes started from here have the same."""

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example, HealthCheck.filter_too_much]
_SAME = settings(deadline=None, database=None, suppress_health_check=_SLOW)
settings.register_profile("fast", _SAME, derandomize=True, max_examples=25)
settings.register_profile("thorough", _SAME, derandomize=False)
PHASES = (Phase.generate, Phase.shrink) if ALL else (Phase.generate,)
"""For properties that are slow to try: what fails in every run need not be made small in each."""


def numbers(count: int) -> range:
    """Return the numbers of the sets of examples to try, of `count` that there are."""
    return range(count if ALL else 1)


def seeds(number: int) -> tuple[int, ...]:
    """Return what to seed a property with: its number, and where everything is tried, a fresh one."""
    return (number, number + SEED) if ALL else (number,)


def examples(count: int, few: int) -> int:
    """Return how many examples of a slow property to draw: a few, or as many as there are to be."""
    return count * TIMES if ALL else few


def share(count: int) -> int:
    """Return how many of so many examples of a property to draw: about a third, or all."""
    return count if ALL else -(-count * 7 // 20)


def some(each: Sequence[T], most: int) -> Sequence[T]:
    """Return as many as there may be, from the first to the last in even steps; all, where everything is tried."""
    if ALL or len(each) <= most:
        return each
    return [each[at * (len(each) - 1) // max(most - 1, 1)] for at in range(most)]


LIKE_CASES = {
    "tests/api/test_examples.py": 3,
    "tests/ask/changes/test_blame.py": 2,
    "tests/ask/compare/test_live_table.py": 3,
    "tests/ask/compare/test_reconcile.py": 4,
    "tests/ask/scope/test_basis.py": 4,
    "tests/ask/scope/test_named_values.py": 2,
    "tests/ask/scope/test_what_if.py": 4,
    "tests/ask/sql/test_sql.py": 2,
    "tests/ask/states/test_engines_agree.py": 6,
    "tests/ask/states/test_fold_cells.py": 2,
    "tests/ask/states/test_review.py": 4,
    "tests/ask/states/test_wide_numbers.py": 4,
    "tests/assistants/test_mcp.py": 4,
    "tests/bundle/test_bundles.py": 2,
    "tests/cli/test_api.py": 5,
    "tests/cli/test_asking.py": 3,
    "tests/cli/test_cases.py": 4,
    "tests/cli/test_cli_blame.py": 4,
    "tests/cli/test_cli_ingest.py": 4,
    "tests/cli/test_cli_presets.py": 2,
    "tests/cli/test_cli_sql.py": 4,
    "tests/cli/test_cli_time.py": 4,
    "tests/cli/test_every_command.py": 4,
    "tests/cli/test_every_format.py": 8,
    "tests/cli/test_failures.py": 4,
    "tests/cli/test_hostile.py": 4,
    "tests/cli/test_hostile_outputs.py": 5,
    "tests/cli/test_interrupts.py": 3,
    "tests/cli/test_moments.py": 4,
    "tests/cli/test_ownership.py": 4,
    "tests/cli/test_raw_fields.py": 2,
    "tests/cli/test_read_times.py": 4,
    "tests/cli/test_scaled_numbers.py": 2,
    "tests/cli/test_shell.py": 2,
    "tests/engine/test_zones.py": 3,
    "tests/index/envelope/test_log_positions.py": 2,
    "tests/index/envelope/test_openings.py": 3,
    "tests/index/envelope/test_preset_samples.py": 8,
    "tests/index/envelope/test_shapeless.py": 2,
    "tests/index/envelope/test_unknown_logs.py": 8,
    "tests/index/seen_ids/test_numberings.py": 4,
    "tests/ledger/check/test_verify.py": 3,
    "tests/log/test_crash.py": 2,
    "tests/oracles/test_bare_changes.py": 5,
    "tests/oracles/test_change_logs.py": 4,
    "tests/oracles/test_git.py": 3,
    "tests/oracles/test_perturbed.py": 3,
    "tests/output/test_formats.py": 2,
    "tests/page/test_reports.py": 2,
    "tests/project/test_reference.py": 4,
    "tests/reliability/test_curves.py": 4,
    "tests/reliability/test_reliability.py": 3,
    "tests/sinks/test_duckdb_file.py": 3,
    "tests/sinks/test_kafka_topic.py": 4,
    "tests/sinks/test_parquet_folder.py": 4,
    "tests/sinks/test_postgres.py": 4,
    "tests/sinks/test_sqlite.py": 3,
    "tests/sources/kafka/test_mapping.py": 20,
    "tests/sources/kafka/test_reading.py": 4,
    "tests/sources/kafka/test_secrets.py": 3,
    "tests/sources/postgres/test_contract.py": 2,
    "tests/sources/postgres/test_lost.py": 4,
    "tests/sources/test_archives.py": 2,
    "tests/sources/test_encodings.py": 3,
    "tests/sources/test_limits.py": 4,
    "tests/sources/test_prefixes.py": 2,
    "tests/sources/text/test_patterns.py": 2,
    "tests/sources/text/test_text_logs.py": 2,
    "tests/storage/test_stores_in_objects.py": 4,
    "tests/tui/test_browser.py": 2,
    "tests/tui/test_hostile_screens.py": 2,
    "tests/views/test_emit_to_topics.py": 3,
    "tests/views/test_kills.py": 6,
    "tests/views/test_refresh.py": 4,
}
"""Files of many like cases, of which the fast run tries the first of each test and one in so many of the rest."""
SLOW_FOLDERS = (
    *("tests/ask/", "tests/cli/", "tests/index/envelope/", "tests/intake/", "tests/maintain/", "tests/oracles/"),
    *("tests/page/", "tests/sinks/", "tests/sources/kafka/", "tests/sources/postgres/", "tests/views/"),
)
"""Folders whose cases cost most: of their other files one in four is tried."""


def like_cases(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return the cases that the fast run leaves out; the same in every run, of a test the first never."""
    left_out: list[pytest.Item] = []
    seen: Counter[str] = Counter()
    for item in [] if ALL else items:
        file, _, name = item.nodeid.partition("::")
        if "[" in name:
            test = f"{file}::{name.partition('[')[0]}"
            left_out += [item] if seen[test] % LIKE_CASES.get(file, 4 if file.startswith(SLOW_FOLDERS) else 1) else []
            seen[test] += 1
    return left_out


def draw_fewer(items: Sequence[pytest.Item]) -> None:
    """Let properties that say how many examples they draw draw one in four in the fast run, but ten at least."""
    seen: set[int] = set()
    for item in [] if ALL else items:
        function = getattr(getattr(item, "obj", None), "__func__", getattr(item, "obj", None))
        own = getattr(function, _SETTINGS, None)
        if own is not None and id(function) not in seen:
            seen.add(id(function))
            setattr(
                function,
                _SETTINGS,
                settings(own, max_examples=max(own.max_examples // 4, min(own.max_examples, 10))),
            )


_SETTINGS = "_hypothesis_internal_use_settings"
"""Where Hypothesis keeps what a test's own @settings say."""


def load_profile() -> None:
    """Let Hypothesis do as much as this run is to try."""
    settings.load_profile("thorough" if ALL else "fast")
    # Hypothesis draws some values from constants of the modules that are loaded by then, so what a test draws hangs
    # on which ran before it in the same process. It has no setting for that.
    if not hasattr(providers, "is_local_module_file"):
        raise RuntimeError("Hypothesis looks for constants elsewhere now: mend load_profile()")
    providers.is_local_module_file = lambda _: False
    if ALL:
        hypothesis.core.global_force_seed = SEED  # as --hypothesis-seed does, for this process alone
