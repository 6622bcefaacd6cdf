"""Find the members of a record that are only envelope, if a preset takes the whole record as payload."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from esctl.index.envelope.envelope_sql import payload_paths, record_path
from esctl.index.envelope.paths import EACH
from esctl.index.envelope.presets import PRESETS
from esctl.model import Stanza


def envelope_only(stanza: Stanza) -> frozenset[str]:
    """Return the members of the payload that identify or date one event, and so are in no state.

    They are those that a preset maps, whole, to id, time, sequence, correlation or causation, and to nothing else.
    """
    if stanza.name not in PRESETS or payload_paths(stanza) != ((),):
        return frozenset()
    once = (stanza.id, stanza.id_parts, stanza.time, stanza.sequence, stanza.correlation, stanza.causation)
    more = (stanza.type, stanza.entity, stanza.kind, stanza.actor, stanza.tenant, *(p for _, p in stanza.entities))
    return frozenset(_members(path for paths in once for path in paths)) - frozenset(
        _members(path for paths in more for path in paths)
    )


def _members(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        if not path.startswith("=") and "{" not in path and EACH not in path:
            parts = record_path(path)
            if len(parts) == 1 and isinstance(parts[0], str):
                yield parts[0]
