"""Times as numbers that count from an epoch; their size gives unit and epoch."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

FIRST = -62_135_596_800 * 10**6
"""The beginning of the year 1, in microseconds since the epoch."""
BEYOND = 253_402_300_800 * 10**6
"""The end of the year 9999. What RFC 3339 cannot write is not a time."""

FIRST_DAY_ENDS = FIRST + 86_400 * 10**6

EPOCH = r"-?[0-9]{1,19}(?:\.[0-9]+)?"
EPOCH_PARTS = r"^-?([0-9]+)(?:\.([0-9]+))?$"
NANO = 10**9
"""Numbers are taken in billionths of their unit, so that they are integers."""

_1601 = 11_644_473_600 * 10**6
_0001 = 62_135_596_800 * 10**6


class Unit(Struct, frozen=True):
    """The unit of numbers in [low, high): how many billionths of it make a microsecond (`per`), and its epoch.

    `start` is the epoch, in microseconds before 1970.
    """

    name: str
    low: int
    high: int
    per: int
    start: int = 0


UNITS = (
    Unit("seconds", 0, 10**11, 10**3),
    Unit("milliseconds", 10**11, 10**14, 10**6),
    # Microseconds since 1601 (Chromium), and ticks of 100 ns since 1601 (FILETIME) and since the year 1 (.NET), from
    # 1980 to 2100: as the units around them they would be of the years 2349 to 2469, 1973 to 1975, 1989 to 1990.
    Unit("webkit", 11_960_006_400_000_000, 15_746_918_400_000_000, NANO, _1601),
    Unit("microseconds", 10**14, 10**17, NANO),
    Unit("filetime", 119_600_064_000_000_000, 157_469_184_000_000_000, 10 * NANO, _1601),
    Unit("ticks", 624_511_296_000_000_000, 662_380_416_000_000_000, 10 * NANO, _0001),
    Unit("nanoseconds", 10**17, 10**19, 10**12),
)
"""In this order: the first unit whose bounds hold a number is its unit."""
BY_NAME = {unit.name: unit for unit in UNITS}


def unit_sql(number: str, units: tuple[Unit, ...] = UNITS) -> str:
    """Write SQL that reads the text of a number, in the unit that holds it, as a naive TIMESTAMP in UTC."""
    within = f"CASE WHEN m >= {FIRST} AND m < {BEYOND} THEN make_timestamp(CAST(m AS BIGINT)) END"
    return f"list_transform([{_in_unit(number, units, _floor)}], lambda m: {within})[1]"


def unit_nanos_sql(number: str, units: tuple[Unit, ...] = UNITS) -> str:
    """Write SQL for the nanoseconds that `unit_sql` cuts from the text of a number."""
    return _in_unit(number, units, _nanos)


def _in_unit(number: str, units: tuple[Unit, ...], write: Callable[[str, Unit], str]) -> str:
    """Write SQL that takes the text of a number as `n`, in billionths, through what `write` writes for its unit."""
    from esctl.engine.quoting import literal

    pattern = literal(EPOCH_PARTS)
    whole = f"regexp_extract({number}, {pattern}, 1)"
    parts = f"{whole} || rpad(substr(regexp_extract({number}, {pattern}, 2), 1, 9), 9, '0')"
    digits = f"if(contains({number}, '.'), {parts}, ltrim({number}, '-') || '{'0' * 9}')"
    billionths = f"CAST({digits} AS HUGEINT)"
    cases = " ".join(
        f"WHEN n >= {unit.low * NANO}::HUGEINT AND n < {unit.high * NANO}::HUGEINT THEN {write(number, unit)}"
        for unit in units
    )
    chosen = write(number, units[0]) if len(units) == 1 else f"CASE {cases} END"
    return f"list_transform([{billionths}], lambda n: {chosen})[1]"


def _floor(number: str, unit: Unit) -> str:
    per = f"{unit.per}::HUGEINT"
    floor = f"CASE WHEN starts_with({number}, '-') THEN -((n + {unit.per - 1}) // {per}) ELSE n // {per} END"
    return f"({floor} - {unit.start})" if unit.start else floor


def _nanos(number: str, unit: Unit) -> str:
    per = f"{unit.per}::HUGEINT"
    cut = f"CASE WHEN starts_with({number}, '-') THEN ({per} - n % {per}) % {per} ELSE n % {per} END"
    return f"(({cut}) * 1000 // {per})"


def micros_of(text: str, units: tuple[Unit, ...] = UNITS) -> int | None:
    """Read a number as `unit_sql` does, in microseconds since the epoch; None if no unit holds it."""
    whole, _, fraction = text.removeprefix("-").partition(".")
    nano = int(whole + fraction[:9].ljust(9, "0"))
    held = (unit for unit in units if len(units) == 1 or unit.low * NANO <= nano < unit.high * NANO)
    unit = next(held, None)
    if unit is None:
        return None
    return (-((nano + unit.per - 1) // unit.per) if text.startswith("-") else nano // unit.per) - unit.start


def is_placeholder(micros: int | None) -> bool:
    """Return whether a time is what systems write if they have none: the start of 1970, or the first day of year 1."""
    return micros is not None and (micros == 0 or micros < FIRST_DAY_ENDS)
