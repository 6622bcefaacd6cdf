"""Refuse a mapping that is not sure: name the fields that records leave open, and the command that settles them."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from esctl.engine.duckdb import explained
from esctl.engine.quoting import literal
from esctl.errors import UsageError, shell_word
from esctl.index.envelope.mapping import CUSTOM, split_option
from esctl.index.envelope.toml_text import toml_string

if TYPE_CHECKING:
    from esctl.api import Store
    from esctl.index.envelope.detect import Detection
    from esctl.index.envelope.finding.options import Candidate
    from esctl.index.envelope.finding.unmet import Unmet
    from esctl.index.envelope.times.of_sample import Doubt
    from esctl.model import Stanza

LONGEST = 60
"""Characters of a path or sample value that are shown."""
_SHOWN = 4
"""The most candidates or sources that an error names."""
_SEVERAL = 5
"""From this many records on, a source with times is taken for a log."""


_OpenField = tuple[str, str, tuple["Candidate", ...]]
"""A field that is open: its name, why, the candidates."""


def refuse_unsure(store: Store, found: Sequence[tuple[str, Detection]], given: Path | None) -> None:
    """Raise UsageError, with candidates and sample values, if the entity or time of a new source is open.

    A source without an entity among sources that have one may be no log of events, but a file that lies beside an
    export. It is refused only if its records look like events (`_are_events`). `given` is the store as named by the
    option.
    """
    for name, open_fields in _open_by_source(store, found).items():
        hint = _open_hint(store, name, open_fields, [each for each, _ in found], given)
        raise UsageError(_describe_open(name, open_fields), hint)


def unsure_sources(store: Store, found: Sequence[tuple[str, Detection]]) -> list[str]:
    """List the new sources that `refuse_unsure` or `refuse_doubts` would refuse."""
    doubted = {name for name, detection in found if detection.doubt is not None}
    open_ones = _open_by_source(store, found)
    return [name for name, _ in found if name in doubted or name in open_ones]


def _open_by_source(store: Store, found: Sequence[tuple[str, Detection]]) -> dict[str, list[_OpenField]]:
    manifest = store.view.manifest
    stanzas = {name: manifest.stanzas[manifest.sources[name]] for name, _ in found if name in manifest.sources}
    is_any = any(stanza.entity or stanza.entities for stanza in stanzas.values())
    fields = {name: list(_open_fields(store, name, detection, stanzas.get(name), is_any)) for name, detection in found}
    return {name: each for name, each in fields.items() if each}


def _are_events(store: Store, name: str, detection: Detection, stanza: Stanza) -> bool:
    """Return whether records without an entity look like events of entities all the same.

    They have times, they are several or have types, and values of a candidate for the entity come up again.
    """
    cursor = store.store_state.cursors.get(name)
    count = 0 if cursor is None else cursor.records
    is_log = bool(stanza.time) and (count >= _SEVERAL or stanza.type[:1] != ("=event",))
    return is_log and any(1 < each.distinct < count for each in detection.candidates)


def _open_fields(
    store: Store, name: str, detection: Detection, stanza: Stanza | None, is_any: bool
) -> Iterator[_OpenField]:
    """Yield the fields that are open: name, reason, candidates. `is_any`: some new source has an entity."""
    if stanza is None:
        return
    if detection.candidates and not (stanza.entity or stanza.entities):
        between = any(row.field == "entity" for row in detection.rows)
        if between or not is_any or _are_events(store, name, detection, stanza):
            why = "any of several fields could be the entity" if between else "no field was recognised as the entity"
            yield "entity", why, detection.candidates
    elif not (stanza.entity or stanza.entities or stanza.time or is_any) and stanza.type[:1] == ("=event",):
        yield "entity", "nothing that tells of an event was recognised in its records", ()
    elif not (stanza.entity or stanza.entities or is_any or detection.times) and stanza.name == CUSTOM:
        yield "entity", "no field was recognised as the entity", ()
    if detection.times and not stanza.time:
        yield "time", "any of several fields could be the time", detection.times


def _describe_open(name: str, open_fields: Sequence[_OpenField]) -> str:
    reasons = (
        f"{why}; candidates: {_list_candidates(candidates)}" if candidates else why
        for _, why, candidates in open_fields
    )
    return f"{name}: the events are kept, but {'; and '.join(reasons)}"


def _list_candidates(candidates: Sequence[Candidate]) -> str:
    return "; ".join(
        f"{_shorten(each.path)} ({each.distinct} values: {', '.join(map(_shorten, each.samples[:3]))})"
        for each in candidates[:_SHOWN]
    )


def _open_hint(
    store: Store,
    name: str,
    open_fields: Sequence[_OpenField],
    new: Sequence[str],
    given: Path | None,
) -> str:
    """Return the command that settles the open fields, for this source alone if there are others."""
    manifest = store.view.manifest
    others = set(manifest.sources) - set(new) or len({manifest.sources[each] for each in new}) > 1
    of_source = f"{glob.escape(name)}:" if others else ""
    if not all(candidates for _, _, candidates in open_fields):
        look = with_store("esctl log --limit 3 --columns data", given)
        return f"look at them: {look}; where records stand further in, --records-path names the array; else --map"
    proposed = [f"{of_source}{field}={candidates[0].path}" for field, _, candidates in open_fields]
    options = " ".join(f"--map {shell_word(each)}" for each in (*store.overrides, *proposed))
    return f"say which it is: {with_store(f'esctl reindex {options}', given)}"


def with_store(text: str, given: Path | None) -> str:
    """Return a command with the store as the user named it, so that it works when pasted."""
    return text if given is None else f"{text} --store {shell_word(str(given))}"


def refuse_doubts(store: Store, found: Sequence[tuple[str, Detection]], given: Path | None) -> None:
    """Raise UsageError if day and month of a source's times cannot be told apart, so that its events are undated."""
    unsure = [(name, detection.doubt) for name, detection in found if detection.doubt is not None]
    if not unsure:
        return
    name, doubt = unsure[0]
    more = f" (and {len(unsure) - 1} more sources)" if len(unsure) > 1 else ""
    hint = (
        f"say which it is: {with_store(f'esctl reindex {_order_options(store, unsure)}', given)}; or {doubt.line} (or "
        f"day_first = true or false) in [mapping.sources.{toml_string(glob.escape(name))}] of esctl.toml, then: "
        f"{with_store('esctl reindex', given)}"
    )
    raise UsageError(f"{name}{more}: the events are kept, but undated: {doubt.path}: {doubt.why}", hint)


def _order_options(store: Store, unsure: Sequence[tuple[str, Doubt]]) -> str:
    """Return the options that set how times are written: one for all sources, else one for each unsure source."""
    keys = {name: doubt.line.partition(" = ")[2].strip('"') for name, doubt in unsure}
    if set(keys) == set(store.view.manifest.sources) and len(set(keys.values())) == 1:
        return f"--time-format {shell_word(next(iter(keys.values())))}"
    proposed = [f"{glob.escape(name)}:time_format={key}" for name, key in list(keys.items())[:_SHOWN]]
    return " ".join(f"--map {shell_word(each)}" for each in (*store.overrides, *proposed))


def refuse_unmet(store: Store, found: Sequence[tuple[str, Detection]], given: Path | None) -> None:
    """Raise UsageError if a mapping gives no event of a new source an entity or a time, or its rows no key."""
    unmet = [(name, each) for name, detection in found for each in detection.unmet]
    for name, each in sorted(unmet, key=lambda pair: not pair[1].near):  # first those that look like a typing error
        if _is_lost(store, name, each):
            hint = _unmet_hint(store, name, each, given)
            raise UsageError(f"{name}: the events are kept, but {_describe_unmet(each)}", hint)


def _is_lost(store: Store, name: str, each: Unmet) -> bool:
    """Return whether an unmet path leaves all events of a source without an entity or a time, or rows without a key."""
    group = each.field.partition(".")[0]
    if group not in ("entity", "entities", "time"):
        return group == "row_keys"
    return _has_any(store, group, f"source = {literal(name)}") is False


def _has_any(store: Store, group: str, sources: str) -> bool | None:
    """Return whether any event of the sources (an SQL condition) has an entity, or a time; None if there is none."""
    has = "undated IS NULL" if group == "time" else "entity IS NOT NULL"
    rows = store.scope().view.relation(["source", "entity", "undated"], None, ["invalid IS NULL", sources])
    with explained():
        found = store.connection.execute(f"SELECT bool_or({has}) FROM ({rows})").fetchone()
    return found[0] if found is not None else None


def _describe_unmet(each: Unmet) -> str:
    if each.field.startswith("row_keys."):
        return (
            f"nothing says which row of {each.field.partition('.')[2]} an update is of: the columns of its key are open"
        )
    if not each.path:
        return "[mapping] says where some fields are and so of all, and it says neither entity nor time"
    return f"the {each.field} is said to be {each.path}, which none of its first records has"


def _unmet_hint(store: Store, name: str, each: Unmet, given: Path | None) -> str:
    if not each.path and not each.near:
        return "to say one field beside what is recognised, in place of [mapping]: --map KEY=PATH, at ingest or reindex"
    if not each.near:
        return f"look at them: {with_store('esctl log --limit 3 --columns data', given)}; then --map {each.field}=PATH"
    of_source = f"{glob.escape(name)}:" if len(store.view.manifest.sources) > 1 else ""
    proposed = f"{of_source}{each.field}={each.near}"
    # An option for all sources is kept if it finds the field in any other source.
    is_of_use = bool(of_source) and bool(_has_any(store, each.field.partition(".")[0], f"source <> {literal(name)}"))
    kept = [one for one in store.overrides if split_option(one)[1] != each.field or split_option(one)[0] or is_of_use]
    forgets = (
        [""] if of_source and len(kept) < len(store.overrides) else []
    )  # an option for one source does not replace those for all
    options = " ".join(f"--map {shell_word(option)}" for option in (*forgets, *kept, proposed))
    asked = f"did you mean {each.near}?" if each.path else "say which:"
    return f"{asked} {with_store(f'esctl reindex {options}', given)}"


def _shorten(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
