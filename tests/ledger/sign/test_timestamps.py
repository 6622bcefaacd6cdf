"""Times that others vouch for: stamps of checkpoints by a local authority, and what was last seen here."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from esctl.ledger.check.findings import Check, Finding
from esctl.ledger.check.verify import VerifyOptions, verify
from esctl.ledger.sign import last_seen
from esctl.log.commits import create_store, open_log
from esctl.log.writer import LogWriter
from tests.support.cli_harness import esctl, good, plain_event, refused, surroundings, write_lines
from tests.support.log_helpers import NOW, Unsynced, clock, part

HOUR = 3_600_000_000
_CONFIG = """
[req]
distinguished_name = dn
[dn]
[ca]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
[stamper]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
[tsa]
default_tsa = authority
[authority]
serial = serial
default_policy = 1.2.3.4.1
signer_digest = sha256
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
"""


@dataclass
class Authority:
    """A stamping authority in a folder, answered for by `openssl ts`."""

    folder: Path
    url: str = ""
    asked: list[bytes] = field(default_factory=list)
    spoil: Callable[[bytes], bytes] = lambda response: response

    def run(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def certify(self) -> None:
        """Make the keys and certificates: of one who vouches, and of the stamper."""
        (self.folder / "openssl.cnf").write_text(_CONFIG)
        (self.folder / "serial").write_text("01\n")
        common = ("-config", "openssl.cnf", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
        self.run(
            "req", "-x509", *common, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Voucher", "-days", "9999",
            "-extensions", "ca",
        )  # fmt: skip
        self.run("req", *common, "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=Stamper")
        self.run(
            "x509", "-req", "-in", "tsa.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "9999",
            "-extfile", "openssl.cnf", "-extensions", "stamper", "-out", "tsa.pem",
        )  # fmt: skip

    def stamp(self, query: bytes) -> bytes:
        (self.folder / "query").write_bytes(query)
        self.run(
            "ts", "-reply", "-config", "openssl.cnf", "-queryfile", "query", "-signer", "tsa.pem", "-inkey", "tsa.key",
            "-out", "reply",
        )  # fmt: skip
        return self.spoil((self.folder / "reply").read_bytes())


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to stamp with")
    made = Authority(tmp_path_factory.mktemp("authority"))
    made.certify()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            made.asked.append(query)
            body = made.stamp(query)
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the parent's name
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}/"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The user's own folders, which commands run in subprocesses are to have too."""
    own = {f"XDG_{kind}_HOME": str(tmp_path / kind.lower()) for kind in ("CONFIG", "STATE")}
    for name, value in {**surroundings(), **own}.items():
        monkeypatch.setenv(name, value)
    return own


def found(path: Path, rule: str) -> Check:
    return next(check for check in verify(path, VerifyOptions()).checks if check.rule == rule)


def signed(tmp_path: Path, authority: Authority, user: dict[str, str]) -> Path:
    """Make a store of the time when the tests were written, with a stamped checkpoint."""
    create_store(tmp_path / ".esctl", files=Unsynced())
    with LogWriter(tmp_path / ".esctl", clock=clock, files=Unsynced()) as writer:
        writer.append([part("a", [b"{}\n"] * 3)])
    good("key", "new", "k", cwd=tmp_path, **user)
    done = good("checkpoint", "--tsa", authority.url, cwd=tmp_path, **user)
    assert done.text.startswith("esctl/")
    assert "its stamp is in" in done.err
    return tmp_path / ".esctl"


def test_a_checkpoint_is_stamped_and_verified(tmp_path: Path, authority: Authority, user: dict[str, str]) -> None:
    path = signed(tmp_path, authority, user)
    (stamp,) = (path / "checkpoints").glob("*.tsr")
    assert stamp.with_suffix(".checkpoint").exists()
    asked = len(authority.asked)
    good("checkpoint", "--tsa", authority.url, cwd=tmp_path, **user)  # the stamp already exists
    assert len(authority.asked) == asked
    certificate = authority.folder / "ca.pem"
    rows = {row["check"]: row for row in good("verify", "--tsa-cert", certificate, cwd=tmp_path, **user).rows}
    assert (rows["stamps"]["result"], rows["stamps"]["checked"]) == ("ok", 1)
    assert rows["checkpoints"]["checked"] == 1
    unjudged = {row["check"]: row for row in good("verify", cwd=tmp_path, **user).rows}["stamps"]
    assert unjudged["result"] == "not checked"
    assert "--tsa-cert" in unjudged["message"]
    with LogWriter(path, clock=clock, files=Unsynced()) as writer:  # long before it was stamped, or so it says
        writer.append([part("b", [b"{}\n"] * 2)])
        writer.append([part("c", [b"{}\n"] * 2)])
    done = esctl("verify", "--tsa-cert", certificate, cwd=tmp_path, **user)
    assert done.code == 1
    told = [row for row in done.rows if row["check"] == "back-dating"]
    assert (told[0]["finding"], told[0]["position"]) == ("back-dated", 4)
    assert "4 records claim to have been recorded from 2023-11-14T22:13:20.000001Z on" in told[0]["message"]


def test_a_stamp_of_something_else_or_of_a_stranger_is_found(
    tmp_path: Path, authority: Authority, user: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = signed(tmp_path, authority, user)
    certificate = authority.folder / "ca.pem"
    stranger = Authority(tmp_path_factory.mktemp("stranger"))
    stranger.certify()
    done = esctl("verify", "--tsa-cert", stranger.folder / "ca.pem", cwd=tmp_path, **user)
    assert done.code == 1
    (row,) = (row for row in done.rows if row["result"] == "failed")
    assert (row["check"], row["finding"]) == ("stamps", "signature by an unknown key")
    (stamp,) = (path / "checkpoints").glob("*.tsr")
    whole = stamp.read_bytes()
    with LogWriter(path, files=Unsynced()) as writer:
        writer.append([part("b", [b"{}\n"])])
    good("checkpoint", "--tsa", authority.url, cwd=tmp_path, **user)
    newer = max((path / "checkpoints").glob("*.tsr"))
    newer.write_bytes(whole)
    (row,) = (r for r in esctl("verify", "--tsa-cert", certificate, cwd=tmp_path, **user).rows if r["finding"])
    assert (row["check"], row["finding"], row["file"]) == ("stamps", "changed", f"checkpoints/{newer.name}")
    newer.write_bytes(whole[:-9])
    assert esctl("verify", "--tsa-cert", certificate, cwd=tmp_path, **user).code == 1


def test_an_authority_that_fails_costs_only_the_stamp(
    tmp_path: Path, authority: Authority, user: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lines(tmp_path / "a.jsonl", [plain_event(1)])
    good("ingest", "a.jsonl", "-q", cwd=tmp_path, **user)
    good("key", "new", "k", cwd=tmp_path, **user)
    assert "not an address" in refused("checkpoint", "--tsa", "file:///etc/passwd", code=2, cwd=tmp_path, **user)[0]
    done = esctl("checkpoint", "--tsa", "http://127.0.0.1:9/", cwd=tmp_path, **user)
    assert (done.code, done.text.startswith("esctl/")) == (3, True)
    assert "no stamp" in done.err
    assert "the checkpoint is kept" in done.err
    monkeypatch.setattr(authority, "spoil", lambda response: response[: len(response) // 2])
    done = esctl("checkpoint", "--tsa", authority.url, cwd=tmp_path, **user)
    assert (done.code, done.text.startswith("esctl/")) == (3, True)
    assert "no stamp" in done.err
    assert len(list((tmp_path / ".esctl" / "checkpoints").iterdir())) == 1
    (tmp_path / "no.pem").write_text("no certificate")
    assert "--tsa-cert" in refused("verify", "--tsa-cert", "no.pem", code=2, cwd=tmp_path, **user)[0]


def test_records_back_dated_since_the_store_was_seen_are_found(tmp_path: Path) -> None:
    create_store(tmp_path, files=Unsynced())
    with LogWriter(tmp_path, clock=clock, files=Unsynced()) as writer:
        writer.append([part("a", [b"{}\n"] * 3)])
    assert found(tmp_path, "back-dating").skipped
    last_seen.advance(open_log(tmp_path).read(), seen=NOW + HOUR)
    assert found(tmp_path, "back-dating").findings == ()
    pinned = last_seen.pin_path(tmp_path)
    kept = pinned.read_text()
    for at, expected in ((NOW + HOUR, 0), (NOW + 56 * HOUR // 60, 0), (NOW + HOUR // 2, 1)):
        copy = tmp_path / f"at{at}"
        shutil.copytree(tmp_path, copy, ignore=shutil.ignore_patterns("at*", "config", "state"))
        last_seen.pin_path(copy).write_text(kept.replace(str(last_seen.read_pin(tmp_path).at), str(NOW + HOUR)))  # type: ignore[union-attr]
        with LogWriter(copy, clock=lambda at=at: at, files=Unsynced()) as writer:  # type: ignore[misc]
            writer.append([part("b", [b"{}\n"] * 2)])
        findings = found(copy, "back-dating").findings
        assert len(findings) == expected
        if expected:
            assert isinstance(findings[0], Finding)
            assert (findings[0].kind, findings[0].position) == ("back-dated", 4)


def test_when_it_was_seen_never_goes_back(tmp_path: Path) -> None:
    create_store(tmp_path, files=Unsynced())
    with LogWriter(tmp_path, clock=clock, files=Unsynced()) as writer:
        writer.append([part("a", [b"{}\n"])])
        for seen, expected in ((0, NOW), (NOW + 9, NOW + 9), (NOW + 3, NOW + 9)):
            last_seen.advance(writer.store_state, seen=seen)
            pin = last_seen.read_pin(tmp_path)
            assert pin is not None
            assert pin.at == expected
        writer.append([part("b", [b"{}\n"])])
        last_seen.advance(writer.store_state)
    pin = last_seen.read_pin(tmp_path)
    assert pin is not None
    assert (pin.size, pin.at) == (2, NOW + 1)
