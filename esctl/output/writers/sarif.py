"""SARIF 2.1.0, which code hosts and editors show as findings; each result on a line.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os-complete.html
"""

from __future__ import annotations

import json
import re
from typing import Any, BinaryIO

from esctl import __version__
from esctl.model import Answer
from esctl.output.target import Target, Written
from esctl.output.text import escape_json
from esctl.output.writers.findings import FoundRow, findings_of, found_rows

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LINK = re.compile(r"\[(?=[^\[\]]*\]\()")


def write_sarif(answer: Answer, connection: Any, target: Target, sink: BinaryIO) -> Written:
    """Write the rules that were checked, and each row that breaks one as a result."""
    findings = findings_of(answer, "sarif")
    rules = [{"id": name, "shortDescription": {"text": _message(line)}} for name, line in findings.rules]
    driver = _json({"name": "esctl", "version": __version__, "rules": rules})
    sink.write(f'{{"$schema":{_json(_SCHEMA)},"version":"2.1.0","runs":[{{"tool":{{"driver":{driver}}},'.encode())
    sink.write(b'"results":[')
    numbers = {name: number for number, (name, _) in enumerate(findings.rules)}
    descriptions = dict(findings.rules)
    count, before = 0, b"\n"
    with found_rows(answer, findings, connection) as found:
        for finding in found:
            line = _json(_result(finding, numbers.get(finding.rule), descriptions.get(finding.rule, "")))
            sink.write(before + line.encode())
            before = b",\n"
            count += not finding.skipped
    sink.write(b"\n]}]}\n")
    return Written(count)


def _result(finding: FoundRow, rule_index: int | None, description: str) -> dict[str, Any]:
    result: dict[str, Any] = {"ruleId": finding.rule}
    if rule_index is not None:
        result["ruleIndex"] = rule_index
    # A result of any kind but `fail` has the level `none` (3.27.10).
    result |= {"kind": "open", "level": "none"} if finding.skipped else {"level": "error"}
    result |= {"message": {"text": _message(finding.message or description or finding.rule)}}
    if finding.place:
        result["locations"] = [{"logicalLocations": [{"fullyQualifiedName": finding.place}]}]
    return result


def _message(text: str) -> str:
    """Write text so that nothing in it is a placeholder or a link (SARIF 3.11.5, 3.11.6)."""
    return _LINK.sub(r"\\[", text).replace("{", "{{").replace("}", "}}")


def _json(value: Any) -> str:
    return escape_json(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
