"""verify-proof: what was proven, of which record, by whose signature."""

from __future__ import annotations

from esctl.engine.duckdb import Session
from esctl.ledger.prove.judge import Judgement
from esctl.log.commit_json import stored_time
from esctl.model import Answer, Column, Findings
from esctl.reports.rows import answer_of_rows

COLUMNS = (
    Column("result", "text"), Column("position", "integer"), Column("recorded_at", "time"), Column("source", "text"),
    Column("offset", "integer"), Column("log", "text"), Column("size", "integer"), Column("root", "text"),
    Column("signed_by", "text"), Column("reason", "text"),
)  # fmt: skip
RULES = (("proof", "the record is in the log that was signed, with just these bytes"),)


def proof_answer(session: Session, judged: Judgement) -> Answer:
    """Return an answer of one row: the result, and what the proof is about."""
    leaf, head = judged.content.leaf, judged.checkpoint.head
    recorded = _instant(leaf.recorded_at) if leaf is not None else None
    place = (judged.content.source, leaf.offset) if leaf is not None else (None, None)
    signers = ", ".join(judged.signers) or None
    row = (
        judged.result, judged.content.position, recorded, *place, head.origin, head.size, head.root.hex(), signers,
        judged.reason or None,
    )  # fmt: skip
    rule = "CASE WHEN result IN ('refuted', 'not judged') THEN 'proof' END"
    findings = Findings(RULES, rule, "result || ': ' || reason", "log || ' @' || position")
    return answer_of_rows(session, COLUMNS, [row], "proof", findings)


def _instant(microseconds: int) -> str | None:
    try:
        return stored_time(microseconds)
    except OverflowError:
        return None
