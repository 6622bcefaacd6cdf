"""Arrow arrays that are made of Python values."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from esctl.engine.arrow_lists import integers, repeated, texts


@given(st.lists(st.none() | st.text()))
def test_texts_are_those_given(values: list[str | None]) -> None:
    found = texts(values)
    found.validate(full=True)
    assert found.to_pylist() == values


@given(st.lists(st.integers(0, 255)))
def test_integers_are_those_given(values: list[int]) -> None:
    for kind in (pa.uint8(), pa.int64()):
        found = integers(values, kind)
        found.validate(full=True)
        assert found.to_pylist() == values


@given(st.text(), st.integers(0, 20))
def test_a_text_is_repeated_as_arrow_does(text: str, count: int) -> None:
    found = repeated(text, count)
    found.validate(full=True)
    assert found.equals(pa.repeat(text, count))
