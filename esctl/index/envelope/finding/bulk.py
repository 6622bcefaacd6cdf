"""Requests of Elasticsearch's bulk API: action lines, each followed by a document, which is the event."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from esctl.model import Stanza

_ACTIONS = ("index", "create", "update")
"""Actions that a document follows; none follows a deletion."""
_SAID = ("_index", "_id")
_MEMBERS = {*_SAID, "_type", "routing", "require_alias", "dynamic_templates", "pipeline", "version", "version_type"}
_SHARE = 0.4


def documents(samples: Sequence[object]) -> list[object] | None:
    """Return the records that are no action lines; None if few are action lines, or all."""
    found = [sample for sample in samples if not _is_action(sample)]
    return found if found and len(samples) - len(found) >= _SHARE * len(samples) else None


def _is_action(sample: object) -> bool:
    if not isinstance(sample, dict) or len(sample) != 1:
        return False
    ((name, said),) = sample.items()
    return name in _ACTIONS and isinstance(said, dict) and said.keys() <= _MEMBERS and bool(said.keys() & {*_SAID})


def beside_actions(stanza: Stanza) -> Stanza:
    """Return the stanza of documents as one that also reads action lines, as events of no entity."""
    told = [path for path in stanza.type if not path.startswith("=")]
    actions = [f"bulk {name} {{{name}.{member}}}" for name in _ACTIONS for member in _SAID]
    constants = [path for path in stanza.type if path.startswith("=")]
    return replace(stanza, type=(*told, *actions, *constants), ignore_types=(*stanza.ignore_types, "bulk *"))
