"""A server that others wrote gives the same as the one of these tests: versitygw, over a folder."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest

from esctl.cloud.address import parse_address
from esctl.cloud.client import open_bucket
from esctl.model import Cursor
from tests.sources.contract import SourceReaderContract, Subject
from tests.sources.objects.test_reading import ObjectSubject, lines_of, read, text
from tests.sources.test_file_reader import as_gzip
from tests.support.clouds import point_at
from tests.support.s3 import ObjectServer, needs_objects

pytestmark = needs_objects


@pytest.fixture
def bucket(object_store: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> str:
    point_at(object_store.environment, monkeypatch)
    return object_store.bucket()


def put(bucket: str, key: str, data: bytes) -> None:
    obstore.put(open_bucket(parse_address(f"s3://{bucket}")), key, data)


class RealSubject(ObjectSubject):
    """An object on that server."""

    def __init__(self, bucket: str, path: Path) -> None:
        self.bucket, self.path, self.write, self.grows = bucket, path, as_gzip, True
        self.url = f"s3://{bucket}/a/source"
        self.held = []
        self.records = self.put(7)

    def put(self, count: int) -> list[bytes]:
        records = self.write(self.path, count)
        put(self.bucket, "a/source", self.path.read_bytes())
        return records


class TestObjectsOfARealServer(SourceReaderContract):
    """What holds for every source."""

    @pytest.fixture
    def subject(self, bucket: str, tmp_path: Path) -> Iterator[Subject]:
        made = RealSubject(bucket, tmp_path / "source")
        yield made
        made.close()


def test_patterns_and_etags(bucket: str) -> None:
    put(bucket, "many/05.json.gz", gzip.compress(text(0, 3)))
    put(bucket, "a/b c+d/é.json.gz", gzip.compress(text(10, 3)))
    known: dict[str, Cursor] = {}
    name = f"s3://{bucket}/a/b c+d/é.json.gz"
    assert read(f"s3://{bucket}/**/*.json.gz", known).records == {
        name: lines_of(10, 3), f"s3://{bucket}/many/05.json.gz": lines_of(0, 3),
    }  # fmt: skip
    assert read(f"s3://{bucket}", known).deliveries == []
    put(bucket, "a/b c+d/é.json.gz", gzip.compress(text(10, 5)))
    assert read(f"s3://{bucket}/a", known).records == {name: lines_of(13, 2)}
    assert read(name, known).deliveries == []


def test_what_is_not_there_or_not_allowed(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for url, told in ((f"s3://{bucket}/x", "no such object"), ("s3://not-there/x", "no such bucket")):
        assert told in str(read(url).error)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    assert "the credentials are not accepted" in str(read(f"s3://{bucket}/*").error)
