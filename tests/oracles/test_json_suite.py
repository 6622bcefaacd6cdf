"""JSONTestSuite: what must be read is read with its exact value, what must not is kept as invalid evidence."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from esctl.api import Store
from esctl.log.reader import export_raw
from esctl.sources.files.reading import SourceOptions
from tests.support.real_log_helpers import load, rows_of, run_esctl

OPTIONS = SourceOptions(input_format="json-document")


def cases(real_logs: Path, folder: str) -> list[Path]:
    """List the cases; of those with the same bytes, which are one source to esctl, the first."""
    found: dict[bytes, Path] = {}
    for file in sorted((real_logs / "suites" / "JSONTestSuite" / folder).glob("*.json")):
        found.setdefault(file.read_bytes(), file)
    if not found:
        pytest.skip("no suites/JSONTestSuite among the real logs")
    return list(found.values())


def ingest_all(files: list[Path], folder: Path) -> tuple[Store, dict[str, dict[str, Any]]]:
    """Give the store and the rows of `log`, one for each file, by file name."""
    store, summary = load(folder, files, options=OPTIONS)
    assert summary.new == len(files)
    rows = {Path(row["source"]).name: row for row in rows_of(store.events())}
    assert rows.keys() == {file.name for file in files}
    assert summary.invalid == sum(row["invalid"] is not None for row in rows.values())
    return store, rows


def exact(text: str) -> Any:
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def decoded(raw: bytes) -> str:
    """Decode a document as its mark or its zeros say, as UTF-8, or where that cannot be as Windows-1252."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16")
    if b"\0" in raw:
        return raw.decode("utf-16-be" if raw.startswith(b"\0") else "utf-16-le")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252")


def same(value: Any, other: Any) -> bool:
    """Compare JSON values of any depth by value: numbers exact, whether or not they are written with a fraction."""
    todo = [(value, other)]
    while todo:
        one, two = todo.pop()
        if isinstance(one, dict) and isinstance(two, dict) and one.keys() == two.keys():
            todo += [(one[key], two[key]) for key in one]
        elif isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
            todo += zip(one, two, strict=True)
        elif _is_number(one) and _is_number(two):
            if Decimal(one) != Decimal(two):
                return False
        elif type(one) is not type(two) or one != two:
            return False
    return True


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


@pytest.fixture(scope="module")
def loaded(real_logs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, dict[str, dict[str, Any]]]:
    """Give all parsing cases, read in one run."""
    return ingest_all(cases(real_logs, "test_parsing"), tmp_path_factory.mktemp("parsing"))


@pytest.fixture(scope="module")
def parsed(loaded: tuple[Store, dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Give the rows of all parsing cases."""
    return loaded[1]


def test_what_must_be_read_has_its_exact_value(parsed: dict[str, dict[str, Any]], real_logs: Path) -> None:
    files = [file for file in cases(real_logs, "test_parsing") if file.name.startswith("y_")]
    assert len(files) > 90
    for file in files:
        row = parsed[file.name]
        assert row["invalid"] is None, file.name
        assert same(row["data"], exact(file.read_text(encoding="utf-8"))), file.name


def test_what_must_not_be_read_is_invalid(parsed: dict[str, dict[str, Any]]) -> None:
    rows = {name: row for name, row in parsed.items() if name.startswith("n_")}
    assert len(rows) > 150
    assert [name for name, row in rows.items() if not row["invalid"]] == []
    assert [name for name, row in rows.items() if row["data"] is not None] == []


def test_what_may_be_read_is_read_by_value_or_invalid(parsed: dict[str, dict[str, Any]], real_logs: Path) -> None:
    files = [file for file in cases(real_logs, "test_parsing") if file.name.startswith("i_")]
    assert len(files) > 30
    for file in files:
        row = parsed[file.name]
        if row["invalid"] is None:
            assert same(row["data"], exact(decoded(file.read_bytes()))), file.name


def test_values_are_not_transformed(real_logs: Path, tmp_path: Path) -> None:
    files = cases(real_logs, "test_transform")
    for name, row in ingest_all(files, tmp_path)[1].items():
        raw = next(file for file in files if file.name == name).read_bytes()
        if row["invalid"] is None:
            assert same(row["data"], exact(decoded(raw))), name


def test_evidence_is_the_files_own_bytes(loaded: tuple[Store, dict[str, dict[str, Any]]], real_logs: Path) -> None:
    store, rows = loaded
    for file in cases(real_logs, "test_parsing"):
        raw = b"".join(export_raw(store.store_state, rows[file.name]["source"]))
        assert raw == file.read_bytes(), file.name


def test_a_copy_under_another_name_is_nothing_new(real_logs: Path, tmp_path: Path) -> None:
    files = cases(real_logs, "test_parsing")[:20]
    load(tmp_path / "store", files, options=OPTIONS)
    for file in files:
        (tmp_path / f"copy of {file.name}").write_bytes(file.read_bytes())
    _, summary = load(tmp_path / "store", [str(tmp_path / "copy of *.json")], options=OPTIONS)
    assert (summary.new, summary.head) == (0, len(files))


def test_lines_are_judged_as_documents_are(real_logs: Path, parsed: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    """The cases that stand on one line are judged the same inside a JSON Lines file."""
    single = [file for file in cases(real_logs, "test_parsing") if _is_line(file.read_bytes())]
    assert len(single) > 200
    (tmp_path / "cases.jsonl").write_bytes(b"".join(file.read_bytes().strip(b"\n") + b"\n" for file in single))
    store, _ = load(tmp_path / "store", [tmp_path / "cases.jsonl"], options=SourceOptions(input_format="jsonl"))
    rows = rows_of(store.events())
    for row, file in zip(rows, single, strict=True):
        assert (row["invalid"] is None) == (parsed[file.name]["invalid"] is None), file.name
        assert same(row["data"], parsed[file.name]["data"]), file.name


def _is_line(raw: bytes) -> bool:
    if b"\0" in raw or _is_not_utf8(raw):  # how a whole file is encoded is judged by all of it
        return False
    return bool(raw.strip(b" \t\r\n")) and b"\n" not in raw.strip(b"\n") and not raw.startswith(b"\xef\xbb\xbf")


def _is_not_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


def test_the_command_line_reads_all_cases(real_logs: Path, parsed: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    folder = real_logs / "suites" / "JSONTestSuite" / "test_parsing"
    done = run_esctl(tmp_path, "ingest", "--input-format", "json-document", str(folder))
    assert "Traceback" not in done.stderr
    listed = run_esctl(tmp_path, "log", "-f", "jsonl")
    assert listed.returncode == 0, listed.stderr
    rows = [json.loads(line, parse_float=Decimal) for line in listed.stdout.split("\n") if line]
    assert [(row["data"], row["invalid"]) for row in rows] == [
        (row["data"], row["invalid"]) for row in sorted(parsed.values(), key=lambda row: str(row["source"]))
    ]
