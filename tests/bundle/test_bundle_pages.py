"""The page in a bundle: it says what the bundle says, and a page that says anything else is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from esctl.api import Store
from esctl.bundle import make, page
from esctl.bundle.archive import write_archive
from esctl.bundle.contents import PAGE
from esctl.bundle.make import BundleRequest, plan_bundle
from esctl.errors import UsageError
from esctl.ledger.sign import checkpoints
from tests.bundle.test_bundles import ALL_OK, KEY, Files, edit, ingested, judged, resealed, results, unpacked
from tests.support.pages import stepped, told


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        found = ingested(folder / "store")
        checkpoints.make_checkpoint(found.path, KEY)
        yield found


def made(store: Store, path: Path, asked: BundleRequest) -> Path:
    write_archive(path, plan_bundle(store, asked).files())
    return path


@pytest.fixture(scope="module")
def bundle(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(store, tmp_path_factory.mktemp("bundle") / "one.zip", BundleRequest(("account-1",), html=True))


def test_the_page_says_what_the_bundle_says(bundle: Path) -> None:
    assert results(judged(bundle)) == ALL_OK | {"page": "ok"}
    files = unpacked(bundle)
    said = told(files[PAGE])
    assert said["kind"] == "bundle"
    assert [row[0] for row in said["trail"]] == [11, 1, 3, 5]
    assert stepped(said, 0)[-1] == {"owner": '"é\u202e"', "at": "1", "balance": "17.05"}
    assert said["bytes"] == {p: files[f"records/{p:020d}.txt"] for p in (1, 3, 4, 5, 6, 7, 11)}
    assert said["findings"] is said["blame"] is said["related"] is None
    assert PAGE.encode() in files["README.txt"]


def test_without_a_page_a_bundle_is_what_it_was(store: Store, bundle: Path, tmp_path: Path) -> None:
    plain = unpacked(made(store, tmp_path / "plain.zip", BundleRequest(("account-1",))))
    assert PAGE not in plain
    assert PAGE.encode() not in plain["README.txt"]
    same = set(plain) - {"README.txt", "manifest.json"}
    whole = unpacked(bundle)
    assert all(whole[name] == plain[name] for name in same)
    again = made(store, tmp_path / "again.zip", BundleRequest(("account-1",), html=True))
    assert again.read_bytes() == bundle.read_bytes()


@pytest.mark.parametrize(
    ("change", "failed"),
    [
        (edit(PAGE, b'"17.05"', b'"17.06"'), {"page"}),
        (edit(PAGE, b"default-src 'none'", b"default-src *"), {"page"}),
        (edit(PAGE, b"</body>", b"<p>x</p></body>"), {"page"}),
        (lambda files: files.update({PAGE: b""}), {"page"}),
        (lambda files: files.update({PAGE: files[PAGE] + b" " * 2_000_000}), {"page"}),
        (edit("states.jsonl", b"17.05", b"17.06"), {"page", "states"}),
        (edit("trail.jsonl", b"{", b"["), {"trail"}),
        (edit(f"records/{3:020d}.txt", b"10.1", b"10.2"), {"records"}),
    ],
)
def test_a_page_that_says_anything_else_is_found(
    bundle: Path, tmp_path: Path, change: Callable[[Files], None], failed: set[str]
) -> None:
    found = judged(resealed(bundle, change, tmp_path / "changed.zip"))
    assert {rule for rule, result in results(found).items() if result == "failed"} == failed, found.checks


def test_a_page_of_another_version_is_held_by_what_it_says(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "__version__", "99.0.0")
    assert results(judged(bundle)) == ALL_OK | {"page": "ok"}
    shown = judged(resealed(bundle, edit(PAGE, b"</body>", b"<!-- --></body>"), tmp_path / "shown.zip"))
    assert results(shown) == ALL_OK | {"page": "skipped"}
    assert "written by esctl" in shown.checks[-1].skipped
    said = judged(resealed(bundle, edit(PAGE, b'"17.05"', b'"17.06"'), tmp_path / "said.zip"))
    assert results(said) == ALL_OK | {"page": "failed"}


def test_a_page_that_does_not_fit_is_not_judged(bundle: Path, tmp_path: Path) -> None:
    found = judged(bundle, memory_limit="1kB")
    assert results(found)["page"] == "skipped"
    assert "needs a --memory-limit" in found.checks[-1].skipped


def test_a_page_that_would_be_too_large_is_refused(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "MOST_EVENTS", 3)
    with pytest.raises(UsageError, match="7 records"):
        made(store, tmp_path / "x.zip", BundleRequest(("account-1",), html=True))
    assert not (tmp_path / "x.zip").exists()
    assert make.require_room is page.require_room
