"""The object store that tests start holds what esctl asks of one: an object made once, replaced only as it was read."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.s3 import KEY, SECRET, ObjectServer, needs_objects

obstore = pytest.importorskip("obstore")
pytestmark = needs_objects


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ObjectServer]:
    server = ObjectServer(tmp_path)
    yield server
    server.stop()


def test_of_racing_writers_one_makes_an_object_and_one_replaces_it(server: ObjectServer) -> None:
    store = obstore.store.S3Store(
        server.bucket(),
        endpoint=server.address,
        access_key_id=KEY,
        secret_access_key=SECRET,
        region="us-east-1",
        client_options={"allow_http": True},
    )

    def put(number: int, mode: object) -> bool:
        try:
            obstore.put(store, "folder/name", b"%d" % number, mode=mode)
        except (obstore.exceptions.AlreadyExistsError, obstore.exceptions.PreconditionError):
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda number: put(number, "create"), range(8))) == 1
        known = {"e_tag": obstore.head(store, "folder/name")["e_tag"]}
        assert sum(pool.map(lambda number: put(number, known), range(8, 16))) == 1
