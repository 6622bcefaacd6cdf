"""An answer, written as table, JSON, CSV, Markdown, Parquet or Arrow."""

from esctl.output.target import FORMATS, Format, Target, Written, choose_format
from esctl.output.write import write

__all__ = ["FORMATS", "Format", "Target", "Written", "choose_format", "write"]
