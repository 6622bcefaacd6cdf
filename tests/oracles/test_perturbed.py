"""The same events delivered shuffled, twice, late and in odd parts must give the same states."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from esctl.api import Store
from esctl.sources.files.reading import SourceOptions
from tests.oracles.test_git import CONFIG
from tests.support import effort
from tests.support.real_log_helpers import Rows, json_lines, load, rows_of, states, text_of

SEEDS = effort.some((1, 2, 3), 1)


@pytest.fixture(scope="module")
def plain(real_logs: Path) -> Path:
    """Give the undisturbed log."""
    path = real_logs / "git_harlequin" / "events.jsonl.zst"
    if not path.is_file():
        pytest.skip("no git_harlequin among the real logs")
    return path


@pytest.fixture(scope="module")
def undisturbed(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Give the undisturbed log read into a store."""
    return load(tmp_path_factory.mktemp("plain"), [plain], CONFIG)[0]


@pytest.fixture(scope="module", params=SEEDS)
def deliveries(
    request: pytest.FixtureRequest, real_logs: Path, plain: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Give a folder of disturbed deliveries of the log."""
    script = real_logs / "perturb.py"
    if not script.is_file():
        pytest.skip("no perturb.py among the real logs")
    folder = tmp_path_factory.mktemp("deliveries")
    lines = folder / "plain.jsonl"
    lines.write_text(text_of(plain), encoding="utf-8")
    command = [sys.executable, str(script), str(lines), str(folder), "--seed", str(request.param), "--dup", "0.05"]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def points(events: Rows) -> Iterator[dict[str, str]]:
    """Give bounds at the beginning, in the middle, at an instant with many events, and none."""
    yield from ({"at": f"seq:{sequence}"} for sequence in (1, 100, 1000, 2000, len(events)))
    busiest, _ = Counter(event["monotonic_time"] for event in events).most_common(1)[0]
    yield from ({"at": busiest}, {"before": busiest}, {})


def assert_same_states(store: Store, undisturbed: Store, plain: Path) -> None:
    for bounds in points(json_lines(plain)):
        assert states(store, **bounds) == states(undisturbed, **bounds)


def repeated(lines: list[str]) -> int:
    return len(lines) - len(set(lines))


def lines_of(folder: Path, name: str) -> list[str]:
    return [line for line in (folder / name).read_text(encoding="utf-8").split("\n") if line]


@pytest.mark.parametrize("name", ["shuffled", "dups", "late", "all"])
def test_one_file(deliveries: Path, undisturbed: Store, plain: Path, tmp_path: Path, name: str) -> None:
    lines = lines_of(deliveries, f"{name}.jsonl")
    store, summary = load(tmp_path, [deliveries / f"{name}.jsonl"], CONFIG)
    assert (summary.new, summary.duplicates) == (len(lines), repeated(lines))
    assert (summary.conflicts, summary.invalid) == (0, 0)
    assert bool(summary.duplicates) == (name in ("dups", "all"))
    assert_same_states(store, undisturbed, plain)


@pytest.mark.parametrize("order", ["sorted", "reversed", "one by one"])
def test_parts_of_every_encoding(deliveries: Path, undisturbed: Store, plain: Path, tmp_path: Path, order: str) -> None:
    parts = sorted(deliveries.glob("part-*"))
    assert {part.suffix for part in parts} == {".gz", ".zst"}
    batches = [[part] for part in reversed(parts)] if order == "one by one" else [parts]
    if order == "reversed":
        batches = [parts[::-1]]
    duplicates = new = 0
    for batch in batches:
        store, summary = load(tmp_path, batch, CONFIG)
        assert (summary.conflicts, summary.invalid) == (0, 0)
        duplicates += summary.duplicates
        new += summary.new
    lines = lines_of(deliveries, "all.jsonl")
    assert (new, duplicates) == (len(lines), repeated(lines))
    assert_same_states(store, undisturbed, plain)


def test_a_torn_end_waits_for_its_rest(deliveries: Path, undisturbed: Store, plain: Path, tmp_path: Path) -> None:
    torn, whole = (deliveries / "torn.jsonl").read_bytes(), (deliveries / "all.jsonl").read_bytes()
    assert whole.startswith(torn)
    lines = lines_of(deliveries, "all.jsonl")
    log = tmp_path / "log.jsonl"
    log.write_bytes(torn)
    _, first = load(tmp_path / "store", [log], CONFIG, pending=len(torn) - torn.rindex(b"\n") - 1)
    assert (first.new, first.invalid) == (len(lines) - 1, 0)
    log.write_bytes(whole)
    store, second = load(tmp_path / "store", [log], CONFIG)
    assert (second.new, second.invalid, second.head) == (1, 0, len(lines))
    assert first.duplicates + second.duplicates == repeated(lines)
    assert_same_states(store, undisturbed, plain)


def test_a_torn_end_is_invalid_evidence_when_it_is_final(deliveries: Path, tmp_path: Path) -> None:
    torn = deliveries / "torn.jsonl"
    _, summary = load(tmp_path, [torn], CONFIG, SourceOptions(final=True))
    assert (summary.new, summary.invalid) == (len(lines_of(deliveries, "torn.jsonl")), 1)


def test_every_delivery_into_one_store(deliveries: Path, undisturbed: Store, plain: Path, tmp_path: Path) -> None:
    """All at once: each event is folded once, however often it came and in whatever order."""
    events = json_lines(plain)
    files = [deliveries / f"{name}.jsonl" for name in ("late", "shuffled", "dups")]
    store, summary = load(tmp_path, [*files, *sorted(deliveries.glob("part-*"))], CONFIG)
    assert summary.new - summary.duplicates == len(events)
    assert (summary.conflicts, summary.invalid) == (0, 0)
    assert_same_states(store, undisturbed, plain)
    assert sum(row["count"] for row in rows_of(store.types())) == len(events)
    assert sum(row["duplicate_of"] is not None for row in distinct(rows_of(store.events()))) == summary.duplicates


def distinct(rows: Rows) -> Rows:
    """Keep one row for each position: an event has one for each role."""
    return list({row["position"]: row for row in rows}.values())


def test_trails_are_the_same(deliveries: Path, undisturbed: Store, tmp_path: Path) -> None:
    store, _ = load(tmp_path, [deliveries / "all.jsonl"], CONFIG)
    kept = ("time", "entity", "kind", "role", "type", "actor", "id", "correlation", "version", "changes")
    trails = [[{key: row[key] for key in kept} for row in rows_of(each.audit())] for each in (store, undisturbed)]
    assert trails[0] == trails[1]


def test_the_same_file_packed_anew_is_nothing_new(plain: Path, tmp_path: Path) -> None:
    raw = text_of(plain).encode()
    load(tmp_path / "store", [plain], CONFIG)
    frames = [raw[i : i + 100_000] for i in range(0, len(raw), 100_000)]
    (tmp_path / "again.jsonl.zst").write_bytes(b"".join(map(zstandard.ZstdCompressor().compress, frames)))
    _, summary = load(tmp_path / "store", [tmp_path / "again.jsonl.zst"], CONFIG)
    assert (summary.new, summary.duplicates) == (0, 0)
