"""RFC 3161 time stamps of checkpoints: requested from an authority, kept next to them, verified offline."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

from esctl.errors import InputError, UsageError
from esctl.ledger.check.findings import Anchor, Check, Finding
from esctl.ledger.sign.checkpoints import FOLDER, SUFFIX, checkpoint_files, read_checkpoint
from esctl.named import read_named
from esctl.storage.depots import LocalDepot
from esctl.storage.local import describe_failure, entries, read_regular
from esctl.storage.places import exists
from esctl.storage.protocol import ConflictError

STAMP_SUFFIX = ".tsr"
TIMEOUT = 30.0
_LARGEST = 1 << 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INSTALL = "install it with: pip install 'esctl-audit[tsa]'"


def stamp_of(checkpoint: Path) -> Path:
    """Return the file that keeps the stamp of a checkpoint."""
    return checkpoint.with_suffix(STAMP_SUFFIX)


def check_authority(url: str) -> None:
    """Check that a stamp can be requested from an address. Raises UsageError if it cannot."""
    if not url.startswith(("http://", "https://")):
        raise UsageError(
            f"--tsa {hide_secrets(url)} is not an address of a stamping authority", "give one that begins with https://"
        )
    _package()


def hide_secrets(url: str) -> str:
    """Return an address without the parts that may be secret: the user, the password, the query."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(not shown)"
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def attach_stamp(store: Path, data: bytes, url: str, timeout: float = TIMEOUT) -> Path:
    """Have a checkpoint of a store stamped and return the file of its stamp; one that already exists stays.

    Raises InputError if the authority cannot be reached or its answer is not such a stamp; the checkpoint stays.
    """
    checkpoint = next(path for path in checkpoint_files(store) if read_checkpoint(path).data == data)
    target = stamp_of(checkpoint)
    if exists(target):
        return target
    response = _request_stamp(data, url, timeout)
    with describe_failure(f"write {target}"), suppress(ConflictError):
        LocalDepot(store).create(target.relative_to(store).as_posix(), response)
    return target


def _request_stamp(data: bytes, url: str, timeout: float) -> bytes:
    import urllib.request
    from http.client import HTTPException

    client = _package()
    wanted = client.TimestampRequestBuilder().data(data).hash_algorithm(client.HashAlgorithm.SHA256).build()
    request = urllib.request.Request(  # check_authority has looked at the scheme
        url, wanted.as_bytes(), {"Content-Type": "application/timestamp-query"}, method="POST"
    )
    kept = "the checkpoint is kept; ask for its stamp again with the same command"
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            response: bytes = answer.read(_LARGEST)
    except (OSError, HTTPException, ValueError) as error:
        raise InputError(
            f"--tsa {hide_secrets(url)}: no stamp: {getattr(error, 'reason', None) or error}", kept
        ) from None
    try:
        found = client.decode_timestamp_response(response)
        granted = client.PKIStatus(found.status) == client.PKIStatus.GRANTED
        own = found.tst_info.message_imprint.message == wanted.message_imprint.message
        if not granted or not own or found.tst_info.nonce != wanted.nonce:
            raise ValueError("it is not a stamp of what was sent")
    except ValueError as error:
        raise InputError(f"--tsa {hide_secrets(url)}: no stamp: {error}", kept) from None
    return response


def read_certificates(paths: Sequence[Path]) -> tuple[Any, ...]:
    """Read the certificates of stamping authorities, or of their issuers, from PEM files.

    Raises UsageError for a file that has none.
    """
    if not paths:
        return ()
    _package()
    from cryptography.x509 import load_pem_x509_certificates

    found: list[Any] = []
    for path in paths:
        try:
            found += load_pem_x509_certificates(read_named(path, _LARGEST))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise UsageError(f"--tsa-cert {path}: {reason}", "give the authority's certificates as PEM") from None
    return tuple(found)


def check_stamps(store: Path, certificates: Sequence[Any]) -> tuple[Check | None, list[Anchor]]:
    """Check the stamps of checkpoints, and return with the check an anchor for each valid one.

    The check is None if there are neither stamps nor certificates, and skipped if there are no certificates.
    """
    paths = sorted(store / FOLDER / name for name in entries(store / FOLDER) if name.endswith(STAMP_SUFFIX))
    if not paths and not certificates:
        return None, []
    if not certificates:
        return Check(
            "stamps", "nothing", len(paths), skipped="no authority is known: give its certificate with --tsa-cert"
        ), []
    findings, anchors = list[Finding](), list[Anchor]()
    for path in paths:
        file = f"{FOLDER}/{path.name}"
        try:
            checkpoint = read_checkpoint(path.with_suffix(SUFFIX))
            at = _verify_stamp(checkpoint.data, read_regular(path, _LARGEST), certificates)
            anchors.append(Anchor(file, checkpoint.head.size, at))
        except (InputError, ValueError) as error:
            findings.append(Finding("changed", f"it does not stamp its checkpoint: {error}", file))
        except PermissionError as error:
            findings.append(Finding("signature by an unknown key", str(error), file))
    return Check("stamps", f"{len(certificates)} certificates", len(paths), tuple(findings)), anchors


def _verify_stamp(data: bytes, response: bytes, certificates: Sequence[Any]) -> int:
    """Return the time of a stamp, in microseconds since the epoch.

    Raises ValueError if it is no stamp or not one of `data`, PermissionError if no known authority signed it.
    """
    client = _package()
    found = client.decode_timestamp_response(response)
    builder = client.VerifierBuilder()
    for certificate in certificates:
        builder = builder.add_root_certificate(certificate)
    try:
        builder.build().verify_message(found, data)
    except client.VerificationError as error:
        if "between messages" in str(error):
            raise ValueError("it is of something else") from None
        raise PermissionError(f"it is signed by an authority that is not known: {error}") from None
    at: datetime = found.tst_info.gen_time
    return (at.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)


def _package() -> ModuleType:
    try:
        import rfc3161_client
    except ImportError:
        raise UsageError("time stamps need the package rfc3161-client", _INSTALL) from None
    return rfc3161_client
