"""The command line of proofs: files, folders, streams, exit codes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.bundle.test_bundles import KEY
from tests.bundle.test_forged_bundles import topic
from tests.cli.test_imports import loaded
from tests.support.cli_harness import SAMPLES, esctl, good, refused
from tests.support.findings_schemas import junit, sarif


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a checkpoint, the signer's public key in `ann.pub`, and the proof and bytes of one record."""
    folder = tmp_path_factory.mktemp("proofs")
    shutil.copy(SAMPLES / "bank.jsonl", folder)
    user = mine(folder)
    good("ingest", "bank.jsonl", "-q", cwd=folder, **user)
    (folder / "ann.pub").write_bytes(good("key", "new", "ann", "-q", cwd=folder, **user).out)
    good("checkpoint", cwd=folder, **user)
    (folder / "event").write_bytes(good("show", "@7", "--raw", cwd=folder, **user).out)
    good("prove", "@7", "-o", "proof", cwd=folder, **user)
    return folder


def mine(folder: Path) -> dict[str, str]:
    """The surroundings of the user who signed, told from those of any other."""
    return {"XDG_CONFIG_HOME": str(folder / "config"), "XDG_STATE_HOME": str(folder / "state")}


def test_a_proof_is_checked_without_the_store(folder: Path, tmp_path: Path) -> None:
    for name in ("proof", "event", "ann.pub"):
        shutil.copy(folder / name, tmp_path)
    done = good("verify-proof", "proof", "--event", "event", "--trust", "ann.pub", cwd=tmp_path)
    row = done.row
    assert (row["result"], row["position"], row["source"], row["signed_by"]) == ("proven", 7, "bank.jsonl", "ann")
    assert row["recorded_at"].endswith("Z")
    assert "proven: these" in done.err
    event = (tmp_path / "event").read_bytes()
    assert good("verify-proof", "proof", "--event", "-", "--trust", "ann.pub", cwd=tmp_path, stdin=event).row == row
    done = esctl("verify-proof", "proof", "--event", "event", cwd=tmp_path)
    assert (done.code, done.row["result"]) == (3, "not judged")
    assert "--trust" in done.err
    done = esctl("verify-proof", "proof", "--event", "-", "--trust", "ann.pub", cwd=tmp_path, stdin=event + b"x")
    assert (done.code, done.row["result"]) == (1, "refuted")
    done = esctl("verify-proof", "proof", "--event", "ann.pub", "-f", "junit", cwd=tmp_path)
    assert (done.code, b"<failure" in done.out) == (1, True)


@pytest.mark.parametrize(("last", "told"), [(None, "has no bytes"), (b"", "these 0 bytes are the record @3")])
def test_a_record_without_bytes_is_told_from_one_with_empty_bytes(
    tmp_path: Path, last: bytes | None, told: str
) -> None:
    topic(tmp_path / ".esctl", last)
    (tmp_path / "nothing").touch()
    good("prove", "@3", "-o", "proof", cwd=tmp_path)
    trust = ("--trust", KEY.verifier.text)
    assert told in good("verify-proof", "proof", "--event", "nothing", *trust, cwd=tmp_path).err


def test_a_proof_and_its_event_are_not_both_on_stdin(folder: Path) -> None:
    proof = (folder / "proof").read_bytes()
    told = refused("verify-proof", "-", "--event", "-", cwd=folder, code=2, stdin=proof)
    assert told == ("the proof and --event are both -, and stdin is one", "name a file for one of them")
    row = good("verify-proof", "-", "--event", "event", "--trust", "ann.pub", cwd=folder, stdin=proof).row
    assert row["result"] == "proven"


def test_the_signer_needs_no_trust_option(folder: Path) -> None:
    done = good("verify-proof", "proof", "--event", "event", "-f", "table", cwd=folder, **mine(folder))
    assert "proven" in done.text
    user = mine(folder) | {"XDG_CONFIG_HOME": "/nowhere"}
    assert good("verify-proof", "proof", "--event", "event", cwd=folder, **user).row["signed_by"] == "ann"


def test_signatures_that_no_known_key_made_are_said_to_be_unjudged(folder: Path, tmp_path: Path) -> None:
    def told(where: Path, *options: str) -> str | None:
        stranger = mine(tmp_path / "stranger")
        rows = good("verify", *options, "-f", "jsonl", cwd=where, **stranger).rows
        (message,) = (row["message"] for row in rows if row["check"] == "checkpoints")
        return message  # type: ignore[no-any-return]

    assert told(folder) == "no key is known that signatures could be held against: give --trust"
    assert told(folder, "--trust", "ann.pub") is None
    shutil.copy(SAMPLES / "bank.jsonl", tmp_path)
    good("ingest", "bank.jsonl", "-q", cwd=tmp_path)
    assert told(tmp_path) is None, "there is no signature"


def test_several_proofs_go_into_a_folder(folder: Path, tmp_path: Path) -> None:
    user = mine(folder)
    ids = [row["id"] for row in good("log", "--limit", "2", cwd=folder, **user).rows]
    good("prove", *ids, "@9", "-o", tmp_path / "proofs", cwd=folder, **user)
    names = [f"{position:020d}.tlog-proof" for position in (1, 2, 9)]
    assert sorted(path.name for path in (tmp_path / "proofs").iterdir()) == names
    single = good("prove", "@9", "-q", cwd=folder, **user)
    assert (tmp_path / "proofs" / names[2]).read_bytes() == single.out
    assert single.err == ""
    assert "3 proofs" in refused("prove", *ids, "@9", code=2, cwd=folder, **user)[0]
    assert "is a file" in refused("prove", *ids, "-o", "proof", code=2, cwd=folder, **user)[0]


def test_what_cannot_be_proven_is_said(folder: Path) -> None:
    user = mine(folder)
    assert "no event" in refused("prove", "nonesuch", code=4, cwd=folder, **user)[0]
    assert (
        refused("prove", "@1", "--checkpoint", "3", code=3, cwd=folder, **user)[1] == "sign one with: esctl checkpoint"
    )
    assert "the bytes that the proof is about" in refused("verify-proof", "proof", code=2, cwd=folder, **user)[0]
    assert "not a proof" in refused("verify-proof", "event", "--event", "event", code=3, cwd=folder, **user)[0]
    refused("verify-proof", "proof", "--event", "nonesuch", code=3, cwd=folder, **user)


def test_a_bundle_is_checked_without_the_store(folder: Path, tmp_path: Path) -> None:
    user = mine(folder)
    done = good("bundle", "account-017", "--at", "2024-02-01", "-o", tmp_path / "evidence.zip", cwd=folder, **user)
    assert done.out == b""
    assert "99 records of 1 entity in" in done.err
    done = good("verify-bundle", "evidence.zip", "--trust", folder / "ann.pub", cwd=tmp_path)
    assert [(row["check"], row["result"]) for row in done.rows] == [
        (rule, "ok") for rule in ("archive", "files", "checkpoint", "records", "states", "trail", "readme")
    ]
    assert "not shown by a bundle" in done.err
    done = esctl("verify-bundle", "evidence.zip", cwd=tmp_path)
    assert (done.code, done.rows[2]["result"]) == (3, "not checked")
    assert "--trust" in done.err
    data = (tmp_path / "evidence.zip").read_bytes()
    (tmp_path / "evidence.zip").write_bytes(data.replace(b"MoneyDeposited", b"MoneyWithdrawn", 1))
    done = esctl("verify-bundle", "evidence.zip", "-f", "sarif", "--trust", folder / "ann.pub", cwd=tmp_path)
    assert (done.code, b'"ruleId":"files"' in done.out.replace(b" ", b"")) == (1, True)


def test_what_cannot_be_bundled_is_said(folder: Path, tmp_path: Path) -> None:
    user = mine(folder)
    assert "nothing to bundle is named" in refused("bundle", "-o", "x.zip", code=2, cwd=folder, **user)[0]
    assert "is a file" in refused("bundle", "account-017", code=2, cwd=folder, **user)[0]
    told = refused("bundle", "account-017", "-o", "x.zip", "-f", "csv", code=2, cwd=folder, **user)
    assert told == ("a bundle is a zip archive, whatever -f says", "leave out -f csv")
    assert not (folder / "x.zip").exists()
    assert "no entity" in refused("bundle", "account-x", "-o", "x.zip", code=4, cwd=folder, **user)[0]
    assert not (folder / "x.zip").exists()
    assert "is not a bundle" in refused("verify-bundle", "ann.pub", code=3, cwd=folder, **user)[0]


def test_the_findings_of_verify_are_reported(folder: Path, tmp_path: Path) -> None:
    user = mine(folder)
    shutil.copytree(folder / ".esctl", tmp_path / ".esctl")
    whole = good("verify", "-f", "sarif", cwd=tmp_path, **user)
    run = sarif(whole.text)
    assert {each["kind"] for each in run["results"]} <= {"open"}
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} >= {"identity", "commits", "segments", "checkpoints"}
    root = junit(good("verify", "-f", "junit", cwd=tmp_path, **user).text)
    assert (int(root.attrib["tests"]), root.attrib["failures"]) == (len(run["tool"]["driver"]["rules"]), "0")
    (segment,) = (tmp_path / ".esctl" / "log").iterdir()
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    done = esctl("verify", "-f", "sarif", cwd=tmp_path, **user)
    assert done.code == 1
    (result,) = sarif(done.text)["results"]
    place = result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"]
    assert (result["ruleId"], place) == ("segments", f"log/{segment.name} @1")
    done = esctl("verify", "-o", "report.xml", cwd=tmp_path, **user)
    assert (done.code, done.out) == (1, b"")
    failed = [case for case in junit((tmp_path / "report.xml").read_text()).iter("testcase") if len(case)]
    assert [case.attrib["name"] for case in failed] == ["segments"]


def test_a_check_that_could_not_be_made_is_reported_as_none(folder: Path, tmp_path: Path) -> None:
    bare = {"cwd": folder, **mine(tmp_path)}  # a user who never saw the log
    run = sarif(good("verify", "-f", "sarif", "--limit", "1", **bare).text)
    told = [(each["ruleId"], each["kind"], each["level"]) for each in run["results"]]
    assert ("last seen", "open", "none") in told
    root = junit(good("verify", "-f", "junit", "--limit", "1", **{**bare, **mine(tmp_path / "other")}).text)
    skipped = {case.attrib["name"]: case[0].attrib["message"] for case in root.iter("testcase") if len(case)}
    assert "it was never seen here before" in skipped["last seen"]
    assert (root.attrib["failures"], root[0].attrib["skipped"]) == ("0", str(len(skipped)))


def test_to_prove_by_position_opens_neither_index_nor_database(folder: Path) -> None:
    assert loaded("prove", "@7", cwd=folder) == {"numpy", "pyarrow"}
