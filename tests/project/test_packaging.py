"""What a user installs: light to import, complete as a wheel, and layered as the architecture says."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import esctl

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def loaded_by(statement: str) -> set[str]:
    """Give the top-level modules that a fresh interpreter has after a statement."""
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}}, file=sys.stderr)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return set(run.stderr.split())


def test_importing_esctl_loads_no_engine() -> None:
    assert loaded_by("import esctl").isdisjoint({"duckdb", "pyarrow", "numpy", "sqlglot", "typer", "rich"})


def test_what_loads_an_engine_is_seen_by_this_test() -> None:
    assert "duckdb" in loaded_by("import duckdb")


def test_unknown_names_of_the_package_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = esctl.nonsense


def test_every_dependency_has_a_lower_bound() -> None:
    for requirement in PROJECT["dependencies"]:
        assert re.match(r"[a-z0-9.-]+>=\d", requirement), requirement


def imported_by(source: str) -> Iterator[str]:
    """Yield the top-level packages that a module imports anywhere."""
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        yield from (name.partition(".")[0] for name in names)


def test_what_esctl_imports_is_what_is_installed_with_it() -> None:
    imported = {name for path in (ROOT / "esctl").rglob("*.py") for name in imported_by(path.read_text("utf-8"))}
    needed = {re.split(r"[.>]", requirement)[0] for requirement in PROJECT["dependencies"]}
    elsewhere = {
        "esctl",
        "_duckdb",  # the compiled part of duckdb
        "botocore",
        "obstore",
        "pandas",
        "plotille",
        "polars",
        "pytest",
        "psycopg",
        "rfc3161_client",
        "textual",
        "vl_convert",
        "compression",
        "confluent_kafka",
        "evtx",
        "fastavro",
        "google",  # protobuf
        "anyio",  # comes with mcp
        "mcp",
        "mcp_types",
        "distributed",
        "pyspark",
        "ray",
    }  # extras; the standard library from Python 3.14 on
    assert imported - sys.stdlib_module_names - elsewhere == needed


def test_the_changelog_begins_with_what_is_not_yet_released() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## \[(.+?)\]", text, re.MULTILINE)[1] == "Unreleased"  # type: ignore[index]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    for target in ("wheel", "sdist"):
        command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
        subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=120)
    return folder


def test_the_wheel_holds_the_typed_package_its_licence_and_nothing_else(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = wheel.namelist()
        entry_points = next(name for name in names if name.endswith("entry_points.txt"))
        assert "esctl = esctl.cli.app:main" in wheel.read(entry_points).decode()
    assert "esctl/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    this = f"esctl_audit-{esctl.__version__}"
    assert {name.partition("/")[0] for name in names} == {"esctl", f"{this}.dist-info", f"{this}.data"}
    manual = {path.name for path in (ROOT / "docs" / "man").iterdir()}
    assert {name for name in names if ".data/" in name} == {
        f"{this}.data/data/share/man/man1/{name}" for name in manual
    }
    topics = {f"esctl/concepts/{path.name}" for path in (ROOT / "docs" / "concepts").iterdir()}
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "esctl").rglob("*.py")}
    shown = {str(path.relative_to(ROOT)) for path in (ROOT / "esctl" / "page" / "static").iterdir()}
    assert modules | shown | topics <= set(names)


def test_the_sdist_holds_what_the_make_commands_need(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    needed = {
        "Makefile",
        "README.md",
        "pyproject.toml",
        ".ci/venv",
        ".ci/run",
        "sample_logs/bank.jsonl",
        "tests/project/test_packaging.py",
    }
    assert needed <= names
    assert not {name for name in names if name.startswith((".venv", "build/", ".git/"))}


def test_the_licences_of_the_native_core_are_told() -> None:
    native = ROOT / "native"
    locked = tomllib.loads((native / "Cargo.lock").read_text(encoding="utf-8"))["package"]
    told = re.findall(r"^\| ([a-z][a-z0-9_-]*) \|", (native / "LICENSES.md").read_text(encoding="utf-8"), re.MULTILINE)
    crates = sorted({package["name"] for package in locked if not package["name"].startswith("esctl-")})
    assert [name for name in told if name != "crate"] == crates


def test_the_native_core_is_of_the_same_version() -> None:
    workspace = tomllib.loads((ROOT / "native" / "Cargo.toml").read_text(encoding="utf-8"))["workspace"]
    assert workspace["package"]["version"] == esctl.__version__
    assert PROJECT["optional-dependencies"]["native"] == [f"esctl-native=={esctl.__version__}"]
