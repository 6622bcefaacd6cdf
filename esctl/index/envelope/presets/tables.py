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
        data=("object_changes",),
    ),
    needs=(("item_type",), ("item_id",), ("event",), ("created_at",), ("whodunnit", "object_changes", "object")),
)
"""https://github.com/paper-trail-gem/paper_trail (table versions)"""

DJANGO_AUDITLOG = Preset(
    Stanza(
        "django_auditlog",
        id=("id",),
        type=("action",),
        time=("timestamp",),
        entity=("{content_type}/{object_pk}", "{content_type_id}/{object_pk}"),
        kind=("content_type", "content_type_id"),
        actor=("actor", "actor_id", "actor_email"),
        correlation=("cid",),
        data=("changes",),
    ),
    needs=(("object_pk",), ("content_type", "content_type_id"), ("action",), ("timestamp",), ("changes",)),
)
"""https://django-auditlog.readthedocs.io (table auditlog_logentry)"""

DJANGO_SIMPLE_HISTORY = Preset(
    Stanza(
        "django_simple_history",
        id=("history_id",),
        type=("history_type",),
        time=("history_date",),
        entity=("id", "uuid", "history_relation_id"),
        actor=("history_user_id", "history_user"),
        data=("record",),
    ),
    needs=(("history_id",), ("history_type",), ("history_date",), ("id", "uuid", "history_relation_id")),
)
"""https://django-simple-history.readthedocs.io (a table of history for each model)"""

SUPA_AUDIT = Preset(
    Stanza(
        "supa_audit",
        id=("id",),
        type=("op",),
        time=("ts",),
        entity=("{table_schema}.{table_name}/{record_id}", "{table_schema}.{table_name}/{old_record_id}"),
        kind=("table_name",),
        actor=("auth_uid", "auth_role"),
        data=("record.record", "record.old_record"),
    ),
    needs=(("op",), ("ts",), ("table_schema",), ("table_name",), ("record_id", "old_record_id")),
)
"""https://github.com/supabase/supa_audit (table audit.record_version)"""

AUDIT_TRIGGER = Preset(
    Stanza(
        "audit_trigger",
        id=("event_id",),
        type=("action",),
        time=("action_tstamp_clk", "action_tstamp_stm", "action_tstamp_tx"),
        entity=("{schema_name}.{table_name}/{row_data.id}", "{schema_name}.{table_name}"),
        kind=("table_name",),
        actor=("session_user_name",),
        correlation=("transaction_id",),
        data=("changed_fields", "row_data"),
    ),
    needs=(("event_id",), ("schema_name",), ("table_name",), ("action",), ("action_tstamp_tx",), ("row_data",)),
)
"""https://wiki.postgresql.org/wiki/Audit_trigger_91plus (table audit.logged_actions)"""
