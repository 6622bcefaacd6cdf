"""Fixtures shared by all tests."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import effort
from tests.support.s3 import object_store

__all__ = ["object_store"]
effort.load_profile()
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's threads: nothing here uses them, and they wait by turning

if os.environ.get("ESCTL_COMPACT") == "always":
    from tests.support.compacting import install

    install()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked `thorough`, and most of many like cases, but where everything is to be tried."""
    left_out = set() if effort.ALL else {item for item in items if item.get_closest_marker("thorough")}
    left_out.update(effort.like_cases(items))
    effort.draw_fewer(items)
    if left_out:
        config.hook.pytest_deselected(items=[item for item in items if item in left_out])
        items[:] = [item for item in items if item not in left_out]


def pytest_collection_finish() -> None:
    """Leave what was loaded and collected, which stays to the end, out of every search for garbage: it is most."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how to draw the fresh examples of this run again."""
    if effort.ALL:
        terminalreporter.write_line(f"fresh examples: ESCTL_SEED={effort.SEED} draws them again")


@pytest.fixture(scope="session", autouse=True)
def _folders_of_a_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what the program keeps for a user out of the folders of whoever runs the tests.

    Heads that were last seen there would be held against stores of another run, at the same paths.
    """
    folder = tmp_path_factory.mktemp("user")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("STATE", "CONFIG", "CACHE"):
            patch.setenv(f"XDG_{name}_HOME", str(folder / name.lower()))
        yield


@pytest.fixture(scope="session")
def real_logs() -> Path:
    """Folder of real logs with oracles: $ESCTL_REAL_LOGS, else ../shared/real beside the checkout; skips without."""
    named = os.environ.get("ESCTL_REAL_LOGS")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "real"
    if not folder.is_dir():
        pytest.skip(f"no real logs in {folder}: set ESCTL_REAL_LOGS")
    return folder


@pytest.fixture(scope="module", params=[True, False], ids=["compiled", "python"])
def both_ways(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run the tests of a module with the native core and without it; the first is skipped where none is installed."""
    from esctl.engine import native

    with pytest.MonkeyPatch.context() as patch:
        if not request.param:
            patch.setattr(native, "_load_core", lambda: (None, "not used"))
        elif not native.is_available():
            pytest.skip(f"no native core ({native.description()}): make native builds it")
        yield


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the sample logs, their esctl.toml and a store they were ingested into: for reading only."""
    from tests.support.cli_harness import ingest_samples

    return ingest_samples(tmp_path_factory.mktemp("samples"))
