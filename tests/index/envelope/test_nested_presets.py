"""Formats whose records are nested: what is around a record is part of what is known of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli_harness import good

HISTORIES = [
    {
        "id": "102",
        "author": {"accountId": "acc-9", "displayName": "Admin 1"},
        "created": "2024-03-02T10:00:00.123+0100",
        "items": [{"field": "status", "from": "1", "to": "3"}, {"field": "resolution", "from": None, "to": "1"}],
    },
    {
        "id": "101",
        "author": {"emailAddress": "user-1@example.com"},
        "created": "2024-03-01T10:00:00.123+0100",
        "items": [{"field": "assignee", "from": None, "to": "acc-1"}],
    },
]
CHANGELOG = {"startAt": 0, "total": 2, "histories": HISTORIES}
ISSUE = {"expand": "changelog", "id": "10001", "key": "PRJ-1", "changelog": CHANGELOG, "fields": {"summary": "x"}}
OTHER = {"changelog": {"histories": [{**HISTORIES[1], "id": "103"}]}, "id": "10002", "key": "PRJ-2"}
SEARCH = {"expand": "names", "startAt": 0, "maxResults": 50, "total": 2, "issues": [ISSUE, OTHER]}
BULK = {"issueChangeLogs": [{"issueId": "10001", "changeHistories": HISTORIES}], "nextPageToken": "n"}
ROWS = [
    {
        "time": "2024-03-02T09:00:00.123000Z",
        "type": "status,resolution",
        "entity": "PRJ-1",
        "actor": "acc-9",
        "id": "102",
    },
    {
        "time": "2024-03-01T09:00:00.123000Z",
        "type": "assignee",
        "entity": "PRJ-1",
        "actor": "user-1@example.com",
        "id": "101",
    },
]
COLUMNS = "time,type,entity,actor,id"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (json.dumps(SEARCH), [*ROWS, {**ROWS[1], "entity": "PRJ-2", "id": "103"}]),
        (json.dumps(SEARCH, indent=2, sort_keys=True), [*ROWS, {**ROWS[1], "entity": "PRJ-2", "id": "103"}]),
        (json.dumps(ISSUE), ROWS),
        (json.dumps(ISSUE) + "\n" + json.dumps(OTHER) + "\n", [*ROWS, {**ROWS[1], "entity": "PRJ-2", "id": "103"}]),
        (json.dumps(BULK), [{**row, "entity": "10001"} for row in ROWS]),
    ],
)
def test_histories_of_issues_are_of_the_issue(text: str, expected: Any, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    done = good("ingest", "a.json", cwd=tmp_path)
    assert "preset jira_changelog" in done.err
    assert good("log", "--columns", COLUMNS, cwd=tmp_path).rows == expected
    assert all("wrapper" not in row["state"] for row in good("replay", cwd=tmp_path).rows)


def attributes(**values: str) -> list[Any]:
    return [{"key": key.replace("_", "."), "value": {"stringValue": value}} for key, value in values.items()]


@pytest.mark.parametrize("indent", [None, 1])
def test_log_records_are_of_their_resource(indent: int | None, tmp_path: Path) -> None:
    def record(n: int, **more: Any) -> dict[str, Any]:
        return {
            "timeUnixNano": f"{1709287200 + 86400 * (n - 1)}000000000",
            "severityText": "INFO",
            "body": {"stringValue": "x"},
            **more,
        }

    document = {
        "resourceLogs": [
            {
                "resource": {"attributes": attributes(service_name="shop", host_name="h-1")},
                "scopeLogs": [
                    {
                        "scope": {"name": "lib"},
                        "logRecords": [
                            record(1, attributes=attributes(event_name="user.login", enduser_id="user-1")),
                            record(2, eventName="user.logout", attributes=[]),
                        ],
                    }
                ],
            },
            {
                "resource": {"attributes": attributes(service_name="billing")},
                "scopeLogs": [{"logRecords": [record(3)]}],
            },
        ]
    }
    (tmp_path / "a.json").write_text(json.dumps(document, indent=indent))
    good("ingest", "a.json", cwd=tmp_path)
    rows = good("log", "--columns", "type,entity,actor,data", cwd=tmp_path).rows
    assert [(row["type"], row["entity"], row["actor"]) for row in rows] == [
        ("user.login", "shop", "user-1"),
        ("user.logout", "shop", None),
        ("INFO", "billing", None),
    ]
    assert rows[0]["data"]["wrapper"]["resource"]["attributes"] == {"service.name": "shop", "host.name": "h-1"}
    assert rows[0]["data"]["attributes"] == {"event.name": "user.login", "enduser.id": "user-1"}
    good("verify", cwd=tmp_path)
