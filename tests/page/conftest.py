"""A browser to look at pages with, offline; and a store of the sample bank with its page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli_harness import SAMPLES, good


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """Debian's Chromium, driven by Playwright; skips where one of them is not installed."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make test")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed: make browser")
    with sync_api.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running
        running.close()


def mine(folder: Path) -> dict[str, str]:
    """The surroundings of the user who signs."""
    return {"XDG_CONFIG_HOME": str(folder / "config"), "XDG_STATE_HOME": str(folder / "state")}


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of the sample bank with a checkpoint; the signer's public key is in `key.pub`."""
    found = tmp_path_factory.mktemp("bank")
    for name in ("bank.jsonl", "esctl.toml"):
        shutil.copy(SAMPLES / name, found)
    good("ingest", "bank.jsonl", "-q", "--erasable", cwd=found)
    (found / "key.pub").write_bytes(good("key", "new", "auditor", "-q", cwd=found, **mine(found)).out)
    good("checkpoint", "-q", cwd=found, **mine(found))
    return found
