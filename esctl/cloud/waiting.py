"""Waiting for a server so that Ctrl-C ends it: a client in the main thread lets no signal through."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def settle(coming: Future[T], call: Callable[[], T]) -> None:
    """Call a function, and let a future have what it returns or raises."""
    try:
        coming.set_result(call())
    except BaseException as error:
        coming.set_exception(error)


def interruptibly(call: Callable[[], T]) -> T:
    """Return what a call gives. If the wait is interrupted, the call is left to itself, and ends with the program."""
    coming: Future[T] = Future()
    threading.Thread(target=settle, args=(coming, call), name="asking", daemon=True).start()
    return coming.result()
