"""Self-contained proofs in the format of https://c2sp.org/tlog-proof, and what esctl adds to them."""

from __future__ import annotations

import base64
import re

from msgspec import Struct

from esctl.ledger.sign.note import decode_base64
from esctl.log.leaves.leaf import NOTHING, Leaf, parse_leaf
from esctl.log.merkle import HASH

FIRST_LINE = "c2sp.org/tlog-proof@v1"
SUFFIX = ".tlog-proof"
LARGEST = 4 << 20
_ERASED = "esctl/erased/1"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,17})", re.ASCII)
_POSITION = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_MOST_HASHES = 64
_LEAF_LINES = 9


class Proof(Struct, frozen=True):
    """The hashes that lead from a leaf to the root of a checkpoint. `extra` is whatever the log adds."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes = b""

    @property
    def data(self) -> bytes:
        """Return the bytes of the proof."""
        lines = [FIRST_LINE]
        lines += [f"extra {base64.b64encode(self.extra).decode()}"] if self.extra else []
        lines.append(f"index {self.index}")
        lines += [base64.b64encode(each).decode() for each in self.hashes]
        return "\n".join([*lines, "", ""]).encode() + self.checkpoint


def parse_proof(data: bytes) -> Proof:
    """Read a proof without verifying it. Raises ValueError for anything else."""
    if len(data) > LARGEST:
        raise ValueError("longer than a proof may be")
    head, blank, checkpoint = data.partition(b"\n\n")
    lines = head.decode("utf-8").split("\n")
    if not blank or lines.pop(0) != FIRST_LINE:
        raise ValueError(f"it does not begin as a proof does, {FIRST_LINE}")
    extra = decode_base64(lines.pop(0).removeprefix("extra ")) if lines and lines[0].startswith("extra ") else b""
    index = _INDEX.fullmatch(lines.pop(0)) if lines else None
    if index is None:
        raise ValueError("no line with the index of the leaf")
    hashes = tuple(map(decode_base64, lines))
    if len(hashes) > _MOST_HASHES or any(len(each) != HASH for each in hashes):
        raise ValueError("a line is not a hash, or there are too many")
    return Proof(int(index[1]), hashes, checkpoint, extra)


class Content(Struct, frozen=True):
    """What an esctl proof says about its record: the leaf, and the values of which the leaf only has digests.

    An erased record has no leaf any more, only its hash.
    """

    hash: bytes
    position: int
    leaf: Leaf | None = None
    salt: bytes = b""
    source: str = ""

    @property
    def extra(self) -> bytes:
        """Return the content as the extra data of a proof."""
        if self.leaf is None:
            return f"{_ERASED}\n{self.position}\n{self.hash.hex()}\n".encode()
        return f"{self.leaf.text}{self.salt.hex() or NOTHING}\n{self.source}\n".encode()


def content_of(leaf: Leaf, salt: bytes, source: str) -> Content:
    """Return the content of a proof for a record that was not erased."""
    return Content(leaf.hash, leaf.position, leaf, salt, source)


def parse_content(extra: bytes) -> Content:
    """Read the content of a proof without verifying it. Raises ValueError for anything else."""
    text = extra.decode("utf-8")
    content = _parse_erased(text) if text.startswith(_ERASED) else _parse_leaf_content(text)
    if content.extra != extra:
        raise ValueError("not as esctl writes it")
    return content


def _parse_erased(text: str) -> Content:
    lines = text.split("\n")
    if len(lines) != 4 or not _POSITION.fullmatch(lines[1]) or len(lines[2]) != 2 * HASH:
        raise ValueError("not what a proof says of an erased record")
    return Content(bytes.fromhex(lines[2]), int(lines[1]))


def _parse_leaf_content(text: str) -> Content:
    lines = text.split("\n", _LEAF_LINES + 1)
    if len(lines) != _LEAF_LINES + 2:
        raise ValueError("the leaf of the record is not in it: it was not made by esctl")
    leaf = parse_leaf("\n".join([*lines[:_LEAF_LINES], ""]))
    salt = b"" if lines[_LEAF_LINES] == NOTHING else bytes.fromhex(lines[_LEAF_LINES])
    return content_of(leaf, salt, lines[-1].removesuffix("\n"))
