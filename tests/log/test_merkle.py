"""The tree against RFC 6962's own words, published vectors, and a published suite of right and tampered proofs."""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esctl.log import merkle
from esctl.log.merkle import BLOCK, Frontier, Tree
from tests.support.log_helpers import memory_tree

# Leaves and roots of the tests of Certificate Transparency's own implementation (merkletree/merkle_tree_test.cc).
CT_LEAVES = [
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
]  # fmt: skip
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def reference_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, as it is written there, over leaf hashes."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01" + reference_root(leaves[:k]) + reference_root(leaves[k:])).digest()


def some_hashes(count: int) -> bytes:
    return b"".join(sha256(b"%d" % number).digest() for number in range(count))


def test_certificate_transparency_vectors() -> None:
    frontier = Frontier()
    assert frontier.root().hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for leaf, root in zip(CT_LEAVES, CT_ROOTS, strict=True):
        frontier = frontier.append(merkle.leaf_hash(bytes.fromhex(leaf)))
        assert frontier.root().hex() == root


@pytest.mark.parametrize("size", [*range(1, 70), 127, 128, 129, 1000])
def test_root_is_that_of_the_definition(size: int) -> None:
    hashes = some_hashes(size)
    assert merkle.tree_root(hashes) == reference_root(merkle.split_hashes(hashes))


@given(st.lists(st.integers(0, 5000), max_size=12))
def test_segmentation_does_not_matter(parts: list[int]) -> None:
    hashes = some_hashes(sum(parts))
    frontier, at = Frontier(), 0
    blocks: list[bytes] = []
    for part in parts:
        frontier, completed = frontier.extend(hashes[at * 32 : (at + part) * 32])
        blocks += completed
        at += part
        assert Frontier.from_json(frontier.to_json()) == frontier
    assert frontier == Frontier().append(hashes)
    assert tuple(blocks) == merkle.block_roots(hashes)
    expected = [merkle.tree_root(hashes[i * 32 : (i + BLOCK) * 32]) for i in range(0, at - BLOCK + 1, BLOCK)]
    assert blocks == expected


@given(st.integers(1, 60), st.data())
def test_every_inclusion_proof_holds_and_for_no_other_leaf(size: int, data: st.DataObject) -> None:
    hashes = some_hashes(size)
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1))
    proof = merkle.inclusion_proof(memory_tree(hashes), index, size)
    leaves, root = merkle.split_hashes(hashes), merkle.tree_root(hashes)
    assert merkle.verify_inclusion(leaves[index], index, size, proof, root)
    assert merkle.verify_inclusion(leaves[other], index, size, proof, root) == (other == index)
    assert merkle.verify_inclusion(leaves[index], other, size, proof, root) == (other == index)
    assert not merkle.verify_inclusion(leaves[index], index, size, (*proof, root), root)


@given(st.integers(1, 80), st.data())
def test_every_consistency_proof_holds_and_for_no_other_tree(new: int, data: st.DataObject) -> None:
    hashes = some_hashes(new)
    old = data.draw(st.integers(1, new))
    proof = merkle.consistency_proof(memory_tree(hashes), old, new)
    old_root, new_root = merkle.tree_root(hashes[: old * 32]), merkle.tree_root(hashes)
    assert merkle.verify_consistency(old, new, old_root, new_root, proof)
    forged = merkle.tree_root(bytes(32) + hashes[32 : old * 32])
    assert not merkle.verify_consistency(old, new, forged, new_root, proof)
    assert not merkle.verify_consistency(old, new, old_root, sha256(new_root).digest(), proof)


def test_proofs_from_block_roots_read_few_leaves() -> None:
    size = 5 * BLOCK + 17
    hashes = some_hashes(size)
    read: list[int] = []

    def leaves(start: int, stop: int) -> bytes:
        read.append(stop - start)
        return hashes[start * 32 : stop * 32]

    tree = Tree(leaves, merkle.block_roots(hashes))
    for index in (0, BLOCK - 1, BLOCK, 3 * BLOCK + 5, 5 * BLOCK, size - 1):
        read.clear()
        proof = merkle.inclusion_proof(tree, index, size)
        assert proof == merkle.inclusion_proof(memory_tree(hashes), index, size)
        assert sum(read) <= BLOCK + 17
    for old in (1, BLOCK, BLOCK + 1, 4 * BLOCK, size - 1, size):
        assert merkle.consistency_proof(tree, old, size) == merkle.consistency_proof(memory_tree(hashes), old, size)


def test_a_proof_for_an_older_size_ignores_later_blocks() -> None:
    hashes = some_hashes(3 * BLOCK)
    tree = Tree(lambda start, stop: hashes[start * 32 : stop * 32], merkle.block_roots(hashes))
    size = 2 * BLOCK + 3
    proof = merkle.inclusion_proof(tree, 7, size)
    assert merkle.verify_inclusion(hashes[7 * 32 : 8 * 32], 7, size, proof, merkle.tree_root(hashes[: size * 32]))


@pytest.mark.parametrize(
    "change",
    [
        {"size": 2},
        {"size": -1},
        {"size": True},
        {"size": "3"},
        {"root": "00" * 32},
        {"frontier": ["00"] * 2},
        {"frontier": [1, 2]},
    ],
)
def test_a_damaged_frontier_is_refused(change: dict[str, Any]) -> None:
    good = Frontier().append(some_hashes(3)).to_json()
    with pytest.raises((ValueError, TypeError, KeyError)):
        Frontier.from_json(good | change)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (3, 3), (-1, 3)])
def test_no_inclusion_proof_outside_the_tree(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="not in a tree"):
        merkle.inclusion_proof(memory_tree(some_hashes(3)), index, size)


@pytest.mark.parametrize(("old", "new"), [(0, 3), (4, 3)])
def test_no_consistency_proof_backwards(old: int, new: int) -> None:
    with pytest.raises(ValueError, match="no proof"):
        merkle.consistency_proof(memory_tree(some_hashes(4)), old, new)


def test_hashes_must_be_whole_and_aligned() -> None:
    with pytest.raises(ValueError, match="whole"):
        Frontier().append(b"x" * 33)
    with pytest.raises(ValueError, match="aligned"):
        Frontier().append(some_hashes(1)).append(some_hashes(1), level=1)


def suite(real_logs: Path, name: str) -> list[tuple[str, dict[str, Any]]]:
    folder = real_logs / "suites" / "merkle_testdata" / "testdata" / name
    return [(str(path.relative_to(folder)), json.loads(path.read_text())) for path in sorted(folder.rglob("*.json"))]


def decoded(values: list[str] | None) -> list[bytes]:
    return [base64.b64decode(value) for value in values or []]


def test_published_inclusion_cases(real_logs: Path) -> None:
    cases = suite(real_logs, "inclusion")
    assert len(cases) == 98
    for name, case in cases:
        leaf, root = decoded([case["leafHash"], case["root"]])
        judged = merkle.verify_inclusion(leaf, case["leafIdx"], case["treeSize"], decoded(case["proof"]), root)
        assert judged == (not case["wantErr"]), name


def test_published_consistency_cases(real_logs: Path) -> None:
    cases = suite(real_logs, "consistency")
    assert len(cases) == 98
    for name, case in cases:
        roots = decoded([case["root1"], case["root2"]])
        judged = merkle.verify_consistency(case["size1"], case["size2"], roots[0], roots[1], decoded(case["proof"]))
        assert judged == (not case["wantErr"]), name


def is_subtree(start: int, end: int) -> bool:
    """Whether [start, end) is a node of trees of at least `end` leaves (draft-ietf-plants-merkle-tree-certs)."""
    return 0 <= start < end and start % (1 << (end - start - 1).bit_length()) == 0


def test_published_subtree_inclusion_cases(real_logs: Path) -> None:
    cases = suite(real_logs, "subtreeinclusion")
    assert len(cases) == 204
    for name, case in cases:
        leaf, root = decoded([case["leafHash"], case["root"]])
        start, end, index = case["start"], case["end"], case["leafIdx"]
        judged = is_subtree(start, end) and merkle.verify_inclusion(
            leaf, index - start, end - start, decoded(case["proof"]), root
        )
        assert judged == (not case["wantErr"]), name


def test_published_subtree_consistency_cases(real_logs: Path) -> None:
    """A subtree that begins the tree is an older tree; the others of the suite are empty, or none."""
    cases = suite(real_logs, "subtreeconsistency")
    assert len(cases) == 118
    for name, case in cases:
        roots, proof = decoded([case["root1"], case["root2"]]), decoded(case["proof"])
        start, end = case["start"], case["end"]
        if start == end:
            judged = roots[0] == merkle.EMPTY_ROOT and not proof
        elif start == 0:
            judged = merkle.verify_consistency(end, case["size"], roots[0], roots[1], proof)
        else:
            judged = is_subtree(start, end)
        assert judged == (not case["wantErr"]), name
