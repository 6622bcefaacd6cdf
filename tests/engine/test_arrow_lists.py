"""Arrow arrays that are made of Python values."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from esctl.engine.arrow_lists import integers, texts


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
