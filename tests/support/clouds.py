"""Where clients of object storage find the servers of tests, and nothing that is told outside of these."""

from __future__ import annotations

import os
from collections.abc import Mapping

import pytest

_BEGINNINGS = ("AWS_", "GOOGLE_", "AZURE_")


def amazon(url: str, key: str, secret: str) -> dict[str, str]:
    """Return what tells clients of S3 where a server is, and credentials for it."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nonexistent/config",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/credentials",
    }


def point_at(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clients of this process find that alone."""
    for name in [name for name in os.environ if name.startswith(_BEGINNINGS)]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
