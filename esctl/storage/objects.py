"""The files of a store as objects of S3, Google Cloud Storage or Azure, by obstore.

An object is whole or absent. The service decides which writer is first: `create` is a PUT that must find nothing,
`replace` one that must find what was read. If the answer to a PUT is lost and the PUT is sent again, it collides with
its own success: so a writer that loses reads what is there, and has won if that is what it sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from esctl.errors import InputError
from esctl.storage.protocol import MISPLACED, ConflictError, Found
from esctl.storage.refusals import error_for, is_lost

if TYPE_CHECKING:
    from obstore.store import ObjectStore

T = TypeVar("T")
_ATTEMPTS = 5
"""How often a PUT is sent that collides with another although no object appears."""
_APART = 1 << 18
"""Most bytes between two ranges that one request reads."""


class ObjectDepot:
    """A prefix of a bucket. Errors name it by `url`."""

    def __init__(self, store: ObjectStore, url: str) -> None:
        import obstore

        self._api: Any = obstore
        self._store: Any = store
        self._url = url

    def get(self, name: str, limit: int, unless: str = "") -> tuple[bytes, str] | None:
        """Return a whole object of at most `limit` bytes, and its ETag; None if that is still `unless`."""

        def read() -> tuple[bytes, str] | None:
            try:
                options = {"if_none_match": _version(unless)["e_tag"]} if unless else {}
                answer = self._api.get(self._store, self._name(name), options=options)
            except self._api.exceptions.NotModifiedError:
                return None
            self._check(name, answer, limit)
            return bytes(answer.bytes()), _tag(answer.meta)

        return self._request("read", name, read)

    def get_ranges(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return parts of an object; neighbouring parts are read in one request."""
        if any(bound < 0 for part in ranges for bound in part):
            raise ValueError(f"{name} has no bytes {ranges}")
        if all(length for _, length in ranges):
            with suppress(_BeyondEndError):
                return self._request("read", name, lambda: self._ranges(name, ranges))
        whole = self.get(name, 1 << 62)
        assert whole is not None, "asked for unconditionally"
        return [whole[0][start : start + length] for start, length in ranges]

    def _ranges(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        starts, lengths = [start for start, _ in ranges], [length for _, length in ranges]
        try:
            found = self._api.get_ranges(self._store, self._name(name), starts=starts, lengths=lengths, coalesce=_APART)
        except self._api.exceptions.GenericError as error:
            if is_lost(error):
                raise
            raise _BeyondEndError from error  # the object ends before a range begins
        return [bytes(part) for part in found]

    def get_file(self, name: str, path: Path, limit: int) -> None:
        """Write a whole object of at most `limit` bytes into a file of this machine."""

        def read() -> None:
            answer = self._api.get(self._store, self._name(name))
            self._check(name, answer, limit)
            with path.open("wb") as file:
                for piece in answer.stream():
                    file.write(piece)

        self._request("read", name, read)

    def head(self, name: str) -> Found | None:
        """Return an object's size, time and version, or None if there is none."""
        try:
            about = self._request("read", name, lambda: self._api.head(self._store, self._name(name)))
        except FileNotFoundError:
            return None
        return _to_found(about)

    def list(self, folder: str, after: str = "", most: int = 0) -> Sequence[Found]:
        """List the objects directly below a prefix; `after`: only names after this one, `most`: at most this many."""
        if after:
            return self._request("list", folder, lambda: self._list_after(self._name(folder), after, most))
        return [_to_found(about) for about in self._list_folder(folder)["objects"]]

    def folders(self, folder: str) -> Sequence[str]:
        """List the names of the prefixes directly below a prefix."""
        return sorted(prefix.rstrip("/").rpartition("/")[2] for prefix in self._list_folder(folder)["common_prefixes"])

    def _list_after(self, folder: str, after: str, most: int) -> Sequence[Found]:
        start, below = f"{folder}/{self._name(after)}", len(folder) + 1
        listed = (about for batch in self._api.list(self._store, folder, offset=start) for about in batch)
        # Azurite, and Azure by its older interfaces, list from the first name whatever the offset.
        found = (_to_found(each) for each in listed if each["path"] > start and "/" not in each["path"][below:])
        return [*(islice(found, most) if most else found)]

    def _list_folder(self, folder: str) -> Any:
        prefix = None if folder == "." else self._name(folder)
        return self._request("list", folder, lambda: self._api.list_with_delimiter(self._store, prefix))

    def create(self, name: str, data: bytes) -> str:
        """Create an object where there is none; one with exactly these bytes counts as made by this call."""
        return self._put(name, data, "create")

    def replace(self, name: str, data: bytes, tag: str | None = None) -> str:
        """Write an object in place of any other, or only of the version `tag`."""
        return self._put(name, data, "overwrite" if tag is None else _version(tag))

    def _put(self, name: str, data: bytes, mode: Any) -> str:
        for attempt in range(_ATTEMPTS):
            try:
                put = self._api.put(self._store, self._name(name), data, mode=mode, use_multipart=False)
                return _tag(put)
            except Exception as error:
                there = self._judge_failed_put(name, data, error, again=mode == "create")
                if there is not None:
                    return there
            time.sleep(0.05 * 2**attempt)  # another PUT was under way, and failed
        raise ConflictError(f"{self._url}/{name}")

    def _judge_failed_put(self, name: str, data: bytes, error: Exception, *, again: bool) -> str | None:
        """Judge a failed PUT by what is there now: return its ETag if it succeeded after all, None to send it again."""
        exceptions = self._api.exceptions
        lost = isinstance(error, (exceptions.AlreadyExistsError, exceptions.PreconditionError))
        if not lost and not is_lost(error):
            raise error_for(error, "write", self._url, name) from None
        try:
            found = self.get(name, max(len(data), 1 << 20))
        except FileNotFoundError:
            if not lost:
                raise error_for(error, "write", self._url, name) from None
            if again:
                return None
            raise ConflictError(f"{self._url}/{name}") from None
        except InputError:
            found = None  # it is larger, so not what was sent
        if found is not None and found[0] == data:
            return found[1]
        if lost:
            raise ConflictError(f"{self._url}/{name}") from None
        raise error_for(error, "write", self._url, name) from None

    def put_file(self, name: str, path: Path) -> None:
        """Upload a file as an object, in parts if it is large."""
        self._request("write", name, lambda: self._api.put(self._store, self._name(name), path))

    def delete(self, name: str) -> None:
        """Remove an object; one that is gone already is fine."""
        with suppress(FileNotFoundError):
            self._request("remove", name, lambda: self._api.delete(self._store, self._name(name)))

    def _request(self, doing: str, name: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except (InputError, _BeyondEndError):
            raise
        except Exception as error:
            raise error_for(error, doing, self._url, name) from None

    def _check(self, name: str, answer: Any, limit: int) -> None:
        if answer.meta["size"] > limit:
            raise InputError(f"{self._url}/{name} is not a file of at most {limit:,} bytes", MISPLACED)

    def _name(self, name: str) -> str:
        if not {"", ".", ".."}.isdisjoint(name.split("/")) or "\0" in name:
            raise InputError(f"{name!r} is not a name in {self._url}", MISPLACED)
        return name


class _BeyondEndError(Exception):
    """A range begins beyond the end of its object."""


def _to_found(about: Any) -> Found:
    name = about["path"].rpartition("/")[2]
    return Found(name, about["size"], about["last_modified"].timestamp(), _tag(about))


def _tag(about: Any) -> str:
    """Return an object's version: its ETag, and its number if the service counts versions (Google's does)."""
    e_tag = about["e_tag"]
    if e_tag and e_tag.startswith("0x"):
        e_tag = f'"{e_tag}"'  # Azure quotes it when asked about one object, but not in lists
    return "|".join(filter(None, (e_tag, about["version"])))


def _version(tag: str) -> dict[str, str]:
    e_tag, _, number = tag.partition("|")
    return {"e_tag": e_tag} | ({"version": number} if number else {})
