"""JUnit XML as Jenkins, GitLab and others read it: a test case for each rule, failed if rows break it."""

from __future__ import annotations

from typing import Any, BinaryIO
from xml.sax.saxutils import escape, quoteattr

from msgspec import Struct, field

from esctl.model import Answer
from esctl.output.target import Target, Written
from esctl.output.text import visible
from esctl.output.writers.findings import findings_of, found_rows

_MOST_LINES = 1000
"""Findings listed in one failure; the others are counted."""


class _Case(Struct):
    """One rule: what it says, how many rows break it, and the first of them in words."""

    description: str
    broken: int = 0
    lines: list[str] = field(default_factory=list)
    skipped: str | None = None  # why it could not be checked


def write_junit(answer: Answer, connection: Any, target: Target, sink: BinaryIO) -> Written:
    """Write the rules that were checked as test cases of one suite."""
    findings = findings_of(answer, "junit")
    cases = {name: _Case(line) for name, line in findings.rules}
    count = 0
    with found_rows(answer, findings, connection) as found:
        for finding in found:
            case = cases.setdefault(finding.rule, _Case(""))
            if finding.skipped:
                case.skipped = finding.message
                continue
            case.broken += 1
            if len(case.lines) < _MOST_LINES:
                case.lines.append(": ".join(text for text in (finding.place, finding.message) if text))
            count += 1
    suite = answer.title or "esctl"
    failures = sum(case.broken > 0 for case in cases.values())
    counts = f'tests="{len(cases)}" failures="{failures}" errors="0"'
    sink.write(f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="esctl" {counts}>\n'.encode())
    skipped = sum(case.skipped is not None and not case.broken for case in cases.values())
    sink.write(f'<testsuite name={_attribute(suite)} {counts} skipped="{skipped}">\n'.encode())
    for name, case in cases.items():
        sink.write((_case(suite, name, case) + "\n").encode())
    sink.write(b"</testsuite>\n</testsuites>\n")
    return Written(count)


def _case(suite: str, name: str, case: _Case) -> str:
    opening = f"<testcase classname={_attribute(suite)} name={_attribute(name)}"
    if not case.broken:
        reason = case.skipped
        return f"{opening}/>" if reason is None else f"{opening}><skipped message={_attribute(reason)}/></testcase>"
    more = [f"and {case.broken - len(case.lines)} more"] if case.broken > len(case.lines) else []
    text = "\n".join(escape(visible(line)) for line in [*case.lines, *more])
    attributes = f"type={_attribute(name)} message={_attribute(case.description or name)}"
    return f"{opening}><failure {attributes}>{text}</failure></testcase>"


def _attribute(text: str) -> str:
    # Characters that XML 1.0 forbids (controls, surrogates, noncharacters) are shown visibly; markup is escaped.
    return quoteattr(visible(text))
