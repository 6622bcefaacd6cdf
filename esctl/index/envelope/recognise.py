"""Find the preset that the records of a source follow, and fit its stanza to them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from functools import cache
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from esctl.errors import UsageError
from esctl.index.decode.rows import DIALECTS
from esctl.index.decode.surrounded import WRAPPER
from esctl.index.envelope.mapping import with_row_keys
from esctl.index.envelope.paths import look_up, parse_path
from esctl.index.envelope.presets import PRESETS, Preset
from esctl.index.envelope.presets.respelled import find_respelled
from esctl.model import Stanza


class Recognised(Struct, frozen=True):
    """The stanza for a sample, and how many of its records have the format."""

    stanza: Stanza
    matching: int


def recognise(samples: Sequence[object]) -> Recognised | None:
    """Find the preset that more than half of the sampled records follow: at the root, inside them, or respelled.

    Records are parsed JSON. `unwrap` is the path of an event that was found inside. None if there is no such preset.
    """
    return _recognise_change_log(samples, PRESETS) or _recognise_preset(
        samples, [*filter(_is_telling, PRESETS.values())]
    )


def _is_telling(preset: Preset) -> bool:
    """Return whether what a preset needs is enough to recognise it; some change logs need too little."""
    return not preset.lines and (preset.stanza.name not in DIALECTS or len(preset.needs) > 1)


def _recognise_change_log(samples: Sequence[object], presets: Collection[str]) -> Recognised | None:
    """Recognise a change log, with the columns that name the rows of its tables; None if the records are none."""
    from esctl.index.decode.rows.learning import learn

    learned = learn(samples, [name for name in DIALECTS if name in presets])
    if learned is None:
        return None
    preset = PRESETS[learned.dialect]
    sequence = next((parts for parts in preset.sequences if len(parts) == learned.order), ())
    order: Literal["sequence", "time", "position"] = "sequence" if sequence else preset.otherwise
    stanza = replace(preset.stanza, sequence=sequence, order=order, row_keys=learned.keys, row_home=learned.home)
    return Recognised(stanza, learned.matching)


def tables_without_key(preset: str, samples: Sequence[object]) -> tuple[tuple[str, str], ...]:
    """List the tables of a change log whose key is needed but unknown, each with a column that may be the key."""
    from esctl.index.decode.rows.learning import learn

    learned = learn(samples, [preset])
    return learned.open_keys if learned is not None else ()


def recognise_lines(pattern: str, samples: Sequence[object]) -> Recognised | None:
    """Return the preset of a text log by the name of its lines' pattern, or None."""
    preset = PRESETS.get(pattern)
    return Recognised(preset.stanza, len(samples)) if preset is not None and preset.lines else None


def recognise_as(name: str, samples: Sequence[object]) -> Recognised:
    """Return the named preset for a source that always follows it, whatever its first records are."""
    preset = PRESETS[name]
    return Recognised(replace(preset.stanza, sequence=preset.sequences[-1], order="sequence"), len(samples))


def fit_to_sample(stanza: Stanza, samples: Sequence[object]) -> Stanza:
    """Return a preset's stanza, completed by what is recognised in a sample; what the stanza says itself stays.

    Raises UsageError if it orders by a sequence that the sampled records do not have.
    """
    preset = PRESETS.get(stanza.name)
    if (
        preset is None
        or preset.lines
        or (stanza.order and stanza != preset.stanza and not _lacks_sequence(stanza, preset))
    ):
        return _fit_change_log(stanza, samples) if stanza.name in DIALECTS else stanza
    if replace(
        stanza,
        scope="",
        ignore="",
        opened=(),
        ignore_types=preset.stanza.ignore_types,
        sequence=(),
        order=preset.stanza.order,
    ) == replace(preset.stanza, opened=()):
        found = _recognise_preset(samples, [preset])
        own = {name: getattr(stanza, name) for name in ("scope", "ignore", "ignore_types", "sequence", "order")}
        more = [opening for opening in stanza.opened if opening not in preset.stanza.opened]
        if found is not None:
            stanza = replace(found.stanza, **own, opened=tuple(dict.fromkeys([*more, *found.stanza.opened])))
    if stanza.name in DIALECTS:
        return _fit_change_log(stanza, samples)
    inner = [look_up(sample, _parse(stanza.unwrap)) for sample in samples]
    matching = [sample for sample in inner if _meets(sample, preset)]
    sequence = stanza.sequence or _sequence_of_all(preset, matching)
    if stanza.order == "sequence" and not sequence:
        hint = 'add sequence = PATH, or set order = "time"'
        raise UsageError(f'order is "sequence", but the records have none of preset {stanza.name}', hint)
    order = stanza.order or ("sequence" if sequence else preset.otherwise)
    return replace(stanza, sequence=sequence, order=order)


_PROBED = 16
"""How many of the first records, and about how many spread over all, are tried before all are."""
_DEEPEST = 3
"""Levels at which events are looked for: in a delivery, one may be at `detail.data`."""


def _fit_change_log(stanza: Stanza, samples: Sequence[object]) -> Stanza:
    """Return the stanza of a change log, completed by what a sample shows; what the stanza says itself stays."""
    found = _recognise_change_log(samples, [stanza.name])
    learned = found.stanza if found else replace(PRESETS[stanza.name].stanza, order=PRESETS[stanza.name].otherwise)
    return replace(
        stanza,
        sequence=stanza.sequence or learned.sequence,
        order=stanza.order or learned.order,
        row_keys=with_row_keys(learned.row_keys, stanza.row_keys),
        row_home=stanza.row_home or learned.row_home,
    )


_parse = cache(parse_path)


def _lacks_sequence(stanza: Stanza, preset: Preset) -> bool:
    return bool(preset.sequences) and not stanza.sequence


def _recognise_preset(samples: Sequence[object], presets: Collection[Preset]) -> Recognised | None:
    level: list[tuple[str, Sequence[object]]] = [("", samples)]
    for _ in range(_DEEPEST):
        for unwrap, events in level:
            if found := _recognise_at(events, len(samples), unwrap, presets):
                return found
        level = [inner for unwrap, events in level for inner in _objects_inside(events, len(samples), unwrap)]
    other = find_respelled(presets, samples)
    return None if other is None else Recognised(*other)


def _objects_inside(samples: Sequence[object], total: int, unwrap: str) -> Iterator[tuple[str, list[object]]]:
    """Yield the objects that most records have under the same name, with the path to them."""
    records = [sample for sample in samples if isinstance(sample, dict)]
    keys = Counter(key for record in records for key, value in record.items() if isinstance(value, dict))
    for key, count in sorted(keys.items()):
        if key != WRAPPER and 2 * count > total and not re.search(r'[."\[\]]', key):
            inner: list[object] = [record[key] for record in records if isinstance(record.get(key), dict)]
            yield f"{unwrap}.{key}" if unwrap else key, inner


def _recognise_at(samples: Sequence[object], total: int, unwrap: str, presets: Collection[Preset]) -> Recognised | None:
    few = [samples[i] for i in sorted({*range(min(_PROBED, len(samples))), *_spread_indexes(len(samples))})]
    first = {part for sample in few for part in _first_parts(sample)}
    for preset in presets:
        if not (_may_meet(first, preset) and any(_meets(sample, preset) for sample in few)):
            continue
        matching = [sample for sample in samples if _meets(sample, preset)]
        if matching and 2 * len(matching) > total:
            sequence = _sequence_of_all(preset, matching) or preset.stanza.sequence
            order = preset.stanza.order or ("sequence" if sequence else preset.otherwise)
            opened = tuple((f"{unwrap}.{path}" if unwrap and path else path, how) for path, how in preset.stanza.opened)
            fields = {"sequence": sequence, "order": order, "unwrap": unwrap, "opened": opened}
            return Recognised(replace(preset.stanza, **fields), len(matching))
    return None


def _spread_indexes(count: int) -> range:
    return range(0, count, max(count // _PROBED, 1))


def _first_parts(sample: object) -> Iterable[str | int]:
    """Return the first parts of all paths into a record."""
    return sample if isinstance(sample, dict) else range(len(sample)) if isinstance(sample, list) else ()


def _may_meet(first: Set[str | int], preset: Preset) -> bool:
    """Return whether records may have what a preset needs, judged by the first parts of paths into them."""
    return all(any(_parse(path)[0] in first for path in group) for group in preset.needs)


def _meets(sample: object, preset: Preset) -> bool:
    return all(any(look_up(sample, _parse(path)) is not None for path in group) for group in preset.needs)


def _sequence_of_all(preset: Preset, samples: Sequence[object]) -> tuple[str, ...]:
    """Return a preset's first sequence that all of some samples have; empty for none."""
    alternatives = (
        parts
        for parts in preset.sequences
        if all(look_up(sample, _parse(part)) is not None for sample in samples for part in parts)
    )
    return next(alternatives, ()) if samples else ()
