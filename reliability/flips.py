"""Flip single bits all over a store; verify must find each, no read may be misled: `python -m reliability.flips [N]`.

A region is a part of a kind of file. All regions get the same number of flips, or one for each bit if they have fewer.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from reliability.report import keep
from reliability.running import SECONDS, enter_folder, esctl
from reliability.stores import STORE, write_log

if TYPE_CHECKING:
    from esctl.ledger.sign.note import VerifierKey

FLIPS = 100_000
READ_EVERY = 50
"""One flip in this many is also followed by reads of the store."""
HARMLESS = {"lock": "empty files that are locked, never read", "lock.pid": "the number of the process that writes"}
"""Files whose content means nothing. Nor does that of index files which the manifest does not name any more."""

Span = tuple[Path, int, int]
"""A part of a file: its first byte, and the byte after its last."""
_TOKENS = re.compile(
    rb'(?P<key>"(?:[^"\\]|\\.)*"(?=:))|"(?P<hash>[0-9a-f]{32,})"|(?P<text>"(?:[^"\\]|\\.)*")|(?P<number>-?[0-9.]+)'
    rb"|(?P<literal>true|false|null)|(?P<mark>[{}\[\],:\n]+)"
)
_KINDS = (
    (r"log/.*\.parquet", "segment"), (r"index/.*\.parquet", "index file"), (r"index/.*\.ids", "ids"),
    (r"index/.*\.groups", "manifest part"), (r"index/.*/manifest\.json", "manifest"),
    (r"commits/(summary|head|segments)-.*", "summary"),
    (r"commits/.*", "commit"),
    (r"checkpoints/.*", "checkpoint"), (r"format\.json", "format.json"), (r"mapping\.json", "mapping.json"),
    (r"snapshots/.*\.json", "snapshot manifest"), (r"snapshots/.*", "snapshot"),
)  # fmt: skip


@dataclass(slots=True)
class Figures:
    """Flips by region, reads after a flip by their result, and what did not hold."""

    flips: Counter[tuple[str, str]] = field(default_factory=Counter)
    reads: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def make_store(work: Path, older: Path | None = None) -> None:
    """Make a store with a file of every kind; `older`: where to keep a copy of the store from half-way."""
    work.mkdir(parents=True)
    write_log(work)
    for arguments in (
        ("key", "new"), ("ingest", "one.jsonl", "--map", "actor=data.by"), ("checkpoint",), ("snapshot",),
        ("ingest", "two.jsonl.gz", "three.csv"), ("checkpoint",), ("snapshot",),
    ):  # fmt: skip
        if "two.jsonl.gz" in arguments and older is not None:
            shutil.copytree(work / STORE, older)
        ran = esctl(work, arguments)
        if ran.code:
            raise RuntimeError(f"{' '.join(arguments)}: {ran.err}")


def regions(store: Path) -> dict[tuple[str, str], list[Span]]:
    """Divide all files of a store into spans, by kind of file and kind of part."""
    found: dict[tuple[str, str], list[Span]] = defaultdict(list)
    for path in files_of(store):
        kind = kind_of(str(path.relative_to(store)))
        for part, start, end in _DIVIDED.get(path.suffix, _leave_whole)(path):
            found[kind, part].append((path, start, end))
    return dict(found)


def files_of(store: Path) -> list[Path]:
    """List the files of a store whose content matters: not `HARMLESS`, nor index files that no manifest names."""
    found = [path for path in store.rglob("*") if path.is_file() and path.name not in HARMLESS]
    named = "manifest.json " + "".join(path.read_text() for path in found if path.name == "manifest.json")
    return sorted(path for path in found if path.parent.parent.name != "index" or path.name in named)


def kind_of(place: str) -> str:
    """Return the kind of a file by its place in the store."""
    return next((kind for pattern, kind in _KINDS if re.fullmatch(pattern, place)), "another file")


def _divide_parquet(path: Path) -> Iterator[tuple[str, int, int]]:
    import pyarrow.parquet as pq

    metadata, size = pq.read_metadata(path), path.stat().st_size
    footer = size - 8 - metadata.serialized_size
    yield "magic", 0, 4
    yield "magic", size - 4, size
    yield "footer", footer, size - 4
    for group in range(metadata.num_row_groups):
        for column in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(column)
            first = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
            end = first + chunk.total_compressed_size
            yield "first page header", first, min(first + 16, end)
            yield f"pages of {chunk.path_in_schema.partition('.')[0]}"[:40], min(first + 16, end), end


def _divide_json(path: Path) -> Iterator[tuple[str, int, int]]:
    for token in _TOKENS.finditer(path.read_bytes()):
        yield token.lastgroup or "mark", *token.span(token.lastgroup or 0)


def _divide_lines(path: Path) -> Iterator[tuple[str, int, int]]:
    start, signed = 0, True
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True)):
        signed = signed and line != b"\n"
        yield f"line {number + 1}" if signed else "signature", start, start + len(line)
        start += len(line)


def _leave_whole(path: Path) -> Iterator[tuple[str, int, int]]:
    yield "all", 0, path.stat().st_size


_DIVIDED = {".parquet": _divide_parquet, ".json": _divide_json, ".checkpoint": _divide_lines}


def choose_bits(spans: list[Span], count: int, rng: random.Random) -> Iterator[tuple[Path, int]]:
    """Choose bits of a region, none twice; yield the file and the number of the bit in it."""
    sizes = [8 * (end - start) for _, start, end in spans]
    for at in sorted(rng.sample(range(sum(sizes)), min(count, sum(sizes)))):
        left, number = at, 0
        while left >= sizes[number]:
            left, number = left - sizes[number], number + 1
        yield spans[number][0], 8 * spans[number][1] + left


def shares(sizes: Mapping[tuple[str, str], int], total: int) -> dict[tuple[str, str], int]:
    """Return the number of flips for each region: evenly shared, but no more than the region has bits."""
    shared: dict[tuple[str, str], int] = {}
    for number, name in enumerate(sorted(sizes, key=lambda name: sizes[name])):
        shared[name] = min(sizes[name], (total - sum(shared.values())) // (len(sizes) - number))
    return shared


def campaign(count: int = FLIPS, seed: int = 7, workers: int | None = None, read_every: int = READ_EVERY) -> Figures:
    """Flip `count` bits, shared among processes."""
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="reliability-") as folder:
        work = Path(folder) / "work"
        make_store(work)
        number = workers or os.cpu_count() or 1
        for part in _flip_in_processes(work, [(count // number, seed + at, read_every) for at in range(number)]):
            figures.flips += part.flips
            figures.reads += part.reads
            figures.failures += part.failures
    return figures


def _flip_in_processes(work: Path, tasks: list[tuple[int, int, int]]) -> Iterator[Figures]:
    context = get_context("forkserver")
    running = []
    for at, task in enumerate(tasks):
        here, there = context.Pipe()
        process = context.Process(target=_flip_in_process, args=(there, work, work.with_name(f"copy-{at}"), *task))
        process.start()
        there.close()
        running.append((process, here))
    for process, here in running:
        yield here.recv()
        process.join(SECONDS)


def _flip_in_process(there, work: Path, copy: Path, count: int, seed: int, read_every: int) -> None:  # type: ignore[no-untyped-def]
    shutil.copytree(work, copy)
    enter_folder(copy)
    there.send(flip_all(copy / STORE, count, seed, read_every))


def flip_all(store: Path, count: int, seed: int, read_every: int) -> Figures:
    """Flip `count` bits of a store one after the other, undoing each flip."""
    from esctl.ledger.sign.keys import read_key

    key, rng, figures = read_key().verifier, random.Random(seed), Figures()
    found = regions(store)
    wanted = shares({name: sum(8 * (end - start) for _, start, end in spans) for name, spans in found.items()}, count)
    pristine = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    expected = {name: read(store) for name, read in READS.items()}
    turn = 0
    for name, spans in sorted(found.items()):
        for path, bit in choose_bits(spans, wanted[name], rng):
            turn += 1
            place = f"{path.relative_to(store)}, byte {bit // 8}, bit {bit % 8} ({', '.join(name)})"
            _flip(path, bit)
            figures.flips[name] += 1
            figures.failures += [f"{place}: {one}" for one in check_verify(store, path, key)]
            if turn % read_every == 0:
                figures.failures += [f"{place}: {one}" for one in check_reads(store, path, expected, figures.reads)]
                restore(store, pristine)
            else:
                _flip(path, bit)
    return figures


def _flip(path: Path, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))


def restore(store: Path, pristine: Mapping[Path, bytes]) -> None:
    """Restore all files of a store to their former bytes, and remove others."""
    for path in [each for each in store.rglob("*") if each.is_file()]:
        if path not in pristine:
            path.unlink()
    for path, data in pristine.items():
        if not path.exists() or path.read_bytes() != data:
            path.write_bytes(data)


def check_verify(store: Path, path: Path, key: VerifierKey) -> Iterator[str]:
    """Check that verify names the one bad file of a store, and does not fail; yield what does not hold."""
    from esctl.ledger.check.verify import VerifyOptions, verify

    place = str(path.relative_to(store))
    try:
        checks = verify(store, VerifyOptions(trust=(key,))).checks
    except Exception as error:
        yield f"verify fails: {type(error).__name__}: {error}"
        return
    files = {finding.file for check in checks for finding in check.findings}
    if place not in files:
        yield f"verify names {sorted(files)}"


def check_reads(store: Path, path: Path, expected: Mapping[str, object], results: Counter[str]) -> Iterator[str]:
    """Check that each read of a store with one bad file gives the same answer, or an error that names the file."""
    from esctl.errors import InputError

    for name, read in READS.items():
        try:
            answer = read(store)
        except InputError as error:
            named = path.name in error.message
            results["refused, the file named" if named else "refused, another file named"] += 1
            if not named:
                yield f"{name} names another file: {error.message}"
        except Exception as error:
            yield f"{name} fails: {type(error).__name__}: {error}"
        else:
            results["answered as before"] += 1
            if answer != expected[name]:
                yield f"{name} gives another answer"


def _states(store: Path) -> object:
    from esctl.api import Store

    return Store.open(store).replay().rows()


def _trail(store: Path) -> object:
    from esctl.api import Store

    return Store.open(store).audit("thing-3").rows()


def _raw(store: Path) -> object:
    from esctl.api import Store
    from esctl.log.reader import export_raw

    store_state = Store.open(store).store_state
    return {name: b"".join(export_raw(store_state, name)) for name in sorted(store_state.cursors)}


def _head(store: Path) -> object:
    from esctl.api import Store

    store_state = Store.open(store).store_state
    return store_state.store_id, store_state.head, store_state.root, store_state.at


READS: dict[str, Callable[[Path], object]] = {"replay": _states, "audit": _trail, "export": _raw, "status": _head}
"""Functions that read a store and return an answer that can be compared."""


def main() -> int:
    """Run the campaign and say what it found."""
    started = time.monotonic()
    count = int(sys.argv[1]) if len(sys.argv) > 1 else FLIPS
    figures = campaign(count)
    for failure in figures.failures:
        print(failure)
    print(f"{figures.flips.total()} flips in {len(figures.flips)} regions, {len(figures.failures)} failures")
    reads = "; ".join(f"{number:,} {name}" for name, number in sorted(figures.reads.items()))
    lines = [
        f"**{figures.flips.total():,}** bits were flipped in {len(figures.flips)} regions; "
        f"{len(figures.failures)} did not hold. Reads after a flip: {reads}."
    ]
    parts: dict[str, list[str]] = defaultdict(list)
    for kind, part in sorted(figures.flips):
        parts[kind].append(part)
    rows = {
        kind: [sum(figures.flips[kind, part] for part in found), ", ".join(_part_names(found))]
        for kind, found in parts.items()
    }
    heads = ["kind of file", "flips", "parts"]
    keep("flips", f"python -m reliability.flips {count}", time.monotonic() - started, lines, heads, rows)
    return int(bool(figures.failures))


def _part_names(parts: list[str]) -> list[str]:
    pages = [part for part in parts if part.startswith("pages of ")]
    rest = [part for part in parts if part not in pages]
    return [*rest, f"pages of {len(pages)} columns"] if pages else rest


if __name__ == "__main__":
    sys.exit(main())
