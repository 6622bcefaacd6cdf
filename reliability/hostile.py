"""Try every case of hostile files and foreign owners: `python -m reliability.hostile`.

It runs all cases of the tests in `FILES`, of which `make test` runs only some, and counts them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from reliability import report

FILES = {
    "tests/storage/test_hostile_stores.py": "what a store holds",
    "tests/cli/test_hostile_outputs.py": "what a user names to be written",
    "tests/cli/test_hostile_inputs.py": "what a user names to be read",
    "tests/cli/test_hostile.py": "what a log says",
    "tests/cli/test_ownership.py": "who owns it",
}


def campaign() -> dict[str, Counter[str]]:
    """Run the tests; return how many cases of each file held, did not hold, or were skipped."""
    with tempfile.TemporaryDirectory(prefix="esctl-hostile-") as folder:
        xml = Path(folder) / "cases.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--tb=short", f"--junitxml={xml}", *FILES]
        subprocess.run(
            command, cwd=report.ROOT, env=os.environ | {"ESCTL_TESTS": "all"}, stdout=sys.stderr, check=False
        )
        return count_cases(xml.read_bytes())


def count_cases(data: bytes) -> dict[str, Counter[str]]:
    """Count the cases of each file by how they ended, from pytest's JUnit XML."""
    found = {file: Counter[str]() for file in FILES}
    for case in ElementTree.fromstring(data).iter("testcase"):
        file = f"{case.get('classname', '').replace('.', '/')}.py"
        ended = "not held" if {each.tag for each in case} & {"failure", "error"} else "skipped" if len(case) else "held"
        found[file][ended] += 1
    return found


def main() -> int:
    """Run the campaign and keep its figures."""
    started = time.monotonic()
    found = campaign()
    total = Counter[str]()
    for each in found.values():
        total.update(each)
    line = f"**{total.total():,}** cases; {total['not held']} did not hold, {total['skipped']} could not be tried here."
    rows = {FILES[file]: (each.total(), each["not held"], each["skipped"]) for file, each in found.items()}
    heads = ("cases of", "number", "did not hold", "not tried")
    report.keep("hostile", "python -m reliability.hostile", time.monotonic() - started, [line], heads, rows)
    print(line)
    return int(bool(total["not held"]) or not total["held"])


if __name__ == "__main__":
    sys.exit(main())
