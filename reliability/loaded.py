"""What the processes of a campaign are forked with: everything that esctl may import, so that each starts at once."""

import ctypes  # noqa: F401
import pkgutil
from importlib import import_module

import duckdb  # noqa: F401
import pyarrow.parquet  # noqa: F401

import esctl

for module in pkgutil.walk_packages(esctl.__path__, "esctl."):
    if not module.name.endswith("__main__"):
        import_module(module.name)
