"""The guide to logs in a bucket is true: its commands run, and give what is written below them.

`ESCTL_UPDATE_GUIDE=1` writes the outputs anew.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

from tests.support.object_server import serving
from tests.support.readme_examples import ROOT, environment, hold, walk

GUIDE = "docs/guides/object-logs.md"
FOLDER = "AWSLogs/111122223333/CloudTrail/eu-west-1/2024/05"
ACCOUNT = "111122223333"


def event(number: int, day: str, name: str, user: str, resource: str) -> dict[str, Any]:
    return {
        "eventVersion": "1.09",
        "eventID": f"00000000-0000-4000-8000-{number:012}",
        "eventTime": f"{day}T00:0{number}:00Z",
        "eventSource": "iam.amazonaws.com" if "policy" in resource else "cloudtrail.amazonaws.com",
        "eventName": name,
        "awsRegion": "eu-west-1",
        "eventType": "AwsApiCall",
        "userIdentity": {"type": "IAMUser", "arn": f"arn:aws:iam::{ACCOUNT}:user/{user}", "userName": user},
        "resources": [{"ARN": f"arn:aws:{resource}", "accountId": ACCOUNT}],
        "recipientAccountId": ACCOUNT,
    }


def written(*events: dict[str, Any]) -> bytes:
    return gzip.compress(json.dumps({"Records": events}).encode(), mtime=0)


def test_the_guide_is_true(tmp_path: Path) -> None:
    policy, trail = f"iam::{ACCOUNT}:policy/readers", f"cloudtrail:eu-west-1:{ACCOUNT}:trail/main"
    day = "2024-05-01"
    later = written(event(4, "2024-05-02", "DeleteTrail", "mallory", trail))
    (tmp_path / "20240502T0010Z.json.gz").write_bytes(later)
    with serving() as server, environment(tmp_path) as env:
        server.objects = {
            f"{FOLDER}/01/20240501T0005Z.json.gz": written(
                event(1, day, "CreatePolicy", "alice", policy), event(2, day, "CreateTrail", "alice", trail)
            ),
            f"{FOLDER}/01/20240501T0010Z.json.gz": written(event(3, day, "CreatePolicyVersion", "mallory", policy)),
            "AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2024/05/01/x_CloudTrail-Digest_x.json.gz": b"{}",
        }
        program = tmp_path / "bin" / "aws"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/tests/support/aws.py" "$@"\n')
        program.chmod(0o755)
        runs, _ = walk(GUIDE, tmp_path, env | server.environment())
    hold(GUIDE, runs)
