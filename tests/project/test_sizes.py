"""Modules, folders and functions stay small. What is larger today is listed, and the lists can only shrink."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "esctl"
MOST_MODULES = 20
MOST_LINES = 350
MOST_FUNCTION_LINES = 40
LARGE_FOLDERS: dict[str, int] = {}
LARGE_MODULES: dict[str, int] = {}
LONG_FUNCTIONS: dict[str, int] = {}
"""What is larger still, and how large it may be. An entry that is no longer needed has to go."""


def named(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def functions() -> dict[str, int]:
    """Count the lines of each function, its signature among them."""
    found = {}
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                found[f"{named(path)}:{node.name}"] = node.end_lineno - node.lineno + 1
    return found


def check(counts: dict[str, int], most: int, larger: dict[str, int]) -> None:
    """Hold sizes against a limit, but for what is larger; that may not grow, and goes once it is not."""
    grown = {name: count for name, count in counts.items() if count > larger.get(name, most)}
    assert not grown, f"larger than {most}, or than it was: {grown}"
    small = [name for name in larger if counts.get(name, 0) <= most]
    assert not small, f"no longer larger than {most}: take out {small}"


def test_no_folder_has_many_modules() -> None:
    folders = {path.parent for path in modules()} - {PACKAGE / "cli" / "commands"}
    counts = {named(folder): len([*folder.glob("*.py")]) - 1 for folder in folders}
    check(counts, MOST_MODULES, LARGE_FOLDERS)


def test_no_module_is_long() -> None:
    counts = {named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    check(counts, MOST_LINES, LARGE_MODULES)


def test_no_function_is_long() -> None:
    check(functions(), MOST_FUNCTION_LINES, LONG_FUNCTIONS)
