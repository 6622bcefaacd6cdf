"""Checkpoints: signed heads of a tree, as https://c2sp.org/tlog-checkpoint writes them."""

from __future__ import annotations

import base64
import re

from msgspec import Struct

from esctl.ledger.sign.note import Note, SigningKey, decode_base64, parse_note, sign_text
from esctl.log.merkle import EMPTY_ROOT, HASH

_SIZE = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)


class Head(Struct, frozen=True):
    """What a checkpoint says: the log, how many records it had, and the root over them."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """Return the text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


class Checkpoint(Struct, frozen=True):
    """A head with the note that it was read from."""

    head: Head
    note: Note
    data: bytes


def origin_of(store_id: str) -> str:
    """Return the name that a store's log has in checkpoints."""
    return f"esctl/{store_id}"


def sign(head: Head, key: SigningKey) -> bytes:
    """Return a checkpoint with one signature."""
    return sign_text(head.text, key)


def parse_checkpoint(data: bytes) -> Checkpoint:
    """Read a checkpoint; no signature is verified. Raises ValueError for anything else."""
    note = parse_note(data)
    lines = note.text.removesuffix("\n").split("\n")
    if len(lines) < 3 or "" in lines:
        raise ValueError("not the text of a checkpoint: origin, size and root")
    origin, size, root = lines[:3]
    value = decode_base64(root)
    if not _SIZE.fullmatch(size) or len(value) != HASH:
        raise ValueError("not the size and root of a tree")
    if size == "0" and value != EMPTY_ROOT:
        raise ValueError("not the root of a tree without leaves")
    return Checkpoint(Head(origin, int(size), value), note, data)
