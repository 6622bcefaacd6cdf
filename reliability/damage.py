"""Cut, remove, swap and age every file of a store, and the store itself: `python -m reliability.damage`."""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from reliability.flips import files_of, kind_of, make_store, restore
from reliability.report import keep
from reliability.stores import STORE, in_process

KIND_OF_STORE = "the whole store"
NO_DAMAGE = {
    ("summary", "removed"): "derived: the next ingest writes it again",
    ("manifest", "removed"): "derived: the next question builds the index again",
    ("manifest", "older version"): "the index then ends earlier: the next question brings it up to date",
    ("snapshot manifest", "removed"): "derived: the states are folded again",
    ("mapping.json", "removed"): "a setting of the user's; the basis of an answer has its digest",
    ("checkpoint", "removed"): "what counts is the copy kept elsewhere",
}
"""What `verify` does not call damage, and why."""

Case = tuple[str, str, Path, bytes | None]
"""The kind of file, what is done to it, its path, and its new content (None: removed)."""


@dataclass(slots=True)
class Figures:
    """The number of cases by kind of file and damage, and what did not hold."""

    cases: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def campaign() -> Figures:
    """Try every case on every file."""
    with tempfile.TemporaryDirectory(prefix="reliability-") as folder:
        work, older = Path(folder) / "work", Path(folder) / "older"
        make_store(work, older)
        figures: Figures = in_process(damage_all, work, older)
        return figures


def cases(store: Path, older: Path) -> Iterator[Case]:
    """Yield every case of damage to a single file."""
    files = files_of(store)
    whole = {path: path.read_bytes() for path in files}
    for number, path in enumerate(files):
        kind, data, place = kind_of(str(path.relative_to(store))), whole[path], path.relative_to(store)
        yield kind, "emptied", path, b""
        yield kind, "cut in half", path, data[: len(data) // 2]
        yield kind, "a byte short", path, data[:-1]
        yield kind, "a byte longer", path, data + b"\0"
        yield kind, "removed", path, None
        alike = [each for each in files[number + 1 :] + files[:number] if kind_of(str(each.relative_to(store))) == kind]
        if alike and whole[alike[0]] != data:
            yield kind, "another's content", path, whole[alike[0]]
        before = older / place
        if before.exists() and before.read_bytes() != data:
            yield kind, "older version", path, before.read_bytes()


def damage_all(work: Path, older: Path) -> Figures:
    """Try every case on a store, one after the other."""
    from esctl.ledger.check.verify import VerifyOptions, verify
    from esctl.ledger.sign.keys import read_key

    store, figures, key = work / STORE, Figures(), read_key().verifier
    pristine = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    for kind, what, path, data in cases(store, older):
        place = str(path.relative_to(store))
        path.unlink() if data is None else path.write_bytes(data)
        files = {one.file for check in verify(store, VerifyOptions(trust=(key,))).checks for one in check.findings}
        if (place in files) == ((kind, what) in NO_DAMAGE):
            figures.failures.append(f"{place}, {what}: verify names {sorted(files)}")
        figures.cases[kind, what] += 1
        restore(store, pristine)
    for what, failure in _damage_whole_store(store, older, pristine):
        figures.cases[KIND_OF_STORE, what] += 1
        figures.failures += [f"{what}: {failure}"] if failure else []
    return figures


def _damage_whole_store(store: Path, older: Path, pristine: dict[Path, bytes]) -> Iterator[tuple[str, str]]:
    """Roll the store back, with and without the head last seen, and sign it with another key.

    Yields what was done, and what does not hold (empty if all does).
    """
    from esctl.ledger.check.verify import VerifyOptions, verify
    from esctl.ledger.sign.checkpoints import checkpoint_files, make_checkpoint
    from esctl.ledger.sign.keys import new_key, read_key
    from esctl.ledger.sign.last_seen import pin_path

    def kinds(wanted: VerifyOptions) -> set[tuple[str, str]]:
        return {(check.rule, one.kind) for check in verify(store, wanted).checks for one in check.findings}

    known = read_key().verifier
    kept = store.parent / "kept.checkpoint"
    kept.write_bytes(checkpoint_files(store)[-1].read_bytes())
    restore(store, {store / path.relative_to(older): path.read_bytes() for path in older.rglob("*") if path.is_file()})
    found = kinds(VerifyOptions())
    yield "taken back, seen here before", "" if found == {("last seen", "rolled back")} else str(found)
    pin, remembered = pin_path(store), pin_path(store).read_bytes()
    pin.unlink()
    found = kinds(VerifyOptions(since=kept, trust=(known,)))
    yield "taken back, a checkpoint kept elsewhere", "" if found == {("since", "rolled back")} else str(found)
    restore(store, pristine)
    pin.write_bytes(remembered)
    for path in checkpoint_files(store):
        path.unlink()
    make_checkpoint(store, new_key("stranger"))
    pin.write_bytes(remembered)
    found = kinds(VerifyOptions())
    yield "signed by another key", "" if found == {("checkpoints", "signature by an unknown key")} else str(found)


def main() -> int:
    """Run the campaign and say what it found."""
    started = time.monotonic()
    figures = campaign()
    for failure in figures.failures:
        print(failure)
    line = f"**{figures.cases.total():,}** cases; {len(figures.failures)} did not hold."
    print(line)
    kinds = dict.fromkeys(kind for kind, _ in figures.cases)
    rows = {
        kind: [
            sum(count for (other, _), count in figures.cases.items() if other == kind),
            ", ".join(what for other, what in figures.cases if other == kind),
        ]
        for kind in kinds
    }
    lines = [line, "", "No damage is:", ""]
    lines += [f"- {kind}, {what}: {why}" for (kind, what), why in NO_DAMAGE.items()]
    keep("damage", "python -m reliability.damage", time.monotonic() - started, lines, ["kind", "cases", "what"], rows)
    return int(bool(figures.failures))


if __name__ == "__main__":
    sys.exit(main())
