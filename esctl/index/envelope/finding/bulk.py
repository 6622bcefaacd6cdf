"""Requests of Elasticsearch's bulk API: action lines, each followed by a document, which is the event."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from esctl.model import Stanza

_ACTIONS = ("index", "create", "update")
"""Actions that a document follows; none follows a deletion."""
_TARGET_MEMBERS = ("_index", "_id")
_MEMBERS = {
    *_TARGET_MEMBERS,
    "_type",
    "routing",
    "require_alias",
    "dynamic_templates",
    "pipeline",
    "version",
    "version_type",
}
_LEAST_SHARE = 0.4


def drop_action_lines(samples: Sequence[object]) -> list[object] | None:
    """Return the records that are no action lines; None if few are action lines, or all."""
    found = [sample for sample in samples if not _is_action(sample)]
    return found if found and len(samples) - len(found) >= _LEAST_SHARE * len(samples) else None


def _is_action(sample: object) -> bool:
    if not isinstance(sample, dict) or len(sample) != 1:
        return False
    ((name, members),) = sample.items()
    return (
        name in _ACTIONS
        and isinstance(members, dict)
        and members.keys() <= _MEMBERS
        and bool(members.keys() & {*_TARGET_MEMBERS})
    )


def with_action_lines(stanza: Stanza) -> Stanza:
    """Return the stanza of documents as one that also reads action lines, as events of no entity."""
    own_types = [path for path in stanza.type if not path.startswith("=")]
    actions = [f"bulk {name} {{{name}.{member}}}" for name in _ACTIONS for member in _TARGET_MEMBERS]
    constants = [path for path in stanza.type if path.startswith("=")]
    return replace(stanza, type=(*own_types, *actions, *constants), ignore_types=(*stanza.ignore_types, "bulk *"))
