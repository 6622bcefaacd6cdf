"""The native core against its twins in Python: when it is used, and that it gives the same bytes."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import esctl
from esctl.engine import native
from esctl.engine.duckdb import connect
from esctl.engine.exact_text import unmark_text_sql
from esctl.engine.quoting import text_list
from esctl.index.decode.exact_json import judge_records
from esctl.index.envelope.event_read import read_rows
from esctl.index.envelope.event_sql import Group, event_select
from esctl.index.files.payload_columns import PayloadColumn
from esctl.log import merkle
from esctl.model import Cursor, Stanza
from esctl.sources.formats import lines
from tests.support import effort
from tests.support.hostile_json import record

core = pytest.mark.skipif(
    not native.is_available(), reason=f"no native core ({native.description()}): make native builds it"
)
PIECES = st.sampled_from([b"\n", b"\r\n", b" ", b"\t", b"{}", b"\xef\xbb\xbf", b"\0", b"\x1e", b"\x0b", b"a b"])


@pytest.fixture
def anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Look for the core again, and once more afterwards."""
    native._load_core.cache_clear()
    monkeypatch.delenv(native.SWITCH, raising=False)
    yield monkeypatch
    monkeypatch.undo()
    native._load_core.cache_clear()


def test_it_can_be_turned_off(anew: pytest.MonkeyPatch) -> None:
    anew.setenv(native.SWITCH, "0")
    assert (native.is_available(), native.description()) == (False, "not used (ESCTL_NATIVE=0)")


def test_without_it_nothing_is_said_to_be_used(anew: pytest.MonkeyPatch) -> None:
    anew.setitem(sys.modules, "esctl_native", None)
    assert (native.is_available(), native.description()) == (False, "not installed")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"__version__": "9.9", "INTERFACE": native.INTERFACE}, "not used: 9.9 (interface"),
        ({"__version__": esctl.__version__, "INTERFACE": native.INTERFACE + 1}, f"not used: {esctl.__version__}"),
        ({}, "not used: ? (interface 0)"),
    ],
)
def test_another_version_is_not_used(anew: pytest.MonkeyPatch, given: dict[str, object], said: str) -> None:
    anew.setitem(sys.modules, "esctl_native", SimpleNamespace(**given))
    assert not native.is_available()
    assert native.description().startswith(said)


def in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_load_core", lambda: (None, "not used"))


@core
@given(st.binary(max_size=64 * 40))
def test_nodes_are_paired_alike(nodes: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        compiled = native.pair_up(nodes)
        in_python(patch)
        assert compiled == merkle._pair_up(nodes)


@core
def test_many_nodes_are_paired_alike() -> None:
    nodes = bytes(range(256)) * 1024
    with pytest.MonkeyPatch.context() as patch:
        compiled = merkle._pair_up(nodes)
        in_python(patch)
        assert compiled == merkle._pair_up(nodes)


@core
@given(st.lists(PIECES, max_size=12), st.sampled_from([0, 5]))
def test_lines_end_alike(pieces: list[bytes], base: int) -> None:
    window = np.frombuffer(b"".join(pieces), np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        compiled = lines.record_ends(window, base)
        in_python(patch)
        assert compiled.tolist() == lines.record_ends(window, base).tolist()


@core
@pytest.mark.parametrize("seed", effort.seeds(15))
def test_texts_are_judged_alike(seed: int) -> None:
    drawn = random.Random(seed)
    connection = connect(threads=1)

    def judged(batch: list[bytes | None]) -> list[tuple[object, ...]]:
        found = judge_records(pa.array(batch, pa.large_binary()), Cursor(format="jsonl"), connection)
        return list(zip(*(part.to_pylist() for part in (found.text, found.invalid, found.marked)), strict=True))

    for size in [1, 4, 40, 600] * effort.examples(25, 1):
        batch = [record(drawn) for _ in range(size)]
        with pytest.MonkeyPatch.context() as patch:
            compiled = judged(batch)
            in_python(patch)
            assert compiled == judged(batch)


PLACES = (
    "",
    "/a",
    "/b",
    "/a/b",
    "/a/a/a",
    "/b/a",
    "/0",
    "/1/a",
    "/01",
    "/-",
    "/a/0",
    "/",
    "/é€😀",
    "/x\ue000",
    "/\\",
    "/a/b/0",
)


@core
@pytest.mark.parametrize("seed", effort.seeds(7))
def test_what_stands_in_texts_is_read_alike(seed: int) -> None:
    drawn = random.Random(seed)
    connection = connect(threads=1)
    for size in [1, 600] * effort.examples(40, 2):
        judged = judge_records(
            pa.array([record(drawn) for _ in range(size)], pa.large_binary()), Cursor(format="jsonl")
        )
        pointers = tuple(drawn.sample(PLACES, drawn.randint(1, len(PLACES))))
        payload, excluded = drawn.choice(PLACES), tuple(drawn.sample(("a", "b", ""), drawn.randint(0, 2)))
        read = native.read(judged.text, judged.marked, native.Places(pointers, payload, excluded))
        connection.register("judged", pa.table({"j": judged.text, "marked": judged.marked, "n": range(size)}))
        texts = f"json_extract_string(j, {text_list(list(pointers))})"
        found = connection.sql(f"""SELECT
            CASE WHEN marked THEN list_transform({texts}, lambda e: {unmark_text_sql("e")}) ELSE {texts} END
            FROM judged ORDER BY n""").fetchall()
        connection.unregister("judged")
        expected = [texts if texts is not None else [None] * len(pointers) for (texts,) in found]
        for at in range(len(pointers)):
            column = [texts[at] for texts in expected]
            assert read.texts[at].to_pylist() == column, pointers[at]
            assert read.blank[at] == ("" in column), pointers[at]


KINDS = (
    ("boolean", 0, 0), ("bigint", 0, 0), ("string", 0, 0), ("container", 0, 0),
    ("decimal", 18, 0), ("decimal", 18, 2), ("decimal", 38, 2), ("decimal", 38, 20),
)  # fmt: skip
MEMBERS = (
    "null", "true", "false", '""', '"x"', '"1.5"', "0", "-7", "9223372036854775807", "9223372036854775808",
    "1.50", "-0.05", "0.125", "2.0", "123456789012345.6", "0.30000000000000004", "1e2", "-0", "12345678901234567",
    "[]", '{"b":1.0,"c":["2.0",3.50]}', '[1.0,-2.50,"\\u00e9"]', "99999999999999999.5", "-9223372036854775809",
)  # fmt: skip


@core
@pytest.mark.parametrize("seed", effort.seeds(7))
def test_payloads_are_in_their_columns_alike(seed: int) -> None:
    drawn = random.Random(seed)
    connection = connect(threads=1)
    for _ in range(effort.examples(60, 4)):
        names = drawn.sample(("a", "b", "c", "d/e", "é"), drawn.randint(1, 4))
        columns = [PayloadColumn(name, *drawn.choice(KINDS)) for name in names]  # type: ignore[arg-type]
        raws = [payload_record(drawn, names) for _ in range(300)]
        judged = judge_records(pa.array(raws, pa.large_binary()), Cursor(format="jsonl"))
        chunk = {"position": range(300), "text": judged.text, "marked": judged.marked, "grp": pa.repeat(0, 300)}
        without = drawn.choice(((), ("b",)))
        stanza = Stanza(name="drawn", id=("i",), data=drawn.choice((("p",), ())), data_without=without)
        group = Group(0, stanza, 0, "UTC")
        connection.register("chunk", pa.table(chunk))
        expected = connection.sql(event_select(group, columns, 1).sql()).to_arrow_table()
        found = read_rows(connection, pa.table(chunk), group, columns, 1, frozenset())
        if found is not None:
            assert found.schema.names == expected.schema.names
            for name in found.schema.names[1:]:
                assert found[name].type == expected[name].type or name == "aliases", name
                assert found[name].to_pylist() == expected[name].to_pylist(), name


def payload_record(drawn: random.Random, names: list[str]) -> bytes:
    """Write a record with a payload whose members may fit columns of these names, or a payload of another kind."""
    if drawn.random() < 0.05:
        return b'{"i":"x","p":%s}' % drawn.choice(MEMBERS).encode()
    own = drawn.sample([*names, "other"] if drawn.random() < 0.1 else names, drawn.randint(0, len(names)))
    members = ",".join(f"{json.dumps(name)}:{drawn.choice(MEMBERS)}" for name in own)
    return f'{{"i":"x","p":{{{members}}}}}'.encode()


@core
def test_what_does_not_fit_together_is_an_error() -> None:
    library = native._load_core()[0]
    numbers = (b"\0" * 8,) * 4
    for raws in [(None, b"\0" * 8, b""), (None, b"\0" * 8 + b"\xff" * 8, b""), (b"", b"\0" * 16, b"")]:
        with pytest.raises(ValueError, match=r"length|outside"):
            library.leaf_hashes(numbers, ["a"], None, None, None, raws, None)
    with pytest.raises(ValueError, match="source"):
        library.leaf_hashes((*numbers[:3], b"\xff" * 8), ["a"], None, None, None, None, None)
