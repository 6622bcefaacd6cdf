"""One database of zones: what is read, what is typed and what is shown go by the package tzdata, exactly."""

from __future__ import annotations

import datetime as dt
import random
import zoneinfo
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest

from esctl import Store, __version__
from esctl.ask.events.log import EventFilters, log
from esctl.engine import offsets, zones
from esctl.engine.duckdb import connect
from esctl.engine.offsets import offset_at, offset_sql
from esctl.engine.zones import find_zone, names, version, zone_fingerprint
from esctl.errors import UsageError
from esctl.index.decode.times.columns import read_times
from esctl.index.decode.times.python import parse_instant
from esctl.output.frames import to_rows
from esctl.timespec import parse_as_of
from tests.support import effort
from tests.support.cli_harness import good, plain_event, write_lines

CONNECTION = connect(threads=1)
EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001
SECOND = dt.timedelta(seconds=1)
FIRST, LAST = dt.datetime(1, 1, 3), dt.datetime(9999, 12, 29)  # noqa: DTZ001
NAMES = sorted(names().values())
DIFFERING = (
    "Africa/Casablanca", "Africa/El_Aaiun", "America/Edmonton", "America/Havana", "America/Inuvik", "America/Nuuk",
    "America/Rainy_River", "America/Vancouver", "America/Winnipeg", "America/Yellowknife", "Canada/Central",
    "Canada/Mountain", "Canada/Pacific", "Cuba", "Europe/Dublin", "Asia/Gaza",
)  # fmt: skip


def seconds(clock: dt.datetime) -> int:
    return (clock - EPOCH) // SECOND


def offset(zone: dt.tzinfo, utc: int) -> int:
    """Give the offset at an instant, by Python's own reading of the zone."""
    found = (EPOCH + utc * SECOND).replace(tzinfo=dt.UTC).astimezone(zone).utcoffset()
    assert found is not None
    return found // SECOND


def transitions(zone: dt.tzinfo, years: range, step: int) -> Iterator[int]:
    """Find the instants at which a zone's offset changes, by looking every `step` days and then closer."""
    marks = range(seconds(dt.datetime(years.start, 1, 1)), seconds(dt.datetime(years.stop, 1, 1)), step * 86_400)  # noqa: DTZ001
    for start, stop in pairwise(marks):
        low, high = start, stop
        if offset(zone, low) == offset(zone, high):
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(zone, middle) == offset(zone, low) else (low, middle)
        yield high


def read_as(zone: dt.tzinfo, clock: int) -> int:
    """Read what a clock shows as RFC 5545 has it: the first instant that it is shown at; in a gap, as before it."""
    around = {offset(zone, clock + away) for away in (-86_400, 86_400)}
    shown = [clock - each for each in around if offset(zone, clock - each) == each]
    return min(shown) if shown else clock - offset(zone, clock - 86_400)


def points(name: str) -> list[int]:
    """Choose instants of a zone: around its transitions of some years, and of years far away."""
    drawn = random.Random(name)
    zone = find_zone(name)
    # The seed is a text, so that no run depends on how texts are hashed.
    near = [*transitions(zone, range(2024, 2028), 14)]
    for year in drawn.sample(range(1880, 2100), 8) + drawn.sample(range(2100, 9998), 2):
        near += transitions(zone, range(year, year + 1), 14)
    near += [seconds(dt.datetime(year, 6, 1)) for year in (1, 2, 999, 1600, 9999)]  # noqa: DTZ001
    return sorted({at + away for at in near for away in (-86_400, -3601, -1800, -1, 0, 1, 1800, 3599, 86_400)})


@pytest.mark.parametrize("part", effort.some(range(8), 3))
def test_every_zone_is_what_python_reads_from_the_same_database(part: int) -> None:
    for name in NAMES[part::8]:
        zone, found = find_zone(name), points(name)
        rows = "SELECT make_timestamp(u * 1000000) AS t FROM (SELECT unnest($1::BIGINT[]) AS u)"
        shown = CONNECTION.execute(f"SELECT {offset_sql('t', name)} FROM ({rows})", [found]).fetchall()
        assert [row[0] for row in shown] == [offset(zone, at) for at in found], name
        clocks = sorted({at + each for at in found for each in (offset(zone, at), offset(zone, at - 7200))})
        texts = [(EPOCH + clock * SECOND).isoformat() for clock in clocks]
        read = read_times(CONNECTION, pa.array(texts), name).cast(pa.int64()).to_pylist()
        assert read == [read_as(zone, clock) * 1_000_000 for clock in clocks], name
        assert read == [parse_instant(text, name) for text in texts], name


@pytest.mark.parametrize("name", DIFFERING)
def test_what_is_typed_and_what_is_read_are_one(name: str) -> None:
    start = dt.datetime(2023, 1, 1)  # noqa: DTZ001
    texts = [(start + dt.timedelta(hours=7 * step)).isoformat() for step in range(6000)]
    read = read_times(CONNECTION, pa.array(texts), name).cast(pa.int64()).to_pylist()
    assert read == [parse_as_of(text, tz=name).instant for text in texts]


@pytest.mark.skipif(version() < "2026f", reason="an older release of the time zones")
def test_vancouver_keeps_its_clocks_from_2026_on() -> None:
    assert parse_instant("2026-11-20T12:00:00", "America/Vancouver") == parse_instant("2026-11-20T19:00:00Z", "UTC")


@pytest.mark.parametrize(
    ("clock", "instant"),
    [
        ("2026-10-25T02:30:00", "2026-10-25T00:30:00Z"),  # shown twice: the first
        ("2026-03-29T02:30:00", "2026-03-29T01:30:00Z"),  # skipped: read with the offset before
    ],
)
def test_hours_that_come_twice_or_never(clock: str, instant: str) -> None:
    wanted = parse_instant(instant, "UTC")
    assert parse_instant(clock, "Europe/Vienna") == wanted == parse_as_of(clock, tz="Europe/Vienna").instant
    assert read_times(CONNECTION, pa.array([clock]), "Europe/Vienna").cast(pa.int64()).to_pylist() == [wanted]
    assert offset_at(dt.datetime.fromisoformat(clock), "Europe/Vienna") in (3600, 7200)


def test_the_machines_own_zones_are_never_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zoneinfo.reset_tzpath([tmp_path])
    (tmp_path / "Europe").mkdir()
    (tmp_path / "Europe" / "Vienna").write_bytes(b"none")
    find_zone.cache_clear()
    try:
        assert find_zone("europe/vienna").utcoffset(dt.datetime(2026, 7, 1)) == dt.timedelta(hours=2)  # noqa: DTZ001
    finally:
        zoneinfo.reset_tzpath()


def test_records_are_read_again_where_the_zone_of_their_source_is_another(tmp_path: Path) -> None:
    events = [{**plain_event(n, "thing-1", n=n), "time": f"2024-07-0{n}T12:00:00"} for n in (1, 2)]
    log = write_lines(tmp_path / "a.jsonl", events[:1])
    good("ingest", log, "--tz", "Europe/Vienna", "-q", cwd=tmp_path)
    good("replay", "--basis", "-f", "json", cwd=tmp_path)
    basis = tmp_path / "basis.txt"
    basis.write_text(good("log", "--basis", "-f", "json", cwd=tmp_path).err)
    write_lines(log, events)
    good("ingest", log, "--tz", "Asia/Kolkata", "-q", cwd=tmp_path)
    wanted = ["2024-07-01T06:30:00Z", "2024-07-02T06:30:00Z"]
    assert [row["time"] for row in good("log", cwd=tmp_path).rows] == wanted
    then = good("log", "--basis-from", basis, cwd=tmp_path)
    assert [row["time"] for row in then.rows] == ["2024-07-01T10:00:00Z"]
    assert [row["time"] for row in good("log", cwd=tmp_path).rows] == wanted
    assert good("verify", "--full", cwd=tmp_path).code == 0


def test_an_index_is_built_anew_where_a_zone_has_other_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lines(tmp_path / "a.jsonl", [{**plain_event(1, "thing-1", n=1), "time": "2024-07-01T12:00:00"}])
    good("ingest", "a.jsonl", "--tz", "Europe/Vienna", "-q", cwd=tmp_path)

    def times() -> list[object]:
        store = Store.open(tmp_path / ".esctl")
        return [row["time"] for row in to_rows(log(store.scope(), EventFilters()))]

    assert times() == ["2024-07-01T10:00:00Z"]
    kolkata = zones.zone_bytes("Asia/Kolkata")
    for module in (zones, offsets):
        monkeypatch.setattr(module, "zone_bytes", lambda name: kolkata)
    caches = (zones.find_zone, offsets._table)
    for cache in caches:
        cache.cache_clear()
    try:
        assert times() == ["2024-07-01T06:30:00Z"]
    finally:
        monkeypatch.undo()
        for cache in caches:
            cache.cache_clear()
    assert times() == ["2024-07-01T10:00:00Z"]


def test_a_basis_of_another_release_is_told(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [plain_event(1, "thing-1", n=1)])
    good("ingest", "a.jsonl", "--tz", "Europe/Vienna", "-q", cwd=tmp_path)
    told = good("log", "--basis", "-f", "json", cwd=tmp_path).err
    assert f'"tzdata": "{version()}"' in told
    (tmp_path / "basis.txt").write_text(told.replace(version(), "1999a"))
    assert "made with tzdata 1999a" in good("log", "--basis-from", "basis.txt", cwd=tmp_path).err
    (tmp_path / "basis.txt").write_text(told)
    assert "tzdata" not in good("log", "--basis-from", "basis.txt", cwd=tmp_path).err


def test_the_version_names_the_release_of_the_zones(tmp_path: Path) -> None:
    assert good("--version", cwd=tmp_path).out.decode() == f"esctl {__version__}\n"
    assert f"tzdata {version()}" in good("--version", "-v", cwd=tmp_path).out.decode()


def test_a_zone_is_told_by_its_name_and_its_data() -> None:
    assert zone_fingerprint("+05:45") == "+05:45"
    assert zone_fingerprint("Europe/Vienna") != zone_fingerprint("Europe/Berlin")
    assert version().startswith("20")
    with pytest.raises(UsageError, match="unknown time zone 'Europe/Wien'"):
        zone_fingerprint("Europe/Wien")
