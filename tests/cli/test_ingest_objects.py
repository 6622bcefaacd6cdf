"""`esctl ingest s3://...`: what a person sees of objects as sources."""

from __future__ import annotations

import contextlib
import gzip
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli_harness import good, plain_event, refused, surroundings
from tests.support.object_server import ObjectServer, serving


@pytest.fixture
def server() -> Iterator[ObjectServer]:
    with serving() as made:
        yield made


def events(first: int, count: int) -> bytes:
    return b"".join(json.dumps(plain_event(number)).encode() + b"\n" for number in range(first, first + count))


def test_objects_are_evidence_under_their_urls(server: ObjectServer, tmp_path: Path) -> None:
    env = server.environment()
    server.objects = {"a/1.json.gz": gzip.compress(events(0, 3)), "a/2.csv": b"id,type,entity\ne7,Made,x\n"}
    assert good("ingest", "s3://logs/a", cwd=tmp_path, **env).row["records"] == 4
    rows = good("log", "-f", "jsonl", cwd=tmp_path).rows
    assert [row["source"] for row in rows] == ["s3://logs/a/1.json.gz"] * 3 + ["s3://logs/a/2.csv"]
    for key, data in (("a/1.json.gz", events(0, 3)), ("a/2.csv", server.objects["a/2.csv"])):
        raw = good("export", "--raw", "--source", f"s3://logs/{key}", cwd=tmp_path)
        assert raw.out == data
    good("verify", "--full", cwd=tmp_path)
    good("reindex", cwd=tmp_path)
    told = json.loads(good("status", "-f", "json", cwd=tmp_path).text)[0]["sources"]
    assert [each["records"] for each in told] == [3, 1]
    kept = b"".join(path.read_bytes() for path in (tmp_path / ".esctl").rglob("*") if path.is_file())
    assert b"so-secret" not in kept
    assert b"AKIDEXAMPLE" not in kept


def test_what_is_known_costs_one_request(server: ObjectServer, tmp_path: Path) -> None:
    env = server.environment()
    server.objects = {f"{day}.json.gz": gzip.compress(events(day * 10, 2)) for day in range(4)}
    good("ingest", "s3://logs/*.gz", cwd=tmp_path, **env)
    server.forget()
    assert good("ingest", "s3://logs/*.gz", cwd=tmp_path, **env).row["records"] == 0
    assert server.asked == [("LIST", "")]
    server.objects["4.json.gz"] = gzip.compress(events(90, 1))
    assert good("ingest", "s3://logs/*.gz", cwd=tmp_path, **env).row["records"] == 1


def test_files_and_objects_go_together(server: ObjectServer, tmp_path: Path) -> None:
    (tmp_path / "here.jsonl").write_bytes(events(0, 2))
    server.objects = {"there.jsonl": events(1, 3)}
    names = ("here.jsonl", "s3://logs/there.jsonl")
    done = good("ingest", *names, "--skip-duplicates", cwd=tmp_path, **server.environment())
    assert (done.row["new"], done.row["duplicates"]) == (4, 1)


@pytest.mark.parametrize("option", [("--records-path", "Records"), ("--input-format", "json"), ("--strict",)])
def test_options_of_files_are_for_objects(server: ObjectServer, tmp_path: Path, option: tuple[str, ...]) -> None:
    server.objects = {"a": json.dumps({"Records": [plain_event(1), plain_event(2)]}).encode()}
    assert good("ingest", "s3://logs/a", *option, cwd=tmp_path, **server.environment()).row["records"] == 2


def test_a_source_of_the_configuration(server: ObjectServer, tmp_path: Path) -> None:
    (tmp_path / "esctl.toml").write_text('[sources.trail]\nurl = "s3://logs/**/?.jsonl"\n')
    server.objects = {"x/a.jsonl": events(0, 2)}
    assert good("ingest", "trail", cwd=tmp_path, **server.environment()).row["records"] == 2
    shown = {row["setting"]: row["value"] for row in good("config", "show", "-f", "jsonl", cwd=tmp_path).rows}
    assert shown["sources.trail.url"] == "s3://logs/**/?.jsonl"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("s3://logs/*.csv",), 3, "s3://logs/*.csv: no such object"),
        (("s3://other/*",), 3, "s3://other/*: there is no such bucket"),
        (("s3://k:hush@logs/*",), 2, "s3://...: an address in object storage has no user"),
        (("s3://logs/a//b",), 2, "s3://logs/a//b: a key with an empty part"),
        (("s3://logs/a.jsonl", "--from", "end"), 2, "s3://logs/a.jsonl: --from is not for objects"),
        (("s3://logs/a.jsonl", "--follow", "--strict"), 2, "--follow cannot be combined with --strict"),
    ],
)
def test_what_is_wrong_is_one_line_and_makes_no_store(
    server: ObjectServer, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    server.objects = {"a.jsonl": events(0, 1)}
    told, hint = refused("ingest", *arguments, code=code, cwd=tmp_path, **server.environment())
    assert told.startswith(message)
    assert "hush" not in told + hint
    assert list(tmp_path.iterdir()) == []


def test_no_credentials(server: ObjectServer, tmp_path: Path) -> None:
    env = {name: value for name, value in server.environment().items() if name != "AWS_SECRET_ACCESS_KEY"}
    told, hint = refused("ingest", "s3://logs/*", code=3, cwd=tmp_path, **{**env, "AWS_ACCESS_KEY_ID": ""})
    assert told == "s3://logs: no credentials were found"
    assert "AWS_PROFILE" in hint


def test_what_was_read_before_an_object_failed_is_kept(server: ObjectServer, tmp_path: Path) -> None:
    server.objects = {"a.jsonl": events(0, 2), "b.gz": b"\x1f\x8b\x08\0damaged", "c.jsonl": events(5, 1)}
    told, _ = refused("ingest", "s3://logs", code=3, cwd=tmp_path, **server.environment())
    assert "s3://logs/b.gz: damaged" in told
    assert "2 new records are in the log" in told
    assert good("status", "-f", "jsonl", cwd=tmp_path).row["head"] == 2


def test_what_is_no_log_is_told_once_the_rest_is_read(server: ObjectServer, tmp_path: Path) -> None:
    server.objects = {"a.jsonl": events(0, 2), "b": b"%PDF-1.7", "c.jsonl": events(5, 1)}
    told, _ = refused("ingest", "s3://logs", code=3, cwd=tmp_path, **server.environment())
    assert "s3://logs/b" in told
    assert good("status", "-f", "jsonl", cwd=tmp_path).row["head"] == 3


def test_a_hostile_name_does_not_reach_the_terminal(server: ObjectServer, tmp_path: Path) -> None:
    server.objects = {"\u202egpj.\u2066a": events(0, 2) + b'{"id":'}
    done = good("ingest", "s3://logs", cwd=tmp_path, **server.environment())
    assert "\u202e" not in done.err
    assert "unfinished last line" in done.err


def following(tmp_path: Path, server: ObjectServer, *arguments: str) -> subprocess.Popen[bytes]:
    """Start following, with next to no time between the looks at the bucket."""
    program = (
        "import esctl.sources.objects.connect as c; c.LISTED_EVERY = 0.05; "
        "import esctl.cloud.client as l; l.PATIENCE = l.Patience(retries=0); from esctl.cli.app import main; main()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program, "ingest", *arguments, "--follow", "--commit-every", "50ms"],
        cwd=tmp_path, env=surroundings(**server.environment()), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def heads(tmp_path: Path, wanted: int) -> None:
    """Wait until the log has so many records."""
    from esctl.errors import InputError
    from esctl.log.commits import open_log

    for _ in range(3000):
        with contextlib.suppress(InputError):  # the store is being made
            if open_log(tmp_path / ".esctl").read().head >= wanted:
                return
        time.sleep(0.01)
    raise AssertionError(f"the log never had {wanted} records")


def test_following_lists_again(server: ObjectServer, tmp_path: Path) -> None:
    server.objects = {"1.json.gz": gzip.compress(events(0, 2)), "2.pdf": b"%PDF-1.7"}
    process = following(tmp_path, server, "s3://logs")
    try:
        heads(tmp_path, 2)
        server.objects["3.jsonl"] = events(5, 3)
        heads(tmp_path, 5)
        refusals = iter([(503, "SlowDown")] * 3)
        server.refusal = lambda kind, key: next(refusals, None)
        server.objects["3.jsonl"] += events(20, 1)
        heads(tmp_path, 6)
        assert server.count("GET") == 4  # each once, and once more where it grew
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert json.loads(out)["records"] == 6
    told = err.decode()
    assert told.count("PDF") == 1
    assert told.count("it is tried again") == 1


@pytest.mark.parametrize("kind", ["LIST", "GET"])
def test_ctrl_c_does_not_wait_for_a_server(server: ObjectServer, tmp_path: Path, kind: str) -> None:
    server.objects = {"1.jsonl": events(0, 2)}
    is_asked, never = threading.Event(), threading.Event()

    def hang(asked: str, key: str) -> None:
        if asked == kind:
            is_asked.set()
            never.wait(60)

    server.refusal = hang
    process = subprocess.Popen(
        [sys.executable, "-m", "esctl", "ingest", "s3://logs"],
        cwd=tmp_path, env=surroundings(**server.environment()), stderr=subprocess.PIPE,
    )  # fmt: skip
    assert is_asked.wait(60)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    never.set()
    assert process.returncode == 130
    assert "Traceback" not in err.decode()
