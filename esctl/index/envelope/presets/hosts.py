"""Logs of hosts and of sign-ins: the journal of systemd, Falco's alerts, Keycloak's events."""

from __future__ import annotations

from esctl.index.envelope.presets.preset import Preset
from esctl.model import Stanza

JOURNALD = Preset(
    Stanza(
        "journald",
        id=("__CURSOR",),
        type=("SYSLOG_IDENTIFIER", "_COMM", "_TRANSPORT", "=message"),
        time=("__REALTIME_TIMESTAMP",),
        entity=("{_HOSTNAME}/{UNIT}", "{_HOSTNAME}/{_SYSTEMD_UNIT}", "_HOSTNAME", "_MACHINE_ID"),
        actor=("_AUDIT_LOGINUID", "_UID"),
        data=("record",),
        absent=("4294967295",),
    ),
    needs=(("__REALTIME_TIMESTAMP",), ("__CURSOR", "_BOOT_ID"), ("MESSAGE", "PRIORITY")),
    source="https://www.freedesktop.org/software/systemd/man/latest/systemd.journal-fields.html",
)
"""As `journalctl -o json` writes it."""

_FIELD = 'output_fields."{}"'
FALCO = Preset(
    Stanza(
        "falco",
        id=("uuid",),
        type=("rule",),
        time=("time",),
        entity=(
            '{output_fields."k8s.ns.name"}/{output_fields."k8s.pod.name"}',
            _FIELD.format("container.name"),
            _FIELD.format("container.id"),
            "hostname",
            "source",
        ),
        actor=(_FIELD.format("user.name"), _FIELD.format("ka.user.name"), _FIELD.format("user.uid")),
        data=("record",),
        absent=("<NA>", "host"),  # a container called `host` is none
    ),
    needs=(("rule",), ("priority",), ("output",), ("output_fields",), ("time",)),
    source="https://falco.org/docs/concepts/outputs/formatting/",
)

KEYCLOAK_ADMIN = Preset(
    Stanza(
        "keycloak_admin",
        id=("id",),
        type=("{resourceType}.{operationType}", "operationType"),
        time=("time",),
        entity=("resourcePath", "realmId"),
        kind=("resourceType",),
        actor=("authDetails.username", "authDetails.userId", "authDetails.clientId"),
        data=("record",),
    ),
    needs=(("operationType",), ("authDetails",), ("time",), ("resourceType", "resourcePath")),
    source="https://www.keycloak.org/docs-api/latest/javadocs/org/keycloak/events/admin/AdminEvent.html",
)

KEYCLOAK = Preset(
    Stanza(
        "keycloak",
        id=("id",),
        type=("type",),
        time=("time",),
        entity=("userId", "details.username", "clientId", "realmId"),
        actor=("details.username", "userId", "clientId"),
        correlation=("sessionId",),
        data=("record",),
    ),
    needs=(("type",), ("time",), ("realmId", "realmName"), ("clientId", "userId"), ("ipAddress", "details")),
    source="https://www.keycloak.org/docs-api/latest/javadocs/org/keycloak/events/Event.html",
)
"""Events of users; those of administrators are in `keycloak_admin`."""
