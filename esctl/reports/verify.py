"""verify: what was checked, against which anchor, and what was found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from esctl.engine.duckdb import Session
from esctl.ledger.check.findings import RULES, Check
from esctl.ledger.check.verify import Verified
from esctl.model import Answer, Column, Findings
from esctl.reports.rows import answer_of_rows

COLUMNS = (
    Column("check", "text"), Column("result", "text"), Column("checked", "integer"), Column("against", "text"),
    Column("finding", "text"), Column("position", "integer"), Column("block", "integer"), Column("file", "text"),
    Column("message", "text"),
)  # fmt: skip
_MESSAGE = "coalesce(finding || ': ', '') || message"
_SKIPPED = "CASE WHEN result = 'not checked' THEN \"check\" END"


def verification(session: Session, verified: Verified) -> Answer:
    """Return an answer with a row for each check of a store, or for each finding of one that failed."""
    return checks_answer(session, verified.checks, RULES, "verification")


def checks_answer(session: Session, checks: Sequence[Check], known: Sequence[tuple[str, str]], title: str) -> Answer:
    """Return an answer with a row for each check, or for each finding of one that failed. `known` are the rules."""
    rows = [row for check in checks for row in _rows(check)]
    broken = "CASE WHEN result = 'failed' THEN \"check\" END"
    place = "coalesce(file, '') || CASE WHEN position IS NULL THEN '' ELSE ' @' || position END"
    rules = tuple(rule for rule in known if any(check.rule == rule[0] for check in checks))
    findings = Findings(rules, broken, _MESSAGE, place, _SKIPPED)
    return answer_of_rows(session, COLUMNS, rows, title, findings)


def _rows(check: Check) -> Iterator[tuple[str | int | None, ...]]:
    for found in check.findings:
        yield (
            check.rule, "failed", check.count, check.against, found.kind, found.position, found.block,
            found.file or None, found.message,
        )  # fmt: skip
    if not check.findings:
        result = "not checked" if check.skipped else "ok"
        remark = check.skipped or check.note or None
        yield check.rule, result, check.count, check.against, None, None, None, None, remark
