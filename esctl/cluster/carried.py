"""Work on its way to a worker: a path in a mirror is sent as the URL of the store and the name in it.

The worker reaches the store itself, with the credentials that it finds where it runs, and has its own mirror.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from esctl.cluster.work import Failure, WorkPart
from esctl.errors import EsctlError
from esctl.index.scan import IndexView
from esctl.storage import connecting
from esctl.storage.mirrors import any_registered, mirror_of
from esctl.storage.places import note_erasures

if TYPE_CHECKING:
    from esctl.cluster.work import Work
    from esctl.storage.mirror import Mirror


class Carried(Struct, frozen=True):
    """Work as bytes, and by URL the stores that it reads, with its identity and the number of erasures known in each.

    `mirrors` names a set of mirrors to make for it; empty: those that the machine has already will do.
    """

    number: int
    folder: Path
    work: bytes
    stores: dict[str, tuple[int, str]]
    mirrors: str = ""

    def run(self) -> WorkPart | Failure:
        """Reach the stores, and do the work."""
        try:
            roots = {url: _reach_store(url, *known, self.mirrors) for url, known in self.stores.items()}
        except EsctlError as error:
            return Failure(self.number, type(error), f"a worker: {error.message}", error.hint)
        work: Work = _Unpickler(self.work, roots).load()
        return work.run()


def pack_works(works: Sequence[Work], mirrors: str = "") -> list[Work]:
    """Return work in a form that can be sent to workers."""
    return [_pack(work, mirrors) if any_registered() else work for work in works]


def _pack(work: Work, mirrors: str) -> Work:
    pickler = _Pickler()
    pickler.dump(work)
    if not pickler.stores:
        return work
    return Carried(work.number, work.folder, pickler.text.getvalue(), pickler.stores, mirrors)


def _reach_store(url: str, erasures: int, identity: str, mirrors: str) -> Path:
    root = connecting.located(url, mirrors)
    note_erasures(root, erasures, identity)
    return root


class _Pickler(pickle.Pickler):
    """Writes work, with references in the place of paths in mirrors."""

    def __init__(self) -> None:
        self.text = io.BytesIO()
        super().__init__(self.text)
        self.stores: dict[str, tuple[int, str]] = {}

    def persistent_id(self, value: Any) -> tuple[str, str] | None:
        """Return the reference that replaces a value; None if the value itself is written."""
        if isinstance(value, IndexView) and value.manifest.files:  # these may be links, in a folder of the driver's
            self._note_mirror(mirror_of(value.folder / value.manifest.files[0].file, links=True))
        mirror = self._note_mirror(mirror_of(value)) if isinstance(value, Path) else None
        return None if mirror is None else (mirror.url, value.relative_to(mirror.root).as_posix())

    def _note_mirror(self, mirror: Mirror | None) -> Mirror | None:
        if mirror is not None:
            self.stores[mirror.url] = (mirror.erasures, mirror.identity)
        return mirror


class _Unpickler(pickle.Unpickler):
    """Reads work; references become paths in the mirrors of this machine."""

    def __init__(self, work: bytes, roots: dict[str, Path]) -> None:
        super().__init__(io.BytesIO(work))
        self._roots = roots

    def persistent_load(self, pid: tuple[str, str]) -> Path:
        """Return the path that a reference refers to."""
        url, name = pid
        return self._roots[url] / name
