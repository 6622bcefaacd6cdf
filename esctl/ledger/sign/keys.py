"""The user's signing keys: in their configuration folder, readable by them alone, never in a store."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

from esctl.errors import InputError, NotFoundError, UsageError, did_you_mean
from esctl.ledger.sign.note import SigningKey, VerifierKey, parse_signing, parse_verifier
from esctl.named import read_named

DEFAULT = "esctl"
"""Name of a key for which none is given."""
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}", re.ASCII)
_LARGEST = 1 << 20
"""The most bytes of a file of keys."""
_MAKE = "make one with: esctl key new"


def user_folder(variable: str, usual: str) -> Path:
    """Return esctl's folder in one of the user's XDG base directories."""
    named = os.environ.get(variable, "")
    return (Path(named) if os.path.isabs(named) else Path.home() / usual) / "esctl"


def keys_folder() -> Path:
    """Return the folder of the keys."""
    return user_folder("XDG_CONFIG_HOME", ".config") / "keys"


def new_key(name: str) -> SigningKey:
    """Make a key and keep it.

    Raises UsageError for a name that is taken or not allowed, InputError if the key cannot be written.
    """
    path = _path(name)
    key = SigningKey(name, secrets.token_bytes(32))
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(key.text + "\n")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise UsageError(f"there is a key {name!r} already", "a key is never replaced: give another name") from None
    except OSError as error:
        raise InputError(f"{path}: cannot write the key: {error.strerror}", "keys need a home folder") from error
    return key


def read_key(name: str = "") -> SigningKey:
    """Read a key by name; without a name, the only one there is.

    Raises NotFoundError if it does not exist, UsageError if no name is given and there are several keys or none,
    InputError for a file that holds no key or that others may read.
    """
    names = key_names()
    if not name:
        if len(names) != 1:
            message = f"there are several keys: {', '.join(names)}" if names else "there is no key to sign with"
            raise UsageError(message, "say which with --key" if names else _MAKE)
        name = names[0]
    if name not in names:
        near = get_close_matches(name, names, 1)
        raise NotFoundError(f"no key {name!r}", did_you_mean(near, _MAKE))
    path = _path(name)
    try:
        if path.stat().st_mode & 0o077:
            raise InputError(f"{path} can be read by others", f"it must be yours alone: chmod 600 {path}")
        return parse_signing(read_named(path, _LARGEST).decode("ascii"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", _MAKE) from error
    except ValueError as error:
        raise InputError(f"{path} is not a key: {error}", "restore it from a copy, or make a new one") from error


def key_names() -> list[str]:
    """List all keys, by name."""
    with suppress(OSError):
        found = (path for path in keys_folder().glob("*.key") if _FILE_NAME.fullmatch(path.stem))
        return sorted(path.stem for path in found)
    return []


def own_verifiers() -> tuple[VerifierKey, ...]:
    """Return the public halves of the user's keys; files that hold no key are skipped."""
    found = []
    for name in key_names():
        with suppress(InputError, OSError):
            found.append(read_key(name).verifier)
    return tuple(found)


def read_verifiers(given: Sequence[str]) -> tuple[VerifierKey, ...]:
    """Read what `--trust` says: public keys, or files with one a line. Raises UsageError for anything else."""
    keys: list[VerifierKey] = []
    for text in given:
        try:
            keys += [parse_verifier(line) for line in _lines(text)]
        except (ValueError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            if text.count("+") < 2 and not Path(text).exists():
                reason = "it is neither a key nor a file that there is"
            raise UsageError(
                f"--trust {text}: {reason}", "give what `esctl key show` prints, or a file of it"
            ) from None
    return tuple(keys)


def _lines(text: str) -> list[str]:
    if text.count("+") >= 2 or not Path(text).exists():
        return [text]
    return [line for line in read_named(Path(text), _LARGEST).decode("utf-8").splitlines() if line.strip()]


def _path(name: str) -> Path:
    if not _FILE_NAME.fullmatch(name):
        raise UsageError(f"a key cannot be called {name!r}", "take letters, digits and . _ @ -")
    return keys_folder() / f"{name}.key"
