"""DuckDB itself writes nothing: stdout is for data."""

from __future__ import annotations

from esctl.engine.duckdb import connect, second_cursor


def test_no_progress_bar_is_written_among_the_data() -> None:
    connection = connect()
    for each in (connection, second_cursor(connection)):
        assert each.execute("SELECT current_setting('enable_progress_bar')").fetchall() == [(False,)]
