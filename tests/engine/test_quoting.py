"""A glob means the same in DuckDB and in Arrow."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given
from hypothesis import strategies as st

from esctl.engine.duckdb import connect
from esctl.engine.quoting import glob_regex, like_pattern

LETTERS = "ab%_\\\n?*é🎈.[]^$ "


@given(glob=st.text("ab%_\\*?", max_size=6), texts=st.lists(st.text(LETTERS, max_size=6), min_size=1))
def test_a_glob_matches_the_same_texts_in_sql_and_in_arrow(glob: str, texts: list[str]) -> None:
    texts = [*texts, glob, glob.replace("?", "é").replace("*", "a\nb")]
    column = pa.array(texts)
    connection = connect()
    connection.register("texts", pa.table({"i": range(len(texts)), "t": column}))
    rows = connection.sql(f"SELECT t LIKE {like_pattern(glob)} FROM texts ORDER BY i").fetchall()
    assert pc.match_substring_regex(column, glob_regex(glob)).to_pylist() == [matches for (matches,) in rows]
    assert rows[-1] == (True,)
