"""What the fuzzing campaign (reliability/fuzz.py) does, on a seeded sample; and what it found before."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from esctl.cli.options import parse_columns
from esctl.config import read_config
from esctl.engine.sizes import parse_size
from esctl.engine.zones import find_zone
from esctl.errors import InputError, UsageError
from esctl.index.decode.exact_json import judge_records
from esctl.index.envelope.paths import parse_path
from esctl.index.files.manifest import FORMAT, read_manifest
from esctl.ledger.sign.last_seen import pin_path, pinned_keys, read_pin
from esctl.ledger.sign.note import SigningKey, parse_signing
from esctl.model import Cursor
from esctl.projection.expressions import Expression
from esctl.projection.syntax import parse
from esctl.sources.files.finding import Source
from esctl.sources.files.reading import SourceOptions, read
from esctl.timespec import parse_as_of
from reliability import fuzz
from reliability.fuzz import run_process, run_target, shares
from reliability.targets import Target, all_targets
from tests.support import effort

INPUTS = effort.examples(3000, 400)


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Target]]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
            patch.setenv(name, str(tmp_path_factory.mktemp("user")))  # and back afterwards, whatever the targets set
        yield {target.name: target for target in all_targets(tmp_path_factory.mktemp("fuzz"))}


def test_hostile_input_is_taken_or_refused(targets: dict[str, Target]) -> None:
    assert len(targets) > 30
    counts = shares(list(targets.values()), INPUTS)
    failures = [
        found for name, target in targets.items() for found in run_target(target, counts[name], seed=effort.SEED or 7)
    ]
    assert failures == []


def test_a_bug_is_found_and_told_once(targets: dict[str, Target]) -> None:
    def broken(batch: object) -> None:
        raise KeyError("broken")

    target = Target("broken", 1, (b"x",), broken)
    (found,) = run_target(target, 20, seed=1)
    assert found["place"].startswith("KeyError at test_fuzz.py")
    assert Path(found["input"]).read_bytes() == b"x"


def test_a_report_larger_than_a_pipe_comes_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(batch: Sequence[bytes]) -> None:
        exec(compile(f"{chr(10) * int(batch[0])}raise KeyError", "broken.py", "exec"))  # each at a line of its own

    target = Target("broken", 1, tuple(b"%d" % number for number in range(300)), broken)
    monkeypatch.setattr(fuzz, "all_targets", lambda folder: [target])
    monkeypatch.setattr(fuzz, "STUCK", 5)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = run_process(["broken"], {"broken": 300}, 1)
    assert len(found["failures"]) == 300
    assert len(json.dumps(found)) > 1 << 16
    assert found["inputs"] == {"broken": 300}


def test_what_a_command_line_gives_is_refused_in_words(tmp_path: Path) -> None:
    for read_text, text in (
        (parse_columns, "a\rb"),
        (lambda text: parse_size(text, "--max-record"), "9" * 400),
        (find_zone, "a" + "/a" * 3000),
        (parse_as_of, "-99999999999"),
        (parse_path, f"data[{'9' * 5000}]"),
        (lambda text: parse(text, "here"), "(" * 150 + "1" + ")" * 150),
        (lambda text: parse(text, "here"), "-" + "- " * 400 + "1"),
        (lambda text: parse(text, "here"), "'\udcff'"),
        (lambda text: Expression(text, "here").compile(lambda path: pytest.fail("a name")), "x[1e999]"),
        (lambda text: Expression(text, "here").compile(lambda path: pytest.fail("a name")), "{'a'}"),
    ):
        with pytest.raises(UsageError):
            read_text(text)
    config = tmp_path / "esctl.toml"
    config.write_text(f"[mapping]\nid = {'9' * 5000}\n")
    with pytest.raises(UsageError, match=r"esctl\.toml"):
        read_config(config)


def test_a_long_chain_is_not_nested() -> None:
    assert parse(" or ".join(f"data.x = {number}" for number in range(2000)), "here")


def test_an_arrow_file_that_points_outside_itself_is_damaged(tmp_path: Path) -> None:
    offsets = pa.py_buffer(np.array([0, 5, 2, 5], np.int32))
    values = pa.Array.from_buffers(pa.binary(), 3, [None, offsets, pa.py_buffer(b"hello")])
    scaled = pa.Array.from_buffers(pa.decimal128(5, 10_000), 1, [None, pa.py_buffer(bytes(16))])
    for number, column in enumerate((values, values.view(pa.string()), scaled)):
        path = tmp_path / str(number)
        with pa.ipc.new_file(path, pa.schema([("v", column.type)])) as file:
            file.write(pa.record_batch([column], ["v"]))
        with pytest.raises(InputError, match="damaged arrow file"):
            list(read(Source("a", path), SourceOptions(), {}))


def test_half_a_surrogate_pair_in_a_key_is_an_invalid_record() -> None:
    raws = pa.array([b'{"a\\ud800":{"b":1}}', b'{"a":{"b":1}}', b'{"\\udc00":[{"\\ud800":1}]}'], pa.large_binary())
    judged = judge_records(raws, Cursor(format="jsonl"))
    assert [reason is None for reason in judged.invalid.to_pylist()] == [False, True, False]


def test_an_odd_index_manifest_is_damaged(tmp_path: Path) -> None:
    odd = '{"groups":[],"footer":{},"columns":[],"orderings":[],"fields":[["a"]]}'
    body = f'{{"files":[{odd}],"format":{FORMAT},"head":1}}'
    digest = sha256(body.encode()).hexdigest()
    (tmp_path / "manifest.json").write_text(f'{body[:-1]},"sha256":"{digest}"}}')
    with pytest.raises(InputError, match="manifest"):
        read_manifest(tmp_path)


def test_keys_have_one_form() -> None:
    key = SigningKey("keeper", bytes(32))
    assert parse_signing(f" {key.text}\n") == key
    for text in (key.text.replace("keeper", " keeper"), key.verifier.text.replace("+", " +", 1)):
        with pytest.raises(ValueError, match="key"):
            parse_signing(text)


def test_odd_pins_are_damaged_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    good = {"store_id": "x", "seq": 1, "commit": "0" * 64, "size": 1, "root": "0" * 64, "keys": [], "at": 0}
    pin_path(tmp_path).parent.mkdir(parents=True)
    pin_path(tmp_path).write_text(json.dumps(good))
    assert read_pin(tmp_path) is not None
    for odd in ({"keys": ["x"]}, {"root": "z"}, {"at": 10**30}, {"size": -1}, {"keys": 5}):
        pin_path(tmp_path).write_text(json.dumps(good | odd))
        with pytest.raises(InputError, match="not readable"):
            read_pin(tmp_path)
    pin_path(tmp_path).write_text("[" * 100_000)
    with pytest.raises(InputError, match="not readable"):
        read_pin(tmp_path)
    assert pinned_keys("x") == ()
