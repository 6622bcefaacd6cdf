"""Load the code of `python =` projections: only the user's own, or that beside a configuration they named."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from esctl.errors import UsageError
from esctl.named import read_named
from esctl.owners import why_foreign
from esctl.projection.spec import Projection
from esctl.projection.stepping import State

LARGEST = 16 << 20
"""The most bytes of a module."""


def load_function(projection: Projection, config: Path | None) -> Callable[[State, dict[str, Any]], State | None]:
    """Load the function of a `python =` projection, from a file beside esctl.toml or an importable module.

    Raises UsageError if it cannot be loaded.
    """
    name, _, attribute = projection.python.partition(":")
    where = f"projections.{projection.name}.python"
    if not name or not attribute:
        raise UsageError(f"{where} is {projection.python!r}", 'write it like "rules:fold"')
    own_file = module_file(projection, config)
    try:
        if own_file is not None:
            _require_own_code(own_file, config)
            module = _run_module(own_file, f"esctl_projection_{projection.name}")
        else:
            module = _import_module(name)
        function = getattr(module, attribute)
    except (Exception, SystemExit) as error:
        why = f"it calls sys.exit({error})" if isinstance(error, SystemExit) else error
        raise UsageError(
            f"{where}: cannot load {projection.python!r}: {why}",
            "a module or file beside esctl.toml, and a function in it",
        ) from error
    if not callable(function):
        raise UsageError(f"{where}: {attribute!r} is not a function")
    result: Callable[[State, dict[str, Any]], State | None] = function
    return result


def module_file(projection: Projection, config: Path | None) -> Path | None:
    """Return the file of a `python =` projection's module beside esctl.toml; None if it must be imported."""
    name = projection.python.partition(":")[0]
    folder = config.absolute().parent if config is not None else Path.cwd()
    own_file = folder / (name if name.endswith(".py") else f"{name.replace('.', '/')}.py")
    return own_file if own_file.is_file() else None


def _run_module(file: Path, name: str) -> ModuleType:
    """Run a file as a module; compiled code is neither read nor left beside it."""
    module = ModuleType(name)
    module.__file__ = str(file)
    sys.modules[name] = module
    exec(compile(read_named(file, LARGEST), str(file), "exec"), module.__dict__)
    return module


def _import_module(name: str) -> ModuleType:
    """Import a module; one in the working folder must be the user's own code."""
    found = importlib.util.find_spec(name.partition(".")[0])
    origin = Path(found.origin) if found is not None and found.origin else None
    if origin is not None and origin.exists() and origin.resolve().is_relative_to(Path.cwd()):
        _require_own_code(origin, None)
    return importlib.import_module(name)


def _require_own_code(file: Path, config: Path | None) -> None:
    """Raise ImportError for code of another owner, unless the configuration is foreign too: the user named that."""
    why = why_foreign(file)
    if why and (config is None or not why_foreign(config)):
        raise ImportError(f"{file} is not run: {why}")
