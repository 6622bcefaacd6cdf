"""Code runs only where its user named it, and what is secret stays out of everything that is written down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from esctl.errors import InputError
from esctl.ledger.sign.timestamps import attach_stamp
from tests.support.cli_harness import Done, esctl, good, plain_event, write_lines

CODE = "open('ran', 'w').close()\ndef fold(state, event):\n    return {'n': 1}\n"
TOML = '[projections.thing]\npython = "rules:fold"\n'
SECRETS = {"DATABASE_PASSWORD": "hunter2-from-the-environment", "AWS_SECRET_ACCESS_KEY": "hunter3-from-the-environment"}


def test_code_beside_or_in_a_store_is_never_run(tmp_path: Path) -> None:
    """A store is a folder that comes from anywhere: neither code nor a configuration in it is looked at."""
    store = tmp_path / "work" / ".esctl"
    store.parent.mkdir()
    write_lines(store.parent / "a.jsonl", [plain_event(1)])
    good("ingest", "a.jsonl", "-q", cwd=store.parent)
    hostile = {"projections": {"thing": {"python": "rules:fold"}}, "map": [], "python": "rules:fold"}
    for folder in (store, store / "index", store / "log", store / "checkpoints", store.parent):
        folder.mkdir(exist_ok=True)
        for name in ("rules.py", "sitecustomize.py", "esctl_projection_thing.py"):
            (folder / name).write_text(CODE)
        if folder != store.parent:
            (folder / "esctl.toml").write_text(TOML)
            (folder / "projections.json").write_text(json.dumps(hostile))
    for command in (["replay"], ["sql", "from events"], ["verify", "--full"], ["config", "show"]):
        done = esctl(*command, cwd=store.parent)
        assert done.code == (command[0] == "verify"), done.err  # which finds what does not belong there
        assert b"rules:fold" not in done.out
    assert not list(tmp_path.rglob("ran"))
    (store.parent / "esctl.toml").write_text(TOML)  # the user's own file, beside the store: that is where it may stand
    assert good("replay", cwd=store.parent).row["state"] == {"n": 1}
    assert (store.parent / "ran").exists()
    (store.parent / "ran").unlink()
    assert good("status", cwd=store.parent).code == 0
    assert not (store.parent / "ran").exists()


def everything(folder: Path, *done: Done) -> bytes:
    """Give all that was written down: the files but the key's own, and what was said."""
    files = [path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".key"]
    return b"".join([*files, *(each.out + each.err.encode() for each in done)])


def test_secrets_are_written_down_nowhere(tmp_path: Path) -> None:
    user = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_STATE_HOME": str(tmp_path / "state"), **SECRETS}
    write_lines(tmp_path / "a.jsonl", [plain_event(number) for number in range(3)])
    said = [
        esctl(*command, cwd=tmp_path, **user)
        for command in (
            ["key", "new", "keeper", "-v"], ["ingest", "a.jsonl", "--checkpoint", "-vv"], ["key", "list"],
            ["key", "show"], ["checkpoint", "-v"], ["bundle", "*", "-o", "b.zip"], ["prove", "@1", "-o", "p"],
            ["config", "show"], ["verify", "--full", "-v"], ["replay", "--debug", "--where", "nothing("],
            ["sql", "select getenv('DATABASE_PASSWORD')", "--debug"], ["ingest", "missing", "--debug"],
        )
    ]  # fmt: skip
    assert [done.code for done in said[:9]] == [0] * 9, [done.err for done in said]
    assert [done.code for done in said[9:]] == [2, 2, 3]
    key = next((tmp_path / "config").rglob("*.key")).read_text().strip()
    broken = next((tmp_path / "config").rglob("*.key"))
    broken.write_text(key.replace("PRIVATE+KEY", "PRIVATE+KEX"))
    said.append(esctl("checkpoint", "--debug", cwd=tmp_path, **user))
    broken.write_text(key[:-4])
    said.append(esctl("checkpoint", "--debug", cwd=tmp_path, **user))
    assert [done.code for done in said[-2:]] == [3, 3]
    found = everything(tmp_path, *said)
    private = key.split("+", 4)[4].encode()  # in which there may be more of these
    assert private[:20] not in found
    for secret in SECRETS.values():
        assert secret.encode() not in found


def test_the_password_of_a_stamping_authority_is_not_told(tmp_path: Path) -> None:
    pytest.importorskip("rfc3161_client")
    user = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_STATE_HOME": str(tmp_path / "state")}
    write_lines(tmp_path / "a.jsonl", [plain_event(1)])
    good("ingest", "a.jsonl", cwd=tmp_path, **user)
    good("key", "new", "keeper", cwd=tmp_path, **user)
    said = [
        esctl("checkpoint", "--tsa", url, "--debug", cwd=tmp_path, **user)
        for url in (
            "http://me:hunter4@127.0.0.1:1/tsa",
            "ftp://me:hunter4@127.0.0.1/",
        )
    ]
    assert all(done.code in (2, 3) for done in said), [done.err for done in said]
    assert b"hunter4" not in everything(tmp_path, *said)
    checkpoint = next((tmp_path / ".esctl" / "checkpoints").iterdir()).read_bytes()
    with pytest.raises(InputError) as told:
        attach_stamp(tmp_path / ".esctl", checkpoint, "http://me:hunter4@127.0.0.1:1/tsa")
    assert "hunter4" not in told.value.message + told.value.hint
