"""Prove that records are in the log, against a checkpoint of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from esctl.errors import InputError, TamperedError
from esctl.ledger.prove.proof_file import Content, Proof, content_of
from esctl.ledger.prove.tree import rows_of, store_tree
from esctl.ledger.sign.checkpoint import Checkpoint, origin_of
from esctl.ledger.sign.checkpoints import FOLDER, checkpoint_files, read_checkpoint
from esctl.log.leaves.leaf import leaf_of
from esctl.log.merkle import inclusion_proofs, verify_inclusion
from esctl.log.reader import records_at
from esctl.log.store_state import StoreState

_SIGN = "sign one with: esctl checkpoint"
_AT_ONCE = 4096


def choose_checkpoint(store_state: StoreState, wanted: str, last: int) -> Checkpoint:
    """Return the checkpoint to prove against: the newest (`wanted` is empty), that of a number of records, or a file.

    `last` is a position that it must cover. Raises InputError if there is none or it is of another log, TamperedError
    if it has more records than the store.
    """
    path = _checkpoint_path(store_state.path, wanted)
    try:
        checkpoint = read_checkpoint(path)
    except ValueError as error:
        raise InputError(f"{path} is not a checkpoint: {error}", _SIGN) from None
    if checkpoint.head.origin != origin_of(store_state.store_id):
        raise InputError(f"{path} is of another log, {checkpoint.head.origin}", "look for one of this store")
    size = checkpoint.head.size
    if size > store_state.head:
        raise TamperedError(
            f"{path} is of {size} records, the store has {store_state.head}",
            "see what is wrong with: esctl verify --full",
        )
    if last > size:
        raise InputError(f"record @{last} is not covered: {path.name} is of the first {size} records", _SIGN)
    return checkpoint


def _checkpoint_path(store: Path, wanted: str) -> Path:
    kept = checkpoint_files(store)
    if wanted and not re.fullmatch(r"[0-9]{1,18}", wanted):
        return Path(wanted)
    if wanted:
        kept = [path for path in kept if path.name.startswith(f"{int(wanted):020d}-")]
    if not kept:
        of = f" of {int(wanted)} records" if wanted else ""
        raise InputError(f"there is no checkpoint{of} in {store / FOLDER}", _SIGN)
    return kept[-1]


def prove(
    store_state: StoreState, positions: Sequence[int], checkpoint: Checkpoint
) -> Iterator[tuple[Proof, bytes | None]]:
    """Yield, in order of position, the proof that each of these records is in the checkpoint, and its bytes.

    The bytes are None for a tombstone or an erased record. Raises TamperedError if a record does not hash to the root
    of the checkpoint, InputError for a segment that is missing or damaged.
    """
    head = checkpoint.head
    wanted = sorted(set(positions))
    paths = inclusion_proofs(store_tree(store_state), [position - 1 for position in wanted], head.size)
    for start in range(0, len(wanted), _AT_ONCE):
        for row in rows_of(records_at(store_state, wanted[start : start + _AT_ONCE])):
            content, index = _content(row), row["position"] - 1
            if not verify_inclusion(content.hash, index, head.size, paths[index], head.root):
                raise TamperedError(
                    f"record @{row['position']} does not hash to the root of the checkpoint: nothing was proven",
                    "see what is wrong with: esctl verify --full",
                )
            yield Proof(index, paths[index], checkpoint.data, content.extra), row["raw"]


def contents(store_state: StoreState, positions: Sequence[int]) -> Iterator[tuple[Content, bytes | None]]:
    """Yield, in order of position, the content of a proof of each of these records, and its bytes, without proving it.

    Raises InputError for a segment that is missing or damaged.
    """
    wanted = sorted(set(positions))
    for start in range(0, len(wanted), _AT_ONCE):
        for row in rows_of(records_at(store_state, wanted[start : start + _AT_ONCE])):
            yield _content(row), row["raw"]


def _content(row: dict[str, Any]) -> Content:
    if row["erased_leaf"] is not None:
        return Content(row["erased_leaf"], row["position"])
    return content_of(leaf_of(row), row["salt"] or b"", row["source"])
