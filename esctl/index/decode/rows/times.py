"""Write dates and times that a log gives as counts as text: any year, nothing rounded."""

from __future__ import annotations

_DAYS_TO_EPOCH = 719_468
_ERA_DAYS = 146_097


def date_text(days: int) -> str:
    """Write days since 1970-01-01 as an ISO 8601 date of the proleptic calendar."""
    shifted = days + _DAYS_TO_EPOCH
    era, of_era = divmod(shifted, _ERA_DAYS)
    year_of_era = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_index = (5 * of_year + 2) // 153
    day = of_year - (153 * month_index + 2) // 5 + 1
    month = month_index + 3 if month_index < 10 else month_index - 9
    year = year_of_era + era * 400 + (month <= 2)
    sign = "-" if year < 0 else "+" if year > 9999 else ""
    return f"{sign}{abs(year):04d}-{month:02d}-{day:02d}"


def time_text(units: int, per_second: int) -> str:
    """Write units since midnight as a time of day, with a fraction only if there is one; 24:00:00 stays."""
    seconds, fraction = divmod(units, per_second)
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{text}.{fraction:0{len(str(per_second)) - 1}d}".rstrip("0") if fraction else text


def instant_text(units: int, per_second: int) -> str:
    """Write units since 1970-01-01T00:00:00 as a date and time without a zone."""
    days, rest = divmod(units, 86_400 * per_second)
    return f"{date_text(days)}T{time_text(rest, per_second)}"
