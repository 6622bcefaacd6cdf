"""What the program keeps its libraries from importing."""

from __future__ import annotations

import sys
from types import FrameType


class WithoutPandas:
    """An entry of `sys.meta_path` by which Arrow finds no pandas.

    Where it is installed, Arrow imports it only to see whether a value is one of its: a quarter of a second of
    processor time, and the program has no such values. A projection's own Python code may import it as ever.
    """

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Refuse pandas to Arrow and to what calls Arrow here. Raises ModuleNotFoundError."""
        if name == "pandas" and _importer() in ("esctl", "pyarrow"):
            raise ModuleNotFoundError(f"{name} is not for Arrow", name=name)


def leave_out_pandas() -> None:
    """Have Arrow find no pandas, in this process."""
    sys.meta_path.insert(0, WithoutPandas())


def _importer() -> str:
    """Return the package whose code an import is made from; compiled code is seen as its caller."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] if frame is not None else ""
