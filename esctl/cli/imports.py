"""Keep Arrow from importing pandas."""

from __future__ import annotations

import sys
from types import FrameType


class WithoutPandas:
    """An entry of `sys.meta_path` that hides pandas from Arrow.

    Arrow imports pandas, if it is installed, only to see whether a value is of a pandas type. That takes a quarter of a
    second of processor time, and esctl has no such values. A projection's own Python code can still import pandas.
    """

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Raise ModuleNotFoundError if Arrow, or code of esctl that calls it, imports pandas."""
        if name == "pandas" and _importer() in ("esctl", "pyarrow"):
            raise ModuleNotFoundError(f"{name} is not for Arrow", name=name)


def leave_out_pandas() -> None:
    """Hide pandas from Arrow in this process."""
    sys.meta_path.insert(0, WithoutPandas())


def _importer() -> str:
    """Return the package that makes the current import; for compiled code, the package that calls it."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] if frame is not None else ""
