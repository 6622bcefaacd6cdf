"""The projection that change logs of databases bring: the state of an entity is its row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from esctl.index.decode.rows import DIALECTS
from esctl.projection.expressions import Expression
from esctl.projection.spec import DEFAULT, Operation, Projection, Rule

if TYPE_CHECKING:
    from esctl.index.scan import IndexView

_WHERE = "the projection of rows"
_ROW = Expression("data", _WHERE)
_REPLACE = (Operation("replace", "", _ROW),)
_MERGE = (Operation("merge", "", _ROW, lenient=True),)
_DELETE = (Operation("delete"),)

_RULES: tuple[tuple[str, str | None, tuple[Operation, ...]], ...] = (
    *((kind, role, _REPLACE) for kind in ("insert", "update", "read") for role in ("", "copy")),
    *((kind, "partial", _MERGE) for kind in ("insert", "update", "read")),
    ("delete", None, _DELETE),
    ("truncate", None, _DELETE),
    *((kind, "old", _DELETE) for kind in ("insert", "update", "read")),
)
"""By type and role of an event. A row that is whole takes the place of the one before, whatever columns that had."""


def default_projection(view: IndexView) -> Projection:
    """Return how entities are folded that no projection claims: rows as rows, all others by merging their payloads."""
    stanzas = view.manifest.stanzas
    ours = frozenset(number for number, stanza in enumerate(stanzas) if is_rows(stanza.opened))
    if not ours:
        return DEFAULT
    rules = [Rule(kind, role, None, operations, _WHERE) for kind, role, operations in _RULES]
    if len(ours) < len(stanzas):
        others = frozenset(range(len(stanzas))) - ours
        rules = [*(replace(rule, stanzas=others) for rule in DEFAULT.rules), *(replace(r, stanzas=ours) for r in rules)]
    return replace(DEFAULT, name="(rows)", rules=tuple(rules), digest=f"rows {sorted(ours)}")


def is_rows(opened: Iterable[tuple[str, str]]) -> bool:
    """Return whether records whose texts are opened so are changes of rows."""
    return any(encoding in DIALECTS for _, encoding in opened)
