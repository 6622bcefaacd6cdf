"""Files and folders that a target may be in: plain ones, no link, device or FIFO among them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from esctl.errors import UsageError


def check_file(path: Path) -> bool:
    """Return whether a file exists. Raises UsageError if it is not a plain file, or could not be made."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise UsageError(f"cannot write {path}: there is no folder {path.parent}", "make it first") from None
        return False
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", "give another path with --to") from error
    if not stat.S_ISREG(mode):
        raise UsageError(f"cannot write {path}: it is not a plain file", "give another path with --to")
    return True


def check_folder(path: Path) -> bool:
    """Return whether a folder exists. Raises UsageError if it is not itself a folder, or could not be made."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return check_file(path)
    if not stat.S_ISDIR(mode):
        raise UsageError(f"cannot write {path}: it is not a folder", "give another path with --to")
    return True
