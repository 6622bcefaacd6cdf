"""JSON within a script: handed to a function (JSONP) or given to a name, as exports are that a page can show."""

from __future__ import annotations

import re

from esctl.sources.pieces import NOISE

_NAME = rb"[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)*"
_LEAD = (
    rb"(?:/\*\*/\s*)?(?:typeof " + _NAME + rb" === 'function' && )?"
    rb"(?:(?:var|let|const) +" + _NAME + rb"\s*=|" + _NAME + rb"\s*[=(]|export default\s)"
)
_BEFORE = re.compile(_LEAD + rb"\s*(?=[\[{])")
_ALONE = re.compile(_LEAD + rb"|export default|\)?\s*;?")


def behind_script(text: bytes) -> bytes | None:
    """Return a text from its JSON on, where a script stands before that; None where none does."""
    found = _BEFORE.match(text)
    return text[found.end() :] if found else None


def is_script(text: bytes) -> bool:
    """Return whether a piece beside JSON is what a script has around it."""
    return _ALONE.fullmatch(text.strip(NOISE)) is not None
