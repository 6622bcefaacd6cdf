"""An answer, written as table, JSON, CSV, Markdown, Parquet or Arrow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from esctl.output.formats import FORMATS, Format
from esctl.output.target import Target, Written, choose_format

if TYPE_CHECKING:
    from esctl.output.frames import to_arrow, to_rows, to_texts
    from esctl.output.writing import write

__all__ = ["FORMATS", "Format", "Target", "Written", "choose_format", "to_arrow", "to_rows", "to_texts", "write"]


def __getattr__(name: str) -> Any:
    # The writers are loaded with the first answer: `esctl --help` needs none.
    if name == "write":
        from esctl.output.writing import write

        return write
    if name in ("to_arrow", "to_rows", "to_texts"):
        from esctl.output import frames

        return getattr(frames, name)
    raise AttributeError(f"module 'esctl.output' has no attribute {name!r}")
