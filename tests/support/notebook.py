"""Run the notebook of the documents as Jupyter would, in this process; as a program, write its outputs anew."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "docs" / "guides" / "dispute.ipynb"
KINDS = ("text/plain", "text/html", "image/svg+xml")
"""What is kept of an output; a chart is shown as Vega-Lite too, which would be as long again."""

Output = dict[str, Any]


def read() -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return notebook


def run(notebook: dict[str, Any], folder: Path) -> list[list[Output]]:
    """Give the outputs of each code cell; they see one another's names, and the folders of the checkout."""
    shutil.copytree(
        ROOT / "sample_logs", folder / "sample_logs", ignore=shutil.ignore_patterns("__pycache__", ".esctl")
    )
    where = folder / NOTEBOOK.relative_to(ROOT).parent
    where.mkdir(parents=True)
    names: dict[str, Any] = {}
    before = Path.cwd()
    os.chdir(where)
    try:
        codes = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        return [_execute("".join(cell["source"]), names) for cell in codes]
    finally:
        os.chdir(before)


def _execute(source: str, names: dict[str, Any]) -> list[Output]:
    body = ast.parse(source).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(ast.Module(body, []), "<cell>", "exec"), names)
        value = None if last is None else eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)  # type: ignore[attr-defined]
    told: list[Output] = []
    if printed.getvalue():
        told.append({"output_type": "stream", "name": "stdout", "text": _lines(printed.getvalue())})
    if value is not None:
        told.append({"output_type": "execute_result", "data": _shown(value), "metadata": {}, "execution_count": None})
    return told


def _shown(value: Any) -> dict[str, list[str]]:
    if hasattr(value, "_repr_mimebundle_"):
        found = value._repr_mimebundle_()
    else:
        html = value._repr_html_() if hasattr(value, "_repr_html_") else None
        found = {"text/plain": repr(value), **({"text/html": html} if html else {})}
    return {kind: _lines(found[kind]) for kind in KINDS if kind in found}


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def main() -> None:
    """Write the outputs of the notebook anew."""
    notebook = read()
    with tempfile.TemporaryDirectory() as folder:
        outputs = iter(run(notebook, Path(folder)))
    for number, cell in enumerate(cell for cell in notebook["cells"] if cell["cell_type"] == "code"):
        cell["outputs"] = next(outputs)
        cell["execution_count"] = number + 1
        for output in cell["outputs"]:
            if "execution_count" in output:
                output["execution_count"] = number + 1
    NOTEBOOK.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
