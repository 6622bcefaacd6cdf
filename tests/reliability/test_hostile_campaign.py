"""How the campaign of hostile files counts its cases."""

from __future__ import annotations

from pathlib import Path

from reliability.hostile import FILES, count_cases

CASES = b"""<testsuites><testsuite>
<testcase classname="tests.cli.test_ownership" name="a"/>
<testcase classname="tests.cli.test_ownership" name="b"><skipped/></testcase>
<testcase classname="tests.storage.test_hostile_stores" name="c"><failure/></testcase>
<testcase classname="tests.storage.test_hostile_stores" name="d"><system-out/><error/></testcase>
</testsuite></testsuites>"""


def test_cases_are_counted_by_file_and_end() -> None:
    found = count_cases(CASES)
    assert found["tests/cli/test_ownership.py"] == {"held": 1, "skipped": 1}
    assert found["tests/storage/test_hostile_stores.py"] == {"not held": 2}
    assert found["tests/cli/test_hostile.py"] == {}


def test_all_files_are_there() -> None:
    assert all((Path(__file__).parents[2] / file).is_file() for file in FILES)
