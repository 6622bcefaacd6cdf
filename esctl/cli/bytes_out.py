"""Write raw bytes to stdout or a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path


def write_bytes(pieces: Iterable[bytes], path: Path | None) -> None:
    """Write pieces of bytes; a file appears only when it is whole."""
    if path is None or str(path) == "-":
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    temporary = path.with_name(f".tmp-{path.name}-{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            for piece in pieces:
                file.write(piece)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
