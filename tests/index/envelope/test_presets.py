"""Known formats, recognised from their records."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from esctl.errors import UsageError
from esctl.index.envelope.mapping import parse_mapping
from esctl.index.envelope.paths import look_up, parse_path
from esctl.index.envelope.presets import PRESETS, Preset
from esctl.index.envelope.recognise import fit_to_sample, recognise
from esctl.model import Stanza

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "cloudevents": [
        {
            "specversion": "1.0",
            "id": "1",
            "source": "/shop",
            "type": "order.placed",
            "subject": "order-1",
            "data": {"a": 1},
        },
    ],
    "cloudtrail": [
        {
            "eventVersion": "1.08",
            "eventID": "e",
            "eventName": "StopLogging",
            "eventSource": "cloudtrail.amazonaws.com",
            "eventTime": "2024-07-31T12:46:41Z",
            "requestParameters": {"name": "trail"},
            "userIdentity": {"arn": "arn:aws:iam::1:user/a"},
        },
    ],
    "kubernetes_audit": [
        {
            "auditID": "a",
            "stage": "ResponseComplete",
            "verb": "create",
            "user": {"username": "system:admin"},
            "requestURI": "/api",
            "objectRef": {"resource": "pods", "namespace": "default", "name": "web-1"},
            "stageTimestamp": "2024-01-01T00:00:00.000001Z",
        },
    ],
    "github_webhooks": [
        {
            "headers": {"x-github-event": "issues", "x-github-delivery": "d"},
            "body": {"action": "opened", "sender": {"login": "a"}},
        },
    ],
    "github_events": [
        {
            "id": "1",
            "type": "PushEvent",
            "actor": {"login": "a"},
            "repo": {"name": "a/b"},
            "payload": {},
            "created_at": "2024-01-01T00:00:00Z",
        },
    ],
    "eventsourcing": [
        {
            "id": 1,
            "originator_id": "u",
            "originator_version": 1,
            "topic": "bank:Account.Opened",
            "state": {"timestamp": "x"},
        },
    ],
    "marten": [
        {
            "seq_id": 1,
            "id": "e",
            "stream_id": "s",
            "version": 1,
            "type": "opened",
            "timestamp": "2024-01-01T00:00:00Z",
            "data": {},
        },
        {
            "seq_id": 2,
            "id": "f",
            "stream_id": "s",
            "version": 2,
            "type": "closed",
            "timestamp": "2024-01-01T00:00:00Z",
            "data": {},
        },
    ],
    "axon": [
        {
            "globalIndex": 1,
            "eventIdentifier": "e",
            "aggregateIdentifier": "a",
            "sequenceNumber": 0,
            "type": "Account",
            "payloadType": "bank.Opened",
            "timeStamp": "2024-01-01T00:00:00Z",
            "payload": {},
            "metaData": {"traceId": "t"},
        },
    ],
    "kurrentdb": [
        {
            "eventId": "e",
            "eventType": "Opened",
            "eventStreamId": "account-1",
            "eventNumber": 0,
            "created": "2024-01-01T00:00:00.1234567Z",
            "data": {},
            "metadata": {"$correlationId": "c"},
        },
    ],
    "opentelemetry": [
        {
            "timeUnixNano": "1700000000000000000",
            "severityText": "INFO",
            "body": {"stringValue": "x"},
            "attributes": [],
            "traceId": "t",
        },
    ],
}


def first(stanza: Stanza, field: str, record: object) -> str | None:
    """Give the first alternative that a record has, read plainly."""
    for alternative in getattr(stanza, field) or (stanza.entities[0][1] if field == "entity" else ()):
        alternative = alternative.replace("[*]", "[0]")
        if alternative.startswith("="):
            return str(alternative[1:])
        paths = re.findall(r"\{([^}]*)\}", alternative)
        values = [
            look_up(record, [part for part in parse_path(path) if part != "record"]) for path in paths or [alternative]
        ]
        if all(value is not None for value in values):
            return re.sub(r"\{[^}]*\}", "%s", alternative) % tuple(values) if paths else str(values[0])
    return None


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_preset_recognises_its_records_and_no_others(name: str) -> None:
    found = recognise(EXAMPLES[name])
    assert found is not None
    assert (found.stanza.name, found.stanza.unwrap, found.matching) == (name, "", len(EXAMPLES[name]))
    for field in ("type", "entity"):
        assert first(found.stanza, field, EXAMPLES[name][0])


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_event_is_found_under_a_wrapper(name: str) -> None:
    wrapped: list[object] = [{"_doc": "x", "event": record} for record in EXAMPLES[name]]
    found = recognise([*wrapped, *wrapped, {"event": {"hello": "world"}}])
    assert found is not None
    assert (found.stanza.name, found.stanza.unwrap) == (name, "event")


@pytest.mark.parametrize(("name", "preset"), PRESETS.items())
def test_paths_of_presets_can_be_read(name: str, preset: Preset) -> None:
    stanza = parse_mapping({"preset": name}).default
    assert stanza == preset.stanza
    for field in (
        "id",
        "id_parts",
        "type",
        "time",
        "entity",
        "kind",
        "actor",
        "correlation",
        "causation",
        "sequence",
        "data",
    ):
        for alternative in getattr(stanza, field):
            for path in re.findall(r"\{([^}]*)\}", alternative) or [alternative]:
                assert path.startswith("=") or parse_path(path)


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("wrapper", ["", "event"])
def test_a_preset_that_is_named_is_the_one_recognised(name: str, wrapper: str) -> None:
    samples: list[object] = [{wrapper: record} if wrapper else record for record in EXAMPLES[name]]
    found = recognise(samples)
    named = parse_mapping({"preset": name}).default
    assert found is not None
    assert named is not None
    assert fit_to_sample(named, samples) == found.stanza


def test_what_is_said_beside_a_preset_stays() -> None:
    samples = EXAMPLES["marten"]
    for table, sequence, order in (
        ({"order": "time"}, ("seq_id",), "time"),
        ({"order": "sequence"}, ("seq_id",), "sequence"),
        ({"sequence": "version"}, ("version",), "sequence"),
        ({"scope": "source"}, ("seq_id",), "sequence"),
    ):
        named = parse_mapping({"preset": "marten", **table}).default
        assert named is not None
        assert (fit_to_sample(named, samples).sequence, fit_to_sample(named, samples).order) == (sequence, order)
    ordered = parse_mapping({"preset": "marten", "order": "sequence"}).default
    assert ordered is not None
    with pytest.raises(UsageError, match="marten"):
        fit_to_sample(ordered, [{**EXAMPLES["marten"][0], "seq_id": None, "eventTypeName": "x"}])


def test_a_minority_is_no_format() -> None:
    assert recognise([*EXAMPLES["cloudtrail"], {"a": 1}]) is None
    assert recognise([]) is None
    assert recognise([1, "x", None, [EXAMPLES["cloudtrail"][0]]]) is None
    assert recognise([{"id": 1, "type": "x", "time": "2024-01-01", "stream": "a-1", "data": {}}]) is None


def test_spellings() -> None:
    kurrent = recognise(
        [{"id": "e", "type": "t", "streamId": "s", "revision": 4, "data": {}, "created": 1700000000000}]
    )
    assert kurrent is not None
    assert (kurrent.stanza.name, kurrent.stanza.sequence, kurrent.stanza.order) == (
        "kurrentdb",
        ("revision",),
        "sequence",
    )
    stored = recognise([{"originator_id": "u", "originator_version": 1, "topic": "t", "state": {}}])
    assert stored is not None
    assert stored.stanza.sequence == ("originator_version",)
    assert recognise(EXAMPLES["eventsourcing"]).stanza.sequence == ("id",)  # type: ignore[union-attr]


def test_entity_and_actor_of_an_example() -> None:
    kubernetes = EXAMPLES["kubernetes_audit"][0]
    stanza = PRESETS["kubernetes_audit"].stanza
    assert first(stanza, "entity", kubernetes) == "pods/default/web-1"
    assert first(stanza, "type", kubernetes) == "create.pods"
    webhook = EXAMPLES["github_webhooks"][0]
    assert first(PRESETS["github_webhooks"].stanza, "type", webhook) == "issues.opened"


def test_real_cloudtrail(real_logs: Path) -> None:
    records = read_lines(real_logs / "cloudtrail_stratus" / "cloudtrail_stratus.jsonl")
    found = recognise(records)
    assert found is not None
    assert (found.stanza.name, found.matching) == ("cloudtrail", len(records))
    for field in ("id", "type", "time", "entity", "actor"):
        assert all(first(found.stanza, field, record) for record in records)


def test_real_webhooks(real_logs: Path) -> None:
    records = read_lines(real_logs / "github_webhooks" / "webhooks.jsonl")
    found = recognise(records)
    assert found is not None
    assert found.stanza.name == "github_webhooks"
    for record in records:
        kind, action = record["headers"]["X-GitHub-Event"], record["body"].get("action")
        assert first(found.stanza, "type", record) == (f"{kind}.{action}" if action else kind)
        assert first(found.stanza, "entity", record)


def test_real_cloudevents(real_logs: Path) -> None:
    records = read_lines(real_logs / "suites" / "cloudevents" / "spec_samples.jsonl")
    found = recognise(records)
    assert found is not None
    assert (found.stanza.name, found.stanza.unwrap) == ("cloudevents", "event")


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_names_that_others_have_too_are_of_no_preset_in_another_spelling() -> None:
    record = {"event_name": "Paid", "event_source": "shop", "event_time": "2024-03-01", "event_version": 1, "user": "u"}
    assert recognise([{**record, "order_id": f"o-{number}"} for number in range(3)]) is None
    of_cloudtrail = {**record, "user_identity": {"arn": "arn:aws:iam::111122223333:user/admin-1"}}
    found = recognise([of_cloudtrail])
    assert found is not None
    assert (found.stanza.name, found.stanza.type, found.stanza.actor[0]) == (
        "cloudtrail",
        ("event_name",),
        "user_identity.arn",
    )


ANYBODYS = [
    {"_id": "65e1", "type": "login", "date": "2024-03-01", "user_id": "u-1", "ip": "192.0.2.1", "order_id": "o-1"},
    {"ts": 1709287200.5, "uid": "u-1", "host": "web-1", "name": "login"},
    {"id": 1, "subject_id": 7, "subject_type": "Order", "verb": "paid", "created_at": "2024-03-01", "actor": "u"},
    {"id": 1, "item_type": "Order", "item_id": 7, "event": "paid", "created_at": "2024-03-01", "user": "u"},
    {"audit_id": 1, "event_id": "e", "changes": {"n": 1}, "account": "a-1", "time": "2024-03-01"},
    {"action": "pay", "created_at": "2024-03-01", "actor": "u", "operation_type": "write", "order": "o-1"},
    {"field": "n", "old_value": 1, "new_value": 2, "created_date": "2024-03-01", "created_by_id": 1, "account_id": 2},
    {"event": "x", "uid": "u", "time": "2024-03-01", "code": 3, "name": "n", "user": "u"},
]


@pytest.mark.parametrize("record", ANYBODYS)
def test_names_that_anybody_has_are_of_no_preset(record: dict[str, Any]) -> None:
    assert recognise([record] * 3) is None
