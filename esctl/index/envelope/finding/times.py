"""Find the time of the events of a sample."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec.structs import replace

from esctl.index.envelope.finding import field_names
from esctl.index.envelope.finding.agreement import belongs_to_a_thing, differ
from esctl.index.envelope.finding.sampled_fields import (
    NAMED,
    UNNAMED,
    SampledField,
    describe,
    describe_unread,
    is_at_usual_place,
    is_time,
    is_unread_time,
    plain_name,
    time_score,
)
from esctl.index.envelope.finding.search import LIKELY, Search

_Scored = tuple[tuple[int, ...], SampledField]
_CLOCK = re.compile(r"[0-2]?[0-9][:.][0-5][0-9](?:[:.][0-6][0-9](?:[.,][0-9]+)?)?(?: ?[AaPp]\.?[Mm]\.?)?")
_DIGITS = re.compile(r"(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]")
_HAS_CLOCK = re.compile(r"[0-9]:[0-9]|T[0-9]|[0-9]{9}|[0-9]\.[0-9]{2}\.[0-9]{2}$|[0-9][-T ][0-9]{6}|\{|\[")


def find_time(search: Search) -> SampledField | None:
    """Choose the likeliest time: by its name, then by how many instants it tells apart."""
    usable = [
        each for each in search.fields if _is_at_usual_place(search, each) and search.is_free(each) and is_time(each)
    ]
    scored = [(score, each) for each in usable if (score := time_score(each)) is not None]
    if not scored:
        return _find_unread_time(search) or (_find_deep_time(search) if search.found else None)
    (score, chosen), *others = _with_vague_last(search, sorted(scored, key=lambda pair: (pair[0], pair[1].steps)))
    if rivals := _rivals((score, chosen), others):
        likeliest = sorted((chosen, *rivals), key=lambda each: not _has_zone(each))
        search.leave_open("time", "any of these may be when it happened", likeliest)
        return None
    named = f"named {chosen.path[-1]!r}" if score[1] < UNNAMED else "its values are times"
    after = f"; the next would be {others[0][1].text}" if others else ""
    search.sure = LIKELY if score[1] > 0 else ""
    search.why = f"{named}, {describe(chosen)}{after}"
    search.clock = _find_clock(search, chosen)
    _add_zone(search, chosen)
    return chosen


def _add_zone(search: Search, time: SampledField) -> None:
    """Make an offset in the same object part of a time that has none; if a zone is named there, only report it."""
    written = search.clock or time
    if _has_zone(written) or not all(isinstance(value, str) for value in written.values.values()):
        return
    beside = search.find_all_named(_ZONES, lambda each: each.is_scalar and each.share >= time.share)
    for each in (each for each in beside if each.path[:-1] == time.path[:-1] and search.is_free(each)):
        texts = {str(value) for value in each.scalars}
        if all(map(_OFFSET.fullmatch, texts)):
            search.zone = each
            return
        named = sorted(text for text in texts if _ZONE.fullmatch(text) and text not in _NO_SHIFT)
        if named:
            many = f" and {len(named) - 1} more" if len(named) > 1 else ""
            search.why += f"; {each.text!r} says {named[0]}{many}, but it is read in the zone of --tz"
            search.sure = UNSURE_ZONE
            return


UNSURE_ZONE = "zone unsure"
"""The `sure` of a time whose zone is named in another field."""
_ZONES = (
    "timezone",
    "tz",
    "timezonename",
    "tzname",
    "timezoneid",
    "utcoffset",
    "tzoffset",
    "timezoneoffset",
    "gmtoffset",
)
_OFFSET = re.compile(r"[+-](?:0[0-9]|1[0-4]):?[0-5][0-9]|Z")
_ZONE = re.compile(r"[A-Z][A-Za-z]+(?:/[A-Za-z0-9_+-]+)+|[A-Z]{2,5}")
_NO_SHIFT = ("UTC", "GMT", "Etc/UTC", "Etc/GMT", "Z")
_HAS_ZONE = re.compile(r"(?:[0-9 ](?:Z|UTC|GMT)|[0-9] ?[+-][0-9]{2}:?[0-9]{2}|\])\s*$")


def _has_zone(each: SampledField) -> bool:
    texts = [value for value in each.values.values() if isinstance(value, str)]
    return len(texts) < len(each.values) or any(map(_HAS_ZONE.search, texts))


def _with_vague_last(search: Search, scored: Sequence[_Scored]) -> list[_Scored]:
    """Put times that belong to a thing, or have only days, after the others."""
    if len([pair for pair in scored if pair[0][0] <= NAMED]) < 2:
        return list(scored)
    behind = [pair for pair in scored if pair[0][0] <= NAMED and _is_vague(search, pair, scored)]
    return [*(pair for pair in scored if pair not in behind), *behind]


def _is_vague(search: Search, pair: _Scored, scored: Sequence[_Scored]) -> bool:
    finer = [each for (tier, *_), each in scored if tier <= NAMED and each.distinct > pair[1].distinct]
    if not finer:
        return False
    if not _has_clock(pair[1]) and any(map(_has_clock, finer)):
        return True
    finer = [each for each in finer if each.distinct >= 2 * pair[1].distinct]
    return bool(finer) and belongs_to_a_thing(pair[1], finer, search.fields)


def _rivals(chosen: _Scored, others: Sequence[_Scored]) -> list[SampledField]:
    """Return the times that are as likely as the chosen one, and differ from it: nothing decides between them."""
    (tier, own_tier, *_), time = chosen
    if own_tier < NAMED or tier != own_tier:
        return []
    return [each for (also, *_), each in others if also == tier and differ(time, each)]


def _has_clock(each: SampledField) -> bool:
    return any(not isinstance(value, str) or _HAS_CLOCK.search(value) for value in each.values.values())


def _find_clock(search: Search, day: SampledField) -> SampledField | None:
    """Return the field with the time of day, in the same object as one that has only days; or None."""
    if _has_clock(day):
        return None
    clocks = [
        each
        for each in search.fields
        if each.path[:-1] == day.path[:-1] and search.is_free(each) and each.share >= day.share and _is_clock(each, day)
    ]
    named = [each for each in clocks if re.search(r"time|zeit|heure|hora|ora|clock", each.name)]
    return clocks[0] if len(clocks) == 1 else next(iter(named), None)


def _is_clock(each: SampledField, day: SampledField) -> bool:
    in_digits = each.name.endswith("time") and all(re.fullmatch("[0-9]{8}", str(value)) for value in day.scalars)
    forms = (_CLOCK, _DIGITS) if in_digits else (_CLOCK,)
    texts = [value for value in each.values.values() if isinstance(value, str)]
    return 0 < len(texts) == len(each.values) and any(all(map(form.fullmatch, texts)) for form in forms)


def _is_at_usual_place(search: Search, each: SampledField) -> bool:
    return is_at_usual_place(each) or (len(each.steps) == 2 and plain_name(each.steps[0]) in search.opened)


def _find_deep_time(search: Search) -> SampledField | None:
    """Choose a field in another object that is named as a time; leave the time open if several differ."""
    found = [
        each
        for each in search.fields
        if len(each.steps) > 1 and each.name in field_names.TIME and search.is_free(each) and is_time(each)
    ]
    found = [each for each in found if plain_name(each.steps[0]) not in field_names.DATA]
    if not found or any(differ(found[0], other) for other in found[1:]):
        if found:
            search.leave_open("time", "any of these may be when it happened", found)
        return None
    search.why, search.sure = f"named {found[0].text!r}, {describe(found[0])}", LIKELY
    return found[0]


def time_beside_type(search: Search) -> dict[str, tuple[str, ...]]:
    """Return the path to try before the time that was found: a time next to the type in an opened text; or nothing."""
    kind, time = search.found.get("type"), search.found.get("time")
    if kind is None or time is None or len(kind.steps) < 2 or plain_name(kind.steps[0]) not in search.opened:
        return {}
    inside = [
        each
        for each in search.fields
        if each.path[:-1] == kind.path[:-1] and each.name in field_names.TIME and search.is_free(each) and is_time(each)
    ]
    if not inside or time.path[:-1] == kind.path[:-1]:
        return {}
    chosen = min(inside, key=lambda each: field_names.TIME.index(each.name))
    why = f"named {chosen.path[-1]!r} beside the type"
    for at, row in enumerate(search.rows):
        if row.field == "time":
            search.rows[at] = replace(row, path=f"{chosen.text} | {row.path}", why=f"{why}; else {row.why}")
    return {"time": (chosen.text,)}


def _find_unread_time(search: Search) -> SampledField | None:
    """Choose a field that is named as a time and looks like one, but cannot be read: its events are undated."""
    usable = [
        each
        for each in search.fields
        if _is_at_usual_place(search, each) and search.is_free(each) and is_unread_time(each)
    ]
    if not usable:
        return None
    chosen = min(usable, key=lambda each: (len(each.steps), field_names.TIME.index(each.name)))
    search.why = f"named {chosen.path[-1]!r}, but {describe_unread(chosen)}"
    return chosen
