"""Feed everything that esctl parses with hostile input: `python -m reliability.fuzz [--inputs N] [--seed S]`.

Each input must be taken or refused with an error for people, within its time and the memory limit, and what is taken
must mean what it says (it is written and read again, cut in other ways, or held against a second reader).
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, TextIO

from esctl.errors import EsctlError
from reliability import report
from reliability.mutation import mutate, mutate_json
from reliability.targets import Target, all_targets

SECONDS = 5.0
"""The most processor time of one input."""
STUCK = 300
"""Seconds without a sign of life after which a process is killed, as a loop in C handles no signal."""
MEMORY = 3 << 30
"""Bytes of address space beyond what the libraries take."""
_SLOT = 1 << 24


class HangError(Exception):
    """An input took too long."""


def inputs(target: Target, count: int, seed: int) -> Iterator[bytes]:
    """Make the inputs of a target, the good ones first."""
    random_ = random.Random(f"{target.name} {seed}")
    yield from target.seeds[:count]
    for _ in range(count - min(count, len(target.seeds))):
        data = random_.choice(target.seeds)
        if target.is_json and random_.random() < 0.7:
            yield mutate_json(random_, data)
        else:
            yield mutate(random_, data, target.seeds)


def run_target(target: Target, count: int, seed: int, note: Any = None) -> list[dict[str, Any]]:
    """Run the inputs of one target; return what went wrong. `note` is called with each batch before it is run."""
    failures: dict[str, dict[str, Any]] = {}
    for batch in _batches(inputs(target, count, seed), target.batch):
        if note is not None:
            note(target, batch)
        try:
            with _limit_time(SECONDS * max(1, len(batch) // 50)):
                target.check(batch)
        except EsctlError:
            continue
        except (Exception, HangError) as error:
            place = _place(error)
            why, path = _end_of_traceback(error), _keep_input(batch)
            failures.setdefault(place, {"target": target.name, "place": place, "why": why, "input": path})
    return list(failures.values())


def _batches(given: Iterator[bytes], size: int) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for data in given:
        batch.append(data)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


@contextmanager
def _limit_time(seconds: float) -> Iterator[None]:
    def late(number: int, frame: object) -> None:
        raise HangError(f"more than {seconds} seconds of processor time")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _place(error: BaseException) -> str:
    """Return where an error was raised: a bug is reported once for each such place."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"


def _end_of_traceback(error: BaseException) -> str:
    lines = traceback.format_exception(error)
    return "".join(lines[-4:])[-1200:]


def _keep_input(batch: Sequence[bytes]) -> str:
    """Keep an input for debugging; return the path of its file."""
    folder = Path(tempfile.gettempdir()) / "esctl-fuzz"
    folder.mkdir(exist_ok=True)
    data = b"\x00\xff\x00\n".join(batch)
    path = folder / sha256(data).hexdigest()[:16]
    path.write_bytes(data)
    return str(path)


def run_process(names: Sequence[str], counts: dict[str, int], seed: int) -> dict[str, Any]:
    """Run targets in another process, and return what it reports; if it dies, that is a failure too."""
    slot = mmap.mmap(-1, _SLOT)
    with tempfile.TemporaryFile("w+") as results:  # a pipe would be full before it is read
        child = os.fork()
        if child == 0:
            status = 1
            try:
                _run_targets(names, counts, seed, slot, results)
                status = 0
            finally:
                os._exit(status)
        return _await_report(child, results, slot)


def _run_targets(names: Sequence[str], counts: dict[str, int], seed: int, slot: mmap.mmap, results: TextIO) -> None:
    result: dict[str, Any] = {"inputs": {}, "failures": [], "seconds": {}}
    with tempfile.TemporaryDirectory(prefix="esctl-fuzz-", dir=_fast_folder()) as folder:
        targets = {target.name: target for target in all_targets(Path(folder))}
        _limit_memory()

        def note(target: Target, batch: Sequence[bytes]) -> None:
            data = b"\x00\xff\x00\n".join([target.name.encode(), *batch])[: _SLOT - 16]
            slot[8 : 8 + len(data)] = data
            slot[:8] = len(data).to_bytes(8, "big")

        for name in names:
            started = time.process_time()
            result["failures"] += run_target(targets[name], counts[name], seed, note)
            result["inputs"][name] = counts[name]
            result["seconds"][name] = round(time.process_time() - started, 1)
    result["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    json.dump(result, results)
    results.flush()


def _await_report(child: int, results: TextIO, slot: mmap.mmap) -> dict[str, Any]:
    """Wait for a process and return its report; if it died or hung, a report of that with its last input."""
    seen, since = b"", time.monotonic()
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        now = sha256(slot[: 1 << 12]).digest()
        if now != seen:
            seen, since = now, time.monotonic()
        elif time.monotonic() - since > STUCK:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            break
        time.sleep(0.05)
    if status == 0:
        results.seek(0)
        found: dict[str, Any] = json.load(results)
        return found
    name, *batch = slot[8 : 8 + int.from_bytes(slot[:8], "big")].split(b"\x00\xff\x00\n")
    failure = {"target": name.decode(), "why": f"the process ended with status {status}", "input": _keep_input(batch)}
    return {"inputs": {}, "failures": [failure], "seconds": {}, "peak": 0}


def _fast_folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _limit_memory() -> None:
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))


def shares(targets: Sequence[Target], total: int) -> dict[str, int]:
    """Return the number of inputs for each target, by weight."""
    weight = sum(target.weight for target in targets)
    return {target.name: max(len(target.seeds), round(total * target.weight / weight)) for target in targets}


def keep_figures(figures: Mapping[str, Any]) -> None:
    """Keep the figures of a campaign for docs/reliability.md."""
    command = f"python -m reliability.fuzz --inputs {figures['inputs']} --seed {figures['seed']}"
    line = (
        f"{figures['inputs']:,} inputs of {figures['targets']} readers, {figures['failures']} at which something did "
        f"not hold; {figures['processor_seconds']:,} s of processor time, at most {figures['peak_memory_mib']:,} MiB."
    )
    rows = {name: (count, f"{figures['each_seconds'][name]:.0f}") for name, count in figures["each"].items()}
    report.keep("fuzz", command, figures["seconds"], [line], ("reader", "inputs", "s"), rows)


def main() -> int:
    """Run the campaign and print its figures as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", help="a target; all by default")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="esctl-fuzz-", dir=_fast_folder()) as folder:
        targets = [one for one in all_targets(Path(folder)) if not given.only or one.name in given.only]
        counts = shares(targets, given.inputs)
    started = time.monotonic()
    total: dict[str, Any] = {"inputs": {}, "failures": [], "seconds": {}, "peak": 0}
    for target in targets:
        found = run_process([target.name], counts, given.seed)
        total["inputs"] |= found["inputs"]
        total["seconds"] |= found["seconds"]
        total["failures"] += found["failures"]
        total["peak"] = max(total["peak"], found["peak"])
        for failure in found["failures"]:
            print(json.dumps(failure), file=sys.stderr)
    figures = {
        "campaign": "fuzz", "inputs": sum(total["inputs"].values()), "targets": len(targets), "seed": given.seed,
        "failures": len(total["failures"]), "processor_seconds": round(sum(total["seconds"].values())),
        "seconds": round(time.monotonic() - started), "peak_memory_mib": total["peak"] >> 20,
        "each": total["inputs"], "each_seconds": total["seconds"],
    }  # fmt: skip
    print(json.dumps(figures))
    keep_figures(figures)
    return 1 if total["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
