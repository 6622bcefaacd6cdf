"""Fixtures for pytest. It loads nothing of esctl before a test asks for one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from esctl.testing.event_log import EventLog


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the settings that name the logs of `event_log` and their esctl.toml."""
    parser.addini("esctl_logs", "files, globs or folders of the event logs of the fixture event_log", "args", [])
    parser.addini("esctl_config", "the esctl.toml that these logs are read with", "string", "")


@pytest.fixture(scope="session")
def event_log(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventLog]:
    """The event logs that the project names by `esctl_logs` in its pytest settings."""
    from esctl.testing.event_log import EventLog

    root = pytestconfig.rootpath
    named = [str(root / name) for name in pytestconfig.getini("esctl_logs")]
    if not named:
        pytest.fail("event_log needs esctl_logs in the pytest settings: esctl_logs = logs/*.jsonl", pytrace=False)
    config = pytestconfig.getini("esctl_config")
    with EventLog.of(*named, folder=tmp_path_factory.mktemp("esctl"), config=root / config if config else None) as log:
        yield log


@pytest.fixture
def make_event_log(tmp_path: Path) -> Iterator[Callable[..., EventLog]]:
    """Make an event log of files, or of events as dicts, in one test: `make_event_log(events, config=...)`."""
    from esctl.testing.event_log import EventLog

    made: list[EventLog] = []

    def make(*logs: Any, config: Path | str | None = None, **options: Any) -> EventLog:
        __tracebackhide__ = True
        folder = tmp_path / f"esctl-{len(made) + 1}"
        made.append(EventLog.of(*logs, folder=folder, config=config, **options))
        return made[-1]

    yield make
    for log in made:
        log.close()
