"""Tables in which frameworks and triggers keep changes."""

from __future__ import annotations

from esctl.index.envelope.presets.preset import Preset
from esctl.model import Stanza

PAPER_TRAIL = Preset(
    Stanza(
        "paper_trail",
        id=("id",),
        type=("event",),
        time=("created_at",),
        entity=("{item_type}/{item_id}",),
        kind=("item_type",),
        actor=("whodunnit",),
        correlation=("transaction_id",),
        data=("object_changes", "object", "record"),
        opened=(("object_changes", "yaml"), ("object", "yaml")),
    ),
    needs=(("item_type",), ("item_id",), ("event",), ("created_at",), ("whodunnit", "object_changes", "object")),
    source="https://github.com/paper-trail-gem/paper_trail",
)
"""The table `versions`."""

_IN_DUMP = "fields."
"""Where Django's dumpdata has the columns, next to `model` and `pk`."""


def _django(*names: str) -> tuple[str, ...]:
    return (*names, *(f"{_IN_DUMP}{name}" for name in names))


DJANGO_AUDITLOG = Preset(
    Stanza(
        "django_auditlog",
        id=("id", "pk"),
        type=_django("action"),
        time=_django("timestamp"),
        entity=(
            "{content_type}/{object_pk}",
            "{content_type_id}/{object_pk}",
            "{fields.content_type[0]}.{fields.content_type[1]}/{fields.object_pk}",
            "{fields.content_type}/{fields.object_pk}",
        ),
        kind=("content_type", "content_type_id", "fields.content_type[1]", "fields.content_type"),
        actor=_django("actor", "actor_id", "actor_email"),
        correlation=_django("cid"),
        data=_django("changes"),
    ),
    needs=(_django("object_pk"), _django("content_type", "content_type_id"), _django("action"), _django("timestamp")),
    source="https://django-auditlog.readthedocs.io/en/latest/usage.html",
)
"""The table auditlog_logentry; actions are 0 (create), 1 (update), 2 (delete), 3 (access)."""

_KEYS = ("id", "uuid", "pk", "code", "slug", "history_relation_id")
DJANGO_SIMPLE_HISTORY = Preset(
    Stanza(
        "django_simple_history",
        id=("history_id", "{model}/{pk}"),
        type=_django("history_type"),
        time=_django("history_date"),
        entity=(
            *(f"{{model}}/{{fields.{name}}}" for name in _KEYS),
            *(f"{{model}}/{{{name}}}" for name in _KEYS if name != "pk"),
            *(name for name in _KEYS if name != "pk"),
        ),
        kind=("model",),
        actor=_django("history_user_id", "history_user"),
        data=("fields", "record"),
        data_without=tuple(f"history_{name}" for name in ("id", "date", "type", "user_id", "user", "change_reason")),
    ),
    needs=(
        ("history_id", "pk"),
        _django("history_type"),
        _django("history_date"),
        tuple(path for name in _KEYS for path in (name, f"{_IN_DUMP}{name}")),
    ),
    source="https://django-simple-history.readthedocs.io/en/latest/querying_history.html",
)
"""A table of history for each model; types are +, ~ and -."""
