"""Wait for a server so that Ctrl-C ends the wait: a client in the main thread lets no signal through."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def set_result_of(coming: Future[T], call: Callable[[], T]) -> None:
    """Call a function, and set a future to what it returns or raises."""
    try:
        coming.set_result(call())
    except BaseException as error:
        coming.set_exception(error)


def interruptibly(call: Callable[[], T]) -> T:
    """Return the result of a call. If the wait is interrupted, the call goes on, and ends with the program."""
    coming: Future[T] = Future()
    threading.Thread(target=set_result_of, args=(coming, call), name="asking", daemon=True).start()
    return coming.result()
