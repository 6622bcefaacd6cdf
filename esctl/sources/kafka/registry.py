"""Schemas from a registry or a folder, as records that are kept with those that they decode."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from msgspec import Struct

from esctl.errors import InputError, UsageError
from esctl.named import read_named
from esctl.sources.live import without_secrets

_LARGEST = 16 << 20
_SECONDS = 15.0
_MOST_REFERENCES = 1000
_BUSY = frozenset({429, 500, 502, 503, 504})
_UNKNOWN = re.compile(rb'"error_code"\s*:\s*404[0-9]{2}\b')
_KIND = "is it one of Confluent's kind? Its URL may need a path, as Apicurio's /apis/ccompat/v7"
_KINDS = {".avsc": "AVRO", ".json": "JSON", ".proto": "PROTOBUF"}
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class RegistryAwayError(InputError):
    """Report that a registry does not answer (exit code 3)."""


class RegistryBusyError(RegistryAwayError):
    """Report that a registry answers that it is busy or failing (exit code 3)."""


class Schemas(Protocol):
    """A source of schemas."""

    @property
    def name(self) -> str:
        """Return the name that identifies it, without secrets."""

    def find(self, key: str) -> bytes | None:
        """Return the schema of an id or GUID as a record, or None if there is none.

        Raises RegistryAwayError if that cannot be found out now, InputError for a wrong answer or file.
        """

    def list_ids(self) -> Sequence[str]:
        """List the ids of all schemas, or none if they have to be requested one by one."""


def schema_record(registry: str, key: str, kind: str, text: str, references: Sequence[Mapping[str, str]]) -> bytes:
    """Return a schema, with those that it refers to, as one line of JSON."""
    members = {"registry": registry, "id": key, "type": kind, "schema": text, "references": list(references)}
    digest = sha256(json.dumps([kind, text, list(references)], sort_keys=True).encode()).hexdigest()
    return json.dumps({**members, "sha256": digest}, ensure_ascii=False).encode() + b"\n"


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow no redirect: it might lead anywhere."""


class _Reference(Struct, frozen=True):
    """What a schema calls another one, and where the registry has that one."""

    name: str
    subject: str
    version: int


class Registry(Struct):
    """A registry with Confluent's interface."""

    url: str
    authorization: str = ""

    @property
    def name(self) -> str:
        """Return its URL without secrets."""
        return without_secrets(self.url).rstrip("/")

    def find(self, key: str) -> bytes | None:
        """Request a schema and those that it refers to; return them as a record, or None if there is none."""
        path = f"schemas/guids/{key}" if _GUID.fullmatch(key) else f"schemas/ids/{int(key)}"
        found = self._get(path)
        if found is None:
            return None
        kind = str(found.get("schemaType") or "AVRO")
        return schema_record(self.name, key, kind, str(found["schema"]), self._references(found))

    def list_ids(self) -> Sequence[str]:
        """Return nothing: a registry may have thousands."""
        return ()

    def _references(self, schema: Mapping[str, Any]) -> list[dict[str, str]]:
        """Return the schemas that a schema refers to, each after those that it refers to itself."""
        schemas: list[dict[str, str]] = []
        seen: set[tuple[str, int]] = set()
        # A stack instead of recursion: a chain may be deeper than Python calls.
        chain = [({"name": "", "schema": ""}, iter(self._parse_references(schema)))]
        while chain:
            referring, references = chain[-1]
            reference = next(references, None)
            if reference is None:
                schemas.append(referring)
                chain.pop()
                continue
            spot = (reference.subject, reference.version)
            if spot in seen:
                continue
            seen.add(spot)
            if len(seen) > _MOST_REFERENCES:
                raise InputError(f"{self.name}: a schema refers to more than {_MOST_REFERENCES} others", "")
            inner = self._get(f"subjects/{quote(spot[0], safe='')}/versions/{spot[1]}")
            if inner is not None:
                entry = {"name": reference.name, "schema": str(inner["schema"])}
                chain.append((entry, iter(self._parse_references(inner))))
        return schemas[:-1]  # without the schema itself

    def _parse_references(self, schema: Mapping[str, Any]) -> list[_Reference]:
        """Return what a schema refers to itself. Raises InputError if that is not as it should be."""
        try:
            return [
                _Reference(str(each["name"]), str(each["subject"]), int(each["version"]))
                for each in schema.get("references") or ()
            ]
        except (TypeError, KeyError, ValueError, OverflowError):
            raise InputError(f"{self.name}: the registry answers what is no schema", _KIND) from None

    def _get(self, path: str) -> Mapping[str, Any] | None:
        is_there, body = self._answer(path)
        if not is_there:
            # GUIDs are newer than some registries.
            is_answer = path.startswith("schemas/guids/") or _UNKNOWN.search(body)
            if not is_answer and not self._answer("subjects")[0]:
                raise InputError(f"{self.name} is no registry", _KIND)
            return None
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or "schema" not in found:
            raise InputError(f"{self.name}: the registry answers what is no schema", _KIND)
        return found

    def _answer(self, path: str) -> tuple[bool, bytes]:
        """Return whether a path exists, and the body of the answer. Raises RegistryAwayError, InputError."""
        headers = {"Accept": "application/vnd.schemaregistry.v1+json"}
        if self.authorization:
            headers["Authorization"] = self.authorization
        try:
            request = Request(f"{self.url.rstrip('/')}/{path}", headers=headers)
            with build_opener(_NoRedirects).open(request, timeout=_SECONDS) as answer:
                return True, answer.read(_LARGEST)
        except HTTPError as error:
            what = f"{self.name}: the registry answers {error.code}"
            if error.code == 404:
                return False, error.read(_LARGEST)
            if error.code in _BUSY:
                raise RegistryBusyError(what, "run the same command again later: it goes on from there") from None
            hint = "its user goes into the URL: --registry 'https://${USER}:${PASSWORD}@host'"
            raise InputError(what, hint) from None
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            raise RegistryAwayError(
                f"{self.name}: the registry does not answer: {reason}", "is its URL right?"
            ) from None


class Folder(Struct):
    """A folder of schemas in files that are named by their ids: 7.avsc, 8.proto, 9.json."""

    path: str

    @property
    def name(self) -> str:
        """Return the last part of the folder's path."""
        return Path(self.path).name

    def find(self, key: str) -> bytes | None:
        """Return the schema of an id as a record, or None. It may refer to files of its kind that no id names."""
        for suffix, kind in _KINDS.items():
            file = Path(self.path) / f"{key}{suffix}"
            if file.is_file():
                others = sorted(each for each in Path(self.path).glob(f"*{suffix}") if not _is_id(each.stem))
                return schema_record(
                    self.name,
                    key,
                    kind,
                    _read_text(file),
                    [{"name": each.name, "schema": _read_text(each)} for each in others],
                )
        return None

    def list_ids(self) -> Sequence[str]:
        """List the ids that files are named by."""
        return sorted({each.stem for each in Path(self.path).iterdir() if each.suffix in _KINDS and _is_id(each.stem)})


def _is_id(stem: str) -> bool:
    return stem.isdecimal() or _GUID.fullmatch(stem) is not None


def _read_text(file: Path) -> str:
    try:
        return read_named(file, _LARGEST).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{file}: {getattr(error, 'strerror', None) or 'no UTF-8'}", "it has to hold a schema"
        ) from None


def schemas_of(url: str, folder: str, where: str) -> Schemas | None:
    """Return the schemas of `--registry` or `--schema-dir`, or None without either. Raises UsageError."""
    if url and folder:
        raise UsageError("--registry cannot be combined with --schema-dir", "leave one of them out")
    if folder:
        if not Path(folder).is_dir():
            raise UsageError(
                f"--schema-dir {folder} is no folder", "its files are named by ids: 7.avsc, 8.proto, 9.json"
            )
        return Folder(folder)
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{where}: --registry is no URL of http or https", "as in --registry http://localhost:8081")
    user, at, host = parts.netloc.rpartition("@")
    bare = urlunsplit((parts.scheme, host, parts.path, "", ""))
    return Registry(bare, f"Basic {base64.b64encode(user.encode()).decode()}" if at else "")
