"""A server of object storage, to which the environment points."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.object_server import ObjectServer, serving_here


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectServer]:
    with serving_here(monkeypatch) as made:
        yield made
