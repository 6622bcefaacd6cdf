"""What the processes of a campaign are forked with, so that each starts at once: all that commands import.

A fork copies the tables of all pages that were written to: what few commands need (a screen, pytest) is left out.
"""

import ctypes  # noqa: F401
import pkgutil
from importlib import import_module

import duckdb  # noqa: F401
import pyarrow.parquet  # noqa: F401

import esctl
from esctl.cli.imports import leave_out_pandas

leave_out_pandas()
for module in pkgutil.walk_packages(esctl.__path__, "esctl."):
    if not module.name.endswith("__main__") and not module.name.startswith(("esctl.testing", "esctl.tui")):
        import_module(module.name)
