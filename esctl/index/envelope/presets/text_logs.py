"""Known text logs, which are recognised by the name of the pattern that their lines are read with.

`esctl/sources/formats/text/known.py` describes the lines, and names the sources.
"""

from __future__ import annotations

from msgspec.structs import replace

from esctl.index.envelope.presets.preset import Preset
from esctl.model import Stanza


def _of(stanza: Stanza, lines: str, source: str) -> Preset:
    return Preset(replace(stanza, pattern=stanza.pattern or stanza.name), needs=(), source=source, lines=lines)


ACCESS_LOG = _of(
    Stanza(
        "access_log",
        type=("method", "=request"),
        time=("time",),
        entity=("path", "request", "=(no request)"),
        actor=("user", "client"),
        data=("record",),
        data_without=("time",),
        absent=("-", '""'),
    ),
    "of nginx and Apache: common, combined, with a virtual host before it or more fields behind it",
    "https://httpd.apache.org/docs/2.4/logs.html#accesslog",
)
ELB_ACCESS = _of(
    Stanza(
        "elb_access",
        type=("method", "=request"),
        time=("time",),
        entity=("path", "elb"),
        actor=("client",),
        correlation=("trace_id",),
        data=("record",),
        data_without=("time",),
        absent=("-", '""'),
    ),
    "of AWS load balancers: application and classic",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html",
)
S3_ACCESS = _of(
    Stanza(
        "s3_access",
        id=("{request_id}/{operation}/{key}", "{request_id}/{operation}"),
        type=("operation",),
        time=("time",),
        entity=("{bucket}/{key}", "bucket"),
        kind=("=s3",),
        actor=("requester", "remote_ip"),
        correlation=("request_id",),
        data=("record",),
        data_without=("time",),
        absent=("-",),
    ),
    "of Amazon S3: server access logs",
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html",
)
SQUID = _of(
    Stanza(
        "squid",
        type=("method",),
        time=("time",),
        entity=("url",),
        actor=("user", "client"),
        data=("record",),
        data_without=("time",),
        absent=("-",),
    ),
    "of Squid, in its native format",
    "https://wiki.squid-cache.org/Features/LogFormat",
)
CEF = _of(
    Stanza(
        "cef",
        type=("name", "signature"),
        time=("rt", "start", "end", "time"),
        entity=(
            "duser", "duid", "filePath", "fname", "dhost", "dst", "dvchost", "dvc", "host", "shost", "src", "product",
        ),
        actor=("suser", "suid", "src"),
        correlation=("externalId",),
        data=("record",),
        data_without=("time", "rt"),
    ),
    "of ArcSight's Common Event Format, alone or behind what syslog writes",
    "https://www.microfocus.com/documentation/arcsight/arcsight-smartconnectors-8.4/pdfdoc/"
    "cef-implementation-standard/cef-implementation-standard.pdf",
)  # fmt: skip
APACHE_ERROR = _of(
    Stanza(
        "apache_error",
        type=("level",),
        time=("time",),
        entity=("module", "=apache"),
        actor=("client",),
        correlation=("code",),
        data=("record",),
        data_without=("time",),
    ),
    "of Apache, 2.2 and 2.4",
    "https://httpd.apache.org/docs/2.4/logs.html#errorlog",
)
NGINX_ERROR = _of(
    Stanza(
        "nginx_error",
        type=("level",),
        time=("time",),
        entity=("path", "server", "host", "=nginx"),
        actor=("client",),
        correlation=("{pid}/{connection}",),
        data=("record",),
        data_without=("time",),
    ),
    "of nginx",
    "https://nginx.org/en/docs/ngx_core_module.html#error_log",
)
SYSLOG = _of(
    Stanza(
        "syslog",
        type=("program", "=message"),
        time=("time",),
        entity=("host", "=localhost"),
        data=("record",),
        data_without=("time",),
    ),
    "of RFC 3164 (times without a year: say year = 2024) and RFC 5424, with or without <priority>",
    "https://www.rfc-editor.org/rfc/rfc5424#section-6",
)
_POSTGRESQL = Stanza(
    "postgresql",
    id=("{session_id}/{session_line_num}",),
    type=("audit.command", "error_severity"),
    time=("log_time",),
    entity=(
        "{database_name}/{audit.object_name}",
        "audit.object_name",
        "database_name",
        "backend_type",
        "=postgresql",
    ),
    kind=("audit.object_type",),
    actor=("user_name",),
    correlation=("session_id", "process_id"),
    data=("record",),
    data_without=("log_time",),
)
POSTGRESQL = _of(
    _POSTGRESQL,
    "of PostgreSQL: csvlog (no header; 23, 24 or 26 columns), stderr; pgaudit in either",
    "https://www.postgresql.org/docs/current/runtime-config-logging.html",
)
CONTAINER = _of(
    Stanza(
        "container", type=("stream",), time=("time",), entity=("=container",), data=("record",), data_without=("time",)
    ),
    "of containerd and CRI-O, where what the container wrote is neither JSON nor a log that is known",
    "https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md",
)
AUDITD = _of(
    Stanza(
        "auditd",
        type=("type",),
        time=("time",),
        entity=("name", "acct", "exe", "cwd", "proctitle", "comm", "a0", "saddr", "audit({event})"),
        actor=("AUID", "auid"),
        correlation=("{node}/{event}", "event"),
        data=("record",),
        data_without=("time",),
        absent=("?", "unset", "4294967295", "-1", "(none)"),
    ),
    "of the Linux audit daemon (audit.log, ausearch --raw); records of one event have its serial as correlation",
    "https://github.com/linux-audit/audit-documentation/wiki/SPEC-Audit-Event-Enrichment",
)
