"""Logs whose header is a comment that names their columns, as in the W3C's extended format."""

from __future__ import annotations

from esctl.index.envelope.presets.preset import Preset
from esctl.model import Stanza

W3C_ACCESS = Preset(
    Stanza(
        "w3c_access",
        id=('"x-edge-request-id"',),
        type=('"cs-method"',),
        time=("{date} {time}",),
        entity=('"cs-uri-stem"',),
        actor=('"cs-username"', '"c-ip"'),
        data=("record",),
        data_without=("date", "time"),
    ),
    needs=(("date",), ("time",), ('"cs-uri-stem"',), ('"cs-method"',)),
    source="https://learn.microsoft.com/en-us/windows/win32/http/w3c-logging",
)
"""Access logs of IIS, and of CloudFront, whose requests have an id."""

EXCHANGE_TRACKING = Preset(
    Stanza(
        "exchange_tracking",
        type=('"event-id"',),
        time=('"date-time"',),
        entity=('"message-id"', '"network-message-id"', '"internal-message-id"', '"server-hostname"'),
        actor=('"sender-address"',),
        correlation=('"network-message-id"', '"message-id"'),
        data=("record",),
    ),
    needs=(('"date-time"',), ('"event-id"',), ('"message-id"',), ('"internal-message-id"',)),
    source="https://learn.microsoft.com/en-us/exchange/mail-flow/transport-logs/message-tracking",
)

WINDOWS_FIREWALL = Preset(
    Stanza(
        "windows_firewall",
        type=("action",),
        time=("{date} {time}",),
        entity=('"dst-ip"', "protocol"),
        actor=('"src-ip"',),
        data=("record",),
        data_without=("date", "time"),
    ),
    needs=(("date",), ("time",), ("action",), ('"src-ip"',), ('"dst-ip"',), ("protocol",)),
    source="https://learn.microsoft.com/en-us/windows/security/operating-system-security/network-security/"
    "windows-firewall/configure-logging",
)
"""Its times are those of the machine's own clock; `--tz` gives the zone."""
