"""Tables: CSV and TSV rows, parquet and arrow rows."""

from __future__ import annotations

from esctl.sources.formats.columnar import ColumnarReader
from esctl.sources.formats.delimited import DelimitedReader, rows_to_json

__all__ = ["ColumnarReader", "DelimitedReader", "rows_to_json"]
