"""A broker for the tests of one process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.kafka import Broker


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    found = Broker()
    yield found
    found.stop()
