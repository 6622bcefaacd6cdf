"""A proxy before an object store that loses answers, and a server that ignores conditions, on loopback."""

from __future__ import annotations

import hashlib
import http.client
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import ClassVar

Request = tuple[str, str]
"""Method and path."""


class _Listening:
    """A server in a thread, which listens until `stop`."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class S3Proxy(_Listening):
    """It listens until `stop`. `loses` says which answers never come back, of what was carried out."""

    def __init__(self, address: str) -> None:
        self.loses: Callable[[Request], bool] = lambda request: False
        self.seen: list[Request] = []
        upstream, proxy = address.removeprefix("http://"), self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            error_content_type: ClassVar[str] = "text/plain"

            def pass_on(self) -> None:
                request = (self.command, self.path)
                proxy.seen.append(request)
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                connection = http.client.HTTPConnection(upstream)
                connection.request(self.command, self.path, body, dict(self.headers.items()))
                answer = connection.getresponse()
                data = answer.read()
                connection.close()
                if proxy.loses(request):
                    self.close_connection = True
                    return
                self.send_response_only(answer.status, answer.reason)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "connection"):
                        self.send_header(name, value)
                if answer.getheader("content-length") is None:
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = pass_on  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(Handler)


class CarelessServer(_Listening):
    """It keeps objects, by whomever, whatever they say must be there; it listens until `stop`."""

    def __init__(self) -> None:
        objects: dict[str, bytes] = {}
        self.objects = objects

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self, status: int, data: bytes = b"", **headers: str) -> None:
                self.send_response_only(status)
                for name, value in {"Content-Length": str(len(data)), **headers}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            def do_PUT(self) -> None:
                objects[self.path] = self.rfile.read(int(self.headers.get("content-length") or 0))
                self.answer(200, ETag=f'"{hashlib.md5(objects[self.path]).hexdigest()}"')

            def do_GET(self) -> None:
                data = objects.get(self.path)
                if data is None:
                    self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
                    return
                etag = f'"{hashlib.md5(data).hexdigest()}"'
                self.answer(200, data, ETag=etag, Last_Modified="Mon, 01 Jan 2024 00:00:00 GMT")

            do_HEAD = do_GET  # noqa: N815

            def do_DELETE(self) -> None:
                objects.pop(self.path, None)
                self.answer(204)

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(Handler)
