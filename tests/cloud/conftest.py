"""A server of object storage, to which the environment points."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from esctl.cloud import client
from tests.support.object_server import ENVIRONMENT, ObjectServer, serving


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectServer]:
    for name in [name for name in os.environ if name.startswith(ENVIRONMENT)]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(client, "RETRIES", 0)
    with serving() as made:
        for name, value in made.environment().items():
            monkeypatch.setenv(name, value)
        yield made
