"""Tables of what was measured, for the terminal and for docs/performance.md."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from jobs import BY_HAND, ESCTL, SCRIPT, Ground
from measure import Run, size


@dataclass(frozen=True, slots=True)
class Result:
    """The runs of a job by each contestant."""

    job: str
    note: str
    runs: Mapping[str, Sequence[Run]]

    def seconds(self, name: str) -> float | None:
        """Return the median of a contestant's wall times; None if it did not run."""
        return statistics.median(run.seconds for run in self.runs[name]) if name in self.runs else None

    def memory(self, name: str) -> float | None:
        """Return a contestant's peak memory in MiB; None if it did not run."""
        return max(run.memory for run in self.runs[name]) if name in self.runs else None

    @property
    def ratio(self) -> float | None:
        """Return esctl's time divided by that of SQL by hand; None if one of them did not run."""
        ours, theirs = self.seconds(ESCTL), self.seconds(BY_HAND)
        return None if ours is None or theirs is None else ours / theirs


def _cells(result: Result) -> list[str]:
    times = [result.seconds(name) for name in (ESCTL, BY_HAND, SCRIPT)]
    memory = [result.memory(name) for name in (ESCTL, BY_HAND, SCRIPT)]
    cells = [*(_number(value, 3 if value and value < 1 else 2) for value in times), _number(result.ratio, 2)]
    return [*cells, *(_number(value, 0) for value in memory)]


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def result_line(result: Result) -> str:
    """Return a result as a line for the terminal."""
    times = "  ".join(
        f"{name} {_number(result.seconds(name), 3)} s (cpu "
        f"{_number(statistics.median(run.processor for run in runs), 3)}, {_number(result.memory(name), 0)} MiB)"
        for name, runs in result.runs.items()
    )
    ratio = f"  ratio {result.ratio:.2f}" if result.ratio is not None else ""
    return f"{result.job:<14}{times}{ratio}"


def markdown(ground: Ground, results: Sequence[Result], runs: int) -> str:
    """Return results as the table of docs/performance.md."""
    lines = [
        f"{ground.events:,} events, {size(ground.log):,} bytes of JSON Lines; medians of {runs} runs.",
        f"{_machine()}; {_versions()}; {datetime.now(UTC):%Y-%m-%d}.",
        "",
        "| job | esctl s | by hand s | script s | esctl / by hand | esctl MiB | by hand MiB | script MiB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for result in results:
        name = f"{result.job} ({result.note})" if result.note else result.job
        lines.append(f"| {' | '.join([name, *_cells(result)])} |")
    log, index = size(ground.store / "log"), size(ground.store / "index")
    share = (log + index) / size(ground.log)
    lines += [
        "",
        f"On disk: log {log:,} bytes, index {index:,}, together {share:.2f} of the JSON Lines; the Parquet by hand "
        f"{size(ground.parquet):,}.",
    ]
    return "\n".join(lines) + "\n"


def _machine() -> str:
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        name = models[0] if models else name
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores of {name}, {memory:.0f} GiB, {platform.system()}"


def _versions() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "pyarrow", "orjson"))
    return f"Python {platform.python_version()}, {packages}"
