"""Numbers in SQL that no DECIMAL holds: exact, whatever digits and exponent they have.

Such a number is kept as its sort key, a text: equal numbers have the same key, and keys compare (in bytes) as the
numbers do. So comparing, choosing, `min`, `max` and DISTINCT need nothing else. A key is a sign, the place of the first
digit, and the digits without zeros at either end: the number is 0.DIGITS * 10^place. For arithmetic, keys are taken
apart into BIGNUMs.
"""

from __future__ import annotations

MOST_EXACT_DIGITS = 10_000
"""Digits that a sum, a product or a quotient may have; numbers of any length can be compared."""
_MIDDLE = 2 * 10**18
"""Added to places, which are little more than ±10^18 at most, so that all have 19 digits."""
_NUMBER = r"^(-?)([0-9]+)(?:[.]([0-9]+))?(?:[eE][+]?(-?[0-9]{1,18}))?$"
_PLAIN_DIGITS = 100  # as `strict_json.canonical_number` writes them
_ZERO = "'1'"


def _chain(value: str, *stages: str) -> str:
    """Chain stages of SQL; each reads the result of the one before as `w`, so that nothing is computed twice."""
    nested = f"[{value}]"
    for stage in stages:
        nested = f"list_transform({nested}, lambda w: {stage})"
    return f"({nested})[1]"


_KEY_STAGES = (
    "{'n': w.n, 'd': ltrim(w.d, '0'), 'l': length(w.d), 'e': w.e}",
    "{'n': w.n, 'd': rtrim(w.d, '0'), 'e': w.e - w.l + length(w.d)}",
    f"""CASE WHEN w.d IS NULL THEN NULL WHEN w.d = '' THEN {_ZERO}
        WHEN w.n THEN '0' || CAST({_MIDDLE} - w.e AS VARCHAR) || translate(w.d, '0123456789', '9876543210') || '~'
        ELSE '2' || CAST({_MIDDLE} + w.e AS VARCHAR) || w.d END""",
)
"""Stages from the sign `n`, digits `d` (with zeros at either end) and place `e` to the key."""


def number_key(text: str) -> str:
    """Write the key of a text; NULL if it is not a number, or has an exponent of over 18 digits."""
    return _chain(
        text,
        f"regexp_extract(w, '{_NUMBER}', ['n', 'w', 'f', 'e'])",
        """{'n': w.n = '-', 'd': CASE WHEN w.w <> '' THEN w.w || w.f END,
            'e': length(w.w) + coalesce(try_cast(nullif(w.e, '') AS BIGINT), 0)}""",
        *_KEY_STAGES,
    )


def _key_parts(key: str) -> str:
    """Write the sign, digits and place of a key; `key` must be a name, as it is repeated."""
    place = f"CAST(substr({key}, 2, 19) AS BIGINT)"
    return f"""CASE {key}[1] WHEN '1' THEN {{'n': false, 'd': '', 'e': 0::BIGINT}}
        WHEN '2' THEN {{'n': false, 'd': substr({key}, 21), 'e': {place} - {_MIDDLE}}}
        WHEN '0' THEN {{'n': true, 'd': translate(rtrim(substr({key}, 21), '~'), '9876543210', '0123456789'),
            'e': {_MIDDLE} - {place}}} END"""


def key_text(key: str) -> str:
    """Write the text of a number, as `strict_json.canonical_number` does."""
    return _chain(
        key,
        _key_parts("w"),
        "{'s': CASE WHEN w.n THEN '-' ELSE '' END, 'd': w.d, 'e': w.e, 'x': w.e - length(w.d)}",
        f"""CASE WHEN w.d = '' THEN '0'
            WHEN greatest(length(w.d) + greatest(w.x, 0), -w.x) > {_PLAIN_DIGITS}
            THEN w.s || w.d[1] || CASE WHEN length(w.d) > 1 THEN '.' || substr(w.d, 2) ELSE '' END
                || CASE WHEN w.e > 0 THEN 'e+' ELSE 'e' END || CAST(w.e - 1 AS VARCHAR)
            WHEN w.x >= 0 THEN w.s || w.d || repeat('0', w.x)
            WHEN w.e > 0 THEN w.s || left(w.d, w.e) || '.' || substr(w.d, w.e + 1)
            ELSE w.s || '0.' || repeat('0', -w.e) || w.d END""",
    )


def negated(key: str) -> str:
    """Write the key of a number with the other sign."""
    return _chain(key, _key_parts("w"), "{'n': NOT w.n, 'd': w.d, 'e': w.e}", *_KEY_STAGES)


def absolute(key: str) -> str:
    """Write the key of a number without its sign."""
    return _chain(key, _key_parts("w"), "{'n': false, 'd': w.d, 'e': w.e}", *_KEY_STAGES)


def _chain_pair(left: str, right: str, *stages: str) -> str:
    """Chain stages on two keys taken apart, `w.a` and `w.b`; NULL where one of them is."""
    both = (
        f"CASE WHEN w.a IS NOT NULL AND w.b IS NOT NULL THEN {{'a': {_key_parts('w.a')}, 'b': {_key_parts('w.b')}}} END"
    )
    return _chain(f"{{'a': {left}, 'b': {right}}}", both, *(_unless_null(stage) for stage in stages))


def _unless_null(stage: str) -> str:
    return f"CASE WHEN w IS NOT NULL THEN {stage} END"


def _scale(part: str) -> str:
    return f"(length({part}.d) - {part}.e)"


def _units(part: str, scale: str) -> str:
    """Write a number as a BIGNUM in units of 10^-scale, where `scale` is at least its own."""
    digits = f"'0' || {part}.d || repeat('0', {scale} - {_scale(part)})"
    return f"CAST(CASE WHEN {part}.n THEN '-' ELSE '' END || {digits} AS BIGNUM)"


_UNITS_TO_KEY = (
    _unless_null("{'n': starts_with(w.t, '-'), 'd': ltrim(w.t, '-'), 's': w.s}"),
    _unless_null("{'n': w.n, 'd': w.d, 'e': length(w.d) - w.s}"),
    *_KEY_STAGES,
)
"""Stages from the text `t` of a number in units of 10^-`s` to the key."""


def units_key(units: str, scale: str) -> str:
    """Write the key of a BIGNUM in units of 10^-scale."""
    return _chain(f"{{'t': CAST({units} AS VARCHAR), 's': CAST({scale} AS BIGINT)}}", *_UNITS_TO_KEY)


def key_scale(key: str) -> str:
    """Write how many digits a number has after the point; below zero if it ends in zeros before the point."""
    return _chain(key, _key_parts("w"), _scale("w"))


def key_units(key: str, scale: str) -> str:
    """Write the number of a key as a BIGNUM in units of 10^-scale, where `scale` is at least its own."""
    apart = f"{{'a': {_key_parts('w.a')}, 's': w.s}}"
    units = f"CASE WHEN w.a IS NOT NULL THEN {_units('w.a', 'w.s')} END"
    return _chain(f"{{'a': {key}, 's': CAST({scale} AS BIGINT)}}", apart, units)


def fits(key: str, whole: int, scale: int) -> str:
    """Write whether a DECIMAL with `whole` digits before the point and `scale` after it holds a number."""
    return _chain(key, _key_parts("w"), f"w.e <= {whole} AND {_scale('w')} <= {scale}")


def within_digits(key: str, beyond: str) -> str:
    """Write a number's key, or `beyond` (an `error()`) if it has too many digits to be part of a sum."""
    half = MOST_EXACT_DIGITS // 2
    far = f"CASE WHEN w.p.e > {half} OR {_scale('w.p')} > {half} THEN {beyond} ELSE w.k END"
    return _chain(key, f"{{'k': w, 'p': {_key_parts('w')}}}", far)


def added(left: str, right: str, beyond: str) -> str:
    """Write the key of a sum, or `beyond` (an `error()`) if it has too many digits."""
    return _combine_aligned(left, right, f"{_units('w.a', 'w.s')} + {_units('w.b', 'w.s')}", beyond)


def _combine_aligned(left: str, right: str, sum_of: str, beyond: str) -> str:
    wide = f"greatest(w.a.e, w.b.e, 0) + greatest(w.s, 0) > {MOST_EXACT_DIGITS}"
    return _chain_pair(
        left,
        right,
        f"{{'a': w.a, 'b': w.b, 's': greatest({_scale('w.a')}, {_scale('w.b')})}}",
        f"{{'t': CASE WHEN {wide} THEN {beyond} ELSE CAST({sum_of} AS VARCHAR) END, 's': w.s}}",
        *_UNITS_TO_KEY,
    )


def multiplied(left: str, right: str, beyond: str) -> str:
    """Write the key of a product; `beyond` as in `added`. DuckDB cannot multiply BIGNUMs: multiples are added up."""
    shifted = """CAST(CAST(w.m[CAST(w.b.d[w_i] AS INTEGER) + 1] AS VARCHAR)
        || repeat('0', length(w.b.d) - w_i) AS BIGNUM)"""
    sums = f"list_aggregate(list_transform(range(1, length(w.b.d) + 1), lambda w_i: {shifted}), 'sum')"
    return _chain_pair(
        left,
        right,
        f"{{'a': w.a, 'b': w.b, 'm': {_multiples('w.a.d')}, 's': {_scale('w.a')} + {_scale('w.b')}}}",
        f"""{{'t': CASE WHEN w.a.d = '' OR w.b.d = '' THEN '0'
            WHEN length(w.a.d) + length(w.b.d) > {MOST_EXACT_DIGITS} THEN {beyond}
            ELSE CASE WHEN w.a.n <> w.b.n THEN '-' ELSE '' END || CAST({sums} AS VARCHAR) END, 's': w.s}}""",
        *_UNITS_TO_KEY,
    )


def _multiples(digits: str) -> str:
    """Write the list of a number times 0, 1, ... 9."""
    one = f"CAST('0' || {digits} AS BIGNUM)"
    times = "w_m + w_m"
    doubles = f"list_transform([{one}], lambda w_m: [w_m, {times}, {times} + w_m, {times} + {times}])"
    four = f"({doubles})[1]"
    return f"""list_transform([{four}], lambda w_q: ['0'::BIGNUM, w_q[1], w_q[2], w_q[3], w_q[4],
        w_q[4] + w_q[1], w_q[4] + w_q[2], w_q[4] + w_q[3], w_q[4] + w_q[4], w_q[4] + w_q[4] + w_q[1]])[1]"""


_LONG_DIVISION = (
    "{'x': w.x, 'y': CAST('0' || w.y AS BIGNUM), 'm': " + _multiples("w.y") + ", 'n': w.n, 's': w.s}",
    """{'y': w.y, 'n': w.n, 's': w.s, 'z': list_reduce(
        list_transform(range(1, length(w.x) + 1), lambda w_i: {'q': w.x[w_i], 'r': '0'::BIGNUM}),
        lambda w_z, w_x: list_transform([CAST(CAST(w_z.r AS VARCHAR) || w_x.q AS BIGNUM)], lambda w_r:
            list_transform([len(list_filter(w.m, lambda w_m: w_m <= w_r)) - 1], lambda w_k:
                {'q': w_z.q || CAST(w_k AS VARCHAR), 'r': w_r - w.m[w_k + 1]})[1])[1],
        {'q': '0', 'r': '0'::BIGNUM})}""",
)
"""Stages that divide digits `x` by `y`, not zero: `z.q` are the digits of the quotient, `z.r` is the remainder."""


def divided(left: str, right: str, places: int, beyond: str) -> str:
    """Write the key of a quotient, rounded half away from zero to `places` digits; NULL where the divisor is zero."""
    shift = f"({_scale('w.b')} - {_scale('w.a')} + {places})"
    return _chain_pair(
        left,
        right,
        f"CASE WHEN w.b.d <> '' THEN {{'a': w.a, 'b': w.b, 'k': {shift}}} END",
        f"""CASE WHEN greatest(w.k, 0) + length(w.a.d) > {MOST_EXACT_DIGITS} OR length(w.b.d) > {MOST_EXACT_DIGITS}
            THEN {beyond}
            ELSE {{'x': CASE WHEN w.a.e - w.b.e < -{places + 1} THEN '0' ELSE w.a.d || repeat('0', w.k) END,
                'y': w.b.d || CASE WHEN w.a.e - w.b.e < -{places + 1} THEN '' ELSE repeat('0', -w.k) END,
                'n': w.a.n <> w.b.n, 's': {places}}} END""",
        *_LONG_DIVISION,
        """{'t': CASE WHEN w.n THEN '-' ELSE '' END || CAST(CAST(w.z.q AS BIGNUM)
            + CASE WHEN w.z.r + w.z.r >= w.y THEN '1'::BIGNUM ELSE '0'::BIGNUM END AS VARCHAR), 's': w.s}""",
        *_UNITS_TO_KEY,
    )


def remainder(left: str, right: str, beyond: str) -> str:
    """Write the key of a remainder, with the sign of the dividend; NULL where the divisor is zero."""
    wide = f"greatest(w.a.e, w.b.e, 0) + greatest(w.s, 0) > {MOST_EXACT_DIGITS}"
    return _chain_pair(
        left,
        right,
        f"CASE WHEN w.b.d <> '' THEN {{'a': w.a, 'b': w.b, 's': greatest({_scale('w.a')}, {_scale('w.b')})}} END",
        f"""CASE WHEN {wide} THEN {beyond} ELSE {{'x': '0' || w.a.d || repeat('0', w.s - {_scale("w.a")}),
            'y': w.b.d || repeat('0', w.s - {_scale("w.b")}), 'n': w.a.n, 's': w.s}} END""",
        *_LONG_DIVISION,
        "{'t': CASE WHEN w.n THEN '-' ELSE '' END || CAST(w.z.r AS VARCHAR), 's': w.s}",
        *_UNITS_TO_KEY,
    )


def rounded(key: str, places: int) -> str:
    """Write the key of a number rounded half away from zero to `places` digits after the point."""
    kept = f"(w.e + {places})"
    up = f"{kept} >= 0 AND substr(w.d, {kept} + 1, 1) >= '5'"
    return _cut_digits(key, places, up)


def to_whole(key: str, *, up: bool) -> str:
    """Write the key of a number rounded up or down to a whole one."""
    return _cut_digits(key, 0, "NOT w.n" if up else "w.n")


def _cut_digits(key: str, places: int, away: str) -> str:
    """Write the key of a number cut after `places` digits; one unit further from zero where `away` holds."""
    head = f"CAST('0' || left(w.d, greatest(w.e + {places}, 0)) AS BIGNUM)"
    unit = f"CASE WHEN {away} THEN '1'::BIGNUM ELSE '0'::BIGNUM END"
    return _chain(
        key,
        _key_parts("w"),
        f"""CASE WHEN {_scale("w")} <= {places} THEN {{'n': w.n, 'd': w.d, 'e': w.e}} ELSE
            list_transform([CAST({head} + {unit} AS VARCHAR)], lambda w_t:
                {{'n': w.n, 'd': w_t, 'e': length(w_t) - {places}}})[1] END""",
        *_KEY_STAGES,
    )
