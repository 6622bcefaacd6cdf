"""Signed notes: text signed by Ed25519 keys, as https://c2sp.org/signed-note and Go's checksum database write them."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from hashlib import sha256

from msgspec import Struct

ED25519 = b"\x01"
"""The byte that says which kind of signature a key makes."""
LARGEST = 1 << 20
MOST_SIGNATURES = 100
_DASH = "\N{EM DASH} "
_PRIVATE = "PRIVATE+KEY+"
_NAME = re.compile(r"[^\s+\x00-\x1f\x7f]+")


class VerifierKey(Struct, frozen=True):
    """A public key with its name. Its text form is `name+hash+base64`."""

    name: str
    public: bytes  # 32 bytes

    @property
    def id(self) -> bytes:
        """Return the four bytes by which a signature names its key."""
        return sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:4]

    @property
    def text(self) -> str:
        """Return the key as it is given to others."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(ED25519 + self.public).decode()}"


class SigningKey(Struct, frozen=True):
    """A private key with its name."""

    name: str
    seed: bytes  # 32 bytes

    @property
    def verifier(self) -> VerifierKey:
        """Return the public half."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return VerifierKey(self.name, Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw())

    @property
    def text(self) -> str:
        """Return the key as it is kept, in the form of golang.org/x/mod/sumdb/note."""
        return f"{_PRIVATE}{self.name}+{self.verifier.id.hex()}+{base64.b64encode(ED25519 + self.seed).decode()}"


class Signature(Struct, frozen=True):
    """One signature line, not yet verified."""

    name: str
    id: bytes
    value: bytes


class Note(Struct, frozen=True):
    """A text, with its final newline, and the signatures over it."""

    text: str
    signatures: tuple[Signature, ...]

    @property
    def claimed(self) -> str:
        """Return the names of the keys that it claims to be signed by, for people to read."""
        return ", ".join(sorted({one.name for one in self.signatures}))

    def find_signature(self, key: VerifierKey) -> Signature | None:
        """Return the first signature that claims to be by a key; None if there is none."""
        return next((one for one in self.signatures if (one.name, one.id) == (key.name, key.id)), None)


def parse_note(data: bytes) -> Note:
    """Parse a signed note without verifying signatures. Raises ValueError for anything else."""
    if len(data) > LARGEST:
        raise ValueError("longer than a note may be")
    text = data.decode("utf-8")
    if any(ord(character) < 0x20 and character != "\n" for character in text):
        raise ValueError("a control character in it")
    body, blank, lines = text.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise ValueError("no signature")
    signatures = tuple(_parse_signature(line) for line in lines.removesuffix("\n").split("\n"))
    if len(signatures) > MOST_SIGNATURES:
        raise ValueError("too many signatures")
    return Note(body + "\n", signatures)


def _parse_signature(line: str) -> Signature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space or not _NAME.fullmatch(name):
        raise ValueError("a line is not a signature")
    value = decode_base64(encoded)
    if len(value) < 5:
        raise ValueError("a signature is too short")
    return Signature(name, value[:4], value[4:])


def decode_base64(text: str) -> bytes:
    """Decode canonical base64. Raises ValueError for anything else."""
    try:
        value = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from error
    if base64.b64encode(value).decode() != text:
        raise ValueError("not base64 in its one right form")
    return value


def parse_verifier(text: str) -> VerifierKey:
    """Read a public key's text form. Raises ValueError for anything else, and for a hash that is not the key's."""
    name, digest, kind, public = _parse_key(text.strip())
    key = VerifierKey(name, public)
    if kind != ED25519 or len(public) != 32 or key.id.hex() != digest:
        raise ValueError("not an Ed25519 key, or its hash is that of another")
    return key


def parse_signing(text: str) -> SigningKey:
    """Read a private key's text form. Raises ValueError for anything else."""
    text = text.strip()
    if not text.startswith(_PRIVATE):
        raise ValueError("no private key")
    name, digest, kind, seed = _parse_key(text.removeprefix(_PRIVATE))
    if kind != ED25519 or len(seed) != 32:
        raise ValueError("no Ed25519 key")
    key = SigningKey(name, seed)
    if key.verifier.id.hex() != digest:
        raise ValueError("its hash is that of another key")
    return key


def _parse_key(text: str) -> tuple[str, str, bytes, bytes]:
    parts = text.split("+", 2)
    if len(parts) != 3 or not _NAME.fullmatch(parts[0]):
        raise ValueError("a key is written name+hash+base64")
    value = decode_base64(parts[2])
    return parts[0], parts[1], value[:1], value[1:]


def sign_text(text: str, key: SigningKey) -> bytes:
    """Return a note with one signature. Raises ValueError for a text that a note may not have."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    value = Ed25519PrivateKey.from_private_bytes(key.seed).sign(text.encode())
    line = f"{_DASH}{key.name} {base64.b64encode(key.verifier.id + value).decode()}\n"
    note = f"{text}\n{line}".encode()
    if parse_note(note).text != text:
        raise ValueError("not the text of a note")
    return note


def verified_by(note: Note, keys: Iterable[VerifierKey]) -> tuple[VerifierKey, ...]:
    """Return those of the keys by which a note is signed. Signatures by other keys are ignored.

    Raises ValueError if a signature claims to be by one of the keys and is not.
    """
    found: list[VerifierKey] = []
    for key in keys:
        signature = note.find_signature(key)
        if signature is None:
            continue
        if not _is_valid(key, signature.value, note.text.encode()):
            raise ValueError(f"the signature is not by {key.name}, as it says")
        found.append(key)
    return tuple(found)


def _is_valid(key: VerifierKey, signature: bytes, message: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
