"""The process that holds the store open and answers; it can be killed at any time.

Run as `python -P -m esctl.assistants.worker` by `esctl.assistants.questions`. Lines of JSON come on stdin: first how to
open the store, then questions. Each is replied to by a line on stdout; the first reply is empty.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from esctl.api.read_only import ReadOnlyStore
    from esctl.assistants.answers import Reply


def main() -> None:
    """Answer questions until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # anything else that is printed must not look like an answer
    requests = sys.stdin.buffer
    opening = json.loads(requests.readline() or "null")
    import esctl.api.read_only  # noqa: F401  # what takes long to load is no part of a question's time
    from esctl.engine.duckdb import open_ahead

    open_ahead()
    replies.write(b"\n")
    replies.flush()
    lines: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(requests, lines, opening["scratch"]), daemon=True).start()
    store = None
    while True:
        reply, store = _answer(store, opening, json.loads(lines.get()))
        _send_reply(replies, reply)


def _listen(requests: BinaryIO, lines: SimpleQueue[bytes], scratch: str) -> None:
    """Hand questions on; once stdin ends, end this process, whatever it is doing.

    `scratch`: the folder for its temporary files, which is removed.
    """
    for line in requests:
        lines.put(line)
    shutil.rmtree(scratch, ignore_errors=True)
    if os.getpgrp() == os.getpid():  # with what it started
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)


def _answer(store: ReadOnlyStore | None, opening: Any, request: Any) -> tuple[Reply, ReadOnlyStore | None]:
    from esctl.api.read_only import ReadOnlyStore
    from esctl.assistants.answers import answer, failure
    from esctl.errors import EsctlError

    try:
        if store is None:
            store = ReadOnlyStore.open(
                opening["store"], opening["config"], memory_limit=opening["memory_limit"], tz=opening["tz"]
            )
        store.refresh_if_grown()
    except EsctlError as error:
        return failure(error), None
    try:
        return answer(store, request["tool"], request["arguments"], request["seconds"]), store
    except Exception as error:  # a bug: it is reported, and the next question opens the store anew
        return failure(EsctlError(f"{type(error).__name__}: {error}", "this is a bug in esctl")), None


def _send_reply(stream: BinaryIO, reply: Reply) -> None:
    stream.write(json.dumps({"texts": reply.texts, "failed": reply.failed}).encode() + b"\n")
    stream.flush()


if __name__ == "__main__":
    main()
