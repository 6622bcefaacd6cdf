"""A copy of what is to be erased is found, whatever blanks and marks stand around it or around the record named."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from esctl.index.decode.log_rows import trimmed, trimmed_column
from tests.support.cli_harness import good, plain_event, refused, uncompacted

COPY = json.dumps(plain_event(7, who="Aurelia")).encode()
AROUND = [(b"", b"\n"), (b"\n", b"\n"), (b"\xef\xbb\xbf", b"\n"), (b"\x1e", b"\n"), (b"  ", b" \t\n"), (b"", b"\r\n")]


@uncompacted
def test_no_copy_stays_behind_for_what_stands_around_it(tmp_path: Path) -> None:
    names = [f"{number}.jsonl" for number in range(2 * len(AROUND))]
    for number, (name, (before, after)) in enumerate(zip(names, AROUND * 2, strict=True)):
        (tmp_path / name).write_bytes(before + COPY + after + json.dumps(plain_event(100 + number)).encode() + b"\n")
    good("ingest", *names, "--erasable", "-q", cwd=tmp_path)
    copies = [2 * number + 1 for number in range(len(names))]
    reason = ("--reason", "asked to", "--yes", "-q")
    for named in copies:
        message, _ = refused("redact", f"@{named}", *reason, code=2, cwd=tmp_path)
        first = ", ".join(f"@{position}" for position in copies if position != named)[:10]
        assert message.startswith(first)
        assert message.endswith("hold the same bytes")
    erased = good("redact", f"@{copies[3]}", "--duplicates", *reason, cwd=tmp_path)
    assert [row["position"] for row in erased.rows] == copies


RAWS = st.none() | st.lists(
    st.sampled_from([b"\xef\xbb\xbf", b"\xef", b" ", b"\t", b"\r", b"\n", b"\x1e", b"\0", b"{}", b"\xff", b"\xc2\x85"])
).map(b"".join)


@given(st.lists(RAWS))
def test_records_of_a_column_are_trimmed_as_one_is(raws: list[bytes | None]) -> None:
    column = trimmed_column(pa.array(raws, pa.large_binary()))
    assert column.to_pylist() == [None if raw is None else trimmed(raw) for raw in raws]
