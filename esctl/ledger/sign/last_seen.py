"""The head last seen of each store, kept in the user's state folder to notice a store that was rolled back."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from msgspec import Struct

from esctl.errors import InputError
from esctl.ledger.sign.keys import user_folder
from esctl.ledger.sign.note import VerifierKey, parse_verifier
from esctl.log.commit_json import stored_time
from esctl.log.commits import open_log
from esctl.log.store_state import StoreState
from esctl.named import read_named
from esctl.storage.depots import LocalDepot

_LARGEST = 1 << 20
_HEX64 = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Pin(Struct, frozen=True):
    """The head last seen of the store in a folder. `keys` are the public keys that signed checkpoints of it here."""

    store_id: str
    seq: int
    commit: str  # SHA-256 of the commit file
    size: int
    root: str
    keys: tuple[str, ...] = ()
    at: int = 0  # when it was last seen to have just this many records, microseconds since the epoch


def now() -> int:
    """Return the time in microseconds since the epoch."""
    return time.time_ns() // 1000


def pin_path(store: Path) -> Path:
    """Return the file that keeps the pin of the store in a folder."""
    name = sha256(str(store.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return heads_folder() / f"{name}.json"


def heads_folder() -> Path:
    """Return the folder of the pins."""
    return user_folder("XDG_STATE_HOME", ".local/state") / "heads"


def read_pin(store: Path) -> Pin | None:
    """Read the head last seen of the store in a folder; None if there is none. Raises InputError for a damaged file."""
    path = pin_path(store)
    try:
        value = json.loads(read_named(path, _LARGEST))
        pin = Pin(
            str(value["store_id"]), int(value["seq"]), str(value["commit"]), int(value["size"]), str(value["root"]),
            tuple(parse_verifier(str(key)).text for key in value["keys"]), int(value.get("at", 0)),
        )  # fmt: skip
        stored_time(pin.at)
        if min(pin.seq, pin.size) < 0 or not all(map(_HEX64.fullmatch, (pin.commit, pin.root))):
            raise ValueError("not what was last seen of a store")
        return pin
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError(
            f"{path} is not readable: what was last seen of the store is not known",
            "look at the store with: esctl verify --full; then remove that file",
        ) from error


def pinned_keys(store_id: str) -> tuple[VerifierKey, ...]:
    """Return the keys that signed checkpoints of a store here, in whichever folder it was; skip damaged files."""
    found: list[VerifierKey] = []
    for path in sorted(heads_folder().glob("*.json")):
        with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
            value = json.loads(read_named(path, _LARGEST))
            found += [parse_verifier(str(key)) for key in value["keys"]] if value["store_id"] == store_id else []
    return tuple(dict.fromkeys(found))


def follows(store_state: StoreState, pin: Pin) -> bool:
    """Return whether a store continues the head that was last seen of it."""
    if store_state.store_id != pin.store_id or store_state.seq < pin.seq:
        return False
    if store_state.seq > pin.seq:
        store_state = open_log(store_state.path).read(pin.seq)
    return store_state.commit_sha256 == pin.commit


def advance(store_state: StoreState, *, anew: bool = False, keys: Sequence[str] = (), seen: int = 0) -> bool:
    """Record the head of a store as last seen; return False, changing nothing, if its history diverged.

    `anew`: the store had no commit before, so a head seen here of a store of another identity does not count. `keys`
    are those that signed the head; `seen` is when the store was known to have it, in microseconds since the epoch.
    Nothing is kept if the state folder cannot be written.
    """
    known = read_pin(store_state.path)
    if known is not None and anew and known.store_id != store_state.store_id:
        known = None
    if known is not None and not follows(store_state, known):
        return False
    every = tuple(dict.fromkeys([*(known.keys if known is not None else ()), *keys]))
    at = max(store_state.at, seen, known.at if known is not None and known.size == store_state.head else 0)
    pin = Pin(
        store_state.store_id, store_state.seq, store_state.commit_sha256, store_state.head, store_state.root, every, at
    )
    if pin != known:
        with suppress(OSError):
            _write(pin_path(store_state.path), store_state.path, pin)
    return True


def _write(path: Path, store: Path, pin: Pin) -> None:
    content: dict[str, Any] = {
        "path": str(store.resolve()), "store_id": pin.store_id, "seq": pin.seq, "commit": pin.commit,
        "size": pin.size, "root": pin.root, "keys": list(pin.keys), "at": pin.at,
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    LocalDepot(path.parent).replace(path.name, json.dumps(content).encode())
