"""Tables in which frameworks and triggers keep what was changed."""

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
"""The table versions."""

_IN_DUMP = "fields."
"""Where Django's dumpdata has the columns, beside `model` and `pk`."""


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

SUPA_AUDIT = Preset(
    Stanza(
        "supa_audit",
        id=("id",),
        type=("op",),
        time=("ts",),
        entity=(
            "{table_schema}.{table_name}/{record_id}",
            "{table_schema}.{table_name}/{old_record_id}",
            "{table_schema}.{table_name}",  # of all rows of a table
        ),
        kind=("table_name",),
        actor=("auth_uid", "auth_role"),
        data=("record.record", "record.old_record", "record"),
    ),
    needs=(("op",), ("ts",), ("table_schema",), ("table_name",), ("record_id", "old_record_id", "table_oid")),
    source="https://github.com/supabase/supa_audit",
)
"""The table audit.record_version."""

AUDIT_TRIGGER = Preset(
    Stanza(
        "audit_trigger",
        id=("event_id",),
        type=("action",),
        time=("action_tstamp_clk", "action_tstamp_stm", "action_tstamp_tx"),
        entity=(
            "{schema_name}.{table_name}/{row_data.id}",
            "{schema_name}.{table_name}/{row_data.uuid}",
            "{schema_name}.{table_name}",
        ),
        kind=("table_name",),
        actor=("session_user_name",),
        correlation=("transaction_id",),
        data=("changed_fields", "row_data", "record"),
        opened=(("row_data", "hstore"), ("changed_fields", "hstore")),
    ),
    needs=(("event_id",), ("schema_name",), ("table_name",), ("action",), ("action_tstamp_tx",)),
    source="https://wiki.postgresql.org/wiki/Audit_trigger_91plus",
)
"""The table audit.logged_actions; actions are I, U, D, T."""

PGMEMENTO = Preset(
    Stanza(
        "pgmemento",
        id=("id", "row_log_id"),
        type=("table_operation", "op_id", "=change"),
        time=("stmt_time", "txid_time", "stmt_date"),
        entity=("{schema_name}.{table_name}/{audit_id}", "{table_name}/{audit_id}", "audit_id"),
        kind=("table_name",),
        actor=("session_info.client_user", "user_name", "session_user"),
        correlation=("transaction_id", "txid"),
        data=("new_data", "old_data", "changes", "record"),
    ),
    needs=(
        ("audit_id",),
        ("event_key", "event_id"),
        ("new_data", "old_data", "changes"),
        ("event_key", "table_operation", "op_id"),
    ),
    source="https://github.com/pgMemento/pgMemento",
)
"""The table row_log, joined with table_event_log and transaction_log; `audit_id` is one row of all tables."""

_BEGINS = ("_valid_from", "_fivetran_start", "dbt_valid_from", "SysStartTime", "ValidFrom", "_airbyte_start_at")
_NAMES = ("id", "_id", "ID", "Id", "uuid", "key", "code", "_airbyte_unique_key")
ROW_HISTORY = Preset(
    Stanza(
        "row_history",
        type=("=version",),
        time=_BEGINS,
        entity=_NAMES,
        kind=("=row",),
        data=("record",),
    ),
    needs=(_BEGINS, _NAMES),
    source="https://fivetran.com/docs/core-concepts/sync-modes/history-mode",
)
"""Tables of the versions of rows, each with when it began and ended (slowly changing dimensions of type 2)."""
