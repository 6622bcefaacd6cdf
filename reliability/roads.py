"""Ask drawn questions by two roads, and of stores that differ in nothing: `python -m reliability.roads [N] [--seed S]`.

It runs `test_two_roads.py` and `test_metamorphic.py` with N times as many examples as `make test` tries,
drawn from a seed that is new each time unless it is given.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from reliability import report

TESTS = ("tests/ask/states/test_two_roads.py", "tests/ask/states/test_metamorphic.py")


def campaign(times: int, seed: int, chosen: str = "") -> tuple[list[dict[str, Any]], int]:
    """Run the tests with `times` as many examples; return a row for each set of examples, and pytest's exit code."""
    with tempfile.TemporaryDirectory(prefix="esctl-roads-") as folder:
        figures = Path(folder) / "figures"
        figures.touch()
        told = {"ESCTL_CAMPAIGN": str(times), "ESCTL_SEED": str(seed), "ESCTL_FIGURES": str(figures)}
        command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--tb=short", *TESTS]
        command += ["-k", chosen] if chosen else []
        done = subprocess.run(command, cwd=report.ROOT, env=os.environ | told, stdout=sys.stderr, check=False)
        return [json.loads(line) for line in figures.read_text(encoding="utf-8").splitlines()], done.returncode


def keep_figures(rows: list[dict[str, Any]], times: int, seed: int, seconds: float) -> None:
    """Keep the figures of a campaign for docs/reliability.md."""
    total: Counter[str] = Counter()
    for row in rows:
        total.update({kind: count for kind, count in row.items() if isinstance(count, int) and kind != "held"})
    examples = total.pop("examples")
    failed = sum(not row["held"] for row in rows)
    line = (
        f"**{total.total():,}** questions were asked of {examples:,} drawn logs and what they were turned into; "
        f"{failed} of {len(rows)} sets of examples had one that did not hold."
    )
    table = {row["name"]: (row.get("examples", 0), sum(row[k] for k in total if k in row)) for row in rows}
    command = f"python -m reliability.roads {times} --seed {seed}"
    report.keep("roads", command, seconds, [line], ("examples of", "logs", "questions"), table)


def main() -> int:
    """Run the campaign and print its figures as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("times", type=int, nargs="?", default=20)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--only", default="", help="a pytest -k expression; all by default")
    given = parser.parse_args()
    seed = secrets.randbits(32) if given.seed is None else given.seed
    print(f"seed {seed}", file=sys.stderr)
    started = time.monotonic()
    rows, code = campaign(given.times, seed, given.only)
    keep_figures(rows, given.times, seed, time.monotonic() - started)
    print(json.dumps({"campaign": "roads", "times": given.times, "seed": seed, "code": code, "sets": rows}))
    return code


if __name__ == "__main__":
    sys.exit(main())
