"""The Merkle tree over all records: RFC 6962 section 2.1, proofs as checked in RFC 9162 sections 2.1.3 and 2.1.4.

Leaf index = position - 1. A hash is 32 bytes; many hashes are passed as one `bytes`, 32 each, because a million
separate objects would cost more than the hashing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from msgspec import Struct

from esctl.engine import native

HASH = 32
BLOCK_LEVEL = 12
BLOCK = 1 << BLOCK_LEVEL
"""Leaves in an aligned block whose root a commit keeps."""

_MANY = 512
"""Pairs of nodes from which on they are hashed in batches, and pairs in such a batch."""

Roots = tuple[tuple[int, bytes], ...]
"""Runs of neighbouring complete subtrees: their level, and their roots laid end to end."""

EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """Hash one leaf: SHA-256(0x00 || leaf), RFC 6962 section 2.1."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash an inner node: SHA-256(0x01 || left || right), RFC 6962 section 2.1."""
    return sha256(b"\x01" + left + right).digest()


def _pair_up(nodes: bytes) -> bytes:
    count = len(nodes) // (2 * HASH)
    if count < _MANY:
        return b"".join([node_hash(nodes[i : i + HASH], nodes[i + HASH : i + 64]) for i in range(0, count * 64, 64)])
    if native.is_available():
        return native.pair_up(nodes)
    import numpy as np

    # Prefixing and cutting the pairs in C, a batch at a time, takes half as long as slicing `bytes`, and a batch stays
    # in the cache.
    marked = np.ones((count, 1 + 2 * HASH), np.uint8)
    marked[:, 1:] = np.frombuffer(nodes, np.uint8, count * 2 * HASH).reshape(count, 2 * HASH)
    pairs, digest = marked.view(f"V{1 + 2 * HASH}").ravel(), sha256
    parts = (pairs[start : start + _MANY].tolist() for start in range(0, count, _MANY))
    return b"".join([b"".join([digest(pair).digest() for pair in part]) for part in parts])


class Frontier(Struct, frozen=True):
    """The right edge of a tree of `size` leaves: the roots of its complete subtrees, largest first.

    All that is needed to go on appending: one hash for each bit set in `size`.
    """

    size: int = 0
    nodes: tuple[bytes, ...] = ()

    def append(self, hashes: bytes, level: int = 0) -> Frontier:
        """Add leaf hashes (32 bytes each), or roots of complete subtrees of 2**level leaves.

        Raises ValueError if the length is not a multiple of 32, or the size is not a multiple of 2**level.
        """
        return self.extend(hashes, level)[0]

    def extend(self, hashes: bytes, level: int = 0) -> tuple[Frontier, tuple[bytes, ...]]:
        """Add hashes as `append` does; also return the roots of the aligned 4,096-leaf blocks that this completed."""
        if len(hashes) % HASH or self.size % (1 << level):
            raise ValueError("hashes must be whole, and subtrees aligned")
        held = dict(zip(_bits(self.size), self.nodes, strict=True))
        count = len(hashes) // HASH
        blocks: tuple[bytes, ...] = ()
        edge: dict[int, bytes] = {}
        incoming, at = bytes(hashes), level
        while incoming or held:
            if at == BLOCK_LEVEL:
                blocks = tuple(split_hashes(incoming))
            nodes = held.pop(at, b"") + incoming
            if len(nodes) % (2 * HASH):
                edge[at] = nodes[-HASH:]
            incoming = _pair_up(nodes)
            at += 1
        size = self.size + (count << level)
        return Frontier(size, tuple(edge[bit] for bit in sorted(edge, reverse=True))), blocks

    def root(self) -> bytes:
        """Return the tree's root; for the empty tree, the SHA-256 of no bytes."""
        if not self.nodes:
            return EMPTY_ROOT
        root = self.nodes[-1]
        for node in reversed(self.nodes[:-1]):
            root = node_hash(node, root)
        return root

    def to_json(self) -> dict[str, Any]:
        """Return `size`, `root` and `frontier` (largest subtree first) with hashes in lower-case hex."""
        return {"size": self.size, "root": self.root().hex(), "frontier": [node.hex() for node in self.nodes]}

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Frontier:
        """Read what `to_json` wrote. Raises ValueError, KeyError or TypeError for anything else."""
        size, nodes = tree["size"], tuple(bytes.fromhex(node) for node in tree["frontier"])
        fits = type(size) is int and size >= 0 and [len(node) for node in nodes] == [HASH] * size.bit_count()
        if not fits:
            raise ValueError("the frontier does not fit the tree's size")
        frontier = cls(size, nodes)
        if frontier.root().hex() != tree["root"]:
            raise ValueError("the root is not that of the frontier")
        return frontier


def _bits(size: int) -> list[int]:
    """Return the levels of the complete subtrees of a tree, largest first."""
    return [bit for bit in range(size.bit_length() - 1, -1, -1) if size >> bit & 1]


def split_hashes(hashes: bytes) -> list[bytes]:
    """Cut hashes laid end to end into single ones."""
    return [hashes[i : i + HASH] for i in range(0, len(hashes), HASH)]


def block_roots(hashes: bytes) -> tuple[bytes, ...]:
    """Return the roots of the complete 4,096-leaf blocks of leaf hashes that start on a block."""
    return Frontier().extend(hashes)[1]


def subtree_roots(leaves: bytes, start: int, sizes: Sequence[int]) -> Roots:
    """Return the roots of the largest complete subtrees, a block at most, over leaves from index `start` on.

    No subtree crosses one of `sizes`, which are sizes of the tree in ascending order.
    """
    stop = start + len(leaves) // HASH
    inside = sizes[bisect_right(sizes, start) : bisect_left(sizes, stop)]
    found: list[tuple[int, bytes]] = []
    at = start
    for until in (*inside, stop):
        while at < until:
            level = min((at & -at).bit_length() - 1 if at else BLOCK_LEVEL, (until - at).bit_length() - 1, BLOCK_LEVEL)
            count = (until - at) >> level if level == BLOCK_LEVEL else 1
            part = leaves[(at - start) * HASH : (at - start + (count << level)) * HASH]
            roots = b"".join(block_roots(part)) if level == BLOCK_LEVEL else Frontier().append(part).root()
            found.append((level, roots))
            at += count << level
    return tuple(found)


def tree_root(hashes: bytes) -> bytes:
    """Return the root of the tree over these leaf hashes."""
    return Frontier().append(hashes).root()


class Tree(Struct, frozen=True):
    """What proofs are made from: leaf hashes on demand, and the roots of complete blocks.

    `leaves(start, stop)` gives the hashes of leaf indexes [start, stop), 32 bytes each; `blocks` is every complete
    block's root, in order. So a proof costs the leaves of a block or two, however large the log.
    """

    leaves: Callable[[int, int], bytes]
    blocks: Sequence[bytes] = ()

    def root(self, start: int, stop: int) -> bytes:
        """Return the root over leaves [start, stop), where start is aligned as RFC 6962 splits a tree."""
        first, last = start >> BLOCK_LEVEL, stop >> BLOCK_LEVEL
        if start % BLOCK or first >= last or last > len(self.blocks):
            return tree_root(self.leaves(start, stop))
        edge = Frontier().append(b"".join(self.blocks[first:last]), BLOCK_LEVEL)
        rest = last << BLOCK_LEVEL
        return edge.append(self.leaves(rest, stop)).root() if rest < stop else edge.root()


def _left_size(size: int) -> int:
    """Return the largest power of two smaller than size (RFC 6962's k)."""
    return 1 << (size - 1).bit_length() - 1


def inclusion_proof(tree: Tree, index: int, size: int) -> tuple[bytes, ...]:
    """Prove that leaf `index` (from 0) is in the tree of the first `size` leaves (RFC 6962 section 2.1.1, PATH).

    Raises ValueError if index is outside the tree.
    """
    return inclusion_proofs(tree, [index], size)[index]


def inclusion_proofs(tree: Tree, indexes: Iterable[int], size: int) -> dict[int, tuple[bytes, ...]]:
    """Return the `inclusion_proof` of each of these leaves, by index; no subtree is hashed twice.

    Raises ValueError if an index is outside the tree.
    """
    wanted = sorted(set(indexes))
    outside = [index for index in wanted if not 0 <= index < size]
    if outside:
        raise ValueError(f"leaf {outside[0]} is not in a tree of {size}")
    paths: dict[int, list[bytes]] = {index: [] for index in wanted}

    def root(start: int, stop: int, inside: list[int]) -> bytes:
        if not inside:
            return tree.root(start, stop)
        if stop - start == 1:
            return tree.leaves(start, stop)
        middle = start + _left_size(stop - start)
        cut = bisect_left(inside, middle)
        left, right = root(start, middle, inside[:cut]), root(middle, stop, inside[cut:])
        for index in inside:
            paths[index].append(right if index < middle else left)
        return node_hash(left, right)

    if wanted:
        root(0, size, wanted)
    return {index: tuple(path) for index, path in paths.items()}


def consistency_proof(tree: Tree, old: int, new: int) -> tuple[bytes, ...]:
    """Prove that the tree of `new` leaves only adds to that of `old` (RFC 6962 section 2.1.2, PROOF).

    Raises ValueError unless 0 < old <= new.
    """
    if not 0 < old <= new:
        raise ValueError(f"no proof from a tree of {old} to one of {new}")
    path: list[bytes] = []
    start, stop, whole = 0, new, True
    while stop > old:
        middle = start + _left_size(stop - start)
        if old <= middle:
            path.append(tree.root(middle, stop))
            stop = middle
        else:
            path.append(tree.root(start, middle))
            start, whole = middle, False
    if not whole:
        path.append(tree.root(start, stop))
    return tuple(reversed(path))


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Return whether the proof leads from a leaf hash to the root (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size or any(len(step) != HASH for step in (leaf, *proof)):
        return False
    position, last, result = index, size - 1, leaf
    for step in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            result = node_hash(step, result)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            result = node_hash(result, step)
        position, last = position >> 1, last >> 1
    return last == 0 and result == root


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Return whether the proof shows that the old tree is a beginning of the new one (RFC 9162 section 2.1.4.2).

    An old tree of no leaves proves nothing and is refused.
    """
    if not 0 < old <= new or any(len(step) != HASH for step in proof):
        return False
    if old == new:
        return not proof and old_root == new_root
    steps = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not steps:
        return False
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    return _walk_consistency(position, last, steps, (old_root, new_root))


def _walk_consistency(position: int, last: int, steps: Sequence[bytes], roots: tuple[bytes, bytes]) -> bool:
    before = after = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            before, after = node_hash(step, before), node_hash(step, after)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            after = node_hash(after, step)
        position, last = position >> 1, last >> 1
    return last == 0 and (before, after) == roots
