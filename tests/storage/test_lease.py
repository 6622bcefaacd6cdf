"""The lease of a store that is kept elsewhere, where the service leaves out what others have."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from esctl.storage import lease as leases
from esctl.storage.depots import LocalDepot
from esctl.storage.lease import Lease


class Unversioned(LocalDepot):
    """A depot that has no versions, and takes its time to replace a file."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.begun = threading.Event()

    def create(self, name: str, data: bytes) -> str:
        super().create(name, data)
        return ""

    def replace(self, name: str, data: bytes, tag: str | None = None) -> str:
        assert tag is None
        self.begun.set()
        time.sleep(0.6)
        super().replace(name, data)
        return ""


def test_a_renewal_under_way_does_not_make_the_lease_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEWED", 0.01)
    depot = Unversioned(tmp_path)
    lease = Lease(depot, "mirror")
    assert lease.acquire(0) == ""
    assert depot.begun.wait(10)
    lease.release()
    time.sleep(1)
    assert not (tmp_path / "lock").exists()
