"""Stores in a bucket of a server that speaks S3, by the commands."""

from __future__ import annotations

import builtins
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from esctl.errors import UsageError
from esctl.storage.connecting import connect
from tests.support.cli_harness import ESCTL, SAMPLES, Done, esctl, good, refused, surroundings
from tests.support.s3 import SECRET, ObjectServer, needs_objects

pytest.importorskip("obstore")


@needs_objects
def test_a_store_in_a_bucket_is_written_asked_and_checked(object_store: ObjectServer, tmp_path: Path) -> None:
    where = object_store.environment | {"ESCTL_STORE": f"s3://{object_store.bucket()}/audit/bank"}
    first, more = tmp_path / "first.jsonl", tmp_path / "more.jsonl"
    lines = (SAMPLES / "bank.jsonl").read_text().splitlines(keepends=True)
    first.write_text("".join(lines[:600]))
    more.write_text("".join(lines[600:900]))
    good("ingest", first, "--erasable", "-q", cwd=tmp_path, **where)
    good("--store", tmp_path / "disk", "ingest", first, "-q", cwd=tmp_path)

    def answers(*question: str, **variables: str) -> Done:
        return good(*question, "-q", cwd=tmp_path, **variables)

    for question in (("replay",), ("diff", "@100", "@500"), ("blame", "account-017"), ("entities",)):
        assert answers(*question, **where).text == answers(*question, ESCTL_STORE=str(tmp_path / "disk")).text
    other = {"XDG_CACHE_HOME": str(tmp_path / "another machine")}
    good("ingest", more, "-q", cwd=tmp_path, **where, **other)
    assert answers("status", **where).row["head"] == 900
    good("compact", "-q", cwd=tmp_path, **where)
    good("redact", "@5", "--reason", "asked for", "--yes", "-q", cwd=tmp_path, **where)
    good("verify", "--full", "-q", cwd=tmp_path, **where, **other)
    good("repair", "-q", cwd=tmp_path, **where)
    assert not (tmp_path / ".esctl").exists()


@needs_objects
def test_what_is_wrong_is_one_line_that_names_the_store(object_store: ObjectServer, tmp_path: Path) -> None:
    where = object_store.environment
    message, _ = refused("--store", "s3://nowhere/a", "status", code=3, cwd=tmp_path, **where)
    assert message == "s3://nowhere: there is no such bucket"
    bucket = object_store.bucket()
    message, _ = refused("--store", f"s3://{bucket}/a", "status", code=3, cwd=tmp_path, **where)
    assert message == f"there is no store in s3://{bucket}/a"
    where |= {"AWS_SECRET_ACCESS_KEY": f"{SECRET}not"}
    done = esctl("--store", f"s3://{bucket}/a", "status", "--debug", cwd=tmp_path, **where)
    assert (done.code, "Traceback" in done.err, "StringToSign" in done.err, SECRET in done.err) == (
        3,
        True,
        False,
        False,
    )
    message, _ = refused("--store", "s3://a:secret@bucket/a", "status", code=2, cwd=tmp_path, **where)
    assert "secret" not in message


def test_what_to_install_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without(name: str, *arguments: Any) -> Any:
        if name.startswith("obstore"):
            raise ImportError(name)
        return imported(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError) as told:
        connect("s3://bucket/path")
    assert told.value.hint == "pip install 'esctl-audit[cloud]'"


@pytest.mark.thorough
@needs_objects
def test_sixteen_processes_race_and_nothing_is_lost_or_there_twice(object_store: ObjectServer, tmp_path: Path) -> None:
    where = object_store.environment | {"ESCTL_STORE": f"s3://{object_store.bucket()}/race"}

    def write(number: int) -> None:
        source = tmp_path / f"{number}.jsonl"
        source.write_text("".join(json.dumps({"id": f"{number}-{n}", "of": f"a-{number}"}) + "\n" for n in range(20)))
        machine = surroundings(**where, XDG_CACHE_HOME=str(tmp_path / f"machine{number}"))
        while subprocess.run(
            [*ESCTL, "ingest", str(source), "-q", "--map", "entity=of"], cwd=tmp_path, env=machine, capture_output=True
        ).returncode:
            pass

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(write, range(16)))
    assert good("status", "-q", cwd=tmp_path, **where).row["head"] == 320
    good("verify", "--full", "-q", cwd=tmp_path, **where)
