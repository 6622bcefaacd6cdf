"""A door in front of a web server on loopback: it asks for a password, counts who passes, and can be shut."""

from __future__ import annotations

import base64
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.request import Request, urlopen

_SECONDS = 30


class Door:
    """Hands GET requests on to a server while it is open; `asked` has their paths."""

    def __init__(self, behind: str, user: str = "") -> None:
        self.asked: list[str] = []
        self.busy: list[int] = []
        """The statuses that it answers by itself before others pass."""
        self._behind, self._wanted = behind, f"Basic {base64.b64encode(user.encode()).decode()}" if user else ""
        self._port, self._last = 0, 0
        self._server: ThreadingHTTPServer | None = None
        self.open()

    @property
    def address(self) -> str:
        """Return host and port."""
        return f"127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        """Return where what is behind it can be reached, without a password."""
        return f"http://{self.address}"

    def open(self) -> None:
        """Let requests pass, on the port that it had."""
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = door._answer(self.path, self.headers.get("Authorization", ""))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def shut(self) -> None:
        """Let nobody in: nobody listens at the port."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def shut_after(self, requests: int) -> None:
        """Shut it when so many more have come; the last of them passes."""
        self._last = len(self.asked) + requests

    def _answer(self, path: str, authorization: str) -> tuple[int, bytes]:
        self.asked.append(path)
        if len(self.asked) == self._last:
            self.shut()
        if self._wanted and authorization != self._wanted:
            return 401, b'{"error_code":40101,"message":"who are you?"}'
        if self.busy:
            return self.busy.pop(0), b"later"
        try:
            with urlopen(Request(self._behind + path), timeout=_SECONDS) as answer:
                return answer.status, answer.read()
        except HTTPError as error:
            return error.code, error.read()
