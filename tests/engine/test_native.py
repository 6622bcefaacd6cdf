"""The native core against its twins in Python: when it is used, and that it gives the same bytes."""

from __future__ import annotations

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
from esctl.engine.quoting import literal, text_list
from esctl.index.decode.exact_json import judge
from esctl.log import merkle
from esctl.model import Cursor
from esctl.sources.formats import lines
from tests.support import effort
from tests.support.hostile_json import record

core = pytest.mark.skipif(not native.here(), reason=f"no native core ({native.description()}): make native builds it")
PIECES = st.sampled_from([b"\n", b"\r\n", b" ", b"\t", b"{}", b"\xef\xbb\xbf", b"\0", b"\x1e", b"\x0b", b"a b"])


@pytest.fixture
def anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Look for the core again, and once more afterwards."""
    native._found.cache_clear()
    monkeypatch.delenv(native.SWITCH, raising=False)
    yield monkeypatch
    monkeypatch.undo()
    native._found.cache_clear()


def test_it_can_be_turned_off(anew: pytest.MonkeyPatch) -> None:
    anew.setenv(native.SWITCH, "0")
    assert (native.here(), native.description()) == (False, "not used (ESCTL_NATIVE=0)")


def test_without_it_nothing_is_said_to_be_used(anew: pytest.MonkeyPatch) -> None:
    anew.setitem(sys.modules, "esctl_native", None)
    assert (native.here(), native.description()) == (False, "not installed")


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
    assert not native.here()
    assert native.description().startswith(said)


def in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_found", lambda: (None, "not used"))


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
        found = judge(pa.array(batch, pa.large_binary()), Cursor(format="jsonl"), connection)
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
        judged = judge(pa.array([record(drawn) for _ in range(size)], pa.large_binary()), Cursor(format="jsonl"))
        pointers = tuple(drawn.sample(PLACES, drawn.randint(1, len(PLACES))))
        payload, excluded = drawn.choice(PLACES), tuple(drawn.sample(("a", "b", ""), drawn.randint(0, 2)))
        columns, members = native.read(judged.text, judged.marked, native.Places(pointers, payload, excluded))
        connection.register("judged", pa.table({"j": judged.text, "marked": judged.marked, "n": range(size)}))
        texts = f"json_extract_string(j, {text_list(list(pointers))})"
        found = connection.sql(f"""SELECT
            CASE WHEN marked THEN list_transform({texts}, lambda e: {unmark_text_sql("e")}) ELSE {texts} END,
            json_type(j, {text_list(list(pointers))}),
            coalesce(len(list_filter(json_keys(j, {literal(payload)}),
                lambda k: NOT list_contains({text_list(list(excluded))}::VARCHAR[], k))), 0)
            FROM judged ORDER BY n""").fetchall()
        connection.unregister("judged")
        expected = [row if row[0] is not None else ([None] * len(pointers),) * 2 + (0,) for row in found]
        assert members.to_pylist() == [row[2] for row in expected]
        for at in range(len(pointers)):
            text, kind = columns[at]
            assert text.to_pylist() == [row[0][at] for row in expected], pointers[at]
            assert kind.to_pylist() == [row[1][at] for row in expected], pointers[at]


@core
def test_what_does_not_fit_together_is_an_error() -> None:
    library = native._found()[0]
    numbers = (b"\0" * 8,) * 4
    for raws in [(None, b"\0" * 8, b""), (None, b"\0" * 8 + b"\xff" * 8, b""), (b"", b"\0" * 16, b"")]:
        with pytest.raises(ValueError, match=r"length|outside"):
            library.leaf_hashes(numbers, ["a"], None, None, None, raws, None)
    with pytest.raises(ValueError, match="source"):
        library.leaf_hashes((*numbers[:3], b"\xff" * 8), ["a"], None, None, None, None, None)
