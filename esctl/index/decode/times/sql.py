"""Read times in SQL."""

from __future__ import annotations

from collections.abc import Sequence

from esctl.engine.offsets import offset_sql
from esctl.engine.quoting import literal, text_list
from esctl.engine.zones import fixed_minutes
from esctl.index.decode.times import forms
from esctl.index.decode.times.epochs import BY_NAME, EPOCH, NANO, UNITS, Unit, unit_nanos_sql, unit_sql
from esctl.index.decode.times.forms import PIVOT, Form
from esctl.index.decode.times.reading import Reading

_YEAR_ZERO = "0000"
_SHIFT_DAYS = 146_097 * 50
"""Days by which a time without a zone is shifted until its offset is subtracted: 20,000 years, whole cycles."""
_SHIFTED_FROM_YEAR = 15_000
_FINE_NUMBER = r"^-?(?:[0-9]{12,14}[.][0-9]{4}|[0-9]{15,16}[.]|[0-9]{17,19}(?:[.]|$))"
_FINE = rf"[.,][0-9]{{7}}|{_FINE_NUMBER}|(?i:nano|nsec)|^ *\[[0-9, ]+\]"
"""Matches texts that may be more precise than a microsecond, in the usual forms."""


def time_sql(expr: str, clock: str = "", reading: Reading | None = None) -> str:
    """Write SQL that reads text as an instant: a naive TIMESTAMP in UTC, NULL where it cannot be read.

    `expr` gives VARCHAR. Fractions are cut, never rounded. A time that names no zone is in UTC, unless `clock`, SQL
    that is appended to it, shifts it.
    """
    reading = reading or Reading()
    parts = [
        f"CASE WHEN {expr} IS NULL THEN NULL {plain_cases(expr, clock)} "
        f"ELSE {rest_sql(expr, clock, reading.forms, reading)} END"
        if each is None
        else written_sql(expr, clock, each, reading)
        for each in reading.written
    ]
    return parts[0] if len(parts) == 1 else f"coalesce({', '.join(parts)})"


def plain_cases(expr: str, clock: str) -> str:
    """Write the CASE branches for what most logs have: RFC 3339, and numbers."""
    known = f"NOT starts_with({expr}, {literal(_YEAR_ZERO)})"
    return (
        f"WHEN regexp_full_match({expr}, {literal(forms.ZONED)}) AND {known} "
        f"THEN timezone('UTC', TRY_CAST({expr} AS TIMESTAMPTZ)) "
        f"WHEN regexp_full_match({expr}, {literal(forms.LOCAL)}) AND {known} THEN TRY_CAST({expr} AS TIMESTAMP){clock} "
        f"WHEN regexp_full_match({expr}, {literal(EPOCH)}) AND NOT regexp_full_match({expr}, {literal(forms.BASIC)}) "
        f"THEN {unit_sql(expr)}"
    )


def rest_sql(expr: str, clock: str, which: Sequence[Form], reading: Reading, *, wrapped: bool = True) -> str:
    """Write SQL that reads other texts: numbers in a wrapping (if `wrapped`), and some forms."""
    cases = [_form_case("s", clock, form, reading) for form in which]
    cases = [*_counted_cases("s"), *cases] if wrapped else cases
    return f"list_transform([{_tidy_text(expr)}], lambda s: CASE {' '.join(cases)} END)[1]"


def tidy_sql(expr: str, clock: str, which: Sequence[Form], reading: Reading) -> str:
    """Write SQL that reads texts of some forms that need no tidying."""
    bare = f"CASE WHEN regexp_full_match({expr}, {literal(forms.ASCII)}) THEN upper({expr}) END"
    cases = " ".join(_form_case("s", clock, form, reading) for form in which)
    return f"list_transform([{bare}], lambda s: CASE {cases} END)[1]"


def written_sql(expr: str, clock: str, each: Form | Unit, reading: Reading) -> str:
    """Write SQL that reads one format written by a user, or numbers of one unit."""
    if isinstance(each, Unit):
        return f"CASE WHEN regexp_full_match({expr}, {literal(EPOCH)}) THEN {unit_sql(expr, (each,))} END"
    case = f"CASE {_form_case('s', clock, each, reading)} END"
    return f"list_transform([{_upper_ascii(expr)}], lambda s: {case})[1]"


def times_sql(rows: str, tz: str, written: str = "") -> str:
    """Write a SELECT of `i` and `instant` from rows of `i` and a text `t`, read as `time_sql` does.

    `tz` is the zone of times that name none. A local time that occurs twice means the first occurrence; one that is
    skipped is read with the offset before the gap (RFC 5545, and `fold=0` in Python). `written` is SQL that reads
    `t`, with `CLOCK` in place of `clock` (see `time_sql`).
    """
    written = written or time_sql("t", "CLOCK")
    minutes = fixed_minutes(tz)
    if minutes is not None:
        shift = f" - to_minutes({minutes})" if minutes else ""
        return f"SELECT i, {written.replace('CLOCK', shift)} AS instant FROM ({rows})"
    # A time that still needs its offset is shifted so far that no other time can be there.
    read = f"SELECT i, {written.replace('CLOCK', f' + to_days({_SHIFT_DAYS})')} AS far FROM ({rows})"
    clock = f"SELECT i, far, far - to_days({_SHIFT_DAYS}) AS clock FROM ({read})"
    found = f"clock - to_seconds({offset_sql('clock', tz, local=True)})"
    return f"SELECT i, CASE WHEN year(far) > {_SHIFTED_FROM_YEAR} THEN {found} ELSE far END AS instant FROM ({clock})"


def _upper_ascii(expr: str) -> str:
    for old, new in forms.TIDY:
        expr = f"replace({expr}, {literal(old)}, {literal(new)})"
    return f"CASE WHEN regexp_full_match({expr}, {literal(forms.ASCII)}) THEN upper(trim({expr})) END"


def _tidy_text(expr: str) -> str:
    sql = _upper_ascii(expr)
    for pattern, replacement in (forms.WRAPPED, *forms.STEPS):
        sql = f"regexp_replace({sql}, {literal(pattern)}, {literal(replacement)})"
    return sql


def _counted_cases(text: str) -> list[str]:
    cases = []
    for pattern, where, name in forms.COUNTED:
        number = f"regexp_replace({text}, {literal(f'^{pattern}$')}, {literal(where)})"
        read = unit_sql(number, (BY_NAME[name],))
        cases.append(f"WHEN regexp_full_match({text}, {literal(pattern)}) THEN {read}")
    for pattern, second, nano in zip(forms.FINE_COUNTED, (1, 2), (2, 1), strict=True):
        whole = f"regexp_extract({text}, {literal(pattern)}, {second})"
        fine = f"regexp_extract({text}, {literal(pattern)}, {nano})"
        micros = f"({unit_sql(whole, (BY_NAME['seconds'],))} + to_microseconds(CAST({fine} AS BIGINT) // 1000))"
        cases.append(f"WHEN regexp_full_match({text}, {literal(pattern)}) THEN {micros}")
    return cases


def _form_case(text: str, clock: str, form: Form, reading: Reading) -> str:
    pattern = form.pattern.replace("ZONE", forms.zone_pattern([name for name, _ in reading.zones]))
    groups = Form(form.name, pattern).groups
    found = f"regexp_extract({text}, {literal(f'^{pattern}$')}, {text_list(groups)})"
    read = f"list_transform([{found}], lambda q: {_instant_of_parts(groups, clock, reading)})[1]"
    return f"WHEN regexp_full_match({text}, {literal(pattern)}) THEN {read}"


def _instant_of_parts(groups: Sequence[str], clock: str, reading: Reading) -> str:
    """Write SQL for the instant of a form's parts, the fields of `q`; those that are missing are empty."""
    parts = {group: f"q.{group}" for group in groups}
    day = f"TRY_CAST({_date_text(parts)} AS DATE)"
    hour = _number(parts, "h")
    if "p" in parts:
        half = f"CASE WHEN {hour} BETWEEN 1 AND 12 THEN {hour} % 12 + CASE q.p WHEN 'P' THEN 12 ELSE 0 END END"
        hour = f"(CASE WHEN q.p = '' THEN {hour} ELSE {half} END)"
    minute, second = _number(parts, "i"), _number(parts, "s")
    micro = f"TRY_CAST(rpad(left({parts.get('f', chr(39) * 2)}, 6), 6, '0') AS BIGINT)"
    if "n" in parts:
        micro = f"({micro} + {_number(parts, 'n')} // 1000)"
    seconds = f"({hour} * 3600 + {minute} * 60 + {second})"
    is_clock = f"({hour} <= 23 OR ({hour} = 24 AND {minute} = 0 AND {second} = 0 AND {micro} = 0))"
    # A leap second is read as the first instant after it.
    naive = f"(CAST({day} AS TIMESTAMP) + to_microseconds({seconds} * 1000000 + if({second} = 60, 0, {micro})))"
    local = f"{naive}{clock}"
    read = local if "z" not in parts else f"CASE WHEN q.z = '' THEN {local} ELSE {naive} - {_offset(reading)} END"
    return f"CASE WHEN {is_clock} AND {minute} <= 59 AND {second} <= 60 THEN {read} END"


def _number(parts: dict[str, str], group: str) -> str:
    return f"coalesce(TRY_CAST({parts[group]} AS BIGINT), 0)" if group in parts else "0"


def _date_text(parts: dict[str, str]) -> str:
    """Write SQL for the text of a date; NULL if the numbers are not one."""
    if "g" in parts:
        first = "CAST(make_date(CAST(q.g AS BIGINT), 1, 4) AS DATE)"
        week = f"({first} - (isodow({first}) - 1)::INTEGER + (CAST(q.w AS INTEGER) - 1) * 7 + CAST(q.e AS INTEGER) - 1)"
        made = (
            f"CASE WHEN q.g <> '{_YEAR_ZERO}' AND isoyear({week}) = CAST(q.g AS BIGINT) AND q.w <> '00' THEN {week} END"
        )
        return f"CAST({made} AS VARCHAR)"
    year = f"CASE WHEN length(q.y) = 2 THEN if(q.y >= '{PIVOT}', '19', '20') || q.y ELSE q.y END"
    if "j" in parts:
        made = f"(TRY_CAST(nullif(q.y, '{_YEAR_ZERO}') || '-01-01' AS DATE) + CAST(q.j AS INTEGER) - 1)"
        return f"CAST(CASE WHEN year({made}) = CAST(q.y AS BIGINT) AND q.j <> '000' THEN {made} END AS VARCHAR)"
    month = "lpad(q.m, 2, '0')"
    if "b" in parts:
        month = f"lpad(CAST((strpos('{''.join(forms.MONTHS)}', q.b) + 2) // 3 AS VARCHAR), 2, '0')"
    return f"(nullif({year}, '{_YEAR_ZERO}') || '-' || {month} || '-' || lpad(q.d, 2, '0'))"


def _offset(reading: Reading) -> str:
    named = " ".join(f"WHEN {literal(name.upper())} THEN {minutes * 60}" for name, minutes in reading.zones)
    size = "regexp_extract(q.z, '^[A-Z]*[+-]([0-9]{1,2}):?([0-9]{2})?$', ['h', 'm'])"
    seconds = f"""list_transform([{size}], lambda o: (coalesce(TRY_CAST(o.h AS BIGINT), 0) * 3600
        + coalesce(TRY_CAST(o.m AS BIGINT), 0) * 60) * if(contains(q.z, '-'), -1, 1))[1]"""
    return f"to_seconds(CASE q.z {named} ELSE {seconds} END)" if named else f"to_seconds({seconds})"


def fine_pattern(reading: Reading) -> str:
    """Write the pattern of texts that may be more precise than a microsecond."""
    unit = _unit(reading)
    if unit is None:
        return _FINE
    return f"{_FINE}|^-?[0-9]{{1,19}}" + ("" if unit.per > NANO else f"[.][0-9]{{{11 - len(str(unit.per))}}}")


def nanos_sql(expr: str, reading: Reading) -> str:
    """Write SQL for the part of a time's text below a microsecond, in nanoseconds; NULL if there is none."""
    unit = _unit(reading)
    units = (unit,) if unit else UNITS if None in reading.written else ()
    number = f"WHEN regexp_full_match({expr}, {literal(EPOCH)}) THEN {unit_nanos_sql(expr, units)}" if units else ""
    array = r"\[(?: *[0-9]+ *,){6} *([0-9]{1,9}) *\]"
    patterns = ((forms.FINE_COUNTED[0], 2), (forms.FINE_COUNTED[1], 1), (array, 1))
    counted = (f"nullif(regexp_extract(s, {literal(f'^{pattern}$')}, {nano}), '')" for pattern, nano in patterns)
    wrapped = f"CAST(coalesce({', '.join(counted)}, {_fraction_nanos('s')}) AS BIGINT) % 1000"
    other = f"CASE WHEN s[1] IN ('{{', '[') THEN {wrapped} ELSE CAST({_fraction_nanos('s')} AS BIGINT) END"
    other = f"list_transform([upper(trim({expr}))], lambda s: {other})[1]"
    # Most times begin with a year and its hyphen, and need no more than their fraction.
    plain = f"WHEN {expr}[5] = '-' THEN CAST({_fraction_nanos(expr)} AS BIGINT)"
    return f"nullif(CASE {plain} {number} ELSE {other} END, 0)"


def _fraction_nanos(text: str) -> str:
    """Write SQL for the three digits of a fraction that follow its microseconds, as text; NULL if there are none."""
    return f"rpad(nullif(regexp_extract({text}, '[.,][0-9]{{6}}([0-9]{{1,3}})', 1), ''), 3, '0')"


def _unit(reading: Reading) -> Unit | None:
    """Return the unit that numbers are read in; None if that depends on their size, or they are read as no number."""
    first = next((each for each in reading.written if each is None or isinstance(each, Unit)), None)
    return first if isinstance(first, Unit) else None
