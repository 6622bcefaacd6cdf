"""Ask at a terminal how sources are to be read, and write the answers as a stanza for each of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from esctl.cli import diagnostics
from esctl.config import config_path
from esctl.errors import UsageError

if TYPE_CHECKING:
    from esctl.api import Store
    from esctl.ask.events.as_read import ReadEvent
    from esctl.cli.options import Shared
    from esctl.config import Config
    from esctl.index.envelope.finding.options import Candidate
    from esctl.intake.intake import Outcome
    from esctl.model import Stanza

_RECORDS = 3
_WIDTH = 100
_NONE = "none"
_LARGEST = 16 << 20
"""The most bytes that an esctl.toml may have."""


def can_ask() -> bool:
    """Return whether a user can answer: stdin and stderr are both terminals."""
    return diagnostics.is_terminal(sys.stdin) and diagnostics.is_terminal(sys.stderr)


def require_terminal(option: str) -> None:
    """Raise UsageError if no user can answer."""
    if not can_ask():
        raise UsageError(f"{option} asks, and there is no terminal", "without one: esctl init, or --map KEY=PATH")


class Alike(Struct):
    """Sources that are read alike and asked about together: their names, stanza, and first records."""

    names: list[str]
    stanza: Stanza
    positions: list[int]
    samples: Sequence[object]


def ask_about(store: Store, names: Sequence[str]) -> dict[str, Stanza]:
    """Ask how some sources of a store are read, once for those that are read alike; return the stanza of each.

    Raises UsageError if stdin ends before everything is answered.
    """
    chosen: dict[str, Stanza] = {}
    for each in _group_alike(store, names):
        stanza = _Dialog(store, each).run()
        chosen |= dict.fromkeys(each.names, stanza)
    return chosen


def _group_alike(store: Store, names: Sequence[str]) -> list[Alike]:
    from esctl.ask.events.as_read import first_positions
    from esctl.index.envelope.openings import find_openings
    from esctl.index.envelope.samples import sample_values

    manifest = store.view.manifest
    firsts = first_positions(store.connection, store.view.relation(["source", "position"]), names, _RECORDS)
    found: dict[Stanza, Alike] = {}
    for name, positions in firsts.items():
        stanza = replace(manifest.stanzas[manifest.sources[name]], numbering=0)
        if stanza in found:
            found[stanza].names.append(name)
            continue
        cursor = store.store_state.cursors[name]
        values = sample_values(store.store_state, cursor, positions[0], max(cursor.sampled, 1), store.connection)
        found[stanza] = Alike([name], stanza, positions, find_openings(values)[1])
    return list(found.values())


class _Dialog:
    """The questions and answers about sources that are read alike."""

    def __init__(self, store: Store, about: Alike) -> None:
        self._store, self._about, self._stanza = store, about, about.stanza

    def run(self) -> Stanza:
        """Ask until the user confirms the stanza; return it."""
        from esctl.index.envelope.finding.options import CHOSEN

        more = f" and {len(self._about.names) - 1} more" if len(self._about.names) > 1 else ""
        diagnostics.note(f"\n{self._about.names[0]}{more}")
        for name in ("entity", "time"):
            if not _paths(self._stanza, name):
                self._choose(name)
        if self._stanza.order == "time" and not self._stanza.time_format:
            self._detect_times()
        while True:
            self._show()
            answer = _ask(f"Is that right? Enter for yes, or {', '.join(CHOSEN)} to change it: ").lower()
            if answer in ("", "y", "yes"):
                return self._stanza
            if answer in CHOSEN:
                self._choose(answer)
            else:
                diagnostics.note(f"{answer!r} is none of these")

    def _show(self) -> None:
        """Show the mapping, and how it reads the first records."""
        from esctl.ask.events.as_read import read_as_events
        from esctl.index.envelope.finding.options import CHOSEN

        diagnostics.note("read as: " + ", ".join(f"{name} = {_paths_text(self._stanza, name)}" for name in CHOSEN))
        found = read_as_events(
            self._store.connection, self._store.store_state, self._about.positions, self._about.names[0], self._stanza
        )
        for event in found:
            diagnostics.note(f"  {_clip(event.text)}")
            diagnostics.note(f"    {_describe_event(event)}")

    def _choose(self, name: str) -> None:
        from esctl.index.envelope.finding.options import list_candidates

        paths = _paths(self._stanza, name)
        found = list_candidates(self._unwrapped_samples(), name, paths)
        diagnostics.note(f"{name}: which field is it?")
        for number, each in enumerate(found, 1):
            diagnostics.note(f"  {number}  {_clip(each.path)}  ({_describe_values(each)})")
        kept = f"Enter for {_paths_text(self._stanza, name)}" if paths else f"Enter for {_NONE}"
        while True:
            answer = _ask(f"A number, a path, a template like {{type}}/{{id}}, {_NONE}, or {kept}: ")
            try:
                self._set_path(name, _path_of_answer(answer, found))
            except UsageError as error:
                diagnostics.note(error.message)
                continue
            return

    def _unwrapped_samples(self) -> Sequence[object]:
        """Return the sampled records, or the events inside them if the stanza unwraps a field."""
        from esctl.index.envelope.paths import look_up, parse_path

        if not self._stanza.unwrap:
            return self._about.samples
        return [look_up(sample, parse_path(self._stanza.unwrap)) for sample in self._about.samples]

    def _set_path(self, name: str, path: str | None) -> None:
        """Set the path of a field, None for no path; an empty path changes nothing."""
        from esctl.index.envelope.mapping import override

        if path == "":
            return
        if path is None:
            fields: dict[str, Any] = {name: (), **({"entities": (), "kind": ()} if name == "entity" else {})}
            self._stanza = replace(self._stanza, **fields)
        else:
            kind = {"kind": ()} if name == "entity" else {}
            self._stanza = override(replace(self._stanza, **kind), [f"{name}={path}"])
        if name == "time":
            self._detect_times()

    def _detect_times(self) -> None:
        """Detect again how the times are written; ask for the order of day and month if the samples leave it open."""
        from esctl.index.envelope.times.of_sample import find_times_shown

        stanza = replace(self._stanza, time_format=(), newest_first=None)
        if not stanza.time:
            self._stanza = replace(stanza, order="sequence" if stanza.sequence else "position")
            return
        if stanza.order == "position":
            stanza = replace(stanza, order="time")
        told = find_times_shown(stanza, self._about.samples, lambda: [list(self._about.samples)])
        order = told.order
        if told.doubt is not None and told.doubt.readings:
            diagnostics.note(told.doubt.why)
            names = [name for name, _ in told.doubt.readings]
            while order not in names:
                order = _ask(f"Which is it, {' or '.join(names)}? ")
        self._stanza = replace(stanza, time_format=(order,) if order else ())


def _paths(stanza: Stanza, name: str) -> tuple[str, ...]:
    paths: tuple[str, ...] = getattr(stanza, name)
    if name == "entity":
        paths += tuple(path for _, alternatives in stanza.entities for path in alternatives)
    return paths


def _paths_text(stanza: Stanza, name: str) -> str:
    return " | ".join(_paths(stanza, name)) or _NONE


def _describe_event(event: ReadEvent) -> str:
    if event.invalid is not None:
        return f"no event: {event.invalid}"
    parts = {
        "entity": ", ".join(event.entities),
        "time": "" if event.time is None else f"{event.time.isoformat(sep=' ')} UTC",
        "type": event.type,
        "actor": event.actor,
    }
    return "; ".join(f"{name} {_clip(text) if text else _NONE}" for name, text in parts.items())


def _describe_values(each: Candidate) -> str:
    return f"{each.distinct} values: {', '.join(map(_clip, each.samples))}"


def _clip(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}…"


def _path_of_answer(answer: str, found: Sequence[Candidate]) -> str | None:
    """Return the path that an answer means: empty to keep the current one, None for none.

    Raises UsageError for a number that is not in the list.
    """
    if answer.lower() == _NONE:
        return None
    if answer.isascii() and answer.isdigit():
        number = int(answer[:9])
        if not 1 <= number <= len(found):
            raise UsageError(f"there is no field {number}")
        return found[number - 1].path
    return answer


def _ask(prompt: str) -> str:
    """Ask on stderr, and return what is typed. Raises UsageError at the end of stdin."""
    sys.stderr.write(prompt)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise UsageError("not all was answered, and nothing is written", "ask again with: esctl init --interactive")
    return line.strip()


def write_answers(store: Store, names: Sequence[str], path: Path, quiet: bool) -> Store:
    """Ask about some sources, write their stanzas to esctl.toml, and return the store with the new mapping.

    Options kept from `--map` become stanzas too, of all sources that have none, and are then forgotten. Nothing is
    written before everything is answered. Raises UsageError if the answers end too soon or the stanzas cannot be added.
    """
    from esctl.ask.events.source_stanzas import as_mapping, with_stanzas
    from esctl.ask.events.starter_toml import starter
    from esctl.config import read_config
    from esctl.configured import mapping_of
    from esctl.named import read_named
    from esctl.output.sink import write_bytes

    manifest = store.view.manifest
    optioned = sources_without_stanza(store) if store.overrides else []
    stanzas = {name: manifest.stanzas[manifest.sources[name]] for name in optioned}
    stanzas |= ask_about(store, names)
    if path.exists():
        text = with_stanzas(read_named(path, _LARGEST, streams=False).decode(), stanzas, str(path))
        verb = "added to"
    else:
        mapped = _with_config(store, replace(store.config, mapping=as_mapping(stanzas)))
        mapped.mapping = mapping_of(mapped.config)  # without what --map said
        text, verb = starter(mapped.scope(), mapped.view.manifest, stanzas), "wrote"
    write_bytes([text.encode()], path)
    diagnostics.note(f"{verb} {path}", quiet)
    if store.overrides:
        store.set_overrides([])
    return _with_config(store, read_config(path))


def check_ask(ask: bool | None, sources: Sequence[str], follow: bool) -> None:
    """Raise UsageError if `--ask` is given and no user can answer."""
    if not ask:
        return
    if follow or "-" in sources:
        raise UsageError(
            f"--ask cannot be combined with {'--follow' if follow else 'records on stdin'}",
            "ask later: esctl init --interactive",
        )
    require_terminal("--ask")


def ask_about_new(store: Store, outcome: Outcome, ask: bool | None, shared: Shared) -> tuple[Store, Outcome, Outcome]:
    """Ask about new sources: with `ask` about all, else at a terminal about those that are unsure.

    Returns the store with its new mapping, the outcome of the ingest under it, and that outcome without the sources
    that were asked about.
    """
    from esctl.cli.intake.unsure import unsure_sources

    store.refresh()
    if ask is False or (ask is None and (shared.quiet or not can_ask())):
        return store, outcome, outcome
    own = set(sources_without_stanza(store))
    found = [(name, detection) for name, detection in outcome.detections if name in own]
    names = [name for name, _ in found] if ask else unsure_sources(store, found)
    if not names:
        return store, outcome, outcome
    before = store.view.manifest.homeless - outcome.homeless
    store = write_answers(store, names, store.config.path or config_path(store.path), shared.quiet)
    outcome = replace(outcome, homeless=max(store.view.manifest.homeless - before, 0))
    rest = tuple(each for each in outcome.detections if each[0] not in names)
    return store, outcome, replace(outcome, detections=rest)


def _with_config(store: Store, config: Config) -> Store:
    return type(store)(store.path, config, store.memory_limit, store.tz)


def sources_without_stanza(store: Store) -> list[str]:
    """List the sources of a store that have no stanza of their own in the configuration."""
    from esctl.index.envelope.mapping import stanza_for
    from esctl.model import MappingConfig

    own = MappingConfig(None, store.mapping.sources)
    return [name for name in store.view.manifest.sources if stanza_for(own, name) is None]
