"""JSON within a script: passed to a function (JSONP) or assigned to a name, as in exports for a web page."""

from __future__ import annotations

import re

from esctl.sources.pieces import NOISE

_NAME = rb"[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)*"
_LEAD = (
    rb"(?:/\*\*/\s*)?(?:typeof " + _NAME + rb" === 'function' && )?"
    rb"(?:(?:var|let|const) +" + _NAME + rb"\s*=|" + _NAME + rb"\s*[=(]|export default\s)"
)
_LEAD_TO_JSON = re.compile(_LEAD + rb"\s*(?=[\[{])")
_SCRIPT_ONLY = re.compile(_LEAD + rb"|export default|\)?\s*;?")


def without_script(text: bytes) -> bytes | None:
    """Return a text from its JSON on, or None if no script precedes that."""
    found = _LEAD_TO_JSON.match(text)
    return text[found.end() :] if found else None


def is_script(text: bytes) -> bool:
    """Return whether a piece next to JSON is the script around it."""
    return _SCRIPT_ONLY.fullmatch(text.strip(NOISE)) is not None
