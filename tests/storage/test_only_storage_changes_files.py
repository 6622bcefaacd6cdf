"""Files of a store are made, renamed and removed by `esctl.storage` alone, so that one place keeps the rules."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import esctl

ROOT = Path(esctl.__file__).parent
CHANGES = {
    "os": {
        "replace",
        "rename",
        "link",
        "symlink",
        "unlink",
        "remove",
        "rmdir",
        "mkdir",
        "makedirs",
        "fsync",
        "truncate",
    },
    "shutil": {"rmtree", "move", "copy", "copy2", "copyfile", "copytree"},
}
METHODS = {"write_bytes", "write_text", "hardlink_to", "symlink_to", "rmdir", "chmod"}
ELSEWHERE = {
    "output/sink.py": "a file that the user names, which is in no store",
    "sinks/parquet_folder.py": "a folder that the user names, which is in no store",
    "ledger/sign/keys.py": "the user's own keys, which are in no store",
    "assistants/questions.py": "a temporary folder",
    "assistants/worker.py": "a temporary folder",
    "cli/help/layout.py": "no file: it writes help",
    "cluster/calls.py": "the folder of an engine, which is no store",
    "cluster/remote.py": "a temporary folder",
    "engine/duckdb.py": "a temporary folder",
    "index/update.py": "a temporary folder",
    "ledger/check/index.py": "a temporary folder",
    "ledger/check/index_parts.py": "a temporary folder",
}


def changes(tree: ast.AST) -> Iterator[str]:
    """Yield each use of a call that makes, renames or removes a file, as it is written."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            if node.attr in CHANGES.get(owner, ()):
                yield f"{owner}.{node.attr}"
            elif isinstance(node.ctx, ast.Load) and node.attr in METHODS:
                yield f".{node.attr}"


def test_nothing_else_changes_files_of_a_store() -> None:
    found = {
        path.relative_to(ROOT).as_posix(): uses
        for path in sorted(ROOT.rglob("*.py"))
        if path.relative_to(ROOT).parts[0] != "storage" and (uses := sorted(set(changes(ast.parse(path.read_text())))))
    }

    assert {name: uses for name, uses in found.items() if name not in ELSEWHERE} == {}
    assert found.keys() == ELSEWHERE.keys(), "an exception that is needed no longer"


LOOKS = {"exists", "is_file", "is_dir", "stat", "lstat", "glob", "rglob", "iterdir", "read_bytes", "read_text"}
READS = {
    "os": {"walk", "scandir", "listdir", "stat", "lstat"},
    "pq": {"ParquetFile", "read_table", "read_metadata"},
    "np": {"memmap"},
}
PARTS = {
    *("api", "ask", "bundle", "index", "intake", "ledger", "log", "maintain", "reports", "saved_states", "store.py"),
    "views",
}
BY_THEMSELVES = {
    "ask/compare/external_table.py": "a table that the user names",
    "ask/sql/sql.py": "the session's own folder",
    "bundle/archive.py": "an archive that is made",
    "bundle/contents.py": "an archive that is made",
    "index/files/write.py": "a file that is being written",
    "index/seen_ids/lookup.py": "a file whose footer was found in order",
    "index/seen_ids/run_file.py": "a file that is being written, or was opened by `open_plain`",
    "ledger/check/records.py": "a segment that `fetched_path` has",
    "ledger/sign/keys.py": "the user's own keys",
    "ledger/sign/last_seen.py": "the user's own state",
    "log/commits.py": "the folder that a store is made in",
    "log/compacting.py": "a segment whose footer was found in order, and what was being written",
    "log/reader.py": "a segment whose parts were found in order",
    "log/writer.py": "a segment that `fetched_path` has",
    "maintain/repair.py": "the folder of the store",
    "views/targets.py": "a target that the user names",
}


def looks(tree: ast.AST) -> set[str]:
    """List the calls that look at files past `esctl.storage`, as they are written."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            if node.attr in READS.get(owner, ()) or (owner not in READS and node.attr in LOOKS):
                found.add(node.attr)
    return found


def test_nothing_else_looks_at_files_of_a_store() -> None:
    """A store may be elsewhere: what is looked at by path must be here by then."""
    found = {
        path.relative_to(ROOT).as_posix()
        for path in sorted(ROOT.rglob("*.py"))
        if path.relative_to(ROOT).parts[0] in PARTS and looks(ast.parse(path.read_text()))
    }

    assert found == BY_THEMSELVES.keys()
