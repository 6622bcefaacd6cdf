"""Rows as Athena prints them in a cell are opened, whatever is in them; what is none stays a text."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esctl.index.decode.structs import struct_json
from tests.support.cli_harness import good

SCALARS = st.one_of(
    st.none(), st.text("ab:/ .-0123456789", min_size=1).map(str.strip).filter(lambda t: t not in ("", "null"))
)
NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)


def printed(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}={printed(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(printed, value)) + "]"
    return "null" if value is None else str(value)


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_what_is_printed_is_read(row: dict[str, object]) -> None:
    found = struct_json(printed(row).encode())
    assert found is not None
    assert json.loads(found) == row


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{a=x, y, b=z}", {"a": "x, y", "b": "z"}),
        ("{a=k=v, b=}", {"a": "k=v", "b": ""}),
        ("{a=x} y", None), ("{a=1, a=2}", None), ("{x}", None), ("plain", None), ("{a=[1}", None),
        ("{" + "a={" * 50, None),
    ],
)  # fmt: skip
def test_what_is_none_stays(text: str, expected: object) -> None:
    found = struct_json(text.encode())
    assert (None if found is None else json.loads(found)) == expected


def test_a_trail_that_athena_exports_names_who_and_what(tmp_path: Path) -> None:
    with (tmp_path / "a.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["eventversion", "useridentity", "eventtime", "eventsource", "eventname", "eventid", "resources"]
        )
        for n in range(14):
            who = f"{{type=IAMUser, principalid=AID{n % 3}, arn=arn:aws:iam::1:user/u{n % 3}, sessioncontext=null}}"
            what = f"[{{arn=arn:aws:s3:::b-{n % 4}, accountid=1, type=AWS::S3::Bucket}}]"
            writer.writerow(
                ["1.08", who, f"2024-03-{n + 1:02d}T10:00:00Z", "s3.amazonaws.com", "DeleteBucket", f"e-{n}", what]
            )
    good("ingest", "a.csv", cwd=tmp_path)
    first = good("log", "--limit", "1", "--columns", "entity,actor", cwd=tmp_path).row
    assert first == {"entity": "arn:aws:s3:::b-0", "actor": "arn:aws:iam::1:user/u0"}
