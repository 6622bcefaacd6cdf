"""Files appear whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from esctl.errors import InputError, UsageError
from esctl.output import FORMATS, Target, choose_format, sink, write
from esctl.output.sink import check_destination, open_sink
from tests.support.output_answers import hostile_answer, typed_answer


@pytest.mark.parametrize("form", FORMATS)
def test_a_failed_answer_leaves_nothing_and_keeps_the_older_file(tmp_path: Path, form: str) -> None:
    path = tmp_path / "answer"
    path.write_text("older")
    answer = hostile_answer()
    broken = replace(answer, sql="select 1, error('no'), 'y'")
    with pytest.raises(Exception, match="no"):
        write(broken, Target(format=form, destination=path))
    assert [entry.name for entry in tmp_path.iterdir()] == ["answer"]
    assert path.read_text() == "older"


def test_a_file_takes_the_place_of_the_older_one(tmp_path: Path) -> None:
    path = tmp_path / "answer.jsonl"
    path.write_text("older")
    write(typed_answer(), Target(format="jsonl", destination=path))
    assert len(path.read_text().splitlines()) == 4
    assert [entry.name for entry in tmp_path.iterdir()] == ["answer.jsonl"]


@pytest.mark.parametrize("name", ["漢" * 80 + ".json", "é" + "x" * 249, "x" * 199 + "é" * 20])
def test_a_name_may_be_as_long_as_the_system_takes(tmp_path: Path, name: str) -> None:
    write(typed_answer(), Target(format="json", destination=tmp_path / name))
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_a_file_has_the_rights_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(typed_answer(), Target(format="csv", destination=tmp_path / "a.csv"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.csv").stat().st_mode) == 0o640


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text("older")
    (tmp_path / "link.csv").symlink_to("real.csv")
    write(typed_answer(), Target(format="csv", destination=tmp_path / "link.csv"))
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text().startswith("count,")


def test_a_device_is_written_to_not_replaced(tmp_path: Path) -> None:
    with open_sink(Path("/dev/null")) as sink:
        sink.write(b"x")
    assert not Path("/dev/null").is_file()


def test_a_folder_and_a_missing_folder_are_usage_errors(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing" / "a.csv"):
        with pytest.raises(UsageError, match="cannot write"):
            write(typed_answer(), Target(format="csv", destination=path))


def test_a_destination_is_checked_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "older").write_text("older")
    (tmp_path / "link").symlink_to("older")
    os.mkfifo(tmp_path / "fifo")
    before = sorted(tmp_path.iterdir())
    for path in (*before, tmp_path / "new", Path("/dev/full")):
        check_destination(path)
    for path in (tmp_path, tmp_path / "missing" / "a.csv", tmp_path / "older" / "a.csv"):
        with pytest.raises(UsageError, match="cannot write"):
            check_destination(path)
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "older").read_text() == "older"


def test_a_full_disk_is_an_input_error(tmp_path: Path) -> None:
    def fill() -> None:
        with open_sink(tmp_path / "a") as sink:
            sink.write(b"x")
            raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match="No space left"):
        fill()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flag", "path", "variable", "configured", "terminal", "chosen"),
    [
        ("csv", "a.json", "tsv", "table", True, "csv"),
        ("CSV", None, None, None, True, "csv"),
        (None, "a.feather", "tsv", "table", True, "arrow"),
        (None, "a.MD", None, None, False, "markdown"),
        (None, "a.txt", "tsv", "json", True, "tsv"),
        (None, None, "tsv", "json", True, "tsv"),
        (None, None, "", "json", True, "json"),
        (None, None, None, None, True, "table"),
        (None, None, None, None, False, "jsonl"),
        (None, "a.txt", None, None, True, "jsonl"),
    ],
)
def test_the_format_is_chosen_by_rank(
    flag: str | None, path: str | None, variable: str | None, configured: str | None, terminal: bool, chosen: str
) -> None:
    environ = {} if variable is None else {"ESCTL_FORMAT": variable}
    assert choose_format(flag, Path(path) if path else None, environ, configured, terminal) == chosen


def test_a_misspelt_format_is_guessed_and_its_origin_named() -> None:
    with pytest.raises(UsageError, match="'jsn' in ESCTL_FORMAT") as caught:
        choose_format(None, None, {"ESCTL_FORMAT": "jsn"}, None, False)
    assert caught.value.hint == "did you mean json?"
    with pytest.raises(UsageError, match=r"esctl\.toml"):
        choose_format(None, None, {}, "xlsx", False)


def test_a_compressed_suffix_is_refused() -> None:
    with pytest.raises(UsageError, match="not compressed"):
        choose_format(None, Path("a.jsonl.gz"), {}, None, False)


@pytest.mark.parametrize(
    ("path", "near"),
    [("a.xlsx", "a.csv"), ("a.foo", "a.csv"), ("b/A.XLSX", "b/A.csv"), ("a.jsnl", "a.jsonl")],
)
def test_a_suffix_that_no_format_has_is_refused_by_name(path: str, near: str) -> None:
    with pytest.raises(UsageError, match=r"no format has the suffix \..*\.parquet") as told:
        choose_format(None, Path(path), {}, None, False)
    assert told.value.hint.startswith(f"did you mean -o {near}?")
    assert choose_format("jsonl", Path(path), {}, None, False) == "jsonl"


@pytest.mark.parametrize("name", ["answer", "answer.2024", "answer.2024-03-05", ".hidden", "a.txt", "/dev/stdout"])
def test_a_name_without_a_suffix_says_nothing_of_the_format(name: str) -> None:
    assert choose_format(None, Path(name), {}, None, False) == "jsonl"


def test_an_interrupt_just_after_the_file_was_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = sink._open_descriptor

    def interrupted(*arguments: Any) -> int:
        os.close(made(*arguments))
        raise KeyboardInterrupt

    monkeypatch.setattr(sink, "_open_descriptor", interrupted)
    with pytest.raises(KeyboardInterrupt), sink.open_sink(tmp_path / "a.jsonl"):
        pass
    assert list(tmp_path.iterdir()) == []
