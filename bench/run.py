"""Run each job with esctl and with two peers side by side: `python bench/run.py N`.

Interleaved; medians of wall time, ratios to DuckDB SQL written by hand, peak memory, bytes on disk. All must give the
same answers.
"""

from __future__ import annotations

import argparse
import compileall
import shutil
import sys
from pathlib import Path

from jobs import BY_HAND, CONTESTANTS, ESCTL, HERE, Ground, Job, choose_jobs, digest
from measure import Run, time_command, warm_cache
from report import Result, markdown, result_line


def main() -> None:
    """Generate the log if there is none of this size, and run the comparison."""
    given = arguments()
    if given.digest:
        ground = Ground(given.events)
        (job,) = choose_jobs(ground, [given.digest])
        print(digest(ground, job, given.contestants[0]))
        return
    ground = Ground(given.events)
    ground.folder.mkdir(parents=True, exist_ok=True)
    if not ground.log.exists():
        unfinished = ground.log.with_suffix(".part")
        # Not in this process: a child's peak memory counts that of the process it was spawned from.
        time_command([sys.executable, str(HERE / "generate.py"), str(given.events), str(unfinished)])
        unfinished.rename(ground.log)
    compileall.compile_dir(HERE.parent / "esctl", quiet=1)
    results = [
        result
        for job in choose_jobs(ground, given.jobs)
        if (result := compare(ground, job, given.contestants, given.runs)) is not None
    ]
    if given.output:
        given.output.write_text(markdown(ground, results, given.runs))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("events", type=int, nargs="?", default=1_000_000, metavar="N")
    parser.add_argument("--runs", type=int, default=3, help="how often each job is run by each contestant")
    parser.add_argument("--jobs", type=_names, default=[], help="only these, by name, comma-separated")
    parser.add_argument(
        "--contestants", type=_names, default=list(CONTESTANTS), help=f"of {', '.join(CONTESTANTS)}, comma-separated"
    )
    parser.add_argument("-o", "--output", type=Path, help="write the table as Markdown too")
    parser.add_argument("--digest", help=argparse.SUPPRESS)
    return parser.parse_args()


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def compare(ground: Ground, job: Job, contestants: list[str], count: int) -> Result | None:
    """Run a job `count` times by each contestant, in turn. Raises SystemExit if two answer differently."""
    commands = {name: command for name in contestants if (command := ground.command(job, name)) is not None}
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for _ in range(count):
        for name, command in commands.items():
            if job.name == "ingest":
                shutil.rmtree(ground.store, ignore_errors=True) if name == ESCTL else None
                ground.parquet.unlink(missing_ok=True) if name == BY_HAND else None
            else:
                warm_cache(ground.store, ground.parquet)
            runs[name].append(time_command(command))
    if job.answer is not None and commands:
        answers = {name: _digest(ground, job, name) for name in commands}
        if len(set(answers.values())) > 1:
            raise SystemExit(f"{job.name}: the contestants answer differently: {answers}")
    result = Result(job.name, job.note, runs)
    print(result_line(result), flush=True)
    return result


def _digest(ground: Ground, job: Job, name: str) -> str:
    """Return an answer's digest, made in another process, so that no child's peak memory counts what it takes."""
    import subprocess

    command = [sys.executable, __file__, str(ground.events), "--digest", job.name, "--contestants", name]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
