"""The objects that an address names: one, all below a folder, or those that match a pattern, listed page by page."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from esctl.cloud.address import Address
from esctl.cloud.waiting import interruptibly
from esctl.errors import InputError, did_you_mean
from esctl.sources.files.finding import LeftOut, is_sidecar
from esctl.sources.objects.failures import VanishedError, explaining
from esctl.sources.objects.keys import fixed_part, is_pattern, is_read_in_folder, matcher

if TYPE_CHECKING:
    from obstore.store import ObjectStore

    from esctl.sources.protocol import Note

_PAGE = 1000
_LONGEST_ETAG = 256


class Listed(Struct, frozen=True):
    """An object as it was listed. `etag` is without quotes, and "" if it cannot identify the content."""

    key: str
    size: int
    etag: str


class Listing:
    """The objects of an address in the order of their keys, listed again at each iteration."""

    def __init__(self, client: ObjectStore, address: Address, note: Note) -> None:
        self._client, self._address, self._note = client, address, note

    def __iter__(self) -> Iterator[Listed]:
        """Yield the objects, listed a page at a time. Raises InputError, also if there are none."""
        found = self._list_all()
        first = next(found, None)
        if first is None:
            more = "" if is_pattern(self._address.key) else ", and none below it"
            raise InputError(f"{self._address}: no such object{more}", self._hint())
        yield first
        yield from found

    def _list_all(self) -> Iterator[Listed]:
        key = self._address.key
        if is_pattern(key):
            is_match = matcher(key)
            yield from (each for each in self._list_below(fixed_part(key)) if is_match(each.key))
            return
        one = self._look_up(key) if key and not key.endswith("/") else None
        if one is not None and one.size:
            yield one
            return
        below = self._list_folder(key.rstrip("/"))  # some services have an empty object for a folder
        first = next(below, one)
        yield from [first] if first is not None else []
        yield from below

    def _list_folder(self, folder: str) -> Iterator[Listed]:
        left_out = LeftOut()
        for each in self._list_below(folder):
            if not is_read_in_folder(folder, each.key):
                continue
            if is_sidecar(each.key):
                left_out.add(str(self._address.with_key(each.key)))
            else:
                yield each
        left_out.write_note(self._note)

    def _look_up(self, key: str) -> Listed | None:
        import obstore

        try:
            with explaining(str(self._address), self._address.scheme):
                return _listed_of(interruptibly(lambda: obstore.head(self._client, key)))
        except VanishedError:
            return None

    def _list_below(self, folder: str) -> Iterator[Listed]:
        import obstore

        name, scheme = str(self._address), self._address.scheme
        with explaining(name, scheme):
            pages = iter(obstore.list(self._client, folder or None, chunk_size=_PAGE))
        while True:
            with explaining(name, scheme):
                page = interruptibly(lambda: next(pages, None))
            if page is None:
                return
            yield from map(_listed_of, page)

    def _hint(self) -> str:
        key = self._address.key
        if is_pattern(key):
            return "the pattern matches nothing; * stays within a part of a key, and **/ spans any number of parts"
        found = islice(self._list_below(key.rpartition("/")[0]), _PAGE)
        near = difflib.get_close_matches(key, [each.key for each in found], n=1)
        names = [str(self._address.with_key(each)) for each in near]
        return did_you_mean(names, "give an object, a folder or a pattern")


def _listed_of(meta: Any) -> Listed:
    etag = meta["e_tag"] or ""
    # A weak ETag means equivalent, not identical, content; and a server may send an ETag of any length.
    is_usable = not etag.startswith("W/") and len(etag) <= _LONGEST_ETAG
    # Azure lists ETags without the quotes that they have elsewhere.
    return Listed(meta["path"], meta["size"], etag.removeprefix('"').removesuffix('"') if is_usable else "")
