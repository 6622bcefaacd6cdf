"""What is in a bundle: the names of its files, and the manifest that names them with their digests."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from esctl.engine.quoting import is_text
from esctl.ledger.prove.proof_file import SUFFIX

FORMAT = "esctl/bundle/1"
README, BASIS, CHECKPOINT = "README.txt", "basis.json", "checkpoint.txt"
INTERPRETATION, STATES, TRAIL, MANIFEST = "interpretation.json", "states.jsonl", "trail.jsonl", "manifest.json"
PAGE = "report.html"
"""The page for people, where there is one."""
REPLAYED = {"states": STATES, "trail": TRAIL}
"""The file of each section that the records replay to."""
SINGLE = (README, BASIS, CHECKPOINT, INTERPRETATION, STATES, TRAIL)
BOUNDS = ("at", "before")
"""What a basis of a bundle may have as bounds."""
_HEX64 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_LARGEST_POSITION = 10**18


def record_name(position: int) -> str:
    """Name the file of a record's bytes."""
    return f"records/{position:020d}.txt"


def proof_name(position: int) -> str:
    """Name the file of a record's proof."""
    return f"proofs/{position:020d}{SUFFIX}"


def key_name(position: int) -> str:
    """Name the file of a record's key."""
    return f"keys/{position:020d}.bin"


def headers_name(position: int) -> str:
    """Name the file of a record's headers, laid end to end as its leaf has them."""
    return f"headers/{position:020d}.bin"


class FileEntry(Struct, frozen=True):
    """A file as the manifest names it."""

    size: int  # in bytes
    sha256: str

    @classmethod
    def of(cls, data: bytes) -> FileEntry:
        """Return the entry of a file with this content."""
        return cls(len(data), sha256(data).hexdigest())

    @classmethod
    def of_file(cls, path: Path) -> FileEntry:
        """Return the entry of a file on disk."""
        with path.open("rb") as file:
            return cls(path.stat().st_size, file_digest(file, "sha256").hexdigest())


class BundleManifest(Struct, frozen=True):
    """The manifest of a bundle. `empty`: positions of records without bytes, which are tombstones or were erased."""

    log: str
    size: int
    entities: tuple[str, ...]
    where: str
    projection: str
    records: tuple[int, ...]
    empty: tuple[int, ...]
    files: Mapping[str, FileEntry]

    @property
    def data(self) -> bytes:
        """Return the bytes of the manifest's file."""
        files = {name: asdict(entry) for name, entry in self.files.items()}
        members = {"format": FORMAT, **{name: getattr(self, name) for name in _MEMBERS}, "files": files}
        return json.dumps(members, indent=1, ensure_ascii=False).encode() + b"\n"


_MEMBERS = ("log", "size", "entities", "where", "projection", "records", "empty")


def parse_manifest(data: bytes) -> BundleManifest:
    """Read a manifest. Raises ValueError for anything else, and for one whose files are not those of its records."""
    members = json_object(data)
    if members.get("format") != FORMAT:
        raise ValueError(f"its format is not {FORMAT}")
    try:
        manifest = BundleManifest(
            members["log"], members["size"], tuple(members["entities"]), members["where"], members["projection"],
            tuple(members["records"]), tuple(members["empty"]),
            {name: FileEntry(**entry) for name, entry in members["files"].items()},
        )  # fmt: skip
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a member is missing or odd: {error}") from error
    _check_types(manifest)
    positions = list(manifest.records)
    if positions != sorted(set(positions)) or not set(manifest.empty) <= set(positions):
        raise ValueError("its records are not listed once each, in order")
    expected = {*SINGLE, *map(proof_name, positions), *({PAGE} & set(manifest.files))}
    expected |= {record_name(position) for position in set(positions) - set(manifest.empty)}
    around = {name(position) for name in (key_name, headers_name) for position in positions}
    if not expected <= set(manifest.files) <= expected | around:
        raise ValueError("its files are not those of its records")
    return manifest


def _check_types(manifest: BundleManifest) -> None:
    numbers = [manifest.size, *manifest.records, *manifest.empty, *(entry.size for entry in manifest.files.values())]
    texts = [manifest.log, manifest.where, manifest.projection, *manifest.entities]
    hashes = [entry.sha256 for entry in manifest.files.values()]
    if not all(type(number) is int and 0 <= number < _LARGEST_POSITION for number in numbers):
        raise ValueError("a number in it is not a number")
    if not all(type(text) is str and is_text(text) for text in texts):
        raise ValueError("a text in it is not a text")
    if not all(type(text) is str and _HEX64.fullmatch(text) for text in hashes):
        raise ValueError("a digest in it is not a digest")


def json_object(data: bytes) -> dict[str, Any]:
    """Read a JSON object that repeats no key, keeping numbers as they are written.

    Raises ValueError for anything else.
    """
    try:
        text = data.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_without_repeats, parse_float=_number, parse_constant=_number)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key occurs twice")
    return value


def _number(text: str) -> Any:
    from decimal import Decimal, InvalidOperation

    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise ValueError("not a number") from error
