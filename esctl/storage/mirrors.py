"""The folders of this machine that mirror stores kept elsewhere: a path in one names a file there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from esctl.errors import mirror_urls

if TYPE_CHECKING:
    from esctl.storage.mirror import Mirror

_MIRRORS: dict[Path, Mirror] = {}


def register(mirror: Mirror) -> None:
    """Register a mirror: paths in its folder then name the files of its store."""
    _MIRRORS[mirror.root] = mirror
    mirror_urls[str(mirror.root)] = mirror.url


def is_registered(root: Path) -> bool:
    """Return whether a folder is a mirror."""
    return root in _MIRRORS


def any_registered() -> bool:
    """Return whether any folder is a mirror."""
    return bool(_MIRRORS)


def unregister(root: Path) -> None:
    """Unregister a mirror: paths in its folder are plain files again."""
    _MIRRORS.pop(root, None)
    mirror_urls.pop(str(root), None)


def mirror_of(path: Path, *, links: bool = False) -> Mirror | None:
    """Return the mirror that a path leads into, or None for a plain file of this machine.

    `links`: also for a path that is a link, made in a folder of our own, to a file of a mirror.
    """
    if not _MIRRORS:
        return None
    for root, mirror in _MIRRORS.items():
        if path == root or root in path.parents:
            return mirror
    if links and path.is_symlink():
        return mirror_of(Path(os.readlink(path)))
    return None


def shown(path: Path) -> str:
    """Return the name of a store for people: its URL if its folder is a mirror, else its path."""
    return shown_in(str(path))


def shown_in(text: str) -> str:
    """Return a text with folders that mirror stores replaced by the stores' URLs."""
    for root, mirror in _MIRRORS.items():
        text = text.replace(str(root), mirror.url)
    return text
