"""What belongs to somebody else is used only where it was named: neither is its code run nor data put into it."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from esctl.config import find_config, find_store
from esctl.errors import InputError
from esctl.owners import why_foreign
from tests.support.cli_harness import Done, esctl, good, plain_event, refused, surroundings, write_lines

NOBODY = 65534
CODE = "open({ran!r}, 'w').close()\ndef fold(state, event):\n    return {{'n': 1}}\n"
TOML = '[projections.thing]\npython = "rules:fold"\n'
COMMANDS = (
    "replay", "ingest private.jsonl", "status", "log", "sql 'from events'", "verify", "repair", "reindex", "compact",
    "doctor", "init --force", "snapshot", "config show", "export --raw", "audit", "redact @1 --reason r --yes",
    "bundle * -o out.zip", "show @1", "types", "entities", "checkpoint", "prove @1",
)  # fmt: skip
as_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")


class Place:
    """A working folder, and a parent above it; a store or a configuration of one owner in one of them."""

    def __init__(self, folder: Path) -> None:
        self.parent, self.work, self.ran = folder / "parent", folder / "parent" / "work", folder / "ran"
        self.work.mkdir(parents=True)
        write_lines(self.work / "private.jsonl", [plain_event(99, "secret")])
        (self.work / "private.jsonl").chmod(0o600)
        self.user = {f"XDG_{kind}_HOME": str(folder / kind.lower()) for kind in ("CONFIG", "STATE")}
        good("key", "new", cwd=folder, **self.user)

    def store_in(self, folder: Path) -> Path:
        write_lines(folder / "a.jsonl", [plain_event(1), plain_event(2)])
        good("--store", ".esctl", "ingest", "-q", "a.jsonl", cwd=folder, **self.user)
        return folder / ".esctl"

    def config_in(self, folder: Path) -> Path:
        (folder / "esctl.toml").write_text(TOML)
        (folder / "rules.py").write_text(CODE.format(ran=str(self.ran)))
        return folder / "esctl.toml"

    def run(self, command: str, *before: object, cwd: Path | None = None) -> Done:
        import shlex

        return esctl(*before, *shlex.split(command), cwd=cwd or self.work, **self.user)

    def contents(self, folder: Path) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def give(*paths: Path, to: int = NOBODY) -> None:
    for path in paths:
        for each in (path, *(path.rglob("*") if path.is_dir() else ())):
            os.chown(each, to, to)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def told(done: Done, path: Path, why: str, *named: str) -> None:
    assert done.code == 3, (done.code, done.err)
    assert done.out == b""
    assert f"{path} is not used: it was found, not named, and" in done.err
    assert why in done.err
    assert all(name in done.err for name in named)
    assert "Traceback" not in done.err


@as_root
@pytest.mark.parametrize("where", ["parent", "work"])
def test_a_store_of_another_is_used_only_where_it_is_named(place: Place, where: str) -> None:
    folder: Path = getattr(place, where)
    store = place.store_in(folder)
    give(store)
    before = place.contents(store)
    for command in COMMANDS:
        told(place.run(command), store, "it belongs to nobody", f"--store {store}", f"export ESCTL_STORE={store}")
        assert place.contents(store) == before, command
    assert not (place.work / "out.zip").exists()
    good("--store", store, "replay", cwd=place.work)
    good("replay", cwd=place.work, ESCTL_STORE=str(store))


@as_root
@pytest.mark.parametrize("where", ["parent", "work", "beside --store"])
def test_a_configuration_of_another_is_used_only_where_it_is_named(place: Place, tmp_path: Path, where: str) -> None:
    named: list[object] = []
    if where == "beside --store":
        folder = tmp_path / "elsewhere"
        folder.mkdir()
        named = ["--store", place.store_in(folder)]
    else:
        folder = getattr(place, where)
        place.store_in(place.work)
    config = place.config_in(folder)
    give(config, folder / "rules.py")
    for command in COMMANDS:
        told(place.run(command, *named), config, "it belongs to nobody", f"--config {config}", "export ESCTL_CONFIG=")
        assert not place.ran.exists(), command
    assert place.run("replay", *named, "--config", config).code == 0
    assert place.ran.exists()  # who names it says that it may


@as_root
@pytest.mark.parametrize("where", ["parent", "work"])
def test_code_of_another_beside_ones_own_configuration_is_not_run(place: Place, where: str) -> None:
    folder: Path = getattr(place, where)
    place.store_in(place.work)
    config = place.config_in(folder)
    give(folder / "rules.py")
    for named in ([], ["--config", config]):
        done = place.run("replay", *named)
        assert done.code == 2
        assert "rules.py is not run: it belongs to nobody" in done.err
        assert not place.ran.exists()


@as_root
def test_code_of_another_in_the_working_folder_is_not_imported(place: Place) -> None:
    place.store_in(place.parent)
    place.config_in(place.parent)
    (place.parent / "rules.py").rename(place.work / "rules.py")
    give(place.work / "rules.py")
    done = place.run("replay")
    assert done.code == 2
    assert not place.ran.exists()


def test_nothing_compiled_is_taken_for_code(place: Place) -> None:
    import py_compile

    place.store_in(place.work)
    place.config_in(place.work)
    rules = place.work / "rules.py"
    hostile = place.work / "hostile.py"
    hostile.write_text(CODE.format(ran=str(place.ran)))
    rules.write_text("def fold(state, event):\n    return {'n': 2}\n")
    folder = place.work / "__pycache__"
    folder.mkdir()
    py_compile.compile(
        str(hostile), str(folder / f"rules.{sys.implementation.cache_tag}.pyc"),
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )  # fmt: skip
    before = place.contents(folder)
    assert place.run("replay").row["state"] == {"n": 2}
    assert not place.ran.exists()
    assert place.contents(folder) == before


@pytest.mark.parametrize("what", ["store", "folder", "config", "code"])
def test_what_others_may_write_to_is_another_s(place: Place, what: str) -> None:
    store = place.store_in(place.work)
    config = place.config_in(place.work)
    path = {"store": store, "folder": store / "index", "config": config, "code": place.work / "rules.py"}[what]
    path.chmod(0o777 if path.is_dir() else 0o666)
    done = place.run("replay")
    assert done.code == (2 if what == "code" else 3)
    assert "others may write to it" in done.err
    assert not place.ran.exists()
    path.chmod(0o755)
    assert place.run("replay").code == 0


@as_root
def test_a_group_of_ones_own_may_write(place: Place, tmp_path: Path) -> None:
    store = place.store_in(place.work)
    store.chmod(0o775)
    assert place.run("replay").code == 0
    os.chown(store, 0, NOBODY)
    told(place.run("replay"), store, "others may write to it")


@as_root
def test_a_link_of_another_to_what_is_ones_own_is_not_followed(place: Place, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    store = place.store_in(other)
    link = place.work / ".esctl"
    link.symlink_to(store)
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
    told(place.run("ingest private.jsonl"), link, "it belongs to nobody")


@as_root
def test_a_folder_that_is_no_store_yet_is_another_s_too(place: Place) -> None:
    (place.work / ".esctl").mkdir()
    give(place.work / ".esctl")
    told(place.run("ingest private.jsonl"), Path(".esctl"), "it belongs to nobody")
    assert not list((place.work / ".esctl").iterdir())


@as_root
def test_who_called_sudo_owns_what_root_may_use(place: Place) -> None:
    give(place.store_in(place.work))
    assert esctl("replay", cwd=place.work, SUDO_UID=str(NOBODY)).code == 0
    assert esctl("replay", cwd=place.work, SUDO_UID="1").code == 3
    assert esctl("replay", cwd=place.work, SUDO_UID="x").code == 3


@as_root
def test_what_root_owns_is_another_s_to_a_user(place: Place) -> None:
    store = place.store_in(place.work)
    with tempfile.TemporaryDirectory() as name:  # pytest's folders are root's alone
        folder = Path(name)
        shutil.copytree(store, folder / ".esctl")
        (folder / "esctl.toml").write_text("")
        folder.chmod(0o755)
        assert "pwd" in sys.modules or why_foreign(folder) == ""
        os.seteuid(NOBODY)
        try:
            with pytest.raises(InputError, match="it belongs to root"):
                find_store(None, folder)
            with pytest.raises(InputError, match="it belongs to root"):
                find_config(None, folder / ".esctl")
        finally:
            os.seteuid(0)


@pytest.mark.parametrize(("mode", "expected"), [(0o600, 0o700), (0o640, 0o750), (0o644, 0o755), (0o604, 0o705)])
def test_a_new_store_is_no_wider_than_its_source(place: Place, mode: int, expected: int) -> None:
    (place.work / "private.jsonl").chmod(mode)
    good("ingest", "private.jsonl", "--checkpoint", cwd=place.work, **place.user)
    good("replay", cwd=place.work)
    good("snapshot", cwd=place.work)
    store = place.work / ".esctl"
    for path in (store, *store.rglob("*")):
        allowed = expected if path.is_dir() else expected & 0o666
        assert stat.S_IMODE(path.stat().st_mode) & ~allowed == 0, (path, oct(path.stat().st_mode))
    assert stat.S_IMODE(store.stat().st_mode) == expected


def test_a_store_becomes_as_private_as_what_is_added(place: Place) -> None:
    store = place.store_in(place.work)
    assert stat.S_IMODE(store.stat().st_mode) == 0o755
    done = good("ingest", "private.jsonl", cwd=place.work)
    assert ".esctl can now be read by no more than may read these sources" in done.err
    assert not any(path.stat().st_mode & 0o077 for path in (store, *store.rglob("*")))
    assert "can now be read" not in good("ingest", "private.jsonl", cwd=place.work).err
    good("replay", cwd=place.work)
    assert not any(path.stat().st_mode & 0o077 for path in (store, *store.rglob("*")))


def test_a_file_given_as_stdin_is_as_private(place: Place) -> None:
    with (place.work / "private.jsonl").open("rb") as given:
        subprocess.run(
            [sys.executable, "-m", "esctl", "ingest", "-"], cwd=place.work, stdin=given, env=surroundings(),
            check=True, capture_output=True,
        )  # fmt: skip
    assert stat.S_IMODE((place.work / ".esctl").stat().st_mode) == 0o700


def test_the_store_is_named_where_it_is_not_here(place: Place) -> None:
    store = place.store_in(place.parent)
    assert f"store: {store}\n" in good("ingest", "private.jsonl", cwd=place.work).err
    assert "store:" not in good("ingest", "a.jsonl", cwd=place.parent).err
    shutil.rmtree(store)
    assert "store:" not in good("ingest", "private.jsonl", cwd=place.work).err
    refused("status", code=3, cwd=place.parent)
