"""A page as one HTML file: the content in a template, with the style and the scripts that show and check it."""

from __future__ import annotations

import base64
import html
import re
from hashlib import sha256

from esctl.ask.scope.basis import to_lines
from esctl.output.text import visible
from esctl.page.content import Content, document, record_lines

SCRIPTS = (
    "text.js", "data.js", "merkle.js", "note.js", "evidence.js", "dom.js", "idle.js", "table.js", "timeline.js",
    "states.js", "sections.js", "proofs.js", "keys.js", "main.js",
)  # fmt: skip
"""In the order in which they need one another."""
_SLOT = re.compile(r"\{\{([a-z]+)\}\}")
_DATA = re.compile(rb'<script id="data" type="application/json">\n(.*)\n</script>\n<script>', re.DOTALL)


def assemble(content: Content) -> bytes:
    """Return the page as HTML."""
    style, script = _static("style.css"), _script()
    question = content.question
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; base-uri 'none'; "
        "form-action 'none'"
    )
    basis = "\n".join(f"<li>{_told(line.removeprefix('basis: '))}</li>" for line in to_lines(content.basis))
    parts = {
        "policy": html.escape(policy, quote=False), "style": style, "script": script, "data": document(content),
        "records": record_lines(content), "title": _told(question.title), "question": _told(question.question),
        "basis": basis,
    }  # fmt: skip
    return _SLOT.sub(lambda slot: parts[slot[1]], _static("page.html")).encode()


def split_page(page: bytes) -> tuple[bytes, bytes] | None:
    """Return a page's content, with its records, and the bytes around it; None if it has no content."""
    found = _DATA.search(page)
    return None if found is None else (found[1], page[: found.start(1)] + page[found.end(1) :])


def _script() -> str:
    return "".join(['"use strict";\n', *map(_static, SCRIPTS)])


def _static(name: str) -> str:
    from importlib import resources

    return resources.files("esctl.page").joinpath("static", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}"


def _told(text: str) -> str:
    return html.escape(visible(text))
