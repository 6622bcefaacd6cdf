"""A small server of object storage on loopback: S3 (and Google's way of it) and Azure, with faults as tests want them.

It counts what it is asked for, and knows nothing of signatures.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

from esctl.cloud import client
from tests.support.clouds import amazon, point_at

BUCKET = "logs"


class ObjectServer(ThreadingHTTPServer):
    """One bucket of objects, which tests change as they like."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.page = 1000  # keys to a page of a listing
        self.asked: list[tuple[str, str]] = []  # (LIST, GET or HEAD; prefix or key)
        self.refusal: Callable[[str, str], tuple[int, str] | None] = lambda kind, key: None  # status, code
        self.cut: Callable[[str], int | None] = lambda key: None  # after how many bytes a body ends
        self.before_get: Callable[[str], None] = lambda key: None
        self.is_measured = True  # whether answers with objects tell their length
        self.etag: Callable[[bytes], str] = lambda body: f'"{md5(body).hexdigest()}"'

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def environment(self) -> dict[str, str]:
        """Return what tells clients of all three kinds where it is, and credentials for it."""
        return {
            **amazon(self.url, "AKIDEXAMPLE", "not-so-secret"),
            "GOOGLE_BASE_URL": self.url,
            "GOOGLE_SKIP_SIGNATURE": "true",
            "AZURE_STORAGE_ENDPOINT": self.url,
            "AZURE_STORAGE_ACCOUNT_NAME": "example",
            "AZURE_STORAGE_SAS_TOKEN": "sv=2024&sig=not-so-secret",
        }

    def count(self, kind: str) -> int:
        return sum(each == kind for each, _ in self.asked)

    def forget(self) -> None:
        self.asked.clear()


@contextmanager
def serving() -> Iterator[ObjectServer]:
    server = ObjectServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectServer]:
    """Serve, and let clients of this process find the server alone, which try everything once."""
    monkeypatch.setattr(client, "PATIENCE", client.Patience(retries=0))
    with serving() as server:
        point_at(server.environment(), monkeypatch)
        yield server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and body in one packet: else each answer waits for the kernel's own timers

    @property
    def bucket(self) -> ObjectServer:
        return cast(ObjectServer, self.server)

    def log_message(self, *told: object) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        name, _, key = url.path.lstrip("/").partition("/")
        key, is_list = unquote(key), "list-type" in asked or asked.get("comp") == "list"
        kind = "LIST" if is_list else self.command
        told = asked.get("prefix", "") if is_list else key
        self.bucket.asked.append((kind, told))
        if name != BUCKET:
            return self._refuse(404, "ContainerNotFound" if "comp" in asked else "NoSuchBucket")
        if (refusal := self.bucket.refusal(kind, told)) is not None:
            return self._refuse(*refusal)
        return self._list(asked) if is_list else self._give(key)

    do_HEAD = do_GET  # noqa: N815  # as the base class calls it

    def do_PUT(self) -> None:
        key = unquote(urlsplit(self.path).path.lstrip("/").partition("/")[2])
        self.bucket.objects[key] = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(200, b"", {})

    def _give(self, key: str) -> None:
        if self.command == "GET":
            self.bucket.before_get(key)
        body = self.bucket.objects.get(key)
        if body is None:
            return self._refuse(404, "NoSuchKey")
        etag = self.bucket.etag(body)
        if self.headers.get("If-Match", etag) != etag:
            return self._refuse(412, "PreconditionFailed")
        first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        more = {"Content-Range": f"bytes {first}-{len(body) - 1}/{len(body)}"} if first else {}
        return self._answer(206 if first else 200, body[first:], {"ETag": etag, **more}, self.bucket.cut(key))

    def _list(self, asked: dict[str, str]) -> None:
        after = asked.get("continuation-token") or asked.get("marker") or asked.get("start-after", "")
        keys = sorted(key for key in self.bucket.objects if key.startswith(asked.get("prefix", "")) and key > after)
        page = keys[: self.bucket.page]
        last = page[-1] if len(keys) > len(page) else ""
        make = _azure if "comp" in asked else _amazon
        self._answer(200, make({key: self.bucket.objects[key] for key in page}, last, self.bucket.etag).encode(), {})

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code></Error>".encode(), {})

    def _answer(self, status: int, body: bytes, headers: dict[str, str], cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in {"Last-Modified": "Wed, 01 Jan 2025 00:00:00 GMT", **headers}.items():
            self.send_header(name, value)
        is_measured = self.bucket.is_measured or "ETag" not in headers
        self.send_header(*(("Content-Length", str(len(body))) if is_measured else ("Connection", "close")))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:cut])
        self.close_connection = cut is not None or not is_measured


def _amazon(page: dict[str, bytes], last: str, etag: Callable[[bytes], str]) -> str:
    rows = "".join(
        f"<Contents><Key>{escape(key)}</Key><LastModified>2025-01-01T00:00:00.000Z</LastModified>"
        f"<ETag>{escape(etag(body))}</ETag><Size>{len(body)}</Size></Contents>"
        for key, body in page.items()
    )
    more = f"<NextContinuationToken>{escape(last)}</NextContinuationToken>" if last else ""
    truncated = "true" if last else "false"
    return f"<ListBucketResult>{rows}<IsTruncated>{truncated}</IsTruncated>{more}</ListBucketResult>"


def _azure(page: dict[str, bytes], last: str, etag: Callable[[bytes], str]) -> str:
    rows = "".join(
        f"<Blob><Name>{escape(key)}</Name><Properties><Last-Modified>Wed, 01 Jan 2025 00:00:00 GMT</Last-Modified>"
        f"<Etag>{escape(etag(body).strip(chr(34)))}</Etag><Content-Length>{len(body)}</Content-Length>"
        f"<Content-Type>text/plain</Content-Type></Properties></Blob>"
        for key, body in page.items()
    )
    return f"<EnumerationResults><Blobs>{rows}</Blobs><NextMarker>{escape(last)}</NextMarker></EnumerationResults>"
