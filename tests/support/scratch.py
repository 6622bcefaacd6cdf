"""Where tests write."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
_ENOUGH = 6 << 30


def use_memory() -> None:
    """Let temporary files be in memory where there is room: thousands of small stores wait for each of their syncs.

    TMPDIR says otherwise where it is set.
    """
    if "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK):
        return
    if shutil.disk_usage(MEMORY).free >= _ENOUGH:
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None
