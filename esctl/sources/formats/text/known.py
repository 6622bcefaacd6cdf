"""The text logs that are known by name: which lines they have, and what these hold.

A format is data: patterns for its lines, of which the first that matches counts, and what to look for inside a field.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct
from msgspec.structs import replace

from esctl.errors import UsageError
from esctl.sources.formats.text.grok import Pattern, compile_pattern

MOSTLY = 0.8
"""The least share of the first lines of a source that have to be of a kind for it to be one of that kind."""
_BETWEEN_RECORDS = re.compile(rb"[ \t]|-{4,}\s*$|time->")
"""Lines that continue others, and what ausearch writes between events."""
_LEAD = r"\A(?:\x{FEFF}|\x00|\x1e|[ \t]*\r?\n)+"


class PatternPart(Struct, frozen=True):
    """A pattern for a field, whose groups become members of the object `into`, or of the record if that is ""."""

    field: str
    pattern: str
    into: str = ""


class TextFormat(Struct, frozen=True):
    """A text log. `pairs` names the field that is a list of key=value, which become members of the record.

    `encoded` are the keys whose values without quotes are text as hexadecimal digits; `spaced` values hold blanks, and
    have a backslash before special characters. A source is not recognised by lines that match `never`, nor by lines
    that match only the last `lax` patterns.
    """

    name: str
    patterns: tuple[str, ...]
    parts: tuple[PatternPart, ...] = ()
    pairs: str = ""
    encoded: tuple[str, ...] = ()
    spaced: bool = False
    never: str = ""
    lax: int = 0

    @property
    def compiled(self) -> tuple[Pattern, ...]:
        """Return its patterns, compiled."""
        return tuple(map(compile_pattern, self.patterns))


_QUOTED = r"(?:[^\"\\]|\\.)*"
_ACCESS = (
    r'(?P<client>[^ "\[\]]+) (?P<ident>[^ ]+) (?P<user>[^ \[]+) \[(?P<time>[0-9]{1,2}/[A-Z][a-z]{2}/[0-9]{4}:[^\]]+)\] '
    rf'"(?:(?P<method>[A-Za-z_-]+) (?P<path>[^ "?]*)(?:\?(?P<query>[^ "]*))?(?: (?P<protocol>[A-Z]+/[0-9.]+))?'
    rf'|(?P<request>{_QUOTED}))" %{{INT:status:int}} (?:%{{INT:bytes:int}}|-)'
)
_AGENT = rf' "(?P<referrer>{_QUOTED})" "(?P<agent>{_QUOTED})"(?: (?P<more>.+))?'
ACCESS = TextFormat(
    "access_log",
    (
        rf"^{_ACCESS}(?:{_AGENT})?$",
        rf"^(?P<host>[^ ]+) {_ACCESS}(?:{_AGENT})?$",
    ),
)
"""https://httpd.apache.org/docs/2.4/logs.html#accesslog, https://nginx.org/en/docs/http/ngx_http_log_module.html; with
the name of the virtual host before it, or more fields after it, too."""

_UTC = r"(?P<time>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]+)?Z)"
_BALANCED = (
    rf"{_UTC} (?P<elb>[^ ]+) (?:-|(?P<client>[^ ]+):(?P<client_port>[0-9]+)) (?:-|(?P<target>[^ ]+)) "
    r"%{NUMBER:request_processing_time:float} %{NUMBER:target_processing_time:float} "
    r"%{NUMBER:response_processing_time:float} (?:-|%{INT:elb_status_code:int}) (?:-|%{INT:target_status_code:int}) "
    r"%{INT:received_bytes:int} %{INT:sent_bytes:int} "
    r'"(?:(?P<method>[A-Za-z_-]*[A-Za-z]) [a-z]+://(?P<host>[^ "/?]*)(?P<path>/[^ "?]*)?(?:\?(?P<query>[^ "]*))? '
    rf'(?P<protocol>[^ "]+)|(?P<request>{_QUOTED}))" "(?P<user_agent>{_QUOTED})" (?P<ssl_cipher>[^ ]+) '
    r"(?P<ssl_protocol>[^ ]+)"
)
_ROUTED = "".join(
    rf' "(?P<{name}>{_QUOTED})"'
    for name in (
        "actions_executed", "redirect_url", "error_reason", "target_list", "target_status_code_list", "classification",
        "classification_reason",
    )
)  # fmt: skip
ELB_ACCESS = TextFormat(
    "elb_access",
    (
        rf"^(?P<scheme>http|https|h2|grpcs|ws|wss) {_BALANCED} (?P<target_group_arn>[^ ]+) "
        rf'"(?P<trace_id>{_QUOTED})" "(?P<domain_name>{_QUOTED})" "(?P<chosen_cert_arn>{_QUOTED})" '
        r"(?P<matched_rule_priority>[^ ]+) (?P<request_creation_time>[^ ]+)"
        rf"{_ROUTED}(?: (?P<conn_trace_id>TID_[^ ]+))?(?: (?P<more>.+))?$",
        rf"^{_BALANCED}$",
    ),
)
"""https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html, and those of the
classic load balancers: https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/access-log-collection.html"""
_NUMBER_OR_NOT = r"(?:%{{INT:{}:int}}|-)"
S3_ACCESS = TextFormat(
    "s3_access",
    (
        r"^(?P<bucket_owner>[^ ]+) (?P<bucket>[^ ]+) \[(?P<time>[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[^\]]+)\] "
        r"(?P<remote_ip>[^ ]+) (?P<requester>[^ ]+) (?P<request_id>[^ ]+) (?P<operation>[A-Z0-9]+\.[^ ]+) "
        r"(?P<key>[^ ]+) "
        rf'(?:"(?P<request_uri>{_QUOTED})"|-) {_NUMBER_OR_NOT.format("status")} (?P<error_code>[^ ]+) '
        rf"{_NUMBER_OR_NOT.format('bytes_sent')} {_NUMBER_OR_NOT.format('object_size')} "
        rf"{_NUMBER_OR_NOT.format('total_time')} {_NUMBER_OR_NOT.format('turn_around_time')} "
        rf'(?:"(?P<referrer>{_QUOTED})"|-) (?:"(?P<agent>{_QUOTED})"|-) (?P<version_id>[^ ]+)'
        r"(?: (?P<host_id>[^ ]+) (?P<signature>[^ ]+) (?P<cipher>[^ ]+) (?P<authentication>[^ ]+) (?P<host>[^ ]+)"
        r" (?P<tls>[^ ]+)(?: (?P<access_point>[^ ]+)(?: (?P<acl_required>[^ ]+)(?: (?P<more>.+))?)?)?)?$",
    ),
)
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html: fields were added at the end over the years."""

SQUID = TextFormat(
    "squid",
    (
        r"^(?P<time>[0-9]{9,10}\.[0-9]{3}) +%{INT:duration:int} (?P<client>[^ ]+) "
        r"(?P<result>[A-Z_]+)/%{INT:status:int} "
        r"%{INT:bytes:int} (?P<method>[A-Za-z_-]+) (?P<url>[^ ]+) (?P<user>[^ ]+) "
        r"(?P<hierarchy>[A-Z_0-9]+)/(?P<peer>[^ ]+) (?P<content_type>[^ ]+)(?: (?P<more>.+))?$",
    ),
)
"""https://wiki.squid-cache.org/Features/LogFormat: the native format."""

APACHE_ERROR = TextFormat(
    "apache_error",
    (
        r"^\[(?P<time>[A-Z][a-z]{2} [A-Z][a-z]{2} +[0-9]{1,2} [0-9:.]+ [0-9]{4})\] \[(?:(?P<module>[\w-]*):)?"
        r"(?P<level>[a-z]+[0-9]?)\](?: \[pid (?P<pid>[0-9]+)(?::tid (?P<tid>[0-9]+))?\])?"
        r"(?: \[(?:remote|client) (?P<client>[^\]]+?)(?::(?P<port>[0-9]{1,5}))?\])?(?: (?P<code>AH[0-9]{5}):)?"
        r" ?(?P<message>.*)$",
    ),
)
"""https://httpd.apache.org/docs/2.4/logs.html#errorlog"""

NGINX_ERROR = TextFormat(
    "nginx_error",
    (
        r"^(?P<time>[0-9]{4}/[0-9]{2}/[0-9]{2} [0-9:]{8}) \[(?P<level>[a-z]+)\] (?P<pid>[0-9]+)#(?P<tid>[0-9]+): "
        r"(?:\*(?P<connection>[0-9]+) )?(?P<message>.*)$",
    ),
    (
        PatternPart("message", r", client: (?P<client>[^ ,]+)"),
        PatternPart("message", r", server: (?P<server>[^ ,]+)"),
        PatternPart("message", r', request: "(?P<method>[A-Z]+) (?P<path>[^ ?"]*)'),
        PatternPart("message", r', host: "(?P<host>[^"]*)"'),
    ),
)
"""https://nginx.org/en/docs/ngx_core_module.html#error_log"""

RUNTIME = "container"
"""The name of the format whose lines are a container runtime's own."""
CONTAINER = TextFormat(
    RUNTIME,
    (r"^(?P<time>[0-9]{4}-[0-9]{2}-[0-9]{2}T[^ ]+) (?P<stream>stdout|stderr) [PF](?::[^ ]*)? (?P<message>.*)$",),
)
"""https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md"""

_STAMP = r"[A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"
_YEARED = r"[A-Z][a-z]{2} [ 0-9][0-9] [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}"
_INSTANT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:?[0-9]{2})"
_FINE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}[+-][0-9]{2}:[0-9]{2}"
_LEVEL = (
    "trace|debug|verbose|fine|info|information|notice|warn|warning|err|error|severe|crit|critical"
    "|fatal|alert|emerg|panic"
)
SYSLOG = TextFormat(
    "syslog",
    (
        rf"^<(?P<priority>[0-9]{{1,3}})>[1-9][0-9]{{0,2}} (?:-|(?P<time>{_INSTANT})) (?:-|(?P<host>[^ ]+)) "
        r"(?:-|(?P<program>[^ ]+)) (?:-|(?P<pid>[^ ]+)) (?:-|(?P<message_id>[^ ]+)) "
        r'(?:-|(?P<structured>(?:\[(?:[^\]"\\]|\\.|"(?:[^"\\]|\\.)*")*\])+))(?: (?:\x{FEFF})?(?P<message>.*))?$',
        rf"^(?:<(?P<priority>[0-9]{{1,3}})>)?(?P<time>{_STAMP}|{_FINE}) (?P<host>[^ :\[\]]+) "
        r"(?P<program>[^ :\[]+)(?:\[(?P<pid>[^\]]*)\])?: ?(?P<message>.*)$",
        rf"^(?P<time>{_INSTANT}) (?P<host>[^ :\[\]]+) (?P<program>[^ :\[]+)\[(?P<pid>[0-9]+)\]: ?(?P<message>.*)$",
        rf"^(?:<(?P<priority>[0-9]{{1,3}})>)?(?P<time>{_STAMP}) (?P<host>[^ :\[\]]+) (?P<message>.*)$",
    ),
    lax=1,
    never=rf"^(?:<[0-9]{{1,3}}>)?(?:{_STAMP}|{_INSTANT}) [\[(]?(?i:{_LEVEL})[\])]?[ :|,]",
)
"""https://www.rfc-editor.org/rfc/rfc3164#section-4.1, https://www.rfc-editor.org/rfc/rfc5424#section-6; with times of
RFC 3339 in place of those of RFC 3164, as rsyslog writes them, too."""

_CELL = r'"(?:[^"]|"")*"|[^,"]*'
AUDIT = PatternPart(
    "message",
    r"^AUDIT: (?P<audit_type>SESSION|OBJECT),(?P<statement_id>[0-9]+),(?P<substatement_id>[0-9]+),(?P<class>[A-Z_]+),"
    rf"(?P<command>[^,]*),(?P<object_type>{_CELL}),(?P<object_name>{_CELL}),(?P<statement>(?s:{_CELL}))"
    rf"(?:,(?P<parameter>(?s:{_CELL})))?(?:,(?P<rows>[0-9]+))?\s*$",
    "audit",
)
"""https://github.com/pgaudit/pgaudit#format"""
_PG_TIME = (
    r"(?P<log_time>[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)? (?:[A-Z]{1,5}|[+-][0-9]{2}))"
)
_PG_SAYS = (
    r"(?P<error_severity>DEBUG[1-5]?|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC|DETAIL|HINT|QUERY|CONTEXT|LOCATION"
    r"|STATEMENT|BACKTRACE):  ?(?P<message>.*)$"
)
_PG_USER = r"(?P<user_name>[^@ ]*)@(?P<database_name>[^ :]*)"
POSTGRESQL = TextFormat(
    "postgresql",
    (
        rf"^{_PG_TIME} \[(?P<process_id>[0-9]+)(?:-[0-9]+)?\]:?(?: \[[0-9]+(?:-[0-9]+)?\])?(?: {_PG_USER})? {_PG_SAYS}",
        rf"^{_PG_TIME}:(?P<connection_from>[^: ]*):{_PG_USER}:\[(?P<process_id>[0-9]+)\]:{_PG_SAYS}",
        rf"^{_PG_TIME} \[(?P<process_id>[0-9]+)\]:? (?:\[[0-9]+-[0-9]+\] )?user=(?P<user_name>[^, ]*),"
        rf"db=(?P<database_name>[^, ]*)(?:,app=(?P<application_name>[^,]*))?(?:,client=(?P<connection_from>[^, ]*))? "
        rf"{_PG_SAYS}",
    ),
    (AUDIT,),
)
"""https://www.postgresql.org/docs/current/runtime-config-logging.html (log_line_prefix)"""

_CEF_PART = r"(?:[^|\\]|\\.)*"
CEF = TextFormat(
    "cef",
    tuple(
        rf"^{lead}CEF: ?(?P<cef_version>[0-9]+(?:\.[0-9]+)?)\|(?P<vendor>{_CEF_PART})\|(?P<product>{_CEF_PART})\|"
        rf"(?P<version>{_CEF_PART})\|(?P<signature>{_CEF_PART})\|(?P<name>{_CEF_PART})\|(?P<severity>{_CEF_PART})"
        r"(?:\|(?P<pairs>.*))?$"
        for lead in (
            "",
            rf"(?:<(?P<priority>[0-9]{{1,3}})>)?(?:[1-9][0-9]{{0,2}} )?(?P<time>{_STAMP}|{_YEARED}|{_INSTANT}) "
            r"(?P<host>[^ |]+) "
            r"(?:[^|]* )?",
            r"(?:<(?P<priority>[0-9]{1,3})>)",
        )
    ),
    pairs="pairs",
    spaced=True,
)
"""https://www.microfocus.com/documentation/arcsight/arcsight-smartconnectors-8.4/pdfdoc/cef-implementation-standard/
cef-implementation-standard.pdf: alone on a line, or after what syslog writes."""

AUDITD = TextFormat(
    "auditd",
    (
        r"^(?:node=(?P<node>[^ ]+) )?type=(?P<type>[^ ]+) msg=audit\("
        r"(?P<event>(?P<time>[0-9]+\.[0-9]+|[0-9]{2}/[0-9]{2}/[0-9]{2,4} [0-9:.]+):(?P<serial>[0-9]+))"
        r"\) ?: ?(?:avc: +(?P<result>denied|granted) +\{ (?P<permissions>[^}]*?) *\} for +)?(?P<pairs>.*)$",
    ),
    pairs="pairs",
    encoded=(
        "acct", "cmd", "comm", "cwd", "data", "dir", "exe", "file", "key", "name", "new-chardev", "new-disk", "new-fs",
        "new-rng", "ocomm", "old-chardev", "old-disk", "old-fs", "old-rng", "path", "proctitle", "vm", "watch",
    ),
)  # fmt: skip
"""https://github.com/linux-audit/audit-documentation/wiki/SPEC-Audit-Event-Enrichment and the dictionary of fields
there: the fields of format "encoded" are in quotes, or else hexadecimal digits."""

LOGFMT = TextFormat(
    "logfmt",
    (rf'^(?P<pairs>[\w.@-]+=(?:"{_QUOTED}"|[^ "]*)(?: +[\w.@/-]+=(?:"{_QUOTED}"|[^ "]*))+ *)$',),
    pairs="pairs",
)

TEXT_FORMATS: Mapping[str, TextFormat] = {
    each.name: each
    for each in (
        AUDITD,
        CEF,
        S3_ACCESS,
        ACCESS,
        ELB_ACCESS,
        SQUID,
        APACHE_ERROR,
        NGINX_ERROR,
        POSTGRESQL,
        CONTAINER,
        SYSLOG,
        LOGFMT,
    )
}
"""All text formats by name, in the order in which they are tried."""


@lru_cache(maxsize=64)
def text_format(pattern: str) -> TextFormat:
    """Return a format by its name, or one of patterns, one a line. Raises UsageError if name or pattern is wrong."""
    return TEXT_FORMATS.get(pattern) or TextFormat("", tuple(map(_check_pattern, pattern.split("\n"))))


def _check_pattern(pattern: str) -> str:
    if re.fullmatch(r"\w+", pattern):
        near = difflib.get_close_matches(pattern, TEXT_FORMATS, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(TEXT_FORMATS)}; or a pattern with fields"
        raise UsageError(f"no text log is called {pattern!r}", hint)
    compile_pattern(pattern)
    return pattern


def find_text_format(lines: Sequence[bytes]) -> str:
    """Return the name of the format that most lines have, or ""; lines that continue others do not count."""
    heads = [line.decode(errors="replace") for line in lines if not _BETWEEN_RECORDS.match(line)]
    return next((form.name for form in TEXT_FORMATS.values() if _is_typical(form, heads)), "")


def _is_typical(form: TextFormat, texts: Sequence[str]) -> bool:
    """Return whether most lines are of a format, and more than half of them not only by its lax patterns."""
    likely = [text for text in texts if not form.never or re.search(form.never, text) is None]
    if not likely or count_lines(form, likely) < MOSTLY * len(texts):
        return False
    strict = replace(form, patterns=form.patterns[: len(form.patterns) - form.lax])
    return not form.lax or 2 * count_lines(strict, likely) > len(texts)


def count_lines(form: TextFormat, texts: Sequence[str]) -> int:
    """Count the texts that are lines of a format."""
    return int(pc.sum(is_line_of(form, pa.array(texts, pa.large_string()))).as_py() or 0)


def trim_lines(texts: Any) -> Any:
    """Return text records without the blank lines before them and their line ends."""
    return pc.ascii_rtrim(pc.replace_substring_regex(texts, _LEAD, "", max_replacements=1), "\r\n")


def is_line_of(form: TextFormat, texts: Any) -> Any:
    """Return a mask of the texts that are lines of a format, with or without line ends."""
    bare, found = trim_lines(texts), pa.array([False] * len(texts), pa.bool_())
    for pattern in form.compiled:
        found = pc.or_(found, pc.match_substring_regex(bare, pattern.regex))
    return found
