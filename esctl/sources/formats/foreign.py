"""Formats that are not read: recognised by their first bytes, with a hint that makes them readable."""

from __future__ import annotations

import re
import zlib

from esctl.errors import InputError, shell_word
from esctl.sources.formats.packed import PACKED, missing_library, sniff_packed
from esctl.sources.pieces import BLANKS, BOM

_UNPACK = "unpack it, and name what was in it"
_DUMP = "write what is in it as JSON Lines or CSV first"
_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"SQLite format 3\0", "an SQLite database", "write a table of it first: sqlite3 -json {name} 'SELECT * FROM ...'"),
    (b"%PDF-", "a PDF document", _DUMP),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document (as .xls)", "save it as CSV"),
    (b"ORC", "ORC", "write it as Parquet first"),
    (b"SEQ\x06", "a Hadoop sequence file", _DUMP),
    (b"LPKSHHRH", "a systemd journal", "write it as JSON first: journalctl --file {name} -o json"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (b"\x04\x22\x4d\x18", "LZ4 data", _UNPACK),
    (b"\xff\x06\0\0sNaPpY", "Snappy data", _UNPACK),
    (b"\x1f\x9d", "compress (.Z) data", _UNPACK),
    (b"MSCF\0\0\0\0", "a cabinet archive", _UNPACK),
    (b"PGDMP", "a dump of PostgreSQL in its own format", "write tables of it as CSV first"),
    (b"bplist00", "a binary property list", "write it as JSON first: plutil -convert json {name}"),
    (b"\x89HDF\r\n\x1a\n", "HDF5", _DUMP),
    (b"regf", "a Windows registry hive", _DUMP),
    (b"\xd4\xc3\xb2\xa1", "a capture of packets", "write it as JSON first: tshark -T ek -r {name}"),
    (b"\xa1\xb2\xc3\xd4", "a capture of packets", "write it as JSON first: tshark -T ek -r {name}"),
    (b"\x0a\x0d\x0d\x0a", "a capture of packets", "write it as JSON first: tshark -T ek -r {name}"),
    (b"\x89PNG\r\n\x1a\n", "an image", ""),
    (b"\xff\xd8\xff", "an image", ""),
    (b"GIF8", "an image", ""),
    (b"\x7fELF", "a program", ""),
    (b"MZ\x90\0", "a program", ""),
    (b"\xff\xfe\0\0", "UTF-32 text", "write it as UTF-8 first: iconv -f utf-32 -t utf-8 {name}"),
    (b"\0\0\xfe\xff", "UTF-32 text", "write it as UTF-8 first: iconv -f utf-32 -t utf-8 {name}"),
    (b"age-encryption.org/", "encrypted (age)", "decrypt it first"),
    (b"-----BEGIN PGP MESSAGE", "encrypted (PGP)", "decrypt it first"),
    (b"Salted__", "encrypted (OpenSSL)", "decrypt it first"),
)
_WORDS = (b"ORC", b"GIF8", b"regf", b"PGDMP")
"""Those of them that a text may begin with, as the name of a column: a byte that is in no text must follow."""
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_ZIPPED = (
    (b"xl/", "an Excel workbook (XLSX)", "save it as CSV"),
    (b"word/", "a Word document", _DUMP),
    (b"ppt/", "a presentation", _DUMP),
    (b"opendocument", "an OpenDocument file", "save it as CSV"),
    (b"META-INF/", "a Java archive", ""),
)
_MARKUP = re.compile(rb"<(\?xml|!doctype|html|events?[ >]|\w+ xmlns)", re.IGNORECASE)

_RETURNS = re.compile(rb"(?:\xef\xbb\xbf)?[^\r\0{\[]+\r[^\0]+\r")
_RECORD = re.compile(rb"\ARecord [0-9]+\r?\n")
"""What evtx_dump writes before each event."""


class ForeignError(InputError):
    """Report a source of a format that is not read (exit code 3)."""


def refusal(name: str, head: bytes, declared: str = "auto") -> ForeignError | None:
    """Return the error for a source whose first bytes are those of a format that is not read, else None.

    A `declared` format is believed, but may need a library that is not installed, which is an error too.
    """
    packed = declared if declared in PACKED else sniff_packed(head) if declared == "auto" else None
    if packed and (lacking := missing_library(packed)):
        what, command = lacking
        return ForeignError(f"{name} looks like {what}: {PACKED[packed]}, which reads it, is not installed", command)
    if declared != "auto":
        return None
    found = _looks_like(head)
    if found is None:
        return None
    what, hint = found
    return ForeignError(
        f"{name} looks like {what}, which is not read",
        hint.format(name=shell_word(name)) or "leave it out; what is read: esctl help formats",
    )


def _looks_like(head: bytes) -> tuple[str, str] | None:
    for magic, what, hint in _MAGIC:
        if head.startswith(magic) and (magic not in _WORDS or _NO_TEXT.search(head)):
            return what, hint
    if head.startswith(b"PK\x03\x04"):
        inside = ((what, hint) for part, what, hint in _ZIPPED if part in head)
        return next(inside, ("a zip archive within another source", _UNPACK))
    if head[257:262] == b"ustar":
        return "a tar archive", "name it *.tar.gz (or .tgz, .tar.xz, ...): then its members are read"
    if _is_deflated(head):
        return "zlib data", "unpack it first: zlib-flate -uncompress < {name} > {name}.txt"
    if b"\n" not in head and _RETURNS.match(head):
        return (
            "text whose lines end in carriage returns alone",
            "use line feeds first: tr '\\r' '\\n' < {name}",
        )
    text = _RECORD.sub(b"", head.removeprefix(BOM).lstrip(BLANKS), count=1)
    if _MARKUP.match(text.lstrip(BLANKS)):
        return "XML or HTML", _DUMP
    return None


def _is_deflated(head: bytes) -> bool:
    if head[:2] not in (b"x\x01", b"x\x5e", b"x\x9c", b"x\xda"):
        return False
    try:
        return bool(zlib.decompressobj().decompress(head, 1024))
    except zlib.error:
        return False
