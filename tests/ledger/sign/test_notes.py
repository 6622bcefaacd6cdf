"""Signed notes and checkpoints against the vectors of those who specified and run them."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esctl.errors import InputError, NotFoundError, TamperedError, UsageError
from esctl.ledger.sign import checkpoints, keys, last_seen
from esctl.ledger.sign.checkpoint import Head, origin_of, parse_checkpoint, sign
from esctl.ledger.sign.note import (
    Note,
    SigningKey,
    parse_note,
    parse_signing,
    parse_verifier,
    sign_text,
    verified_by,
)
from tests.support import log_helpers as logs

# The example of https://c2sp.org/signed-note.
SPEC_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SPEC_NOTE = """This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
""".encode()
# Those of golang.org/x/mod/sumdb/note.
GO_PRIVATE = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_OTHER = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_NOTE = (
    GO_TEXT
    + """
— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=
"""
).encode()
# A checkpoint that Go's checksum database published.
SUM_KEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
SUM_NOTE = base64.b64decode(
    "Z28uc3VtIGRhdGFiYXNlIHRyZWUKNjU2NjQyNTgKV1ZWTlZEMnF4K2ZUcTMxemtqNlVBcXhUNVg2SHZHcGhHTStvOFRobmJzZz0KCuKAlCBzdW0uZ29s"
    "YW5nLm9yZyBBejNncmxpZ0ptZ1g3S0d5R1BLeWJ5a05UaDNWZ3NiTHZVdXZPd3JNNXpMVmx1bG1GcDJ3ZHZieE93NzQvZ2NOeFVSU2hYRXBiN1JYY3Mz"
    "K0JZZmxZTit3MGdRPQo="
)

KEY = SigningKey("someone", bytes(range(32)))
HEAD = Head("esctl/0", 3, bytes(32))


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder in which this test's user keeps keys and what was last seen of stores."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


@pytest.mark.parametrize(
    ("note", "key"), [(SPEC_NOTE, SPEC_KEY), (GO_NOTE, GO_KEY), (GO_NOTE, GO_OTHER), (SUM_NOTE, SUM_KEY)]
)
def test_published_notes_verify(note: bytes, key: str) -> None:
    verifier = parse_verifier(key)
    assert verified_by(parse_note(note), [verifier]) == (verifier,)
    assert verifier.text == key
    changed = bytes([note[0] ^ 1]) + note[1:]
    with pytest.raises(ValueError, match="not by"):
        verified_by(parse_note(changed), [verifier])


def test_the_same_key_signs_the_same_bytes_as_go() -> None:
    key = parse_signing(GO_PRIVATE)
    assert key.verifier.text == GO_KEY
    assert key.text == GO_PRIVATE
    assert sign_text(GO_TEXT, key) == b"".join(GO_NOTE.splitlines(keepends=True)[:4])


def test_a_published_checkpoint_is_read() -> None:
    head = parse_checkpoint(SUM_NOTE).head
    assert (head.origin, head.size) == ("go.sum database tree", 65664258)


def test_signatures_of_unknown_keys_are_passed_over() -> None:
    assert verified_by(parse_note(GO_NOTE), [parse_verifier(SPEC_KEY)]) == ()
    assert verified_by(parse_note(GO_NOTE), []) == ()


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\n",
        b"text\n",
        b"text\n\n",
        GO_NOTE[:-1],
        GO_NOTE.replace("—".encode(), b"-"),
        GO_NOTE.replace(b"=\n", b"\n"),
        GO_NOTE.replace(b"PeterNeumann", b"Peter+Neumann"),
        GO_NOTE.replace(b"If", b"I\x01"),
        GO_NOTE + b"x\n",
        b"\xff" + GO_NOTE,
        GO_NOTE.replace(b"PeterNeumann", b""),
        GO_TEXT.encode() + b"\n" + GO_NOTE.splitlines(keepends=True)[3] * 101,
    ],
)
def test_what_is_no_note_is_refused(damage: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_note(damage)


def test_a_signature_is_a_key_id_and_a_byte_at_least() -> None:
    head = GO_TEXT.encode() + b"\n" + "— ".encode() + b"PeterNeumann "
    assert parse_note(head + base64.b64encode(b"12345") + b"\n").signatures[0].id == b"1234"
    with pytest.raises(ValueError, match="too short"):
        parse_note(head + base64.b64encode(b"1234") + b"\n")


@given(st.binary(max_size=300) | st.text(alphabet="ab\n—+ =0", max_size=60).map(str.encode))
def test_any_bytes_are_a_note_or_refused(data: bytes) -> None:
    try:
        note = parse_note(data)
    except ValueError:
        return
    assert isinstance(note, Note)
    assert note.text.endswith("\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a+b",
        "a+b+c",
        GO_KEY.replace("c74f20a3", "c74f20a4"),
        GO_KEY.replace("+ARpc", "+ARpd"),
        GO_KEY[:-4],
        GO_KEY.replace("PeterNeumann", "Peter Neumann"),
        "PeterNeumann+c74f20a3+",
        GO_KEY.replace("ARpc", "AhpC"),
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_verifier(text)


@pytest.mark.parametrize(
    "change",
    [
        ("\n3\n", "\n03\n"),
        ("\n3\n", "\n-3\n"),
        ("\n3\n", "\n\n"),
        ("AAAA=", "AAA="),
        ("AAAA=", "AAAB="),
        ("\n3\n", "\n0\n"),
        ("\n3\n", "\n3\n\n"),
        ("esctl/0\n", ""),
        ("\n3\n", "\n9999999999999999999\n"),
        ("\n3\n", "\n٣\n"),
    ],
)
def test_what_is_no_checkpoint_is_refused(change: tuple[str, str]) -> None:
    data = sign(HEAD, KEY).decode()
    assert parse_checkpoint(data.encode()).head == HEAD
    assert change[0] in data
    with pytest.raises(ValueError, match=r".+"):
        parse_checkpoint(data.replace(*change, 1).encode())


def test_keys_are_kept_for_their_owner_alone(user: Path) -> None:
    with pytest.raises(UsageError, match="no key"):
        keys.read_key()
    made = keys.new_key("ann@example")
    path = user / "config" / "esctl" / "keys" / "ann@example.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert keys.read_key() == keys.read_key("ann@example") == made
    with pytest.raises(UsageError, match="already"):
        keys.new_key("ann@example")
    with pytest.raises(NotFoundError, match="no key 'ann'"):
        keys.read_key("ann")
    keys.new_key("bob")
    assert keys.key_names() == ["ann@example", "bob"]
    with pytest.raises(UsageError, match="several"):
        keys.read_key()
    path.chmod(0o640)
    with pytest.raises(InputError, match="others"):
        keys.read_key("ann@example")
    path.chmod(0o600)
    path.write_text("nonsense")
    with pytest.raises(InputError, match="not a key"):
        keys.read_key("ann@example")
    assert [key.name for key in keys.own_verifiers()] == ["bob"]


@pytest.mark.parametrize("name", ["", "../evil", "a b", "a+b", ".hidden", "x" * 200])
def test_odd_key_names_are_refused(user: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be called"):
        keys.new_key(name)
    assert not list(user.rglob("*.key"))


def test_trusted_keys_are_given_as_text_or_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    file.write_text(f"{GO_KEY}\n\n{SPEC_KEY}\n")
    assert [key.text for key in keys.read_verifiers([SUM_KEY, str(file)])] == [SUM_KEY, GO_KEY, SPEC_KEY]
    with pytest.raises(UsageError, match="--trust nonsense"):
        keys.read_verifiers(["nonsense"])


def some_store(folder: Path, commits: int = 2) -> Path:
    logs.store(folder / "store", [[logs.part("a", [b"%d-%d\n" % (n, i) for i in range(3)])] for n in range(commits)])
    return folder / "store"


def test_a_checkpoint_is_the_signed_head(user: Path) -> None:
    path = some_store(user)
    data = checkpoints.make_checkpoint(path, KEY)
    (file,) = checkpoints.checkpoint_files(path)
    assert file.read_bytes() == data
    store_state = logs.reopened(path)
    assert parse_checkpoint(data).head == Head(origin_of(store_state.store_id), 6, store_state.tree.root())
    assert verified_by(parse_note(data), [KEY.verifier])
    assert checkpoints.make_checkpoint(path, KEY) == data
    pin = last_seen.read_pin(path)
    assert pin is not None
    assert (pin.size, pin.keys) == (6, (KEY.verifier.text,))


@pytest.mark.parametrize("size", [3, 7, 6])
def test_nothing_is_signed_that_contradicts_an_earlier_checkpoint(user: Path, size: int) -> None:
    path = some_store(user)
    store_state = logs.reopened(path)
    head = Head(origin_of(store_state.store_id), size, bytes(32))
    (path / "checkpoints").mkdir()
    earlier = path / "checkpoints" / "earlier.checkpoint"
    earlier.write_bytes(sign(head, KEY))
    with pytest.raises(TamperedError, match=r"earlier\.checkpoint"):
        checkpoints.make_checkpoint(path, KEY)
    assert checkpoints.checkpoint_files(path) == [earlier]
    earlier.write_bytes(sign(Head("esctl/other", 0, parse_checkpoint(sign(HEAD, KEY)).head.root), KEY)[:-9])
    with pytest.raises(TamperedError, match="not a checkpoint"):
        checkpoints.make_checkpoint(path, KEY)


def test_nothing_is_signed_after_the_store_went_back(user: Path) -> None:
    path = some_store(user)
    assert last_seen.advance(logs.reopened(path))
    os.remove(path / "commits" / "00000000000000000002.json")
    with pytest.raises(TamperedError, match="does not continue"):
        checkpoints.make_checkpoint(path, KEY)
    assert checkpoints.checkpoint_files(path) == []
    assert last_seen.advance(logs.reopened(path)) is False


def test_a_new_store_in_the_place_of_an_old_one_is_told_from_an_old_one_gone_back(user: Path) -> None:
    path = some_store(user)
    assert last_seen.advance(logs.reopened(path))
    path.rename(user / "elsewhere")
    some_store(user, 1)
    assert last_seen.advance(logs.reopened(path)) is False
    assert last_seen.advance(logs.reopened(path), anew=True) is True
