"""Questions asked in spans that a test cuts, in this process."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Any

from esctl.api import Relation
from esctl.ask.scope.scope import Scope
from esctl.cluster.engines import InProcess
from esctl.cluster.question import ask_in_parts, in_parts
from esctl.cluster.spans import Span, spans_at
from esctl.errors import EsctlError
from esctl.index.files.manifest import Manifest
from esctl.model import Answer
from esctl.output import Target, write


class CutAt(InProcess):
    """An engine whose spans begin at given names."""

    def __init__(self, cuts: Iterable[str]) -> None:
        super().__init__()
        self._cuts = list(cuts)

    def spans(self, manifest: Manifest) -> list[Span]:
        """Give the spans between the names."""
        return spans_at(self._cuts)


def in_spans(scope: Scope, cuts: Iterable[str]) -> Scope:
    """Give a scope of which questions are asked in spans."""
    return in_parts(scope, CutAt(cuts))


def told(ask: Callable[..., Answer], *arguments: Any, form: str = "jsonl", **named: Any) -> bytes | EsctlError:
    """Give the bytes of an answer as a format has it, or the error in its place."""
    buffer = io.BytesIO()
    try:
        write(ask_in_parts(ask, *arguments, **named), Target(form, buffer))
    except EsctlError as error:
        return error
    return buffer.getvalue()


def rows_of(relation: Relation, form: str = "jsonl") -> bytes:
    """Give the bytes of an answer as a format has it."""
    buffer = io.BytesIO()
    write(relation.answer, Target(form, buffer))
    return buffer.getvalue()
