"""Build the documentation as a site that needs no network: `python docs/site.py`, into build/site."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from esctl.cli.help.catalogue import GROUPS

ROOT = Path(__file__).resolve().parents[1]
SOURCES, SITE = ROOT / "build" / "site-docs", ROOT / "build" / "site"
OUTSIDE = {
    "README.md": "index.md",
    "sample_logs/README.md": "sample-logs.md",
    "SECURITY.md": "security.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Documents that are not below docs/, and what they are called on the site."""
CONCEPTS = ("times", "basis", "what-if", "evidence", "projections", "configuration")
LOOKED_UP = ("formats", "text-logs", "options", "exit-codes")
ABOUT = (
    *("compare", "ledger", "security", "reliability", "performance"),
    *("architecture", "glossary", "contributing", "changelog"),
)
THEME = """
[project.theme]
font = false
features = ["content.code.copy", "navigation.footer", "navigation.top", "search.highlight"]

[[project.theme.palette]]
media = "(prefers-color-scheme: light)"
scheme = "default"

[[project.theme.palette]]
media = "(prefers-color-scheme: dark)"
scheme = "slate"

[project.markdown_extensions]
tables = {}
toc.permalink = true
pymdownx.highlight.anchor_linenums = false
pymdownx.superfences = {}
"""


def places() -> Mapping[Path, str]:
    """Return where each document of the project is on the site."""
    found = {ROOT / path: name for path, name in OUTSIDE.items()}
    below = (ROOT / "docs").rglob("*.md")
    names = {path: path.relative_to(ROOT / "docs").as_posix() for path in below}
    return found | names | {ROOT / "docs" / "README.md": "contents.md"}


def moved(path: Path, where: Mapping[Path, str]) -> str:
    """Return the text of a document with its links to others as they are on the site."""
    here = Path(where[path]).parent

    def link(found: re.Match[str]) -> str:
        target, _, anchor = found[2].partition("#")
        there = where.get((path.parent / target).resolve()) if target else None
        if there is None:
            # A file that is no document, such as a program, is not on the site.
            return found[0] if not target or "://" in found[2] else found[1]
        return f"[{found[1]}]({os.path.relpath(there, here)}{'#' + anchor if anchor else ''})"

    parts = re.split(r"(```.*?```)", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return "".join(
        part if part.startswith("```") else re.sub(r"\[([^\]]*)\]\(([^)\s]+)\)", link, part) for part in parts
    )


def _entry(name: str) -> str:
    text = (SOURCES / name).read_text(encoding="utf-8")
    title = text.partition("\n")[0].removeprefix("# ").strip()
    return f'{{ "{title}" = "{name}" }}'


def navigation() -> Iterator[str]:
    """Write the pages in the order in which they are read."""
    yield '{ "esctl" = "index.md" }'
    yield _entry("contents.md")
    yield _entry("getting-started.md")
    guides = sorted(path.relative_to(SOURCES).as_posix() for path in (SOURCES / "guides").glob("*.md"))
    yield _section("Guides", [*guides, "recipes.md", "sample-logs.md"])
    yield _section("Concepts", [f"concepts/{name}.md" for name in CONCEPTS])
    commands = [f"reference/{name}.md" for group in GROUPS.values() for name in group]
    yield _section("Reference", ["reference/index.md", *(f"concepts/{name}.md" for name in LOOKED_UP), *commands])
    rest = (
        "compare",
        "ledger",
        "security",
        "reliability",
        "performance",
        "architecture",
        "glossary",
        "contributing",
        "changelog",
    )
    yield _section("About", [f"{name}.md" for name in rest])


def _section(title: str, names: list[str]) -> str:
    return f'{{ "{title}" = [{", ".join(map(_entry, names))}] }}'


def main() -> None:
    """Gather the documents and have the site built from them; any warning is an error."""
    shutil.rmtree(SOURCES, ignore_errors=True)
    where = places()
    for path, name in where.items():
        (SOURCES / name).parent.mkdir(parents=True, exist_ok=True)
        (SOURCES / name).write_text(moved(path, where), encoding="utf-8")
    settings = f"""[project]
site_name = "esctl"
site_description = "Audit and replay event-sourced systems from the command line"
docs_dir = "site-docs"
site_dir = "site"
use_directory_urls = false
nav = [{", ".join(navigation())}]
{THEME}"""
    config = SOURCES.parent / "zensical.toml"
    config.write_text(settings, encoding="utf-8")
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict", "--config-file", str(config)]
    sys.exit(subprocess.run(command, cwd=SOURCES.parent).returncode)


if __name__ == "__main__":
    main()
