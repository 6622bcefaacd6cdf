"""What only names an event, or says when it was, is in no state under a preset; it stays in the payload."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from esctl.index.envelope.presets import PRESETS
from esctl.index.envelope.presets.envelope_only import envelope_only
from esctl.model import Stanza
from tests.support.cli_harness import good, plain_event, write_lines

ENVELOPE = ("eventID", "eventTime", "requestID")
STEPPED = '[projections.all.on."*"]\nmerge_patch = "data"\n'
MERGED = '[projections.all.on."*"]\nmerge = "data"\n'


def trail_event(number: int, **more: Any) -> dict[str, Any]:
    return {
        "eventVersion": "1.09", "awsRegion": "us-east-1", "eventSource": "iam.amazonaws.com", "eventName": "CreateUser",
        "eventID": f"e-{number}", "eventTime": f"2024-03-01T10:00:{number:02}Z", "requestID": f"r-{number}",
        "requestParameters": {"userName": "bob"}, "userIdentity": {"arn": "arn:aws:iam::1:user/adm"}, **more,
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_lines(tmp_path / "trail.jsonl", [trail_event(n, n=n) for n in range(3)])
    good("ingest", "trail.jsonl", "-q", cwd=tmp_path)
    return tmp_path


@pytest.mark.parametrize("rules", ["", MERGED, STEPPED], ids=["default", "merge", "event by event"])
def test_the_envelope_is_no_state_and_no_change(folder: Path, rules: str) -> None:
    (folder / "esctl.toml").write_text(rules)
    state = good("replay", "bob", cwd=folder).row["state"]
    assert not set(ENVELOPE) & set(state)
    assert (state["n"], state["eventName"], state["userIdentity"]) == (
        2,
        "CreateUser",
        {"arn": "arn:aws:iam::1:user/adm"},
    )
    assert [change["field"] for change in good("audit", "bob", cwd=folder).rows[-1]["changes"]] == ["n"]
    assert {row["field"] for row in good("blame", "bob", cwd=folder).rows} == set(state)
    assert "state.eventID" not in good("replay", "bob", "-f", "csv", cwd=folder).text
    called = "\"all\"('now')" if rules else "merge('now')"
    assert not set(ENVELOPE) & set(good("sql", f"select * from {called}", cwd=folder).row)


def test_the_payload_has_it_all(folder: Path) -> None:
    rows = good("log", "--columns", "data", cwd=folder).rows
    assert [row["data"] for row in rows] == [trail_event(n, n=n) for n in range(3)]
    assert len(good("log", "--where", "data.eventID = 'e-1'", cwd=folder).rows) == 1
    (folder / "esctl.toml").write_text('[projections.all.on."*"]\nset.last = "data.eventID"\n')
    assert good("replay", "bob", cwd=folder).row["state"] == {"last": "e-2"}


def test_a_source_beside_that_no_preset_reads_keeps_its_fields(folder: Path) -> None:
    write_lines(
        folder / "own.jsonl", [plain_event(n, "own-1", eventID=f"x{n}", eventTime="noon", m=n) for n in range(3)]
    )
    good("ingest", "own.jsonl", "-q", cwd=folder)
    for rules in ("", STEPPED):
        (folder / "esctl.toml").write_text(rules)
        states = {row["entity"]: row["state"] for row in good("replay", "-q", cwd=folder).rows}
        assert states["own-1"] == {"eventID": "x2", "eventTime": "noon", "m": 2}
        assert not set(ENVELOPE) & set(states["bob"])


def test_the_starter_configuration_changes_nothing(folder: Path) -> None:
    before = good("replay", cwd=folder).row["state"]
    good("init", cwd=folder)
    assert good("replay", cwd=folder).row["state"] == before


def test_presets_name_it(tmp_path: Path) -> None:
    rows = {row["field"]: row["where"] for row in good("presets", "cloudtrail", cwd=tmp_path).rows}
    assert rows["in no state"] == "eventID | eventTime | requestID | sharedEventID"


def test_only_what_a_preset_takes_whole_for_nothing_else() -> None:
    assert envelope_only(PRESETS["kubernetes_audit"].stanza) == {
        "auditID", "stageTimestamp", "requestReceivedTimestamp", "timestamp",
    }  # fmt: skip
    own = Stanza("custom", id=("id",), time=("time",), data=("record",))
    assert envelope_only(own) == frozenset()
    assert envelope_only(PRESETS["cloudevents"].stanza) == frozenset()
