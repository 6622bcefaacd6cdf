"""Who owns a file or folder: one that was found, not named, must be the user's own, as with git's `safe.directory`."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

from esctl.errors import InputError

_ROOT = 0


def why_foreign(path: Path, *, root_too: bool = False) -> str:
    """Return why a file or folder may hold what others put there; empty if it is the user's, and only they can write.

    A link counts as what it leads to, and must be the user's too. `root_too`: root may be the owner as well.
    """
    if not hasattr(os, "geteuid"):  # no owners here
        return ""
    own = own_ids() | ({_ROOT} if root_too else set())
    for about in (os.lstat(path), os.stat(path)):
        if about.st_uid not in own:
            return f"it belongs to {_user_name(about.st_uid)}"
        if not stat.S_ISLNK(about.st_mode) and _writable_by_others(about):
            return "others may write to it"
    return ""


def require_own(path: Path, option: str, variable: str) -> None:
    """Raise InputError if a path that was found is not the user's own; the hint says how to name it."""
    try:
        why = why_foreign(path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}", f"name another with {option}") from error
    if why:
        raise InputError(f"{path} is not used: it was found, not named, and {why}", _hint(path, option, variable))


def require_own_store(path: Path) -> None:
    """Raise InputError as `require_own` does, for a store or one of its folders (which root may own)."""
    named = ("--store", "ESCTL_STORE")
    require_own(path, *named)
    try:
        with os.scandir(path) as found:
            folders = [Path(entry.path) for entry in found if entry.is_dir(follow_symlinks=False)]
        refused = next(((folder, why) for folder in folders if (why := why_foreign(folder, root_too=True))), None)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}", "name another with --store") from error
    if refused is not None:
        folder, why = refused
        raise InputError(f"{path} is not used: it was found, not named, and {folder}: {why}", _hint(path, *named))


def own_ids() -> set[int]:
    """Return the ids of the users that this process acts for: with sudo, also the one who called it."""
    own = {os.geteuid()}
    caller = os.environ.get("SUDO_UID", "")
    if own == {_ROOT} and caller.isascii() and caller.isdecimal() and len(caller) < 11:
        own.add(int(caller))
    return own


def own_rights(mode: int) -> int:
    """Return the rights of a new file or folder without write access for others, which would make it foreign."""
    withheld = stat.S_IWOTH | (0 if _is_private(os.getegid()) else stat.S_IWGRP)
    return mode & ~withheld


def _writable_by_others(about: os.stat_result) -> bool:
    if about.st_mode & stat.S_IWOTH:
        return True
    return bool(about.st_mode & stat.S_IWGRP) and not _is_private(about.st_gid)


def _is_private(group: int) -> bool:
    """Return whether a group is the user's private one, of their own name and with nobody else in it."""
    import grp
    import pwd

    if group != os.getegid():
        return False
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
        about = grp.getgrgid(group)
    except KeyError:  # in a container, where neither has a name
        return True
    return about.gr_name == user and set(about.gr_mem) <= {user}


def _user_name(number: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"the user {number}"


def _hint(path: Path, option: str, variable: str) -> str:
    quoted = shlex.quote(str(path))
    return f"if you trust it, name it with {option} {quoted}, or: export {variable}={quoted}"
