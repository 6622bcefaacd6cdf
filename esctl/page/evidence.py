"""The records of a page, with everything needed to check them against a checkpoint, and nothing twice.

A page proves many records against one head, and each hash of a proof is that of a node of the tree. So each node is
listed once, in the order in which the proofs, by position, first need them; a reader can compute the same order: see
`siblings`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator

from msgspec import Struct

from esctl.ledger.prove.proof_file import Content, Proof, parse_content
from esctl.ledger.sign.checkpoint import Checkpoint
from esctl.log.leaves.leaf import NOTHING
from esctl.page.tables import NumberedNames

_USUAL = (None, NOTHING, NOTHING, "")
"""What most records have for the time, key, headers and salt of their leaf."""


class Record(Struct, frozen=True):
    """A record: its leaf, and its bytes as text.

    `leaf` is `[position, source, offset, recorded, source_time, key, headers, salt]`, where source and recorded are
    numbers of shared names, and values that most records have are cut from the end; for an erased record it is
    `[position, hash]`. `text` is `=` and the bytes decoded as UTF-8, or `~` and their base64 if they are not UTF-8, or
    empty if there are none.
    """

    leaf: tuple[str | int | None, ...]
    text: str

    @property
    def position(self) -> int:
        """Return the record's position in the log."""
        return int(self.leaf[0] or 0)

    @property
    def line(self) -> str:
        """Return the record's line: the leaf as JSON, a tab, and `text` escaped as in JSON but for quotation marks."""
        escaped = json.dumps(self.text, ensure_ascii=False)[1:-1].replace('\\"', '"')
        return f"{json.dumps(self.leaf, separators=(',', ':'))}\t{escaped}"


class Evidence(Struct, frozen=True):
    """Records, the names that they share, the checkpoint's text, and the nodes, each as base64 of its 32 bytes."""

    checkpoint: str = ""  # empty: there is none
    sources: tuple[str, ...] = ()
    recorded: tuple[str, ...] = ()  # when, in microseconds
    nodes: str = ""
    records: tuple[Record, ...] = ()


def pack(
    checkpoint: Checkpoint | None,
    proven: Iterable[tuple[Proof, bytes | None]] = (),
    others: Iterable[tuple[Content, bytes | None]] = (),
) -> Evidence:
    """Return records as evidence: those that a checkpoint covers, by position, with their proofs, then the others."""
    shared, seen = (NumberedNames(), NumberedNames()), set[tuple[int, int]]()
    rows, nodes = [], []
    for proof, raw in proven:
        assert checkpoint is not None
        rows.append(_row(parse_content(proof.extra), raw, *shared))
        places = siblings(proof.index, checkpoint.head.size)
        for place, node in zip(places, proof.hashes, strict=True):
            if place not in seen:
                seen.add(place)
                nodes.append(node)
    rows += [_row(content, raw, *shared) for content, raw in others]
    text = checkpoint.data.decode() if checkpoint is not None else ""
    each = "".join(base64.b64encode(node).decode() for node in nodes)  # each 44 characters, encoded by itself
    sources, recorded = (tuple(names.listed) for names in shared)
    return Evidence(text, sources, recorded, each, tuple(rows))


def siblings(index: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the nodes (level, number) of a leaf's proof in a tree of `size` leaves, from the leaf to the root."""
    number, last, level = index, size - 1, 0
    while last > 0:
        if number % 2:
            yield level, number - 1
        elif number < last:
            yield level, number + 1
        number, last, level = number // 2, last // 2, level + 1


def _row(content: Content, raw: bytes | None, sources: NumberedNames, recorded: NumberedNames) -> Record:
    leaf = content.leaf
    if leaf is None:
        return Record((content.position, content.hash.hex()), "")
    time = None if leaf.source_time is None else str(leaf.source_time)
    rest = [time, leaf.key, leaf.headers, content.salt.hex()]
    while rest and rest[-1] == _USUAL[len(rest) - 1]:
        rest.pop()
    place = (content.position, sources.number(content.source), str(leaf.offset), recorded.number(str(leaf.recorded_at)))
    return Record((*place, *rest), _raw_as_text(raw))


def _raw_as_text(raw: bytes | None) -> str:
    if raw is None:
        return ""
    try:
        return f"={raw.decode('utf-8')}"
    except UnicodeDecodeError:
        return f"~{base64.b64encode(raw).decode()}"
