"""Years 1 to 9999 are written with four digits everywhere, and read back as they were."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from esctl.errors import UsageError
from esctl.log import commit_json
from esctl.timespec import format_instant, parse_as_of, point_text
from tests.support.cli_harness import esctl, good, plain_event, write_lines

TIMES = ("0001-01-01T00:00:00Z", "0050-06-01T00:00:00Z", "0999-12-31T23:59:59.500000Z", "9999-12-31T23:59:59Z")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("years")
    events = [{**plain_event(n, "thing-1", n=n), "time": time} for n, time in enumerate(TIMES, 1)]
    good("ingest", write_lines(folder / "a.jsonl", events), "-q", cwd=folder)
    return folder


@pytest.mark.parametrize("form", ["jsonl", "json", "csv", "tsv", "markdown", "table"])
def test_every_format_writes_four_digits(store: Path, form: str) -> None:
    text = good("log", "-f", form, "--columns", "time", cwd=store).text
    for time in TIMES:
        assert re.search(rf"(?<![0-9]){time[:10]}[T ]{time[11:19]}", text), text


@pytest.mark.parametrize("time", TIMES)
def test_a_bound_and_its_basis_are_read_back(store: Path, time: str) -> None:
    done = good("replay", "--at", time, "--basis", "-f", "json", cwd=store)
    (store / "basis.txt").write_text(done.err)
    assert json.loads(done.err.splitlines()[-1])["at"] == time
    again = good("replay", "--basis-from", "basis.txt", "-f", "json", cwd=store)
    assert again.out == done.out
    assert json.loads(done.out)[0]["state"] == {"n": TIMES.index(time) + 1}
    at = parse_as_of(time)
    assert parse_as_of(point_text(at)).instant == at.instant


def test_other_answers_have_four_digits(store: Path) -> None:
    row = good("series", "count(*)", "--every", "50y", "--to", "0100-06-01", cwd=store).rows
    assert [each["time"] for each in row][:2] == ["0050-01-01T00:00:00Z", "0100-01-01T00:00:00Z"]
    assert good("when", "n = 2", cwd=store).row["start"] == TIMES[1]
    assert good("sql", "select min(time) as t, [min(time)] as l from events", cwd=store).row == {
        "t": TIMES[0],
        "l": [TIMES[0]],
    }
    assert good("status", cwd=store).row["first"] == TIMES[0]


def test_a_bundle_of_such_years_holds(store: Path) -> None:
    good("key", "new", cwd=store, XDG_CONFIG_HOME=str(store / "keys"))
    keys = {"XDG_CONFIG_HOME": str(store / "keys")}
    made = esctl("checkpoint", cwd=store, **keys)
    assert made.code == 0, made.err
    good("bundle", "thing-1", "--at", "0999-12-31", "-o", "b.zip", cwd=store, **keys)
    done = esctl("verify-bundle", "b.zip", "-f", "jsonl", cwd=store, **keys)
    found = {row["check"]: row["result"] for row in done.rows}
    assert (found["states"], found["trail"]) == ("ok", "ok"), done.text


@pytest.mark.parametrize(
    ("text", "zone", "inclusive", "instant"),
    [
        ("9999-12-31", "UTC", True, "9999-12-31T23:59:59.999999Z"),
        ("9999-12-31", "America/New_York", True, "9999-12-31T23:59:59.999999Z"),
        ("9999-12-31", "Asia/Tokyo", True, "9999-12-31T14:59:59.999999Z"),
        ("0001-01-01", "Asia/Tokyo", False, "0001-01-01T00:00:00Z"),
        ("0999-02-01", "UTC", False, "0999-02-01T00:00:00Z"),
    ],
)
def test_a_day_at_the_end_of_the_calendar(text: str, zone: str, inclusive: bool, instant: str) -> None:
    assert point_text(parse_as_of(text, tz=zone, inclusive=inclusive)) == instant


def test_a_moment_of_no_such_year_is_none() -> None:
    for text in ("9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+01:00", "-99999999999"):
        with pytest.raises(UsageError, match="not a point in time"):
            parse_as_of(text)


def test_instants_are_written_with_four_digits() -> None:
    year_7 = (datetime(7, 1, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days * 86_400_000_000
    assert format_instant(year_7) == "0007-01-01T00:00:00Z"
    assert commit_json.stored_time(year_7) == "0007-01-01T00:00:00.000000Z"
    assert commit_json.parse_stored_time(commit_json.stored_time(year_7)) == year_7
