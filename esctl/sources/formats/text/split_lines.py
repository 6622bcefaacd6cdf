"""Long lines that container runtimes cut into parts: which lines continue in the next one, and joining the parts.

The bytes of a record keep all of its parts; only its text, as it is read, is joined.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from esctl.sources.formats.json.text import is_json_object
from esctl.sources.pieces import NOISE

CRI, DOCKER = "cri", "docker"
"""The lines of containerd and CRI-O, which begin with a time, a stream and `P` or `F`; the JSON of Docker's json-file,
where a line ends in a line feed unless it continues in the next one."""

CRI_PREFIX = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[^ ]+ std(?:out|err) [PF](?::[^ ]*)? "
_CRI_PART = r"\A\s*[0-9]{4}-[0-9]{2}-[0-9]{2}T[^ ]+ std(?:out|err) P(?::[^ ]*)? "
_CRI_LINES = rf"(?:\A\s*|\n)[0-9-]+T[^ ]+ std(?:out|err) F(?::[^ ]*)? [^\n]*\n{CRI_PREFIX}"
_LOG, _STREAM = r'\s*\{\s*"log"\s*:\s*"', r'"\s*,\s*"stream"\s*:\s*"std(?:out|err)"'
_DOCKER_LINE = rf"\A{_LOG}(?:[^\"\\]|\\.)*{_STREAM}"
_DOCKER_WHOLE = rf"\A{_LOG}(?:[^\"\\]|\\.)*\\n{_STREAM}"
_DOCKER_BETWEEN = (
    rf'{_STREAM}(?:\s*,\s*"attrs"\s*:\s*\{{[^{{}}]*\}})?(?:\s*,\s*"time"\s*:\s*"[^"]*")?\s*\}}[ \t\r]*\n{_LOG}'
)
_LINE = {CRI: re.compile(CRI_PREFIX.encode()), DOCKER: re.compile(_DOCKER_LINE.encode())}


def are_parts(lines: Any, kind: str) -> Any:
    """Return a mask of the lines (binary) that continue in the next one."""
    if kind == CRI:
        return pc.match_substring_regex(lines, _CRI_PART)
    of_docker = pc.match_substring_regex(lines, _DOCKER_LINE)
    return pc.and_not(of_docker, pc.match_substring_regex(lines, _DOCKER_WHOLE))


def is_part(line: bytes, kind: str) -> bool:
    """Return whether a line is a part that continues in the next line."""
    return bool(are_parts(pa.array([line], pa.large_binary()), kind)[0].as_py())


def join_parts(raws: Any, kind: str) -> Any:
    """Return records (binary) with their parts joined, before they are decoded: a part may end within a character.

    The prefix that a container runtime wrote before each line stays only before the first one.
    """
    raws = raws.cast(pa.large_binary())
    if kind == DOCKER:
        return pc.replace_substring_regex(raws, _DOCKER_BETWEEN, "")
    found = pc.replace_substring_regex(raws, rf"\r?\n{CRI_PREFIX}", "")
    mask = pc.match_substring_regex(raws, _CRI_LINES)
    lined = [_join_parts_by_line(raw) for raw in raws.filter(mask).to_pylist()]
    return pc.replace_with_mask(found, mask, pa.array(lined, pa.large_binary())) if lined else found


def _join_parts_by_line(raw: bytes) -> bytes:
    """Return a record with the parts of each line joined, and without the prefix of all lines but the first."""
    found, goes_on = b"", True
    for line in raw.splitlines(keepends=True):
        text = _LINE[CRI].sub(b"", line, count=1) if found else line
        found = (found.rstrip(b"\r\n") if goes_on and found else found) + text
        goes_on = is_part(line, CRI)
    return found


def complete_lines(lines: list[bytes], kind: str) -> list[bytes]:
    """Return the complete lines that containers wrote, from their parts; [] if a line is not of this kind."""
    if not lines or not all(map(_LINE[kind].match, lines)):
        return []
    found, parts = [], b""
    for line in lines:
        bare = _LINE[CRI].sub(b"", line, count=1) if kind == CRI else line
        parts += bare.rstrip(b"\r\n") + (b"\n" if kind == DOCKER else b"")
        if not is_part(line, kind):
            found.append(parts)
            parts = b""
    return found


def is_docker(lines: list[bytes]) -> bool:
    """Return whether lines are Docker's json-file: some are complete, and no incomplete one is a JSON object."""
    if not complete_lines(lines, DOCKER):
        return False
    texts = pa.array(lines, pa.large_binary())
    parts = [line for line, is_one in zip(lines, are_parts(texts, DOCKER).to_pylist(), strict=True) if is_one]
    return not any(_holds_json(line) for line in parts)


def _holds_json(line: bytes) -> bool:
    try:
        return is_json_object(json.loads(line.strip(NOISE))["log"].encode())
    except (ValueError, AttributeError):
        return True
