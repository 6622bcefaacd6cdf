"""Proofs that stand alone: what is proven is proven anywhere, and nothing else is."""

from __future__ import annotations

import base64
import random
import subprocess
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from esctl.errors import InputError, TamperedError
from esctl.ledger.prove.judge import Judgement, Trust, judge_proof, read_proof, trust_in
from esctl.ledger.prove.proof_file import Content, Proof, content_of, parse_content, parse_proof
from esctl.ledger.prove.prove import choose_checkpoint, prove
from esctl.ledger.sign import checkpoints
from esctl.ledger.sign.checkpoint import Head, parse_checkpoint, sign
from esctl.ledger.sign.note import SigningKey, VerifierKey
from esctl.log import merkle
from esctl.log.leaves.leaf import Leaf, leaf_of, parse_leaf
from esctl.log.merkle import inclusion_proof, inclusion_proofs
from tests.log.test_segment import rows
from tests.support import forgery
from tests.support import log_helpers as logs

KEY = SigningKey("someone", bytes(range(32)))
OTHER = SigningKey("stranger", bytes(32))
SIZE = 4300
"""More than a block, and a part of one."""


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "erasable"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store of several segments, with keys and headers, and a checkpoint of it."""
    folder = tmp_path_factory.mktemp("proofs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        raws: list[bytes | None] = [b"r%d\n" % number for number in range(SIZE)]
        raws[5], raws[6] = None, b""
        rest: dict[str, Any] = {
            "key": [None if number % 3 else b"k%d" % number for number in range(SIZE)],
            "headers": [None if number % 2 else [{"name": "h", "value": b"v"}] for number in range(SIZE)],
            "source_time": [None if number % 5 else number for number in range(SIZE)],
        }
        cuts = [(0, 10), (10, 4200), (4200, SIZE)]
        parts = [
            [logs.part(f"täble\n#{i}", raws[a:b], **{name: values[a:b] for name, values in rest.items()})]
            for i, (a, b) in enumerate(cuts)
        ]
        logs.store(folder / "store", parts, erasable=request.param)
        checkpoints.make_checkpoint(folder / "store", KEY)
        yield folder / "store"


def trusting(*keys: SigningKey, demanded: bool = True) -> Trust:
    return Trust(tuple(key.verifier for key in keys), demanded)


def proofs(store: Path, *positions: int) -> list[tuple[bytes, bytes | None]]:
    store_state = logs.reopened(store)
    checkpoint = choose_checkpoint(store_state, "", max(positions))
    return [(proof.data, raw) for proof, raw in prove(store_state, positions, checkpoint)]


def judged(data: bytes, raw: bytes | None, trust: Trust | None = None) -> Judgement:
    return judge_proof(read_proof(data, "proof"), raw, trust or trusting(KEY))


def test_every_record_is_proven(store: Path) -> None:
    positions = [1, 2, 6, 7, 10, 11, 4096, 4097, 4200, 4201, SIZE]
    made = proofs(store, *positions)
    for position, (data, raw) in zip(positions, made, strict=True):
        found = judged(data, raw or b"")
        assert (found.result, found.reason, found.signers) == ("proven", "", ("someone",))
        leaf = found.content.leaf
        assert leaf is not None
        assert (leaf.position, leaf.recorded_at - logs.NOW) == (position, (position > 10) + (position > 4200))
        assert found.content.source == f"täble\n#{(position > 10) + (position > 4200)}"
    assert made[2][1] is None
    assert len(proofs(store, 3)[0][0]) < 2500


def test_other_bytes_are_refuted(store: Path) -> None:
    ((data, raw),) = proofs(store, 4000)
    assert raw is not None
    for other in (b"", raw + b"\n", raw[:-1] + b"x", b"r4000\n"):
        assert judged(data, other).result == "refuted"
    assert judged(data, raw.rstrip()).reason == "these are the record's bytes but for the line end, which is b'\\n'"
    ((data, raw),) = proofs(store, 6)
    assert raw is None
    assert judged(data, b"x").reason == "the record has no bytes"


def test_whose_signature_it_is_decides(store: Path) -> None:
    ((data, raw),) = proofs(store, 7)
    assert judged(data, raw, trusting(OTHER, KEY)).signers == ("someone",)
    found = judged(data, raw, trusting(OTHER))
    assert (found.result, found.reason) == ("refuted", "the checkpoint is signed by someone, which is not trusted")
    found = judged(data, raw, trusting(OTHER, demanded=False))
    assert (found.result, found.reason) == (
        "not judged",
        "the checkpoint is signed by someone, which is not known here",
    )
    assert judged(data, b"x", trusting(demanded=False)).result == "refuted"
    named = replace(OTHER, name="someone")
    assert judged(data, raw, trusting(named)).result == "refuted"


def test_keys_that_signed_the_log_here_are_known(store: Path) -> None:
    origin = parse_checkpoint(checkpoints.checkpoint_files(store)[0].read_bytes()).head.origin
    assert trust_in((), origin) == Trust((KEY.verifier,), False)
    assert trust_in((), "esctl/00000000-0000-0000-0000-000000000000").keys == ()
    assert trust_in((), "else").keys == ()
    given: tuple[VerifierKey, ...] = (OTHER.verifier,)
    assert trust_in(given, origin) == Trust(given, True)


def test_no_flipped_bit_leaves_a_proof(store: Path) -> None:
    rng = random.Random(3)
    ((data, raw),) = proofs(store, 3210)
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1 << rng.randrange(8)
        try:
            assert judged(bytes(changed), raw, trusting(KEY)).result == "refuted", at
        except InputError:
            continue


def test_a_proof_with_another_records_parts_is_refuted(store: Path) -> None:
    (one, raw), (two, _) = proofs(store, 20, 21)
    first, second = parse_proof(one), parse_proof(two)
    for mixed in (
        replace(first, index=second.index),
        replace(first, hashes=second.hashes),
        replace(first, hashes=first.hashes[:-1]),
        replace(first, hashes=(*first.hashes, first.hashes[0])),
        replace(first, extra=second.extra),
    ):
        assert judged(mixed.data, raw).result == "refuted"
    content = parse_content(first.extra)
    renamed = replace(content, source="another").extra
    assert judged(replace(first, extra=renamed).data, raw).reason == "another is not the source that the leaf has"


def test_a_checkpoint_that_the_store_contradicts_proves_nothing(store: Path, tmp_path: Path) -> None:
    store_state = logs.reopened(store)
    good = parse_checkpoint(checkpoints.checkpoint_files(store)[0].read_bytes()).head
    cases: list[tuple[Head, type[Exception], str]] = [
        (replace(good, root=bytes(32)), TamperedError, "does not hash to the root"),
        (replace(good, size=SIZE - 1), TamperedError, "does not hash to the root"),
        (replace(good, size=SIZE + 1), TamperedError, "the store has"),
        (replace(good, size=4), InputError, "not covered"),
        (replace(good, origin="esctl/other"), InputError, "another log"),
    ]
    for head, error, message in cases:
        path = tmp_path / "one.checkpoint"
        path.write_bytes(sign(head, KEY))
        with pytest.raises(error, match=message):
            list(prove(store_state, [9], choose_checkpoint(store_state, str(path), 9)))
    (tmp_path / "none").write_text("none")
    with pytest.raises(InputError, match="not a checkpoint"):
        choose_checkpoint(store_state, str(tmp_path / "none"), 1)
    with pytest.raises(InputError, match="no checkpoint of 7 records"):
        choose_checkpoint(store_state, "7", 1)
    assert choose_checkpoint(store_state, str(SIZE), 1).head == good


def test_an_erased_record_is_proven_to_have_been_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    logs.store(tmp_path / "store", [[logs.part("a", [b"one\n", b"two\n", b"three\n"])]], erasable=True)
    (tmp_path / "store" / "checkpoints").mkdir()
    before = checkpoints.make_checkpoint(tmp_path / "store", KEY)

    def erase(table: pa.Table) -> pa.Table:
        leaf = logs.reference_leaves(table.slice(1, 1))
        columns = {"raw": [b"one\n", None, b"three\n"], "erased_leaf": [None, leaf, None]}
        columns["salt"] = [table["salt"][0].as_py(), None, table["salt"][2].as_py()]
        for name, values in columns.items():
            at = table.schema.get_field_index(name)
            table = table.set_column(at, table.schema.field(at), pa.array(values, table.schema.field(at).type))
        return table

    forgery.forge(tmp_path / "store", erase)
    ((data, raw),) = proofs(tmp_path / "store", 2)
    assert raw is None
    assert parse_proof(data).checkpoint == before
    found = judged(data, None)
    assert (found.result, found.content.leaf, found.content.position) == ("erased", None, 2)
    assert judged(data, b"two\n").result == "not judged"
    assert "erased" in judged(data, b"two\n").reason
    assert judged(data, None, trusting(OTHER)).result == "refuted"
    assert judged(replace(parse_proof(data), index=0).data, None).result == "refuted"


@settings(max_examples=60)
@given(rows, st.integers(1, 2**40))
def test_a_leaf_is_that_of_the_specification(row: dict[str, Any], position: int) -> None:
    row = row | {"position": position, "erased_leaf": None}
    leaf = leaf_of(row)
    assert leaf.hash == logs.reference_leaf(row)
    assert parse_leaf(leaf.text) == leaf
    content = content_of(leaf, row["salt"] or b"", row["source"])
    assert parse_content(content.extra) == content


@settings(max_examples=60)
@given(st.integers(1, 200), st.data())
def test_proofs_made_together_are_those_made_alone(size: int, data: st.DataObject) -> None:
    hashes = b"".join(sha256(b"%d" % number).digest() for number in range(size))
    tree = logs.memory_tree(hashes)
    wanted = data.draw(st.sets(st.integers(0, size - 1)))
    together = inclusion_proofs(tree, wanted, size)
    assert together == {index: inclusion_proof(tree, index, size) for index in wanted}
    root = merkle.tree_root(hashes)
    for index, proof in together.items():
        assert merkle.verify_inclusion(hashes[index * 32 : index * 32 + 32], index, size, proof, root)


PROOF = Proof(2, (bytes(32), bytes(range(32))), sign(Head("esctl/0", 3, bytes(32)), KEY), b"extra")
CONTENT = content_of(Leaf(3, 0, 0, None, "-", "-", "-", "0" * 64), b"", "a")


def test_the_format_is_that_of_the_specification() -> None:
    lines = PROOF.data.decode().split("\n")
    assert lines[:3] == ["c2sp.org/tlog-proof@v1", f"extra {base64.b64encode(b'extra').decode()}", "index 2"]
    assert [base64.b64decode(line) for line in lines[3:5]] == [bytes(32), bytes(range(32))]
    assert lines[5:8] == ["", "esctl/0", "3"]
    for proof in (PROOF, replace(PROOF, extra=b""), replace(PROOF, hashes=(), index=0)):
        assert parse_proof(proof.data) == proof


@pytest.mark.parametrize(
    "change",
    [
        ("@v1", "@v2"),
        ("\nindex 2", "\nindex 02"),
        ("\nindex 2", "\nindex -2"),
        ("\nindex 2", "\nindex ٢"),
        ("\nindex 2", ""),
        ("extra ZXh0cmE=", "extra ZXh0cmE"),
        ("extra ", "extras "),
        ("AAAA=\n", "AAAB=\n"),
        ("AAAA=\n", "AAA=\n"),
        ("\n\n", "\n"),
        ("index", "\xff"),
    ],
)
def test_what_is_no_proof_is_refused(change: tuple[str, str]) -> None:
    assert change[0] in PROOF.data.decode()
    with pytest.raises(InputError, match="not a proof of an esctl record"):
        read_proof(PROOF.data.decode().replace(*change).encode("latin-1", "xmlcharrefreplace"), "proof")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("record/1", "record/2"),
        lambda text: text.replace("\n3\n", "\n03\n"),
        lambda text: text.replace("\n3\n", "\n-3\n"),
        lambda text: text.replace("-\n-\n-", "-\n-"),
        lambda text: text.replace("0" * 64, "A" * 64),
        lambda text: text.removesuffix("\na\n"),
        lambda text: text.removesuffix("\n"),
        lambda text: text.replace("-\na\n", "zz\na\n"),
        lambda text: text.replace("-\na\n", "AB\na\n"),
        lambda _: "",
        lambda _: "esctl/erased/1\n3\n\n",
        lambda _: f"esctl/erased/1\n3\n{'0' * 62} 0\n",
        lambda _: f"esctl/erased/1\n0\n{'0' * 64}\n",
        lambda _: f"esctl/erased/1\n3\n{'0' * 64}\nx",
    ],
)
def test_what_says_nothing_of_a_record_is_refused(change: Callable[[str], str]) -> None:
    assert parse_content(CONTENT.extra) == CONTENT
    erased = Content(bytes(32), 3)
    assert parse_content(erased.extra) == erased
    with pytest.raises(ValueError, match=r".+"):
        parse_content(change(CONTENT.extra.decode()).encode())


@settings(max_examples=100)
@given(st.binary(max_size=200) | st.text(alphabet="ab\n—+ =0index", max_size=60).map(str.encode))
def test_any_bytes_are_a_proof_or_refused(data: bytes) -> None:
    for tried in (data, PROOF.data[: len(data)] + data, replace(PROOF, extra=CONTENT.extra + data).data):
        try:
            read_proof(tried, "proof")
        except InputError:
            continue


INTEROP = Path(__file__).parents[3] / "build" / "interop"


@pytest.mark.skipif(not INTEROP.exists(), reason="an independent implementation is not built: make interop (needs Go)")
def test_proofs_verify_with_an_independent_implementation(store: Path, tmp_path: Path) -> None:
    files: list[str] = []
    for number, (data, raw) in enumerate(proofs(store, 1, 7, 8, 4096, 4097, SIZE)):
        for name, content in ((f"{number}.tlog-proof", data), (f"{number}.record", raw or b"")):
            (tmp_path / name).write_bytes(content)
            files.append(name)
    key = KEY.verifier.text

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(INTEROP), *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)

    done = run(key, *files)
    assert done.returncode == 0, done.stderr
    assert [line.partition(" in ")[0] for line in done.stdout.splitlines()] == [
        f"{position - 1} of {SIZE}" for position in (1, 7, 8, 4096, 4097, SIZE)
    ]
    assert run(key, files[0], files[3]).returncode == 1
    assert run(OTHER.verifier.text, *files[:2]).returncode == 1
    changed = parse_proof((tmp_path / files[0]).read_bytes())
    (tmp_path / files[0]).write_bytes(replace(changed, index=1).data)
    assert run(key, *files[:2]).returncode == 1
