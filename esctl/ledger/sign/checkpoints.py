"""Checkpoints of a store: listing and reading them, signing a new one, and finding what contradicts one."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from esctl.errors import InputError, TamperedError
from esctl.ledger.prove.tree import store_tree
from esctl.ledger.sign.checkpoint import Checkpoint, Head, origin_of, parse_checkpoint, sign
from esctl.ledger.sign.last_seen import advance, now
from esctl.ledger.sign.note import LARGEST, SigningKey
from esctl.log.commits import open_log
from esctl.log.merkle import Tree
from esctl.log.store_state import StoreState
from esctl.named import read_named
from esctl.storage.depots import LocalDepot
from esctl.storage.local import describe_failure, entries
from esctl.storage.places import fetched_path
from esctl.storage.protocol import ConflictError

FOLDER = "checkpoints"
SUFFIX = ".checkpoint"
_HINT = "see what is wrong with: esctl verify --full"


def checkpoint_files(store: Path) -> list[Path]:
    """List the checkpoints kept in a store, oldest tree first."""
    return [store / FOLDER / name for name in sorted(entries(store / FOLDER)) if name.endswith(SUFFIX)]


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint from a file; no signature is verified.

    Raises InputError for a file that cannot be read, ValueError for one that is not a checkpoint.
    """
    try:
        return parse_checkpoint(read_named(fetched_path(path), LARGEST))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file", "make a checkpoint with: esctl checkpoint") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}", "make a checkpoint with: esctl checkpoint") from error


def contradiction(tree: Tree, store_state: StoreState, head: Head) -> str:
    """Return how a store contradicts an earlier head of it; empty if it only grew since.

    The roots are computed from the block roots that the commits keep and, after the last block, from the records.
    """
    if head.origin != origin_of(store_state.store_id):
        return f"it is of another log, {head.origin}"
    if head.size > store_state.head:
        return f"it has {head.size} records, the store only {store_state.head}"
    if head.size and tree.root(0, head.size) != head.root:
        return f"the first {head.size} records of the store are not those it was made over"
    return ""


def make_checkpoint(store: Path, key: SigningKey) -> bytes:
    """Sign the head of a store, keep the checkpoint in it and return it.

    Raises TamperedError, and signs nothing, if the store contradicts an earlier checkpoint or the head last seen of it;
    InputError if it cannot be read or written.
    """
    started = now()
    log = open_log(store)
    store_state = log.read()
    log.sync()
    tree = store_tree(store_state)
    for path in checkpoint_files(store):
        _check_contradiction(path, tree, store_state)
    if not advance(store_state, keys=[key.verifier.text], seen=started):
        raise TamperedError(f"{store} does not continue what was last seen of it here: nothing was signed", _HINT)
    head = Head(origin_of(store_state.store_id), store_state.head, store_state.tree.root())
    data = sign(head, key)
    target = store / FOLDER / f"{head.size:020d}-{key.verifier.id.hex()}{SUFFIX}"
    # It may be there: the same head was signed with the same key before, and Ed25519 gives the same bytes.
    with describe_failure(f"write {target}"), suppress(ConflictError):
        LocalDepot(store).create(f"{FOLDER}/{target.name}", data)
    return data


def _check_contradiction(path: Path, tree: Tree, store_state: StoreState) -> None:
    try:
        found = contradiction(tree, store_state, read_checkpoint(path).head)
    except ValueError as error:
        found = f"it is not a checkpoint: {error}"
    if found:
        raise TamperedError(f"the store contradicts {path}: {found}; nothing was signed", _HINT)
