"""Import all that commands import, in the process that those of a campaign are forked from: each then starts at once.

A fork copies the page tables of all memory that was written to, so what few commands need (a screen, pytest) is left
out.
"""

import ctypes  # noqa: F401
import mmap  # noqa: F401
import pkgutil
from contextlib import suppress
from importlib import import_module

import duckdb  # noqa: F401
import numpy.ma  # noqa: F401  # Arrow's first array of a list loads it
import pyarrow.parquet  # noqa: F401

import esctl
from esctl.cli.imports import leave_out_pandas

leave_out_pandas()
for module in pkgutil.walk_packages(esctl.__path__, "esctl."):
    if not module.name.endswith("__main__") and not module.name.startswith(("esctl.testing", "esctl.tui")):
        import_module(module.name)
for name in ("esctl_native", "dateutil.relativedelta"):  # the native core; what Arrow looks for
    with suppress(ImportError):
        import_module(name)
