"""Windows event logs of a few records, written by hand: plain binary XML, without templates."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime

_CHUNK, _HEADER = 65_536, 512
Element = tuple[str, dict[str, str], "str | list[Element]"]


def event(number: int, type_id: int, when: str, target: str, subject: str) -> Element:
    """Return an event of the security log."""
    system: list[Element] = [
        ("Provider", {"Name": "Microsoft-Windows-Security-Auditing"}, ""),
        ("EventID", {}, str(type_id)),
        ("TimeCreated", {"SystemTime": when}, ""),
        ("EventRecordID", {}, str(number)),
        ("Channel", {}, "Security"),
        ("Computer", {}, "dc1"),
    ]
    data: list[Element] = [
        ("Data", {"Name": "TargetUserName"}, target),
        ("Data", {"Name": "SubjectUserName"}, subject),
    ]
    return ("Event", {"xmlns": "http://schemas.microsoft.com/win/2004/08/events/event"},
            [("System", {}, system), ("EventData", {}, data)])  # fmt: skip


def evtx(events: Sequence[Element]) -> bytes:
    """Write a file of one chunk."""
    records = b""
    for number, each in enumerate(events, 1):
        start = _HEADER + len(records)
        body = b"\x0f\x01\x01\x00" + _element(each, start + 24 + 4) + b"\x00"
        size = 24 + len(body) + 4
        filetime = int(datetime(2024, 3, 1, tzinfo=UTC).timestamp() + 11_644_473_600) * 10_000_000
        records += struct.pack("<IIQQ", 0x2A2A, size, number, filetime) + body + struct.pack("<I", size)
    count, end = len(events), _HEADER + len(records)
    last = end if not events else end - struct.unpack("<I", records[-4:])[0]
    head = struct.pack("<8sQQQQIIII", b"ElfChnk\0", 1, count, 1, count, 128, last, end, zlib.crc32(records))
    head = head.ljust(120, b"\0")
    tables = bytes(_HEADER - 128)
    chunk = head + struct.pack("<II", 0, zlib.crc32(head + tables)) + tables + records
    file = struct.pack("<8sQQQIHHHH", b"ElfFile\0", 0, 0, count + 1, 128, 1, 3, 4096, 1).ljust(120, b"\0")
    return (file + struct.pack("<II", 0, zlib.crc32(file))).ljust(4096, b"\0") + chunk.ljust(_CHUNK, b"\0")


def _element(element: Element, at: int) -> bytes:
    """Write an element that begins at an offset of its chunk: names stand where they are used."""
    name, attributes, content = element
    written = _name(name, at + 5)
    if attributes:
        listed = b""
        begin = at + 5 + len(written) + 4
        for number, (key, value) in enumerate(attributes.items(), 1):
            more = b"\x46" if number < len(attributes) else b"\x06"
            listed += more + _name(key, begin + len(listed) + 1) + _text(value)
        written += struct.pack("<I", len(listed)) + listed
    if content == "":
        written += b"\x03"
    else:
        written += b"\x02"
        if isinstance(content, str):
            written += _text(content)
        else:
            for child in content:
                written += _element(child, at + 5 + len(written))
        written += b"\x04"
    return (b"\x41" if attributes else b"\x01") + struct.pack("<I", len(written)) + written


def _name(name: str, at: int) -> bytes:
    return struct.pack("<IIHH", at + 4, 0, 0, len(name)) + name.encode("utf-16-le") + b"\0\0"


def _text(text: str) -> bytes:
    return b"\x05\x01" + struct.pack("<H", len(text)) + text.encode("utf-16-le")
